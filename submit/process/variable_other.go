//go:build !linux

package process

// wipe does nothing: what this system shows of an environment stays as it was.
func wipe(string) {}
