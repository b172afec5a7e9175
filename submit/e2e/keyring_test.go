//go:build e2e && linux

package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// promptly is how long a submission may take to find out that the keyring will
// not answer: the 3 s it gives one, and what a busy machine adds.
const promptly = 15 * time.Second

// item is what finds the secret in a keyring.
var item = []string{"service", "sendoff", "username", username + "@localhost"}

// lookup returns the secret as any other program finds it.
func (s *session) lookup() string {
	out, _ := s.do("", append([]string{"secret-tool", "lookup"}, item...)...)
	return out
}

// TestKeyring stores, uses and forgets a password.
func TestKeyring(t *testing.T) {
	m := mail(t)
	file := config(t, m.account(t, settings{"secret": `"keyring"`}))
	// The bus is there in the three ways that a program may find it.
	s := newKeyring(t, runtimeFolder(t)+"/bus")
	ways := []struct {
		name string
		env  []string
	}{
		{"as in the session", s.env()},
		{"with XDG_RUNTIME_DIR only", []string{"XDG_RUNTIME_DIR=" + s.dir, "PATH=" + s.trap + ":/usr/bin:/bin"}},
		{"as cron", []string{"PATH=" + s.trap + ":/usr/bin:/bin"}},
	}
	send := func(env []string) call {
		return call{as: "sendmail", args: []string{m.box()}, env: append(env, "SENDOFF_CONFIG="+file), stdin: header + "\nx\n"}
	}
	login := call{args: []string{"--config", file, "--login", "work"}, env: s.env(), stdin: password + "\n"}
	logout := call{args: []string{"--config", file, "--logout", "work"}, env: s.env()}

	t.Run("nothing stored", func(t *testing.T) {
		call{args: []string{"--config", file, m.box()}, env: s.env(), stdin: header + "\nx\n"}.fails(t, 77, hint, "--login work")
		send(s.env()).fails(t, 75, hint, "--login work")
	})
	for _, way := range ways {
		t.Run("login "+way.name, func(t *testing.T) {
			login := login
			login.env = way.env
			if r := login.run(t); r.exit != 0 {
				t.Fatalf("exit %d, stderr:\n%s", r.exit, r.stderr)
			}
			if got := s.lookup(); got != password {
				t.Errorf("secret-tool finds %q, want %q", got, password)
			}
		})
		t.Run("send "+way.name, func(t *testing.T) {
			c := send(way.env)
			c.succeeds(t)
			m.fetch(t, c.args[0], 1)
		})
		t.Run("logout "+way.name, func(t *testing.T) {
			logout := logout
			logout.env = way.env
			if r := logout.run(t); r.exit != 0 {
				t.Fatalf("exit %d, stderr:\n%s", r.exit, r.stderr)
			}
			if got := s.lookup(); got != "" {
				t.Errorf("secret-tool still finds %q", got)
			}
			send(way.env).fails(t, 75, hint)
		})
	}
}

