package process

import "golang.org/x/sys/unix"

// IsMountPoint reports whether something is mounted at path itself: containers
// do that with a single file, which can be written to, but not replaced. Before
// Linux 5.8, and elsewhere, that is not known.
func IsMountPoint(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
