//go:build unix

package process

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// LockFolder waits until no other process has locked folder, and locks it. The
// lock is given back by release or the end of the process. Where a folder cannot
// be locked, there is none. Whoever can read the folder can lock it, so the wait
// has an end: after it, ok is false.
func LockFolder(folder string, most time.Duration) (release func(), ok bool) {
	f, err := os.Open(folder)
	if err != nil {
		return func() {}, true
	}
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		busy := err == unix.EWOULDBLOCK || err == unix.EINTR
		if !busy || time.Now().After(end) {
			return func() { f.Close() }, !busy
		}
	}
}
