//go:build !unix

package process

import "net"

// Activated returns none: nobody opens sockets for a process here.
func Activated() ([]net.Listener, error) { return nil, nil }
