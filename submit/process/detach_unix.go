//go:build unix

package process

import (
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// anew returns a command that runs this program with the given arguments, in a session
// of its own, and so without a terminal, in the root folder, with /dev/null for all that
// the caller does not set.
func anew(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = "sendoff"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// Start starts this program anew with the given arguments, so that it outlives
// this process and nobody notices: without a terminal and a descriptor of ours but, at
// first, a pipe from which ReceiveVariables reads. ended is closed when that process has
// ended, if this one is still there.
func Start(args ...string) (ended <-chan struct{}, err error) {
	cmd, err := anew(context.Background(), args...)
	if err != nil {
		return nil, err
	}
	closeOnExec()
	pipe, write, err := handOver()
	if err != nil {
		return nil, err
	}
	if pipe != nil {
		cmd.Stdin = pipe
	}
	err = StartCommand(cmd)
	write()
	if err != nil {
		return nil, err
	}
	end := make(chan struct{})
	go func() {
		cmd.Wait() // while this process lives, no zombie stays
		close(end)
	}()
	return end, nil
}

// handOver returns the end of a pipe from which the program of Start reads the
// variables that TakeVariable has taken, and a function that writes them there; a nil
// end if there are none.
func handOver() (end *os.File, write func(), err error) {
	taken.Lock()
	defer taken.Unlock()
	if len(taken.values) == 0 {
		return nil, func() {}, nil
	}
	var text strings.Builder
	for name, value := range taken.values {
		text.WriteString(name + "=" + value + "\x00")
	}
	end, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return end, func() {
		end.Close()
		w.SetWriteDeadline(time.Now().Add(5 * time.Second)) // until the new program has read them
		io.WriteString(w, text.String())
		w.Close()
	}, nil
}

// ReceiveVariables reads, in the program of Start, the variables that were taken from
// the environment of the process that has started it. Stdin is /dev/null afterwards.
func ReceiveVariables() {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	text, _ := io.ReadAll(os.Stdin)
	taken.Lock()
	defer taken.Unlock()
	for _, line := range strings.Split(string(text), "\x00") {
		if name, value, ok := strings.Cut(line, "="); ok {
			taken.values[name] = value
		}
	}
	if null, err := os.Open(os.DevNull); err == nil {
		unix.Dup2(int(null.Fd()), 0)
		null.Close()
	}
}

// closeOnExec keeps the descriptors that our caller has opened, such as a lock or a
// pipe, from a program that we start.
func closeOnExec() {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		names, err = os.ReadDir("/dev/fd")
	}
	if err == nil {
		for _, name := range names {
			if fd, err := strconv.Atoi(name.Name()); err == nil && fd > 2 {
				unix.CloseOnExec(fd)
			}
		}
		return
	}
	const most = 65536
	limit := syscall.Rlimit{Cur: most}
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		limit.Cur = most // rather too many than one left open
	}
	for fd := 3; fd < int(min(limit.Cur, most)); fd++ {
		unix.CloseOnExec(fd)
	}
}

// inits are the names of first processes (PID 1) that do not end before the processes
// that they adopt.
var inits = []string{
	"systemd", "init", "launchd", "runit", "runsvdir", "s6-svscan", "openrc-init", "dinit", "finit", "procd",
	"shepherd", "upstart", "tini", "docker-init", "dumb-init", "catatonit", "s6-linux-init", "busybox", "linuxrc",
}

// Outlives says why a process that we start would not outlive us for long; "" if
// it would, or if that is not known. try says that starting it is worth while.
func Outlives() (why string, try bool) {
	if os.Getpid() == 1 {
		return "this is the first process, and all others end with it", false
	}
	name, err := os.ReadFile("/proc/1/comm")
	if err != nil { // another system, or a process that we may not see
		return "", true
	}
	comm := strings.TrimSpace(string(name))
	if !slices.Contains(inits, comm) && !strings.HasPrefix(comm, "init(") { // WSL
		return "no init runs here, so no process would outlive this one (runner = \"on\", or SENDOFF_RUNNER=on, starts one all the same)", false
	}
	groups, _ := os.ReadFile("/proc/self/cgroup")
	if service := endsWith(string(groups)); service != "" {
		return "a process that runs it ends with " + service, true
	}
	return "", true
}

// lenient are services that leave alone the processes that they have started when they
// end (KillMode=process of systemd.kill(5)), and so do not end a runner.
var lenient = []string{"cron", "crond", "cronie", "atd", "ssh", "sshd", "user"}

// endsWith returns the unit in a text of /proc/PID/cgroup if it is a service all of
// whose processes systemd ends with it, else "".
func endsWith(groups string) string {
	for line := range strings.Lines(groups) {
		_, group, ok := strings.Cut(line, ":")
		kind, path, ok2 := strings.Cut(strings.TrimSpace(group), ":")
		if !ok || !ok2 || kind != "" && kind != "name=systemd" {
			continue
		}
		unit := path[strings.LastIndexByte(path, '/')+1:]
		name, service := strings.CutSuffix(unit, ".service")
		name, _, _ = strings.Cut(name, "@")
		if service && !slices.Contains(lenient, name) {
			return unit
		}
	}
	return ""
}
