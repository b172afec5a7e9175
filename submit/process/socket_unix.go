//go:build unix

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

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
