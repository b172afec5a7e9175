//go:build linux || darwin || freebsd

package queue

import (
	"os"

	"golang.org/x/sys/unix"
)

// space returns the octets that this user may still write to the disk of root, and the
// octets of the whole disk; 0, 0 if they are unknown.
func space(root *os.Root) (free, total int64) {
	f, err := root.Open(".")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, 0
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize)
}
