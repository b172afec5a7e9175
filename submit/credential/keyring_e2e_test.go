//go:build e2e && linux

package credential

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"
)

// The tests of this file run real programs: dbus-daemon, gnome-keyring-daemon and
// secret-tool (Debian: dbus, gnome-keyring, libsecret-tools). Each test has its own bus,
// keyring and folders, and touches nothing of the user's.

// A desktop is a session bus with a keyring.
type desktop struct {
	bus, keyring *exec.Cmd
	dir          string
}

// newDesktop starts a bus at socket ("": at a path of its own), and a keyring unless bare
// is set. It sets the environment of a session without DBUS_SESSION_BUS_ADDRESS, which use
// sets.
func newDesktop(t *testing.T, socket string, bare bool) *desktop {
	t.Helper()
	trapLaunch(t)
	d := &desktop{dir: t.TempDir()}
	for name, value := range map[string]string{
		"HOME": d.dir, "XDG_DATA_HOME": filepath.Join(d.dir, "data"), "XDG_RUNTIME_DIR": d.dir,
		"DISPLAY": "", "WAYLAND_DISPLAY": "", "DBUS_SESSION_BUS_ADDRESS": "",
	} {
		t.Setenv(name, value)
	}
	if socket == "" {
		socket = filepath.Join(d.dir, "private")
	}
	// Without a folder of services the bus starts nothing by itself.
	config := filepath.Join(d.dir, "bus.conf")
	text := `<busconfig><type>session</type><listen>unix:path=` + socket + `</listen><auth>EXTERNAL</auth>` +
		`<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.bus = exec.Command("dbus-daemon", "--nofork", "--print-address", "--config-file="+config)
	out, err := d.bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, d.bus)
	t.Cleanup(func() {
		end(d.bus)
		os.Remove(socket)
		// godbus keeps one connection for the process. If this were its first and had no
		// address, godbus would call dbus-launch.
		os.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
		if c, err := dbus.SessionBus(); err == nil {
			<-c.Context().Done()
		}
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // the bus prints its address when it is ready
		t.Fatal(err)
	}
	if bare {
		return d
	}
	d.serve(t, socket, "--unlock")
	d.wait(t, socket)
	return d
}

// serve starts the keyring on the bus.
func (d *desktop) serve(t *testing.T, socket string, options ...string) {
	t.Helper()
	d.keyring = exec.Command("gnome-keyring-daemon", append(options, "--foreground", "--components=secrets")...)
	d.keyring.Env = append(os.Environ(), "DBUS_SESSION_BUS_ADDRESS=unix:path="+socket)
	d.keyring.Stdin = strings.NewReader("login password")
	start(t, d.keyring)
}

// use sets DBUS_SESSION_BUS_ADDRESS to the bus at socket.
func use(t *testing.T, socket string) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
}

func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd) })
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// wait returns when the keyring has its name on the bus, and its login collection is
// unlocked.
func (d *desktop) wait(t *testing.T, socket string) {
	t.Helper()
	conn := d.connect(t, socket)
	defer conn.Close()
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		all, err := collections(t.Context(), conn)
		if err != nil {
			continue
		}
		var locked bool
		if err := property(t.Context(), conn.Object(secrets, all.collection), "Collection", "Locked", &locked); err == nil && !locked {
			return
		}
	}
	t.Fatal("gnome-keyring-daemon is not ready")
}

func (d *desktop) connect(t *testing.T, socket string) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect("unix:path=" + socket)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (d *desktop) socket() string { return filepath.Join(d.dir, "private") }

// lock locks the login collection, as happens at the end of a session.
func (d *desktop) lock(t *testing.T) {
	t.Helper()
	conn := d.connect(t, d.socket())
	defer conn.Close()
	err := conn.Object(secrets, secretsObj).Call(iface+"Service.Lock", 0, []dbus.ObjectPath{loginObj}).Err
	if err != nil {
		t.Fatal(err)
	}
}

// secretTool runs secret-tool, as another program of the session, and returns its output.
func secretTool(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("secret-tool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return string(out)
}

// within checks how long f takes.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("took %v, more than %v", took, limit)
	}
}

func wantSecret(t *testing.T, want string) {
	t.Helper()
	got, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
	if got.Reveal() != want || err != nil {
		t.Errorf("got %q, %v; want %q", got.Reveal(), err, want)
	}
}

func TestRealKeyring(t *testing.T) {
	d := newDesktop(t, "", false)
	use(t, d.socket())
	store, ref := &Store{}, refs(t, "keyring")
	_, err := store.Get(t.Context(), ref, item)
	fails(t, err, "keyring: no password stored for ann@example.org at smtp.example.org")

	const password = "pässword 'with\" \\everything$"
	secret, _ := NewSecret(password)
	if err := store.Put(t.Context(), ref[0], item, secret); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, func() { wantSecret(t, password) })
	if got := secretTool(t, "", "lookup", "service", "sendoff", "username", username); got != password {
		t.Errorf("secret-tool finds %q", got)
	}
	if err := store.Delete(t.Context(), ref[0], item); err != nil {
		t.Fatal(err)
	}
	err = store.Delete(t.Context(), ref[0], item)
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("second Delete: %v", err)
	}
	secretTool(t, "by hand\n", "store", "--label=x", "service", "sendoff", "username", username)
	wantSecret(t, "by hand")
}

func TestRealMsmtpItems(t *testing.T) {
	d := newDesktop(t, "", false)
	use(t, d.socket())
	secretTool(t, "old", "store", "--label=x", "protocol", "smtp", "server", item.Host, "user", item.User)
	wantSecret(t, "old")
	secretTool(t, "new", "store", "--label=x", "host", item.Host, "service", "smtp", "user", item.User)
	wantSecret(t, "new")
	secretTool(t, "own", "store", "--label=x", "service", "sendoff", "username", username)
	wantSecret(t, "own")
}

// TestRealCollections: the item is in the default collection, which is not the one called
// login.
func TestRealCollections(t *testing.T) {
	d := newDesktop(t, "", false)
	use(t, d.socket())
	conn := d.connect(t, d.socket())
	defer conn.Close()
	svc := conn.Object(secrets, secretsObj)
	var none dbus.Variant
	var session, made dbus.ObjectPath
	if err := svc.Call(iface+"Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&none, &session); err != nil {
		t.Fatal(err)
	}
	label := map[string]dbus.Variant{iface + "Collection.Label": dbus.MakeVariant("Default")}
	err := svc.Call("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface.CreateWithMasterPassword", 0, label, ss.NewSecret(session, "pw")).Store(&made)
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Call(iface+"Service.SetAlias", 0, "default", made).Err; err != nil {
		t.Fatal(err)
	}
	secretTool(t, "msmtp's", "store", "--label=x", "--collection="+string(made), "host", item.Host, "service", "smtp", "user", item.User)
	wantSecret(t, "msmtp's")
	secretTool(t, "own", "store", "--label=x", "service", "sendoff", "username", username)
	wantSecret(t, "own")
	secret, _ := NewSecret("by login")
	if err := (&Store{}).Put(t.Context(), refs(t, "keyring")[0], item, secret); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, "by login")
	if err := (&Store{}).Delete(t.Context(), refs(t, "keyring")[0], item); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, "msmtp's")
}

// TestRealSlowStart: the bus starts the keyring at the first call, and the start takes
// longer than keyringLimit.
func TestRealSlowStart(t *testing.T) {
	d := newDesktop(t, "", true)
	services := filepath.Join(d.dir, "services")
	slow := filepath.Join(d.dir, "slow")
	for file, text := range map[string]string{
		slow: "#!/bin/sh\nsleep 4\nprintf pw | exec gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null\n",
		filepath.Join(services, "org.freedesktop.secrets.service"): "[D-BUS Service]\nName=org.freedesktop.secrets\nExec=" + slow + "\n",
		filepath.Join(d.dir, "slow.conf"): "<busconfig><type>session</type><listen>unix:path=" + filepath.Join(d.dir, "slow-bus") + "</listen><servicedir>" + services +
			`</servicedir><policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
	} {
		os.MkdirAll(filepath.Dir(file), 0o700)
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	bus := exec.Command("dbus-daemon", "--nofork", "--print-address", "--config-file="+filepath.Join(d.dir, "slow.conf"))
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, bus)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	use(t, filepath.Join(d.dir, "slow-bus"))
	told := 0
	store := &Store{Tell: func(string) { told++ }}
	within(t, startLimit, func() {
		_, err := store.Get(t.Context(), refs(t, "keyring"), item)
		fails(t, err, "keyring: no password stored for ann@example.org at smtp.example.org")
	})
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

