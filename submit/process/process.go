// Package process makes this process safe to run, whoever started it; judges files,
// folders, users and other processes; and holds all code that differs between operating
// systems. It knows nothing of mail, accounts or queues.
//
//	file     holds                                             so that
//	process  TakeVariable                                      no program inherits a secret in a variable
//	         Command, StartCommand, RunCommand                 no process of a command stays after its time
//	unix     Harden: core dumps, ptrace                        no other process can read a secret in memory
//	         Harden: set-uid, set-gid, capabilities            we do nothing with rights that our caller does not have
//	         IgnoreSignals: SIGPIPE, SIGXFSZ                   they become errors of the write that caused them
//	         CatchSignals: SIGQUIT                             the process ends as by SIGTERM, without a dump
//	         locks; sockets; the system's log
//	signal   Interruptible: SIGINT, SIGTERM, SIGHUP, SIGQUIT   they end a context
//	terminal Ask, AskSecret, Stdin                             a signal at a prompt is an error, the echo comes back
//	panic    Guarded                                           a bug that one message meets does not stop the others
//	argv     Argv: words of a command                          no shell is run
//	file     OpenRegular; Replace; LogFile                     no FIFO blocks us, no crash leaves half a file
//	trust    Trust, TrustSecret, …: access rights of files     we do not believe a file that others could write
//	peer     PeerOf, ServersOf: the other end of a connection
//	user     users by number
//	detach   Start: a process that outlives us                 it has no descriptor and no terminal of ours
//	child    Child, Become: a process that becomes a user      the user cannot trace it
//	linux, bsd; nolinux, nopeer, other                         calls that only some systems have; stubs for the others
//
// Errors have no status.Kind: the caller adds it. Stopped, ExitError, ErrNotRegular and
// errors.ErrUnsupported can be told apart.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Hardened is what Harden has found and done.
type Hardened struct {
	// Raised says that the process has rights that its caller does not have (set-uid,
	// set-gid), or that its file gives (capabilities): it must do nothing.
	Raised bool

	// Unsure says that the kernel does not trust the caller to steer the process (AT_SECURE),
	// for example because SELinux or AppArmor gives the process another domain. Harden has
	// removed the variables that say where secrets are from the environment.
	Unsure bool

	// Exposed says why others could read our memory, directly or in a core dump; nil: they
	// cannot.
	Exposed error
}

// taken holds the variables that TakeVariable has removed from the environment.
var taken = struct {
	sync.Mutex
	values map[string]string
}{values: make(map[string]string)}

// TakeVariable returns a variable of the environment that holds a secret, and removes the
// variable: of the programs that we start, only the one of Start gets it, and on Linux
// nobody sees it in /proc/PID/environ any more. ok reports whether the variable was there.
func TakeVariable(name string) (value string, ok bool) {
	taken.Lock()
	defer taken.Unlock()
	if value, ok := os.LookupEnv(name); ok {
		os.Unsetenv(name)
		wipe(name)
		taken.values[name] = value
	}
	value, ok = taken.values[name]
	return value, ok
}

// A Child is a process of this program that becomes another user (child_unix.go).
type Child struct {
	UID    int
	Args   []string      // the words after --queue-as=UID
	Errors bool          // the output of the Child has its stderr as well as its stdout
	Limit  time.Duration // how long the Child may run before it gets SIGTERM
	Grace  time.Duration // the time from SIGTERM to SIGKILL
}

// An ExitError says that a Child ended with the exit status Code; -1: by a signal.
type ExitError struct{ Code int }

func (e ExitError) Error() string {
	if e.Code < 0 {
		return "killed"
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Command returns the command of argv, which has at least one word. When ctx ends, the
// command is killed together with its process group. With share the command is in the
// process group of this process, so that it can ask at the terminal, and is killed alone.
// If a process that the command has started keeps the output open, Wait returns a second
// after the end of the command.
func Command(ctx context.Context, argv []string, share bool) *exec.Cmd {
	CatchSignals()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	if !share {
		ownGroup(cmd)
	}
	return cmd
}

// StartCommand starts cmd. If Become has set lower limits, cmd has the limits that this
// process was started with.
func StartCommand(cmd *exec.Cmd) error {
	defer liftLimit()()
	err := cmd.Start()
	if errors.Is(err, exec.ErrNotFound) {
		err = errors.New("no such program in $PATH")
	}
	return err
}

// RunCommand starts cmd as StartCommand does, and waits for it.
func RunCommand(cmd *exec.Cmd) error {
	if err := StartCommand(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// Caller returns the path, or only the name, of the program that has started this process;
// "": the system does not say.
func Caller() string { return program(os.Getppid()) }

// program returns the program of a process, as /proc/PID says: exe, otherwise comm.
func program(pid int) string {
	folder := fmt.Sprintf("/proc/%d/", pid)
	if exe, err := os.Readlink(folder + "exe"); err == nil {
		return strings.TrimSuffix(exe, " (deleted)")
	}
	name, _ := os.ReadFile(folder + "comm")
	return strings.TrimSpace(string(name))
}

// Executable returns the path of this program. On a system that does not tell it, as Linux
// without /proc, that is the program of the name by which this one was called.
func Executable() (string, error) {
	path, err := os.Executable()
	if err == nil {
		return path, nil
	}
	if path, failure := exec.LookPath(os.Args[0]); failure == nil {
		return filepath.Abs(path)
	}
	return "", err
}
