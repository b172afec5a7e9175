//go:build unix

package process

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// LockFolder waits until no other process has locked folder, and locks it: by a
// file in it that only the user can open. Whoever can read the folder could lock
// the folder itself. The lock is given back by release or the end of the process.
// Where there can be no such file, there is no lock; and the wait has an end: after
// it, ok is false.
func LockFolder(folder string, most time.Duration) (release func(), ok bool) {
	path := filepath.Join(folder, ".config.lock")
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if err != nil {
			return func() {}, true
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && isAt(f, path) {
			return func() { os.Remove(path); f.Close() }, true
		}
		f.Close()
		if err != nil && err != unix.EWOULDBLOCK && err != unix.EINTR {
			return func() {}, true
		}
		if time.Now().After(end) {
			return func() {}, false
		}
	}
}

// isAt reports whether f is still the file at path: whoever had the lock has
// removed the file with it.
func isAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	there, errThere := os.Lstat(path)
	return err == nil && errThere == nil && os.SameFile(mine, there)
}
