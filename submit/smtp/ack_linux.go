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
