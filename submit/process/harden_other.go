//go:build !unix

package process

// Harden does nothing: there are no set-id programs here, and none of the
// signals.
func Harden() (privileged bool) { return false }
