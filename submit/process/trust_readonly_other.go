//go:build unix && !linux && !darwin && !freebsd

package process

// readOnly returns false: here a read-only mount is judged like any other.
func readOnly(string) bool { return false }
