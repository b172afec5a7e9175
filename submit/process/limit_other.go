//go:build unix && !linux

package process

// limitMemory leaves it at Go's own limit.
func limitMemory(bool) error { return nil }
