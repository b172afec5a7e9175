//go:build !unix

package process

import (
	"errors"
	"os"
)

// Start returns errors.ErrUnsupported.
func Start(...string) (ended <-chan struct{}, err error) { return nil, errors.ErrUnsupported }

// closeStdin closes stdin.
func closeStdin() { os.Stdin.Close() }

// Outlives says that nothing can be started here.
func Outlives() (why string, try bool) {
	return "no process can be started here that runs the queue", false
}
