//go:build unix

package process

import (
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
// environment. raised says that the process has rights that its caller has not,
// or would have them by its file: it must do nothing then. unsure says that the
// kernel takes the caller for one who may not steer it (AT_SECURE), as where
// SELinux or AppArmor gives it another domain: then what would steer it is no more
// in the environment.
func Harden() (raised, unsure bool) {
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	undumpable()
	syscall.Umask(0o077)
	raised = os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid() || hasCapabilities("/proc/self/exe")
	if unsure = secureExec(); unsure {
		distrustEnvironment()
	}
	return raised, unsure
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
