//go:build !linux

package process

// NewKeyring does nothing: there is none.
func NewKeyring() {}
