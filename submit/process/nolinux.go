//go:build !linux

package process

import "os"

// The stubs for linux.go.

func hasCapabilities(string) bool { return false }
func secureExec() bool            { return false }
func undumpable() error           { return nil }
func newKeyring() error           { return nil }
func limitMemory(bool) error      { return nil }
func liftLimit() (lower func())   { return func() {} }
func wipe(string)                 {}
func aclOf(*os.File) bool         { return false }
func aclAt(string) bool           { return false }

// SELinux and Label return nothing: SELinux is Linux's.
func SELinux() string     { return "" }
func Label(string) string { return "" }

// IsMountPoint returns false: the system does not say.
func IsMountPoint(string) bool { return false }
