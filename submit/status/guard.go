package status

import "sendoff/submit/process"

// Guarded runs f, and returns its error, or a panic of f as an error of kind Bug.
func Guarded(f func() error) (err error) {
	if p := process.Guarded(func() { err = f() }); p != nil {
		err = Bug.Wrap(p)
	}
	return err
}