func TestRealLocked(t *testing.T) {
	d := newDesktop(t, "", false)
	use(t, d.socket())
	secretTool(t, "own", "store", "--label=x", "service", "sendoff", "username", username)
	d.lock(t)
	secret, _ := NewSecret("x")
	// With a person but without a display there can be no prompt: the answer is the same.
	for _, store := range []*Store{{}, {Interactive: true}} {
		within(t, 2*time.Second, func() {
			_, err := store.Get(t.Context(), refs(t, "keyring"), item)
			fails(t, err, "keyring: locked")
			fails(t, store.Put(t.Context(), refs(t, "keyring")[0], item, secret), "keyring: locked")
			fails(t, store.Delete(t.Context(), refs(t, "keyring")[0], item), "keyring: locked")
		})
	}
}

// TestRealPrompt: the keyring prompts, and nobody answers, because the test has the name of
// the prompter and stays silent. With a person, Get waits longer than keyringLimit.
func TestRealPrompt(t *testing.T) {
	d := newDesktop(t, "", false)
	use(t, d.socket())
	d.lock(t)
	prompter := d.connect(t, d.socket())
	defer prompter.Close()
	for _, name := range []string{"org.gnome.keyring.SystemPrompter", "org.gnome.keyring.PrivatePrompter"} {
		if _, err := prompter.RequestName(name, dbus.NameFlagReplaceExisting); err != nil {
			t.Fatal(err)
		}
	}
	prompter.Eavesdrop(make(chan *dbus.Message, 100))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := time.Now()
	_, err := (&Store{Interactive: true}).Get(ctx, refs(t, "keyring"), item)
	fails(t, err, "keyring: context deadline exceeded")
	if took := time.Since(start); took < 4*time.Second {
		t.Errorf("waited only %v", took)
	}
}

