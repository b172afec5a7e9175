//go:build !linux

package smtp

import "net"

// acknowledge does nothing: only Linux can be told for one connection.
func acknowledge(net.Conn) {}

// cork does nothing, likewise.
func cork(net.Conn, int) {}
