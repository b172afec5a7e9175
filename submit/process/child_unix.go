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
//	child Become: sets limits, groups, gid, uid; from now on it runs as the user
//	root  reads the child's output, kills it if it is stopped (SIGSTOP) or after c.Limit
//
// The child does not execute the program again as the user: the user cannot trace a
// process that has changed its uid, but could trace one that has executed a program.
// The child runs in a session of its own, in the root folder, with an empty environment
// and no descriptor but its output. The error is an ExitError, or says why c was not
// started or does not end.
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
	r.SetReadDeadline(time.Now().Add(time.Second)) // a process that the child has started may keep the pipe open
	<-copied
	return err
}

// start starts c with an empty session keyring, so that c has none of root's keys.
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

// KeepsKeys returns why a Child would have the keys of our session keyring; nil: a Child
// gets an empty one.
func KeepsKeys() error {
	keyring, _ := withoutKeys(func() error { return nil }, false)
	return keyring
}

// withoutKeys calls start in a thread with an empty session keyring, so that the process
// that start starts has none of our keys; err is the error of start. If the thread cannot
// get an empty keyring, keyring says why, and start is called only if always is set.
func withoutKeys(start func() error, always bool) (keyring, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so that the thread ends with this goroutine: no other goroutine runs in it
		closeOnExec()
		if keyring = newKeyring(); keyring == nil || always {
			err = start()
		}
	}()
	<-done
	return keyring, err
}

// deathTime is how long we wait for the end of a process after SIGKILL. A process that
// waits for a FUSE file system of its user, or for a file server that is gone, does not
// end before the file system answers.
const deathTime = 5 * time.Second

// wait waits for the end of child. It kills the process group of child if the child is
// stopped (SIGSTOP), after c.Limit, or when ctx ends, and then waits at most deathTime.
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

// await waits for the end of the process pid. It calls stopped whenever the process has
// been stopped (SIGSTOP), which only the user of the process can do.
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
// its own (and so without a terminal), in the root folder, with no environment but env,
// with an empty session keyring, and with no descriptor but a pipe for stdout. It kills
// the process when ctx ends.
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
	// If the keyring cannot be emptied, run the program nevertheless: it runs as the caller,
	// who may read these keys. Only the trial is then less like cron.
	if _, err := withoutKeys(cmd.Start, true); err != nil {
		return "", err
	}
	err = cmd.Wait()
	return out.String(), err
}

// nogroup is the gid for a user without a passwd entry.
const nogroup = 65534

// The limits of a process that becomes a user: octets of memory in addition to those that
// it has, octets of memory for the Go runtime, and seconds of CPU time to list a queue.
const (
	childMemory = 256 << 20
	childHeap   = 192 << 20
	childCPU    = 20
)

// Become turns this process, which must run as root and must not have started a program,
// into a process of the user uid, with the groups of this user only and with limits. If
// list is set, the limits cannot be lifted again. Otherwise a program of StartCommand has
// the limits that this process was started with, and the few variables that cron would set.
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
	if err := undumpable(); err != nil { // without this the user could trace a process that root started
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

// groupsOf returns a user's primary group and all groups. A user without a passwd entry
// has nogroup only: the group of their folder proves nothing, because it may be any group.
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
