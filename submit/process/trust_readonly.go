//go:build linux || darwin || freebsd

package process

import "syscall"

// readOnly reports whether nobody can write in folder because it is on a
// read-only mount.
func readOnly(folder string) bool {
	const flag = 1 // ST_RDONLY, MNT_RDONLY
	var st syscall.Statfs_t
	return syscall.Statfs(folder, &st) == nil && st.Flags&flag != 0
}
