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

// anew returns a command that runs this program once more, with the given arguments: in
// a session of its own (and so without a terminal) and in the root folder. Stdin, stdout
// and stderr are /dev/null unless the caller sets them.
func anew(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := Executable()
	if err != nil {
		return nil, err
	}
	CatchSignals()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = "sendoff"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// Start starts this program once more, with the given arguments, in the background: the
// new process outlives this one, has no terminal and none of our descriptors. If
// TakeVariable has taken variables, its stdin is a pipe from which ReceiveVariables reads
// them. ended is closed when the new process ends.
func Start(args ...string) (ended <-chan struct{}, err error) {
	cmd, err := anew(context.Background(), args...)
	if err != nil {
		return nil, err
	}
	closeOnExec()
	pipe, write, err := variablePipe()
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
		cmd.Wait() // so that no zombie stays while this process lives
		close(end)
	}()
	return end, nil
}

// StartAs starts this program once more as another user, with the groups, the environment
// (but for u.Queue) and the kernel keys of nobody. output gets what it writes; nil: nobody does.
func StartAs(u User, input io.Reader, output io.Writer, args ...string) (*exec.Cmd, error) {
	cmd, err := anew(context.Background(), args...)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = []string{}, input, output, output
	if u.Queue != "" {
		cmd.Env = []string{"SENDOFF_QUEUE=" + u.Queue}
	}
	_, err = withoutKeys(cmd.Start, true)
	return cmd, err
}

// variablePipe returns the read end of a pipe for the program of Start, and a function
// that writes the variables that TakeVariable has taken into the pipe. end is nil, and
// write does nothing, if no variable was taken.
func variablePipe() (end *os.File, write func(), err error) {
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
		w.SetWriteDeadline(time.Now().Add(5 * time.Second)) // a full pipe blocks until the new program reads
		io.WriteString(w, text.String())
		w.Close()
	}, nil
}

// ReceiveVariables reads, in the program of Start, the variables that the process which
// called Start had taken from its environment. Afterwards stdin is /dev/null.
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

// closeOnExec marks all descriptors above 2 close-on-exec: a program that we start does
// not inherit the locks and pipes that our caller has left open.
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
		limit.Cur = most // the limit is unknown: to try too many descriptors does no harm
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

// Outlives says why a process that we start would end soon after this one; "": it would
// not, or we do not know. try reports whether the caller should start the process
// nevertheless, because it can do some of its work before it ends.
func Outlives() (why string, try bool) {
	if os.Getpid() == 1 {
		return "this is the first process, and all others end with it", false
	}
	comm, _ := os.ReadFile("/proc/1/comm")
	groups, _ := os.ReadFile("/proc/self/cgroup")
	return outlives(strings.TrimSpace(string(comm)), string(groups))
}

// outlives is Outlives where comm is the name of the first process, and groups the text of
// our /proc/PID/cgroup. comm is "" on other systems than Linux, and where /proc hides the
// processes of others.
func outlives(comm, groups string) (why string, try bool) {
	if lacksInit(comm) {
		return "there is no init system here, so a background process would not survive; SENDOFF_RUNNER=on starts one anyway", false
	}
	if service := endingService(groups); service != "" {
		return "a process that runs it ends with " + service, true
	}
	return "", true
}

// firstProcess returns the name of the first process; "": it is unknown.
func firstProcess() string {
	comm, _ := os.ReadFile("/proc/1/comm")
	return strings.TrimSpace(string(comm))
}

// lacksInit reports whether comm, the name of the first process, is known and no init's.
func lacksInit(comm string) bool {
	return comm != "" && !slices.Contains(inits, comm) && !strings.HasPrefix(comm, "init(") // WSL
}

// InContainer reports whether this process is in a container: Docker or Podman has left a
// mark, or the first process is no init.
func InContainer() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	return lacksInit(firstProcess())
}

// EndsAtLogout reports whether a process that we start ends when the user logs out: a
// program of the desktop belongs to the user's own systemd, which ends then, unless the
// user lingers (loginctl(1)).
func EndsAtLogout() bool {
	groups, _ := os.ReadFile("/proc/self/cgroup")
	_, err := os.Stat("/var/lib/systemd/linger/" + UserName(os.Getuid()))
	return err != nil && strings.Contains(string(groups), "/user@")
}

// sparing lists the services at whose end systemd does not end the processes that they
// have started (KillMode=process of systemd.kill(5)): a runner outlives them.
var sparing = []string{"cron", "crond", "cronie", "atd", "ssh", "sshd", "user"}

// endingService returns the unit in groups, a text of /proc/PID/cgroup, if it is a service
// at whose end systemd ends all its processes; otherwise "".
func endingService(groups string) string {
	for line := range strings.Lines(groups) {
		_, group, ok := strings.Cut(line, ":")
		kind, path, ok2 := strings.Cut(strings.TrimSpace(group), ":")
		if !ok || !ok2 || kind != "" && kind != "name=systemd" {
			continue
		}
		unit := path[strings.LastIndexByte(path, '/')+1:]
		name, service := strings.CutSuffix(unit, ".service")
		name, _, _ = strings.Cut(name, "@")
		if service && !slices.Contains(sparing, name) {
			return unit
		}
	}
	return ""
}
