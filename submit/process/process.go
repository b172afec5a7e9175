// Package process makes this process safe to run, whoever started it, judges what
// surrounds it, and holds all that differs between operating systems. It knows nothing
// of mail, accounts or queues.
//
//	file     holds                                             so that
//	process  TakeVariable                                      nobody inherits a secret in a variable
//	         Command, StartCommand, RunCommand                 nothing of a command is left when its time is over
//	unix     Harden: core dumps, ptrace                        a secret in memory stays there
//	         Harden: set-uid, set-gid, capabilities            it does nothing with rights that its caller has not
//	         CatchSignals: SIGPIPE, SIGXFSZ                    they become errors of the write that caused them
//	         CatchSignals: SIGQUIT                             it ends the process as SIGTERM does, without a dump
//	         locks; sockets; the system's log
//	signal   Interruptible: SIGINT, SIGTERM, SIGHUP            they end a context
//	terminal Ask, AskSecret, Stdin                             a signal at a prompt is an error, the echo comes back
//	panic    Guarded                                           a bug in one message's work does not end the others'
//	argv     Argv: words of a command                          no shell is run
//	file     OpenRegular; Replace; LogFile                     no FIFO blocks us, no crash leaves half a file
//	trust    Trust and its kin: files of others                they are judged before they are believed
//	peer     PeerOf, ServersOf: the other end of a connection
//	user     users by number
//	detach   Start: a process that outlives us                 it has nothing of ours
//	child    Child, Become: a process that becomes a user      the user cannot trace it
//	linux, bsd; nolinux, nopeer, other                         what only some systems have; stubs for the rest
//
// Errors: plain sentences, which the caller gives their kind; Stopped, ExitError,
// ErrNotRegular and errors.ErrUnsupported can be told apart.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Hardened is what Harden has found and done.
type Hardened struct {
	// Raised says that the process has rights that its caller has not, or that its file
	// gives it: it must do nothing then.
	Raised bool

	// Unsure says that the kernel does not let the caller steer the process (AT_SECURE), as
	// where SELinux or AppArmor gives the process another domain: the variables that would
	// steer it have been removed from the environment.
	Unsure bool

	// Exposed says why others could read our memory, in a core dump or at once.
	Exposed error
}

// taken holds the variables that TakeVariable has taken out of the environment.
var taken = struct {
	sync.Mutex
	values map[string]string
}{values: make(map[string]string)}

// TakeVariable returns a variable of the environment that holds a secret, and removes
// it: of the programs that this process starts only that of Start gets it, and on Linux
// nobody sees it in the environment of this process any more.
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
	Errors bool          // whether its stderr is part of its output
	Limit  time.Duration // how long it may take
	Grace  time.Duration // from SIGTERM, at the limit or at the end of the context, to SIGKILL
}

// An ExitError is how a Child ended.
type ExitError struct{ Code int } // -1: by a signal

func (e ExitError) Error() string {
	if e.Code < 0 {
		return "killed"
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Command returns the command of argv, which has at least a program. When ctx ends, the
// command is killed with all that it has started; but only itself if it shares the process
// group of this process, to ask something at the terminal. Once the command has ended,
// Wait waits a second for what it left running, which may hold its output open.
func Command(ctx context.Context, argv []string, share bool) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	if !share {
		ownGroup(cmd)
	}
	return cmd
}

// StartCommand starts cmd with the limits that this process was started with, where
// Become has set others.
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

// Caller returns the program that has started this process, or "" where the system
// does not say.
func Caller() string { return program(os.Getppid()) }

// program returns the program of a process, where there is a /proc.
func program(pid int) string {
	folder := fmt.Sprintf("/proc/%d/", pid)
	if exe, err := os.Readlink(folder + "exe"); err == nil {
		return strings.TrimSuffix(exe, " (deleted)")
	}
	name, _ := os.ReadFile(folder + "comm")
	return strings.TrimSpace(string(name))
}
