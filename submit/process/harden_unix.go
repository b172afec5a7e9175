//go:build unix

package process

import (
	"os"
	"os/signal"
	"syscall"
)

// CatchSignals turns the signals that end a process for a write into errors of
// that write, and SIGQUIT into SIGTERM: the Go runtime would answer it with all
// goroutines on stderr. It starts a thread, which a process that writes one line
// can do without.
func CatchSignals() {
	// Notify, and not Ignore: what is ignored stays so in a command that we run.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		for range quit {
			syscall.Kill(os.Getpid(), syscall.SIGTERM)
		}
	}()
}

// Harden does what the package comment says of core dumps, files and the
// environment. It reports whether the process has rights that its caller has
// not: then no command may be run for the caller, and nothing but a submission
// done.
func Harden() (privileged bool) {
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	undumpable()
	syscall.Umask(0o077)
	privileged = os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid()
	if privileged {
		os.Clearenv()
	}
	return privileged
}
