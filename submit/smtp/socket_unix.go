//go:build unix

package smtp

import (
	"net"
	"syscall"
)

// pending reports whether octets from the server wait in the kernel.
func pending(conn net.Conn) bool {
	n := -1
	control(conn, func(fd int) {
		var b [1]byte
		n, _, _ = syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return n > 0
}

// control calls f with the descriptor of the socket below conn, if conn has a socket.
func control(conn net.Conn, f func(fd int)) {
	if c, ok := bottom(conn).(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { f(int(fd)) })
		}
	}
}
