//go:build !unix

package credential

// privateFolder returns "": the system has no runtime folder.
func privateFolder() string { return "" }
