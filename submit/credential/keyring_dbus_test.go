//go:build linux

package credential

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

const username = "ann@example.org@smtp.example.org"

func login() []dbus.ObjectPath { return []dbus.ObjectPath{loginObj} }

// trapLaunch puts a dbus-launch first in $PATH that creates a file, and checks at the end
// of the test that there is no such file: nobody has called it.
func trapLaunch(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\ntouch " + filepath.Join(dir, "called") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "called")); err == nil {
			t.Error("dbus-launch was called")
		}
	})
}

func TestSecretService(t *testing.T) {
	ours := map[string]string{"service": "sendoff", "username": username}
	msmtp := map[string]string{"service": "smtp", "host": "smtp.example.org", "user": "ann@example.org"}
	old := map[string]string{"protocol": "smtp", "server": "smtp.example.org", "user": "ann@example.org"}
	other := map[string]string{"service": "smtp", "host": "smtp.example.org", "user": "bob@example.org"}
	const anyText = "*" // the text differs from run to run
	const none = "keyring: no password stored for ann@example.org at smtp.example.org"
	tests := []struct {
		name string
		bus  *fakeBus
		err  error // nil: the secret is found
		text string
	}{
		{"ours", &fakeBus{collections: login(), items: []map[string]string{ours}}, nil, ""},
		{"msmtp", &fakeBus{collections: login(), items: []map[string]string{other, msmtp}}, nil, ""},
		{"old msmtp", &fakeBus{collections: login(), items: []map[string]string{old}}, nil, ""},
		{"another user's", &fakeBus{collections: login(), items: []map[string]string{other}}, ErrNotFound, none},
		{"by alias", &fakeBus{alias: "/org/freedesktop/secrets/collection/Passwords", items: []map[string]string{ours}}, nil, ""},
		{"empty", &fakeBus{collections: login()}, ErrNotFound, none},
		{"no collection", &fakeBus{}, ErrNoCollection, "keyring: the service has no default keyring"},
		{"locked", &fakeBus{collections: login(), locked: loginObj}, ErrLocked, "keyring: locked"},
		{"item locked", &fakeBus{collections: login(), items: []map[string]string{ours}, locked: theItem}, ErrLocked, "keyring: locked"},
		{"no service", &fakeBus{noService: "org.freedesktop.DBus.Error.ServiceUnknown"}, ErrNoService, "keyring: no keyring service on the session bus"},
		{"service fails to start", &fakeBus{noService: "org.freedesktop.DBus.Error.Spawn.ChildExited"}, ErrNoService, "keyring: no keyring service on the session bus"},
		{"no reply", &fakeBus{noService: "org.freedesktop.DBus.Error.NoReply"}, ErrTimeout, "keyring: no answer"},
		{"says locked", &fakeBus{noService: "org.freedesktop.Secret.Error.IsLocked"}, ErrLocked, "keyring: locked"},
		{"odd error", &fakeBus{noService: "org.example.Odd"}, nil, "keyring: who?"},
		{"garbage", &fakeBus{garbage: true}, ErrNoBus, "keyring: no D-Bus session bus: dbus: authentication protocol error"},
		{"dies at once", &fakeBus{dies: "Hello"}, ErrNoBus, anyText},
		{"dies in look", &fakeBus{collections: login(), dies: "SearchItems"}, ErrCrashed, "keyring: the keyring service closed the connection"},
		{"dies in the call", &fakeBus{collections: login(), items: []map[string]string{ours}, dies: "GetSecret"}, ErrCrashed, "keyring: the keyring service closed the connection"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trapLaunch(t)
			tt.bus.listen(t)
			secret, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
			if tt.text == "" {
				if secret.Reveal() != "hunter2" || err != nil {
					t.Errorf("got %q, %v", secret.Reveal(), err)
				}
				return
			}
			if tt.text != anyText {
				fails(t, err, tt.text)
			}
			if tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("%v is not %v", err, tt.err)
			}
			if tt.bus.called("Prompt") {
				t.Errorf("prompted, though nobody is there")
			}
		})
	}
}

func TestSecretServiceWrites(t *testing.T) {
	secret, _ := NewSecret("hunter2")
	ref := refs(t, "keyring")[0]
	msmtp := map[string]string{"service": "smtp", "host": "smtp.example.org", "user": "ann@example.org"}
	bus := &fakeBus{collections: login(), items: []map[string]string{msmtp}}
	bus.listen(t)
	if err := (&Store{}).Put(t.Context(), ref, item, secret); err != nil || !bus.called("CreateItem") {
		t.Errorf("Put: %v", err)
	}
	err := (&Store{}).Delete(t.Context(), ref, item)
	fails(t, err, "keyring: no password stored for ann@example.org at smtp.example.org")
	if bus.called("Delete") {
		t.Error("msmtp's item was deleted")
	}
}

