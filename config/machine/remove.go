package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// Forget deletes the password of the service, which from now on keeps mail in its queue.
func (m *Machine) Forget(ctx context.Context) error {
	if m.secret == "" {
		return status.Credential.Errorf("the service has no password")
	}
	if err := os.Remove(at(m.secret)); err != nil {
		return status.Temporary.Wrap(err)
	}
	_, err := m.start(ctx, true)
	return err
}

// Remove takes away what Make has made, in the opposite order, and tells w what went, and
// what stays and why. Queued mail stays.
func (m *Machine) Remove(ctx context.Context, w io.Writer) error {
	before := false
	gone := func(path string) {
		before = true
		fmt.Fprintf(w, "removed: %s\n", path)
	}
	if err := errors.Join(m.removeAccount(gone), m.stop(ctx)); err != nil {
		return err
	}
	n, err := queue.CountBelow(at(home))
	if err != nil {
		return status.Temporary.Wrap(err)
	}
	if n == 0 {
		n, _ = m.waiting() // its configuration may name another folder
	}
	for _, p := range slices.Backward(parts[:]) {
		if p.kind == folder {
			continue
		}
		err := os.Remove(at(p.path))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return status.Temporary.Wrap(err)
		}
		gone(at(p.path))
		if p.path == dropInFile {
			os.Remove(filepath.Dir(at(p.path))) // stays if an administrator has another file there
		}
	}
	if m.systemd {
		if err := spool.Systemctl(ctx, "daemon-reload"); err != nil {
			return status.Temporary.Wrap(err)
		}
	}
	switch {
	case !before:
		fmt.Fprintln(w, "Nothing to remove: no service sends for all users of this machine")
	case !m.systemd:
		fmt.Fprintf(w, "What starts the service with the machine stays, such as this line of a crontab: delete it\n%s\n", m.Line())
	}
	return m.removeUser(ctx, w, n)
}

// removeUser removes the user and the folder of the service, unless its queue has n
// messages.
func (m *Machine) removeUser(ctx context.Context, w io.Writer, n int) error {
	if n > 0 {
		fmt.Fprintf(w, "%s and the user %s stay, because mail is in the queue there (%d); to send it, set up the service again\n", at(home), User, n)
		return nil
	}
	if err := os.RemoveAll(at(home)); err != nil {
		return status.Temporary.Wrap(err)
	}
	_, err := service()
	switch {
	case err != nil:
		return nil
	case spool.HasSysuser(User):
		fmt.Fprintf(w, "the user %s stays, because it belongs to the package\n", User)
		return nil
	case !isOurs():
		fmt.Fprintf(w, "the user %s stays, because its home is not %s, so somebody else has made it\n", User, home)
		return nil
	}
	err = runFirst(ctx, func(a adder) []string { return a.remove })
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing here removes users
	}
	if err == nil {
		fmt.Fprintf(w, "removed: the user %s\n", User)
	}
	return status.Temporary.Wrap(err)
}

// removeAccount removes the account of the service from the configuration that everybody
// reads, and that file if nothing else is in it.
func (m *Machine) removeAccount(gone func(string)) error {
	f := m.usersFile()
	c, err := config.Load(f.Paths)
	if _, missing := os.Lstat(f.Path); errors.Is(missing, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var names []string
	for _, a := range c.Accounts {
		if a.Servers[0].Path == m.socket() {
			names = append(names, a.Name)
		}
	}
	for _, name := range names {
		if err := f.RemoveAccount(name); err != nil {
			return err
		}
		gone(fmt.Sprintf("account %q in %s", name, f.Path))
	}
	return nil
}

// stop ends the service, and no longer starts it with the machine.
func (m *Machine) stop(ctx context.Context) error {
	if !m.systemd {
		return m.stopAlone()
	}
	for _, name := range unitNames() {
		if spool.IsPackaged(name) || fileExists(at(spool.UnitFolder+"/"+name)) {
			if err := spool.Systemctl(ctx, "disable", "--now", name); err != nil {
				return status.Temporary.Wrap(err)
			}
		}
	}
	return nil
}

// stopAlone ends the process that listens on the socket, where the system says which it is.
func (m *Machine) stopAlone() error {
	conn, err := net.Dial("unix", m.socket())
	if err != nil {
		return nil
	}
	defer conn.Close()
	peer, err := process.PeerOf(conn.(*net.UnixConn))
	u, noUser := service()
	if err != nil || noUser != nil || peer.PID <= 0 || peer.UID != u.UID {
		return status.Usage.Errorf("something still listens on %s: end it, then repeat this command", m.socket())
	}
	p, err := os.FindProcess(peer.PID)
	if err == nil {
		err = p.Signal(syscall.SIGTERM)
	}
	for until := time.Now().Add(stopTime); err == nil && time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		err = p.Signal(syscall.Signal(0)) // is it still there?
	}
	if err == nil {
		return status.Temporary.Errorf("the service does not end: it is process %d", peer.PID)
	}
	return nil
}

// stopTime is how long the service may need to finish the messages that it is sending.
const stopTime = 70 * time.Second

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
