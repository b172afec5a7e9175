//go:build unix

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// LockFolder waits until no other process has locked folder, and locks it. The
// lock is given back by release or the end of the process. Where a folder cannot
// be locked, there is none.
func LockFolder(folder string) (release func()) {
	f, err := os.Open(folder)
	if err != nil {
		return func() {}
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	return func() { f.Close() }
}
