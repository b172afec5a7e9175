//go:build unix

package process

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenUnix makes a Unix socket that everybody may connect to. It is so from
// the start, because by its name another file might be made so. No other file
// must be made meanwhile.
func ListenUnix(path string) (net.Listener, error) {
	old := syscall.Umask(0o111)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}

// SocketOf returns what f is.
func SocketOf(f *os.File) SocketKind {
	name, err := unix.Getsockname(int(f.Fd()))
	if err != nil {
		return NoSocket
	}
	switch name := name.(type) {
	case *unix.SockaddrUnix:
		if name.Name == "" || name.Name == "@" { // which stands for a NUL on Linux
			return NoSocket
		}
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		return InternetSocket
	}
	return NamedSocket
}

// Left reports whether the other side of a connection has closed it, and has
// left nothing to read. It waits for nothing.
func Left(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	left := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		left = n == 0 && err == nil || err == syscall.ECONNRESET
	})
	return left || err != nil
}
