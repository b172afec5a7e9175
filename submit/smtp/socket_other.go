//go:build !unix

package smtp

import "net"

// pending reports whether octets from the server wait in the kernel; where
// that cannot be asked, what the library has already read must do.
func pending(net.Conn) bool { return false }
