//go:build !unix

package process

// CatchSignals does nothing: no write ends a process here.
func CatchSignals() {}

// Harden does nothing: there are no set-id programs here.
func Harden() Hardened { return Hardened{} }
