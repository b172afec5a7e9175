//go:build !linux

package message

import (
	"errors"
	"os"
)

// createInMemory returns an error: only Linux has files in memory.
func createInMemory() (*os.File, error) { return nil, errors.ErrUnsupported }