func TestRealAbsentService(t *testing.T) {
	d := newDesktop(t, "", true)
	use(t, d.socket())
	within(t, time.Second, func() {
		_, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
		fails(t, err, "keyring: no keyring service on the session bus")
	})
}

// TestRealFirstUse: the keyring has no collection, because nobody has ever logged in.
func TestRealFirstUse(t *testing.T) {
	d := newDesktop(t, "", true)
	use(t, d.socket())
	d.serve(t, d.socket())
	secret, _ := NewSecret("x")
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		_, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
		if errors.Is(err, ErrNoService) {
			continue // the service is not yet on the bus
		}
		fails(t, err, "keyring: the service has no default keyring")
		fails(t, (&Store{}).Put(t.Context(), refs(t, "keyring")[0], item, secret), "keyring: the service has no default keyring")
		return
	}
	t.Fatal("gnome-keyring-daemon is not ready")
}

func TestRealFrozenService(t *testing.T) {
	d := newDesktop(t, "", false)
	use(t, d.socket())
	if err := d.keyring.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	within(t, 4*time.Second, func() {
		_, err := (&Store{Interactive: true}).Get(t.Context(), refs(t, "keyring"), item)
		fails(t, err, "keyring: no answer within 3s")
	})
}

// TestRealForeignBus: another user listens at the address of the environment.
func TestRealForeignBus(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	trapLaunch(t)
	name := "sendoff-" + filepath.Base(t.TempDir()) + fmt.Sprint(os.Getpid())
	const listen = "import socket, sys\ns = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[1]); s.listen(); print('ready', flush=True)\nwhile True: s.accept()"
	other := exec.Command("setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", "/usr/bin/python3", "-c", listen, name)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, other)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:abstract="+name)
	secret, _ := NewSecret("x")
	err = (&Store{}).Put(t.Context(), refs(t, "keyring")[0], item, secret)
	fails(t, err, "keyring: no D-Bus session bus: the bus of the environment belongs to uid 4242")
}

func TestRealDeadBus(t *testing.T) {
	d := newDesktop(t, "", false)
	use(t, d.socket())
	secretTool(t, "own", "store", "--label=x", "service", "sendoff", "username", username)
	wantSecret(t, "own")
	end(d.bus)
	within(t, time.Second, func() {
		_, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
		if !errors.Is(err, ErrNoBus) {
			t.Errorf("got %v", err)
		}
	})
}

// TestRealBusFound: as under cron, the environment has no address, but the user's bus is at
// its usual path.
func TestRealBusFound(t *testing.T) {
	run := filepath.Join("/run/user", fmt.Sprint(os.Geteuid()))
	for _, folder := range []string{"", run} {
		t.Run("in "+folder, func(t *testing.T) {
			if folder == "" {
				folder = t.TempDir()
			}
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Skip(err)
			}
			socket := filepath.Join(folder, "bus")
			if _, err := os.Lstat(socket); err == nil {
				t.Skip("there is a bus of the user's already")
			}
			newDesktop(t, socket, false)
			runtimeDir := folder
			if folder == run {
				runtimeDir = ""
			}
			t.Setenv("XDG_RUNTIME_DIR", runtimeDir)
			secret, _ := NewSecret("from cron")
			if err := (&Store{}).Put(t.Context(), refs(t, "keyring")[0], item, secret); err != nil {
				t.Fatal(err)
			}
			wantSecret(t, "from cron")
		})
	}
}

func TestRealNoBus(t *testing.T) {
	trapLaunch(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "autolaunch:")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if _, err := busAddress("/run/user/" + fmt.Sprint(os.Geteuid())); err == nil {
		t.Skip("there is a bus of the user's")
	}
	within(t, time.Second, func() {
		_, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
		fails(t, err, "keyring: no D-Bus session bus")
	})
}

// TestRealCommandDeadline takes 10 seconds: testing/synctest cannot fake the time of a
// process.
func TestRealCommandDeadline(t *testing.T) {
	within(t, 12*time.Second, func() {
		_, err := (&Store{}).Get(t.Context(), refs(t, `command:sh -c 'echo waiting >&2; sleep 100'`), item)
		fails(t, err, "command sh: not finished after 10s: waiting")
	})
}
