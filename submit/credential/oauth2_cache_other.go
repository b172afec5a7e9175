//go:build !unix

package credential

import "sendoff/submit/state"

// runtimeFolder returns nil: the system has no such folder.
func runtimeFolder() *state.Folder { return nil }

// privateFolder returns "" for the same reason.
func privateFolder() string { return "" }