// TestCollections: items are found in every collection, ours before msmtp's. Within these,
// the items of go-keyring's collection come before those of the default collection, and
// those before all others.
func TestCollections(t *testing.T) {
	const home = "/org/freedesktop/secrets/collection/"
	ours := map[string]string{"service": "sendoff", "username": username}
	msmtp := map[string]string{"service": "smtp", "host": "smtp.example.org", "user": "ann@example.org"}
	type in = map[dbus.ObjectPath]map[string]string
	for _, tt := range []struct {
		name  string
		bus   *fakeBus
		want  string // the secret
		wrong string // the error; "": want is returned
	}{
		{"beside login", &fakeBus{collections: login(), alias: home + "Default", elsewhere: in{home + "Default/7": msmtp}}, home + "Default/7", ""},
		{"neither login nor default", &fakeBus{collections: login(), alias: loginObj, elsewhere: in{home + "work/7": ours}}, home + "work/7", ""},
		{"login before default", &fakeBus{collections: login(), alias: home + "Default", elsewhere: in{
			home + "Default/1": ours, home + "login/2": ours, home + "work/3": ours}}, home + "login/2", ""},
		{"default before others", &fakeBus{collections: login(), alias: home + "Default", elsewhere: in{
			home + "Default/1": ours, home + "a/2": ours, home + "work/3": ours}}, home + "Default/1", ""},
		{"ours before msmtp's", &fakeBus{collections: login(), alias: loginObj, elsewhere: in{
			home + "login/1": msmtp, home + "work/3": ours}}, home + "work/3", ""},
		{"login is locked and others are not", &fakeBus{collections: login(), alias: loginObj, locked: loginObj, elsewhere: in{home + "work/3": msmtp}}, home + "work/3", ""},
		{"locked in login goes before", &fakeBus{collections: login(), alias: loginObj, locked: loginObj, elsewhere: in{
			home + "login/1": ours, home + "work/3": ours}}, "", "keyring: locked"},
		{"locked elsewhere", &fakeBus{collections: login(), alias: loginObj, locked: home + "work", elsewhere: in{home + "work/3": ours}}, "", "keyring: locked"},
		{"hidden while locked", &fakeBus{collections: login(), alias: loginObj, locked: loginObj, hides: true, elsewhere: in{home + "login/1": ours}}, "", "keyring: locked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trapLaunch(t)
			tt.bus.listen(t)
			secret, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
			if tt.wrong != "" {
				fails(t, err, tt.wrong)
				return
			}
			if secret.Reveal() != tt.want || err != nil {
				t.Errorf("got %q, %v", secret.Reveal(), err)
			}
		})
	}
}

// TestCollectionsWrite: to write, go-keyring's collection must be unlocked, even if the
// item is in another collection. Delete removes the item from all collections.
func TestCollectionsWrite(t *testing.T) {
	const home = "/org/freedesktop/secrets/collection/"
	ours := map[string]string{"service": "sendoff", "username": username}
	type in = map[dbus.ObjectPath]map[string]string
	newBus := func(t *testing.T, locked dbus.ObjectPath) *fakeBus {
		b := &fakeBus{collections: login(), alias: home + "Default", locked: locked, elsewhere: in{home + "Default/1": ours}}
		b.listen(t)
		return b
	}
	t.Run("put", func(t *testing.T) {
		newBus(t, loginObj)
		secret, _ := NewSecret("x")
		fails(t, (&Store{}).Put(t.Context(), refs(t, "keyring")[0], item, secret), "keyring: locked")
	})
	t.Run("delete", func(t *testing.T) {
		bus := newBus(t, "")
		if err := (&Store{}).Delete(t.Context(), refs(t, "keyring")[0], item); err != nil || !bus.called("Delete") {
			t.Errorf("Delete: %v", err)
		}
	})
}

// TestServiceStarts: the bus starts the service, and the person is told if that takes long.
func TestServiceStarts(t *testing.T) {
	const unknown = "org.freedesktop.DBus.Error.ServiceUnknown"
	ours := map[string]string{"service": "sendoff", "username": username}
	told := make(chan string, 1)
	bus := &fakeBus{collections: login(), items: []map[string]string{ours}, noService: unknown, starting: func() { <-told }}
	bus.listen(t)
	store := &Store{Tell: func(line string) { told <- line }}
	secret, err := store.Get(t.Context(), refs(t, "keyring"), item)
	if secret.Reveal() != "hunter2" || err != nil {
		t.Errorf("got %q, %v", secret.Reveal(), err)
	}
}

// TestServiceStartsNever: the caller can cancel while the service is being started.
func TestServiceStartsNever(t *testing.T) {
	const unknown = "org.freedesktop.DBus.Error.ServiceUnknown"
	ctx, cancel := context.WithCancel(t.Context())
	never := &fakeBus{noService: unknown, mute: "StartServiceByName", muted: cancel}
	never.listen(t)
	_, err := (&Store{}).Get(ctx, refs(t, "keyring"), item)
	fails(t, err, "keyring: context canceled")
}

// TestSecretServiceMute takes 3 seconds: testing/synctest cannot fake the deadline of a
// socket.
func TestSecretServiceMute(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 3 seconds")
	}
	trapLaunch(t)
	bus := &fakeBus{collections: login(), mute: "Hello", muted: func() {}}
	bus.listen(t)
	_, err := (&Store{Interactive: true}).Get(t.Context(), refs(t, "keyring"), item)
	fails(t, err, "keyring: no answer within 3s")
}

