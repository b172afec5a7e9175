//go:build unix

package process

import (
	"fmt"
	"log/syslog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Syslog returns what writes a line to the system's log, as an error if it is
// bad; nil if there is no such log.
func Syslog(tag string) func(line string, bad bool) error {
	w, err := syslog.New(syslog.LOG_MAIL|syslog.LOG_INFO, tag)
	if err != nil {
		return nil
	}
	return func(line string, bad bool) error {
		if bad {
			return w.Err(line)
		}
		return w.Info(line)
	}
}

// openLog waits for nobody, not even for the reader of a FIFO.
func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
}

// Caller returns the program that has started this process, as well as it is
// known.
func Caller() string { return program(os.Getppid()) }

// program returns the program of a process.
func program(pid int) string {
	parent := fmt.Sprintf("/proc/%d/", pid)
	if exe, err := os.Readlink(parent + "exe"); err == nil {
		return strings.TrimSuffix(exe, " (deleted)")
	}
	name, err := os.ReadFile(filepath.Join(parent, "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
