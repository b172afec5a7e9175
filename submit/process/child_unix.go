//go:build unix

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A Child is a process of this program that becomes another user.
//
//	root  a thread with an empty session keyring ── starts, as root ── the child
//	child Become: limits, groups, gid, uid; from here on it is the user's
//	root  reads its output, kills it when it is stopped or late
//
// The child does not execute the program again as the user: a process that has
// changed its uid cannot be traced by that user, one that executes a program can.
type Child struct {
	UID    int
	Args   []string      // what it is to do
	Errors bool          // its stderr is part of its output
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

// Run runs c, and copies its output to w: in a session of its own, in the root
// folder, with an empty environment and no other descriptor. The errors are
// ExitError, or say that c was not started.
func (c Child) Run(ctx context.Context, w io.Writer) error {
	r, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	child, err := c.start(out)
	out.Close()
	if err != nil {
		return err
	}
	copied := make(chan struct{})
	go func() {
		io.Copy(w, r)
		close(copied)
	}()
	err = c.wait(ctx, child)
	r.SetReadDeadline(time.Now().Add(time.Second)) // for what the child left running, which may hold the pipe
	<-copied
	return err
}

// start starts c without keys of ours in its session keyring.
func (c Child) start(out *os.File) (*os.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := []*os.File{null, out, null}
	if c.Errors {
		files[2] = out
	}
	argv := append([]string{"sendoff", fmt.Sprintf("--queue-as=%d", c.UID)}, c.Args...)
	var child *os.Process
	if keyring, err := withoutKeys(func() (err error) {
		child, err = os.StartProcess(self, argv, &os.ProcAttr{Dir: "/", Env: []string{}, Files: files, Sys: &syscall.SysProcAttr{Setsid: true}})
		return err
	}, false); keyring != nil || err != nil {
		return nil, errors.Join(keyring, err)
	}
	return child, nil
}

// KeepsKeys says why no Child can be started without keys of ours; nil if one can.
func KeepsKeys() error {
	keyring, _ := withoutKeys(func() error { return nil }, false)
	return keyring
}

// withoutKeys calls start in a thread with a session keyring of its own, so that
// what it starts has no key of ours. If there can be no such keyring, keyring
// says why, and start is only called if always is set.
func withoutKeys(start func() error, always bool) (keyring, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		closeOnExec()
		if keyring = newKeyring(); keyring == nil || always {
			err = start()
		}
	}()
	<-done
	return keyring, err
}

// deathTime is how long a process may take to end when it is killed. One that has
// asked a file system of its user's (FUSE), or a server of files that is gone, does
// not end before the answer.
const deathTime = 5 * time.Second

// errLasts says that a process could not be killed.
var errLasts = errors.New("killed, but it does not end: it waits for a file system")

// wait waits for the end of child, and kills it, with its process group, when it
// is stopped, late, or not to go on. It does not wait for one that outlives that.
func (c Child) wait(ctx context.Context, child *os.Process) error {
	pid := child.Pid
	child.Release()
	kill := func(sig syscall.Signal) { syscall.Kill(-pid, sig) }
	ended := make(chan error, 1)
	go func() { ended <- await(pid, func() { kill(syscall.SIGKILL) }) }()
	limit := time.NewTimer(c.Limit)
	defer limit.Stop()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	case <-limit.C:
	}
	kill(syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(c.Grace):
	}
	kill(syscall.SIGKILL)
	select {
	case err := <-ended:
		return err
	case <-time.After(deathTime):
		return errLasts
	}
}

// await waits for the end of the process pid, and calls stopped when its user has
// stopped it: we stop nothing.
func await(pid int, stopped func()) error {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case status.Stopped():
			stopped()
		case status.Signaled():
			return ExitError{-1}
		case status.ExitStatus() != 0:
			return ExitError{status.ExitStatus()}
		default:
			return nil
		}
	}
}

// RunAsCron runs this program with the given arguments as cron would: in a
// session of its own, and so without a terminal, with no environment but env and
// no key of ours, in the root folder, and with nothing open but pipes for stdin
// and its output. It is killed when ctx ends.
func RunAsCron(ctx context.Context, stdin string, env []string, args ...string) (output string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = "sendoff"
	cmd.Dir = "/"
	cmd.Stdin, cmd.Env = strings.NewReader(stdin), env
	var out bytes.Buffer
	cmd.Stdout = &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	// It is the caller's own process, whom a key of the caller's tells nothing new: with
	// one, the trial is only less like cron's.
	if _, err := withoutKeys(cmd.Start, true); err != nil {
		return "", err
	}
	err = cmd.Wait()
	return out.String(), err
}
