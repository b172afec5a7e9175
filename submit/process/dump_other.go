//go:build unix && !linux

package process

// undumpable does nothing: only Linux lets a process ask for it.
func undumpable() error { return nil }
