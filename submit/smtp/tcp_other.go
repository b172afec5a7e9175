//go:build !linux

package smtp

import "net"

// acknowledge does nothing: only Linux has this option for a single connection.
func acknowledge(net.Conn) {}

// cork does nothing: only Linux can hold back small packets.
func cork(net.Conn, int) {}
