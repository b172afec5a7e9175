package smtp

import (
	"net"
	"syscall"
)

// acknowledge makes the kernel acknowledge the next octets at once. Some servers write
// their replies one by one, and Nagle's algorithm holds back the second until the first is
// acknowledged: without this each such reply would take 40 ms.
func acknowledge(conn net.Conn) {
	control(conn, func(fd int) {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}

// cork with on = 1 makes the kernel collect the octets that are written, and send full
// segments only: TLS writes records of 16 kB one by one, and each would wake the server.
// With on = 0 the kernel sends the rest.
func cork(conn net.Conn, on int) {
	control(conn, func(fd int) {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_CORK, on)
	})
}