// TestUnlock: with a person at the terminal, a locked keyring prompts, and the person can
// cancel the wait.
func TestUnlock(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	waits := &fakeBus{collections: login(), locked: loginObj, mute: "Prompt", muted: cancel}
	waits.listen(t)
	_, err := (&Store{Interactive: true}).Get(ctx, refs(t, "keyring"), item)
	fails(t, err, "keyring: context canceled")
}

// TestUnlockCrash: the bus closes the connection during the prompt, and go-keyring panics.
func TestUnlockCrash(t *testing.T) {
	goes := &fakeBus{collections: login(), locked: loginObj, diesAfter: "Prompt"}
	goes.listen(t)
	_, err := (&Store{Interactive: true}).Get(t.Context(), refs(t, "keyring"), item)
	fails(t, err, "keyring: the keyring service closed the connection")
}

// TestNobodyListens: the environment names a socket that is not there any more.
func TestNobodyListens(t *testing.T) {
	trapLaunch(t)
	socket := filepath.Join(t.TempDir(), "bus")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
	_, err := (&Store{}).Get(t.Context(), refs(t, "keyring"), item)
	fails(t, err, "keyring: no D-Bus session bus: dial unix "+socket+": connect: no such file or directory")
}

func TestBusAddress(t *testing.T) {
	first, second, third := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{second, third} {
		l, err := net.Listen("unix", filepath.Join(dir, "bus"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if err := os.WriteFile(filepath.Join(first, "bus"), nil, 0o600); err != nil { // not a socket
		t.Fatal(err)
	}
	odd := filepath.Join(t.TempDir(), "a,b;c")
	if err := os.Symlink(second, odd); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		set     string
		folders []string
		want    string
	}{
		{"unix:path=/x", []string{second}, "unix:path=/x"},
		{"", []string{second, third}, "unix:path=" + second + "/bus"},
		{"autolaunch:", []string{first, third}, "unix:path=" + third + "/bus"},
		{"autolaunch:scope=user", []string{"", third}, "unix:path=" + third + "/bus"},
		{"", []string{odd}, "unix:path=" + filepath.Dir(odd) + "/a%2cb%3bc/bus"},
		{"", []string{"", first, "relative", "/nonexistent"}, ""},
	}
	for _, tt := range tests {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", tt.set)
		got, err := busAddress(tt.folders...)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q, %q: got %s, %v; want %s", tt.set, tt.folders, got, err, tt.want)
		}
	}
}

// TestOurBus: ourBus returns only a bus of which it is proved that it is ours or root's.
func TestOurBus(t *testing.T) {
	dir := t.TempDir()
	listen := func(name string) string {
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return name
	}
	ours, open := listen(filepath.Join(dir, "ours")), filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	replaced := listen(filepath.Join(open, "bus"))
	abstract := listen("@" + filepath.Join(dir, "abstract"))
	foreign := listen(filepath.Join(dir, "foreign"))
	if os.Geteuid() == 0 {
		os.Chown(foreign, 12345, -1)
	}
	runtime := filepath.Join(dir, "runtime")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	bus := listen(filepath.Join(runtime, "bus"))
	for _, row := range []struct{ addresses, want, wrong string }{
		{"unix:path=" + ours + ",guid=1234", "unix:path=" + ours, ""},
		{"unix:path=" + dir + "/o%75rs", "unix:path=" + ours, ""},
		{"unix:runtime=yes", "unix:path=" + bus, ""},
		{"unix:runtime=yes,path=" + foreign, "unix:path=" + bus, ""},
		{"unix:path=" + ours + ",abstract=foreign,path=" + foreign, "unix:path=" + ours, ""},
		{"unix:abstract=" + abstract[1:], "unix:abstract=" + abstract[1:], ""},
		{"unix:path=/nowhere;unix:path=" + ours, "unix:path=" + ours, ""},
		{"unix:path=" + foreign, "", foreign + " belongs to uid 12345"},
		{"unix:path=" + replaced, "", "others can write it"},
		{"unix:path=/nowhere;tcp:host=localhost,port=1", "", "no such file"},
		{"tcp:host=localhost,port=1", "", "its owner cannot be checked"},
		{"unixexec:path=/bin/true", "", "its owner cannot be checked"},
		{"unix:tmpdir=/tmp", "", "its owner cannot be checked"},
		{"unix:path=%zz", "", "its owner cannot be checked"},
	} {
		if row.wrong != "" && strings.Contains(row.wrong, "12345") && os.Geteuid() != 0 {
			continue // only root can change the owner of a socket
		}
		got, err := ourBus(t.Context(), row.addresses)
		if got != row.want || (err == nil) != (row.wrong == "") || err != nil && !strings.Contains(err.Error(), row.wrong) {
			t.Errorf("%s: %s, %v", row.addresses, got, err)
		}
	}
}

// TestForeignSocket: busAddress does not return the socket of another user.
func TestForeignSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a socket away")
	}
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chown(filepath.Join(dir, "bus"), 12345, -1); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	if got, err := busAddress(dir); err == nil {
		t.Errorf("took %s", got)
	}
}
