//go:build !unix

package credential

// privateFolder returns "": the system has no such folder.
func privateFolder() string { return "" }