// TestKeyringToCron: what a desktop's keyring has is not to be had from cron, and
// one command cures that.
func TestKeyringToCron(t *testing.T) {
	m, s := mail(t), newKeyring(t)
	file := write(t, filepath.Join(home(t), "config.toml"), read(config(t, m.account(t, settings{"secret": `"keyring"`}))))
	login := func(args ...string) call {
		return call{args: append([]string{"--config", file, "--login", "work"}, args...), env: s.env(), stdin: password + "\n"}
	}
	send := func(env ...string) call {
		return call{as: "sendmail", args: []string{m.box()}, env: append(env, "SENDOFF_CONFIG="+file), stdin: header + "\nx\n"}
	}
	if r := login().run(t); r.exit != 0 {
		t.Fatalf("exit %d, stderr:\n%s", r.exit, r.stderr)
	}
	send(s.env()...).succeeds(t)
	send().fails(t, 75, "keyring", hint, "sendoff --login work --for cron")
	r := login("--for", "cron").run(t)
	if r.exit != 0 || !strings.Contains(r.stdout, "Changed account \"work\" in ") || !strings.Contains(r.stderr, "cron cannot open a keyring") || !strings.Contains(r.stdout, "the password in the keyring is no longer used") {
		t.Fatalf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	if text := read(file); strings.Contains(text, password) || !strings.Contains(text, `work.secret"`) || strings.Contains(text, "keyring") {
		t.Errorf("written:\n%s", text)
	}
	for _, c := range []call{send(), send(s.env()...)} {
		c.succeeds(t)
		m.fetch(t, c.args[0], 1)
	}
}

// TestKeyringOtherPrograms uses passwords that others stored.
func TestKeyringOtherPrograms(t *testing.T) {
	m := mail(t)
	s := newKeyring(t)
	file := config(t, m.account(t, settings{"secret": `"keyring"`}))
	tests := []struct {
		name       string
		attributes []string
	}{
		{"secret-tool", item},
		{"msmtp", []string{"host", "localhost", "service", "smtp", "user", username}},
		{"msmtp of old", []string{"user", username, "protocol", "smtp", "server", "localhost"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := s.do(password, append([]string{"secret-tool", "store", "--label=mail"}, tt.attributes...)...); err != nil {
				t.Fatal(err)
			}
			c := call{args: []string{"--config", file, m.box()}, env: s.env(), stdin: header + "\nx\n"}
			c.succeeds(t)
			m.fetch(t, c.args[2], 1)
			if _, err := s.do("", append([]string{"secret-tool", "clear"}, tt.attributes...)...); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestKeyringFault meets every keyring that gives no password: each is named,
// with a hint, soon, and nothing is started or asked.
func TestKeyringFault(t *testing.T) {
	m := mail(t)
	file := config(t, m.account(t, settings{"secret": `"keyring"`}))
	trap := "PATH=" + setTrap(t, home(t)) + ":/usr/bin:/bin"
	at := func(bus string) []string { return []string{trap, "DBUS_SESSION_BUS_ADDRESS=" + bus} }
	store := func(s *session) {
		if _, err := s.do(password, append([]string{"secret-tool", "store", "--label=mail"}, item...)...); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		env  func(*testing.T) []string
		word string
	}{
		{"no bus", func(*testing.T) []string { return []string{trap} }, "bus"},
		{"autolaunch", func(*testing.T) []string { return at("autolaunch:") }, "bus"},
		{"a bus that is gone", func(*testing.T) []string { return at("unix:path=/nonexistent/bus") }, "bus"},
		{"another user's bus", func(t *testing.T) []string { return at(rootsBus(t)) }, "bus"},
		{"a mute bus", func(t *testing.T) []string { return at(badBus(t, func(net.Conn) {})) }, "answer"},
		{"a bus that hangs up", func(t *testing.T) []string { return at(badBus(t, func(c net.Conn) { c.Close() })) }, "bus"},
		{"no service on the bus", func(t *testing.T) []string { return append(newSession(t, noService).env(), trap) }, "keyring"},
		{"locked", func(t *testing.T) []string {
			s := newKeyring(t)
			store(s)
			s.lock(t)
			return append(s.env(), trap)
		}, "locked"},
		{"frozen", func(t *testing.T) []string {
			s := newKeyring(t)
			store(s)
			s.freeze(t)
			return append(s.env(), trap)
		}, "answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := tt.env(t)
			message := header + "\nx\n"
			for _, r := range []result{
				call{args: []string{"--config", file, m.box()}, env: env, stdin: message}.fails(t, 77, "keyring", tt.word, hint),
				call{as: "sendmail", args: []string{m.box()}, env: append(env, "SENDOFF_CONFIG="+file), stdin: message}.fails(t, 75, "keyring", tt.word, hint),
				call{args: []string{"--config", file, "--login", "work"}, env: env, stdin: password + "\n"}.fails(t, 77, "keyring", tt.word, hint),
			} {
				if r.took > promptly {
					t.Errorf("took %s", r.took)
				}
				if r.faults != 1 {
					t.Errorf("%d lines for one fault:\n%s", r.faults, r.stderr)
				}
			}
			// The same account with a second source works all the same.
			second := config(t, m.account(t, settings{"secret": `["keyring", ` + quote("file:"+secretFile(t, password)) + "]"}))
			box := m.box()
			call{args: []string{"--config", second, box}, env: env, stdin: message}.succeeds(t)
			m.fetch(t, box, 1)
		})
	}
}

// rootsBus is a socket that is not the caller's.
func rootsBus(t *testing.T) string {
	t.Helper()
	address := badBus(t, func(net.Conn) {})
	if err := chown(strings.TrimPrefix(address, "unix:path="), "root"); err != nil {
		t.Fatal(err)
	}
	return address
}
