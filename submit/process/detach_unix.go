//go:build unix

package process

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts this program anew with the given arguments, so that it outlives
// this process and nobody notices: in a session and a process group of its own,
// in the root folder, with nothing open but /dev/null, and at first a pipe from which
// ReceiveVariables reads. ended is closed when that process has ended, if this one
// is still there.
func Start(args ...string) (ended <-chan struct{}, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	closeOnExec()
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "sendoff"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
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

// closeStdin opens /dev/null in the place of stdin.
func closeStdin() {
	if null, err := os.Open(os.DevNull); err == nil {
		unix.Dup2(int(null.Fd()), 0)
		null.Close()
	}
}

// closeOnExec keeps what our caller has opened, a lock or a pipe, from a
// program that we start.
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

// inits are first processes that outlive what they start, by their name.
var inits = []string{
	"systemd", "init", "launchd", "runit", "runsvdir", "s6-svscan", "openrc-init", "dinit", "finit", "procd",
	"shepherd", "upstart", "tini", "docker-init", "dumb-init", "catatonit", "s6-linux-init", "busybox", "linuxrc",
}

// Outlives says why a process that we start would not outlive us for long; "" if
// it would, as far as can be told. try says that it is worth starting.
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

// lasting are services that leave alone what they have started when they end
// (KillMode=process), and so do not end a runner.
var lasting = []string{"cron", "crond", "cronie", "atd", "ssh", "sshd", "user"}

// endsWith returns the service with which systemd ends all that it started, if
// this is the unit in a text of /proc/PID/cgroup.
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
		if service && !slices.Contains(lasting, name) {
			return unit
		}
	}
	return ""
}
