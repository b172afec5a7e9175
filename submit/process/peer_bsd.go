//go:build darwin || freebsd

package process

import (
	"net"

	"golang.org/x/sys/unix"
)

// PeerOf returns who has connected to a Unix socket (LOCAL_PEERCRED).
func PeerOf(conn *net.UnixConn) (peer Peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var c *unix.Xucred
	if cerr := raw.Control(func(fd uintptr) { c, err = unix.GetsockoptXucred(int(fd), 0, unix.LOCAL_PEERCRED) }); cerr != nil {
		return Peer{}, cerr
	}
	if err != nil {
		return Peer{}, err
	}
	return Peer{UID: int(c.Uid), PID: noPID}, nil
}
