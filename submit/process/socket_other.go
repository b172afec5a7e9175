//go:build !unix

package process

import "os"

// SocketOf returns NoSocket: nothing starts a program on one here.
func SocketOf(*os.File) SocketKind { return NoSocket }
