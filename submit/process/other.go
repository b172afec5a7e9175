//go:build !unix

package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"time"
)

// The stubs for systems that are not Unix. On these systems this package does not judge
// access rights; there is no SIGPIPE, no process group to kill and no socket of systemd's,
// and no process is started in the background.

func IgnoreSignals() {}

func CatchSignals() {}

func Harden() Hardened { return Hardened{} }

func ownGroup(*exec.Cmd) {}

func Syslog(string) func(string, bool) error { return nil }

// Windows has no modes: a file has the access rights of its folder.
const OnlyYou, Mode0600 = "in your folder AppData", ""

const Shared, Exclusive = 0, 0

func Lock(*os.File, int) (bool, error) { return false, errors.ErrUnsupported }

func LockFolder(string, time.Duration) (release func(), ok bool) { return func() {}, true }

func Activated() ([]net.Listener, error) { return nil, nil }

func NotifyManager(string) {}

func ListenUnix(path string) (net.Listener, error) { return net.Listen("unix", path) }

func SocketOf(*os.File) SocketKind { return NoSocket }

func PeerClosed(net.Conn) bool { return false }

func Start(...string) (ended <-chan struct{}, err error) { return nil, errors.ErrUnsupported }

func StartAs(User, io.Reader, io.Writer, ...string) (*exec.Cmd, error) {
	return nil, errors.ErrUnsupported
}

func ReceiveVariables() {}

func Outlives() (why string, try bool) {
	return "no process can be started here that runs the queue", false
}

func InContainer() bool { return false }

func EndsAtLogout() bool { return false }

func Trust(*os.File, string) error { return nil }

func TrustSecret(*os.File, string, string) error { return nil }

func TrustPrivate(path, _ string) (loose, err error) {
	_, err = os.Stat(path)
	return nil, err
}

func OthersCanRead(string) error { return nil }

func OwnerOf(string) (uid int, ok bool) { return 0, false }

func TrustWay(string) error { return nil }

func TrustProgram(string) error { return nil }

func LikeFile(*os.File, fs.FileInfo) {}

func unmapped() int { return -1 }

func Become(int, bool) error { return errors.ErrUnsupported }

func KeepsKeys() error { return nil }

func RunAsCron(context.Context, []string, ...string) (string, error) {
	return "", errors.ErrUnsupported
}

func (Child) Run(context.Context, io.Writer) error { return errors.ErrUnsupported }
