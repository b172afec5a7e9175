//go:build unix

package process

import (
	"errors"
	"os"
	"os/signal"
	"strings"
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
// environment. Where a call is refused, as by a filter of system calls, the mail still
// leaves, and the caller can say that the process is exposed: only the user's own
// processes gain by that. Becoming another user does not go on without it.
func Harden() (h Hardened) {
	h.Exposed = errors.Join(syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}), undumpable())
	syscall.Umask(0o077) // which cannot fail
	h.Raised = os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid() || hasCapabilities("/proc/self/exe")
	if h.Unsure = secureExec(); h.Unsure {
		distrustEnvironment()
	}
	return h
}

// distrustEnvironment removes the variables that say where secrets are, and who
// keeps them.
func distrustEnvironment() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "SENDOFF_") || name == "DBUS_SESSION_BUS_ADDRESS" {
			os.Unsetenv(name)
		}
	}
}
