//go:build !linux

package process

import (
	"errors"
	"net"
)

// PeerOfTCP returns the user at the other end of a connection within this
// machine, which nobody says here.
func PeerOfTCP(net.Conn) (Peer, error) { return Peer{}, errors.ErrUnsupported }

// ListenerOf returns the users who listen where a connection leads to, which
// nobody says here.
func ListenerOf(net.Conn) ([]int, error) { return nil, errors.ErrUnsupported }
