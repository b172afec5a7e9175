//go:build !unix

package process

// IsOurs reports whether a uid is of whoever runs us. There are no uids here.
func IsOurs(int) bool { return false }

// IsSystemUser reports whether a uid is of a service. There are no uids here.
func IsSystemUser(int) bool { return false }

// IsUser reports whether name is a uid. There are no uids here.
func IsUser(string, int) bool { return false }
