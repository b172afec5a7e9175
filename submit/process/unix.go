//go:build unix

package process

import (
	"errors"
	"log/syslog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CatchSignals turns the signals that end a process for a write into errors of
// that write, and SIGQUIT into SIGTERM: the Go runtime would answer SIGQUIT with all
// goroutines on stderr. It starts a thread, which a process that writes one line
// can do without.
func CatchSignals() {
	// Notify, and not Ignore: an ignored signal stays ignored in a command that we run.
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
// processes gain by that. Become, in contrast, fails where a call is refused.
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

// ownGroup makes cmd, of exec.CommandContext, the leader of a process group, all of
// which is killed when its context ends: a shell's children as well as the shell.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// Syslog returns a function that writes a line to the system's log (facility mail),
// with priority error if bad is set, else info. It returns nil if there is no such log.
func Syslog(tag string) func(line string, bad bool) error {
	w, err := syslog.New(syslog.LOG_MAIL|syslog.LOG_INFO, tag)
	if err != nil {
		return nil
	}
	return func(line string, bad bool) error {
		if bad {
			return w.Err(line)
		}
		return w.Info(line)
	}
}

// The ways to lock a file with Lock.
const (
	Shared    = unix.LOCK_SH
	Exclusive = unix.LOCK_EX
)

// Lock takes the lock of f, how being Shared or Exclusive, until f is closed. It does
// not wait: locked is false, and err nil, if another open file has a lock that excludes
// this one.
func Lock(f *os.File, how int) (locked bool, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	controlErr := conn.Control(func(fd uintptr) {
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(int(fd), how|unix.LOCK_NB)
		}
	})
	if err == unix.EWOULDBLOCK {
		err = nil
	} else {
		locked = err == nil && controlErr == nil
	}
	return locked, errors.Join(err, controlErr)
}

// LockFolder waits until no other process has locked folder, and locks it: by a
// file in it that only the user can open. (The folder itself could be locked by
// everybody who can read it.) The lock is given back by release or the end of the
// process. Where there can be no such file, there is no lock, and ok is true. After
// the time most, ok is false.
func LockFolder(folder string, most time.Duration) (release func(), ok bool) {
	path := filepath.Join(folder, ".config.lock")
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if err != nil {
			return func() {}, true
		}
		locked, err := Lock(f, Exclusive)
		if locked && isAt(f, path) {
			return func() { os.Remove(path); f.Close() }, true
		}
		f.Close()
		if err != nil || time.Now().After(end) {
			return func() {}, err != nil
		}
	}
}

// isAt reports whether f is still the file at path: the process that had the lock
// removes the file with it.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	named, errNamed := os.Lstat(path)
	return err == nil && errNamed == nil && os.SameFile(opened, named)
}

// firstSocket is the first descriptor that a socket unit hands over
// (sd_listen_fds(3)).
const firstSocket = 3

// Activated returns the sockets that systemd has opened for this process; none
// if it has not. A program that this process starts does not get them.
func Activated() ([]net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	n, err := strconv.Atoi(count)
	if err != nil || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	var sockets []net.Listener
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "socket")
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, l)
	}
	return sockets, nil
}

// ListenUnix makes a Unix socket that everybody may connect to, by the umask: a
// chmod afterwards could meet another file of that name. Nothing else in this process
// must make files meanwhile.
func ListenUnix(path string) (net.Listener, error) {
	old := syscall.Umask(0o111)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}

// SocketOf returns the kind of socket that f is.
func SocketOf(f *os.File) SocketKind {
	name, err := unix.Getsockname(int(f.Fd()))
	if err != nil {
		return NoSocket
	}
	switch name := name.(type) {
	case *unix.SockaddrUnix:
		if name.Name == "" || name.Name == "@" { // which stands for a NUL on Linux
			return NoSocket
		}
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		return InternetSocket
	}
	return NamedSocket
}

// Left reports, without waiting, whether the other side of a connection has closed
// it, and has left nothing to read.
func Left(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	left := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		left = n == 0 && err == nil || err == syscall.ECONNRESET
	})
	return left || err != nil
}
