//go:build e2e && linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A session is the caller's D-Bus session as a login would start it, with or
// without a keyring. Nothing on its bus can show a prompt.
type session struct {
	dir  string // also its XDG_RUNTIME_DIR
	bus  string // its address
	trap string // a folder for PATH; what is in it must never run
}

// newSession starts a session by a shell script that is its leader, ends when
// its stdin does, and finds the session's folder in $XDG_RUNTIME_DIR. The bus
// listens in that folder, and at the other sockets.
func newSession(t *testing.T, script string, sockets ...string) *session {
	t.Helper()
	need(t)
	dir := home(t)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &session{dir: dir, bus: "unix:path=" + dir + "/bus", trap: setTrap(t, dir)}
	listen := "<listen>" + s.bus + "</listen>"
	for _, socket := range sockets {
		listen += "<listen>unix:path=" + socket + "</listen>"
	}
	conf := write(t, filepath.Join(folder(t), "session.conf"), fmt.Sprintf(busConf, listen, s.trap))
	p, err := startShell(lab.who, s.env("HOME="+dir, "PATH=/usr/bin:/bin"),
		`exec dbus-run-session --config-file="$1" -- /bin/sh -c "$2"`, conf, script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	if err := await("the session bus", listening("unix", dir+"/bus")); err != nil {
		t.Fatal(err)
	}
	return s
}

// env returns what a program of the session has in its environment.
func (s *session) env(more ...string) []string {
	return append([]string{"DBUS_SESSION_BUS_ADDRESS=" + s.bus, "XDG_RUNTIME_DIR=" + s.dir, "XDG_DATA_HOME=" + s.dir}, more...)
}

// do runs a tool in the session, as its user, and returns what it prints.
func (s *session) do(stdin string, words ...string) (string, error) {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env = "/", s.env("HOME="+s.dir, "PATH=/usr/bin:/bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: lab.who, Setsid: true}
	cmd.Stdin = strings.NewReader(stdin)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%q: %w: %s", words, err, problem.String())
	}
	return out.String(), nil
}

// leaders of a session.
const (
	noService = `read -r _`
	// gnome-keyring-daemon reads the password that unlocks the login keyring
	// from stdin, to its end, and makes the keyring the first time.
	unlocked = `
printf 'login password' | gnome-keyring-daemon --foreground --unlock --components=secrets >"$XDG_RUNTIME_DIR/keyring.log" 2>&1 &
pid=$!
echo $pid >"$XDG_RUNTIME_DIR/pid"
read -r _
kill -CONT $pid
kill $pid
wait $pid`
)

// newKeyring starts a session with an unlocked keyring.
func newKeyring(t *testing.T, sockets ...string) *session {
	t.Helper()
	s := newSession(t, unlocked, sockets...)
	showOnFailure(t, s.dir+"/keyring.log")
	if err := await("the login keyring", func() bool {
		out, err := s.do("", "dbus-send", "--session", "--print-reply=literal", "--dest=org.freedesktop.secrets", loginKeyring,
			"org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked")
		return err == nil && strings.Contains(out, "boolean false")
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

const loginKeyring = "/org/freedesktop/secrets/collection/login"

// lock locks the keyring, as a screen saver or the end of a login does.
func (s *session) lock(t *testing.T) {
	t.Helper()
	if _, err := s.do("", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
		"org.freedesktop.Secret.Service.Lock", "array:objpath:"+loginKeyring); err != nil {
		t.Fatal(err)
	}
}

// freeze stops the keyring's process, so that the bus is fine and the service
// never answers.
func (s *session) freeze(t *testing.T) {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(read(s.dir + "/pid")))
	if err := errors.Join(err, syscall.Kill(pid, syscall.SIGSTOP)); err != nil {
		t.Fatal(err)
	}
}

// setTrap makes a folder of programs that say so when they run, and fails the
// test if one did: dbus-launch, which starts daemons that no one ends, and the
// program that asks for a keyring's password, which there is no one to answer.
func setTrap(t *testing.T, dir string) string {
	t.Helper()
	trap, sprung := folder(t), filepath.Join(dir, "sprung")
	for _, name := range []string{"dbus-launch", "prompter"} {
		file := write(t, filepath.Join(trap, name), "#!/bin/sh\necho "+name+" \"$@\" >>"+sprung+"\nexit 1\n")
		if err := os.Chmod(file, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"SystemPrompter", "PrivatePrompter"} {
		write(t, filepath.Join(trap, name+".service"),
			"[D-BUS Service]\nName=org.gnome.keyring."+name+"\nExec="+trap+"/prompter\n")
	}
	t.Cleanup(func() {
		if what := read(sprung); what != "" {
			t.Errorf("must never run: %s", what)
		}
	})
	return trap
}

// runtimeFolder makes /run/user/UID for the caller and returns it. Cron sets
// no variable that leads to the session; this path is the only way.
func runtimeFolder(t *testing.T) string {
	t.Helper()
	dir := "/run/user/" + lab.caller.Uid
	if err := errors.Join(os.MkdirAll("/run/user", 0o755), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := chown(dir, lab.caller.Username); err != nil {
		t.Fatal(err)
	}
	return dir
}

// badBus listens where a bus would and does what it likes with who comes.
func badBus(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	socket := filepath.Join(home(t), "bus")
	l, err := net.Listen("unix", socket)
	if err := errors.Join(err, chown(socket, lab.caller.Username)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			serve(c)
		}
	}()
	return "unix:path=" + socket
}

const busConf = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  %s
  <auth>EXTERNAL</auth>
  <servicedir>%s</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`
