//go:build !unix

package process

import (
	"net"
	"os"
)

// ListenUnix makes a Unix socket.
func ListenUnix(path string) (net.Listener, error) { return net.Listen("unix", path) }

// SocketOf returns NoSocket: nothing starts a program on one here.
func SocketOf(*os.File) SocketKind { return NoSocket }

// Left reports whether the other side of a connection has closed it, which is
// not seen here before the next read.
func Left(net.Conn) bool { return false }
