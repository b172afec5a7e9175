//go:build !linux

package process

import (
	"errors"
	"net"
	"net/netip"
)

// PeerOfTCP returns the user at the other end of a connection within this
// machine, which nobody says here.
func PeerOfTCP(net.Conn) (Peer, error) { return Peer{}, errors.ErrUnsupported }

// ServersOf returns the users who serve an address of this machine, which nobody
// says here.
func ServersOf(address, from netip.AddrPort) ([]int, error) { return nil, errors.ErrUnsupported }
