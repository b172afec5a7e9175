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
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// IgnoreSignals makes the signals that end a process because of a write (SIGPIPE, SIGXFSZ)
// errors of that write.
func IgnoreSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ) }

// CatchSignals lets the programs that we start have the signals of IgnoreSignals, which
// they would inherit as ignored. It turns SIGQUIT into SIGTERM: otherwise the Go runtime
// would print all goroutines. To catch a signal takes a hundredth of the time of a
// submission, and the first one starts threads: a process that starts no program, and is
// Interruptible, need not call it.
var CatchSignals = sync.OnceFunc(func() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		for range quit {
			syscall.Kill(os.Getpid(), syscall.SIGTERM)
		}
	}()
})

// Harden forbids core dumps and tracing of this process, sets the umask to 077, and finds
// out whether this process has more rights than its caller. If the system refuses a call,
// for example by a filter of system calls, Exposed says so and the mail still leaves: only
// the user's own processes could read our memory. Become fails in this case.
func Harden() (h Hardened) {
	h.Exposed = errors.Join(syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}), undumpable())
	syscall.Umask(0o077) // cannot fail
	h.Raised = os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid() || hasCapabilities("/proc/self/exe")
	if h.Unsure = secureExec(); h.Unsure {
		distrustEnvironment()
	}
	return h
}

// distrustEnvironment removes the variables that say where secrets are, and which bus
// leads to the keyring.
func distrustEnvironment() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "SENDOFF_") || name == "DBUS_SESSION_BUS_ADDRESS" {
			os.Unsetenv(name)
		}
	}
}

// ownGroup gives cmd, of exec.CommandContext, a process group of its own. When the context
// ends, the whole group is killed: the children of a shell as well as the shell.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// Syslog returns a function that writes a line to the system's log (facility mail),
// with priority error if bad is set, else info. It returns nil if the system has no log.
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

// Lock locks f until f is closed; how is Shared or Exclusive. Lock does not wait: if
// another open file has a lock that excludes this one, locked is false and err is nil.
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

// LockFolder waits until no other process has locked folder, and locks it until release is
// called or the process ends. The lock is on a file in folder that only the user can open,
// because everybody who can read the folder could lock the folder itself. ok is false if
// another process still has the lock after the time most. ok is true, without a lock, if
// the file cannot be opened or locked at all.
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

// isAt reports whether f is still the file at path. The process that had the lock before
// has removed its file, perhaps after f was opened.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	named, errNamed := os.Lstat(path)
	return err == nil && errNamed == nil && os.SameFile(opened, named)
}

// firstSocket is the first descriptor that systemd opens for a service with a socket unit
// (sd_listen_fds(3)).
const firstSocket = 3

// Activated returns the sockets that systemd has opened for this process; nil: there are
// none. A program that this process starts does not inherit them.
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

// NotifyManager tells the service manager that has started this process a state, such as
// READY=1 (sd_notify(3)). Without a manager that waits for states it does nothing.
func NotifyManager(state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if conn, err := net.Dial("unixgram", name); err == nil {
		conn.Write([]byte(state))
		conn.Close()
	}
}

// ListenUnix makes a Unix socket to which everybody may connect. The umask sets the mode,
// because a chmod afterwards could change another file that somebody has put at path. No
// other goroutine may create files meanwhile.
func ListenUnix(path string) (net.Listener, error) {
	old := syscall.Umask(0o111)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}

// SocketOf returns which kind of socket f is.
func SocketOf(f *os.File) SocketKind {
	name, err := unix.Getsockname(int(f.Fd()))
	if err != nil {
		return NoSocket
	}
	switch name := name.(type) {
	case *unix.SockaddrUnix:
		if name.Name == "" || name.Name == "@" { // package unix writes "@" for the NUL of Linux
			return NoSocket
		}
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		return InternetSocket
	}
	return NamedSocket
}

// PeerClosed reports whether the other side has closed the connection and nothing is left
// to read. It does not wait.
func PeerClosed(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = n == 0 && err == nil || err == syscall.ECONNRESET
	})
	return closed || err != nil
}
