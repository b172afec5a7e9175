package message

import (
	"os"

	"golang.org/x/sys/unix"
)

// createInMemory returns a file that lives in memory, for a machine where no
// folder can be written to.
func createInMemory() (*os.File, error) {
	fd, err := unix.MemfdCreate("sendoff", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "sendoff"), nil
}
