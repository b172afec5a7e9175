//go:build !unix

package process

// KeepWriting does nothing: no write ends a process here.
func KeepWriting() {}

// Harden does nothing: there are no set-id programs here.
func Harden() (privileged bool) { return false }
