//go:build !unix

package credential

// runtimeShelf returns nil: the system has no such folder.
func runtimeShelf() *Shelf { return nil }

// privateFolder returns "" for the same reason.
func privateFolder() string { return "" }
