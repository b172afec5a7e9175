//go:build unix && !linux

package process

// hasCapabilities returns false: files have none here.
func hasCapabilities(string) bool { return false }

// secureExec returns false: it is not asked.
func secureExec() bool { return false }
