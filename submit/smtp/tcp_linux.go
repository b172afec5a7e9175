package smtp

import (
	"net"
	"syscall"
)

// acknowledge lets the kernel acknowledge at once what comes next. A server
// that writes its replies one by one, and lets Nagle's algorithm hold back the
// second until the first is acknowledged, would otherwise wait 40 ms.
func acknowledge(conn net.Conn) {
	control(conn, func(fd int) {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}

// cork lets the kernel gather what is written, and send it in full segments:
// TLS writes its records of 16 kB one by one, and each would wake the reader. To
// take the cork out sends what is left.
func cork(conn net.Conn, on int) {
	control(conn, func(fd int) {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_CORK, on)
	})
}
