//go:build !unix

package process

import "errors"

// Start returns errors.ErrUnsupported.
func Start(...string) (ended <-chan struct{}, err error) { return nil, errors.ErrUnsupported }

// Outlives says that nothing can be started here.
func Outlives() (why string, try bool) {
	return "no process can be started here that runs the queue", false
}
