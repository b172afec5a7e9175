//go:build darwin || freebsd

package process

import "golang.org/x/sys/unix"

func peerOf(fd int) (Peer, error) {
	c, err := unix.GetsockoptXucred(fd, 0, unix.LOCAL_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	return Peer{UID: int(c.Uid), PID: noPID}, nil
}

// readOnly reports whether folder is on a read-only mount, so that nobody can write in it.
func readOnly(folder string) bool {
	var st unix.Statfs_t
	return unix.Statfs(folder, &st) == nil && st.Flags&unix.MNT_RDONLY != 0
}
