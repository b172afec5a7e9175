//go:build e2e && linux

package e2e

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// swap puts a folder, a FIFO and nothing in turn at a path, again and again.
func swap(args []string) error {
	path, other := args[0], args[0]+"-other"
	os.Mkdir(path, 0o700)
	if err := unix.Mkfifo(other, 0o600); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
		unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
		os.Rename(path, path+"-away")
		os.Rename(path+"-away", path)
	}
	return nil
}
