//go:build unix

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// Run runs c, and copies its output to w.
//
//	root  a thread with an empty session keyring ── starts, as root ── the child
//	child Become: limits, groups, gid, uid; from here on it is the user's
//	root  reads its output, kills it when it is stopped or late
//
// The child does not execute the program again as the user: a process that has
// changed its uid cannot be traced by that user, while a process that executes a
// program can. It runs in a session of its own, in the root folder, with an empty
// environment and no other descriptor. The errors are ExitError, or say that c was not
// started.
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
	argv := append([]string{fmt.Sprintf("--queue-as=%d", c.UID)}, c.Args...)
	cmd, err := anew(context.Background(), argv...)
	if err != nil {
		return nil, err
	}
	cmd.Env = []string{}
	cmd.Stdout = out
	if c.Errors {
		cmd.Stderr = out
	}
	if keyring, err := withoutKeys(cmd.Start, false); keyring != nil || err != nil {
		return nil, errors.Join(keyring, err)
	}
	return cmd.Process, nil
}

// KeepsKeys says why no Child can be started without keys of ours; nil if one can.
func KeepsKeys() error {
	keyring, _ := withoutKeys(func() error { return nil }, false)
	return keyring
}

// withoutKeys calls start in a thread with a session keyring of its own, so that the
// process that it starts has no key of ours. If there can be no such keyring, keyring
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

// deathTime is how long a process may take to end when it is killed. While it waits
// for an answer of a file system of its user's (FUSE), or of a file server that is gone,
// it does not end.
const deathTime = 5 * time.Second

// wait waits for the end of child, and kills it, with its process group, when it
// is stopped or late, or when ctx ends. It waits at most deathTime for a killed one.
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
		return errors.New("killed, but it does not end: it waits for a file system")
	}
}

// await waits for the end of the process pid, and calls stopped when somebody has
// stopped it, which can only be its user.
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

// RunAsCron runs this program with the given arguments as cron would: in a session of
// its own, and so without a terminal, in the root folder, with no environment but env,
// no key of ours, and no descriptors but a pipe for stdout. It is killed when
// ctx ends.
func RunAsCron(ctx context.Context, env []string, args ...string) (output string, err error) {
	cmd, err := anew(ctx, args...)
	if err != nil {
		return "", err
	}
	cmd.Env = env
	var out bytes.Buffer
	cmd.Stdout = &out
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	// The process is the caller's own, so a key of the caller's tells it nothing new: with
	// the key the trial is only less like cron's.
	if _, err := withoutKeys(cmd.Start, true); err != nil {
		return "", err
	}
	err = cmd.Wait()
	return out.String(), err
}

// nogroup is the group of a user who has no passwd entry.
const nogroup = 65534

// The limits of a process that becomes a user: octets of memory beside those it has
// already, octets of Go's own heap, and seconds of CPU time to make a list.
const (
	childMemory = 256 << 20
	childHeap   = 192 << 20
	childCPU    = 20
)

// Become makes this process, which must be root's and have started nothing else, a
// process of the user uid, with that user's groups only and limits of its own. If list
// is set, the limits hold for good. Else the programs of StartCommand have the limits
// that this process was started with, and the little environment that cron would give.
func Become(uid int, list bool) error {
	if os.Geteuid() != 0 || uid <= 0 {
		return fmt.Errorf("only root can become another user, and no more root: uid %d", uid)
	}
	debug.SetMemoryLimit(childHeap)
	if err := limitMemory(list); err != nil {
		return err
	}
	if list {
		limit := syscall.Rlimit{Cur: childCPU, Max: childCPU}
		if err := syscall.Setrlimit(syscall.RLIMIT_CPU, &limit); err != nil {
			return err
		}
	}
	gid, groups := groupsOf(uid)
	if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(gid)); err != nil {
		return err
	}
	if err := syscall.Setuid(uid); err != nil {
		return err
	}
	if err := undumpable(); err != nil { // the user would read, or steer, what root started
		return err
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && !list {
		os.Setenv("HOME", u.HomeDir)
		os.Setenv("LOGNAME", u.Username)
	}
	if !list {
		os.Setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
	}
	if os.Getuid() != uid || os.Geteuid() != uid || os.Getegid() != gid || syscall.Setuid(0) == nil {
		return fmt.Errorf("this process could not become uid %d", uid)
	}
	return nil
}

// groupsOf returns a user's groups. A user who has no passwd entry gets nogroup, and
// not the group of a folder of theirs, which may be any group.
func groupsOf(uid int) (gid int, groups []int) {
	gid, groups = nogroup, []int{}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return gid, groups
	}
	if n, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
		gid = int(n)
	}
	ids, _ := u.GroupIds()
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups = append(groups, int(n))
		}
	}
	return gid, groups
}
