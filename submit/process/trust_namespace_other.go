//go:build unix && !linux

package process

// unmapped returns -1: there are no user namespaces here.
func unmapped() int { return -1 }
