//go:build unix

package process

import (
	"os"
	"os/signal"
	"syscall"
)

// Harden does what the package comment says of signals, core dumps and the
// environment. It reports whether the process has rights that its caller has
// not: then no command may be run for the caller, and nothing but a submission
// done.
func Harden() (privileged bool) {
	// Notify, and not Ignore: what is ignored stays so in a command that we run.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	undumpable()
	privileged = os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid()
	if privileged {
		os.Clearenv()
	}
	return privileged
}
