//go:build unix && !linux

package process

// newKeyring does nothing: there is none.
func newKeyring() error { return nil }
