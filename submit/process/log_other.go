//go:build !unix

package process

import "os"

// Syslog returns nil: there is no such log.
func Syslog(string) func(string, bool) error { return nil }

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// Caller returns "": it is not known.
func Caller() string { return "" }

func program(int) string { return "" }
