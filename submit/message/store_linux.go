package message

import (
	"os"

	"golang.org/x/sys/unix"
)

// createInMemory returns a file in memory, for a machine where no folder is writable.
func createInMemory() (*os.File, error) {
	fd, err := unix.MemfdCreate("sendoff", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "sendoff"), nil
}
