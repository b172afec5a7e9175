package config

import (
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

const three = `
account = "work"
[accounts.pattern]
server = "smtps://pattern.example"
from = "*@example.org"
[accounts.home]
server = "smtps://home.example"
user = "bob@home.example"
from = ["ann@example.org", "*@*.home.example"]
[accounts.work]
server = ["smtps://work.example", "smtp://backup.work.example"]
user = "ann"
secret = "keyring"
from = ["*@work.example", "*@shared.example"]
tls-cert = "c.pem"
tls-name = "n.example"
server-user = "davmail"
tls-legacy = true
tls-fingerprint = "0011223344556677889900112233445566778899001122334455667788990011"
tls-ca = "/ca.pem"
[accounts.other]
server = "smtps://other.example"
from = "*@shared.example"
`

const two = `
[accounts.a]
server = "smtps://a.example"
from = "a@a.example"
[accounts.b]
server = "smtps://b.example"
`

const one = `
[accounts.only]
server = "smtps://only.example"
user = "u"
secret = "none"
`

func mustAddress(t *testing.T, s string) envelope.Address {
	t.Helper()
	a, err := envelope.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestChoose(t *testing.T) {
	type o = Override
	for _, row := range []struct {
		text, sender, header string
		command, environment Override
		want                 string // "NAME: why"
	}{
		// by name
		{three, "", "", o{Account: "home"}, o{}, "home: named by --account"},
		{three, "ann@example.org", "ann@example.org", o{Account: "work"}, o{Account: "home"}, "work: named by --account"},
		{three, "ann@example.org", "", o{}, o{Account: "work"}, "work: named by SENDOFF_ACCOUNT"},
		{three, "ann@example.org", "", o{Account: "wrok"}, o{}, `no account "wrok"; known accounts: pattern, home, work, other`},
		{one, "", "", o{}, o{Account: "x\n"}, `no account "x\n"; known accounts: only`},
		{"", "", "", o{Account: "x"}, o{}, `no account "x"; no account is configured`},
		{"", "", "", o{Account: "x", Server: "smtps://h"}, o{}, `no account "x"; no account is configured`},

		{"", "", "", o{Account: "environment"}, o{Server: "smtps://h"}, "environment: made from SENDOFF_SERVER"},
		{two, "", "a@a.example", o{Account: "environment"}, o{Server: "smtps://h"}, "environment: made from SENDOFF_SERVER"},
		{one, "", "", o{Account: "environment"}, o{Server: "smtps://h"}, "environment: made from SENDOFF_SERVER"},
		{"", "", "", o{Account: "environment"}, o{}, `no account "environment"; no account is configured`},
		{"", "", "", o{}, o{Account: "environment", Server: "smtps://h"}, `no account "environment"; no account is configured`},

		// by address: the full address before a pattern, the default account before others
		{three, "ann@example.org", "bob@example.org", o{}, o{}, "home: the envelope sender ann@example.org selects it"},
		{three, "bob@example.org", "", o{}, o{}, "pattern: the envelope sender bob@example.org selects it"},
		{three, "", "ann@EXAMPLE.org", o{}, o{}, "home: the From field's ann@EXAMPLE.org selects it"},
		{three, "nobody@elsewhere.example", "x@a.home.example", o{}, o{}, "home: the From field's x@a.home.example selects it"},
		{three, "x@shared.example", "", o{}, o{}, "work: the envelope sender x@shared.example selects it"},
		{three, "Ann@example.org", "", o{}, o{}, "pattern: the envelope sender Ann@example.org selects it"},

		// by default
		{three, "root", "root@home.example", o{}, o{}, "work: the default account"},
		{one, "root", "", o{}, o{}, "only: the only account"},
		{two, "", "", o{}, o{}, "no default account; known accounts: a, b"},
		{two, "", "a@a.example", o{}, o{}, "a: the From field's a@a.example selects it"},
		{"", "", "", o{}, o{User: "u", Secret: "none"}, "no account configured"},

		// without an account in a file
		{"", "", "", o{}, o{Server: "smtps://h"}, "environment: made from SENDOFF_SERVER"},
		{"", "", "", o{Server: "smtps://h"}, o{Server: "smtps://g"}, "command-line: made from --server"},
		{two, "", "", o{}, o{Server: "smtps://h"}, "environment: made from SENDOFF_SERVER"},
		{one, "", "", o{}, o{Server: "smtps://h"}, "only: the only account; user and secret belong to only.example and are not used"},
		{one, "", "", o{Server: "smtps://h", User: "v"}, o{}, "only: the only account; user and secret belong to only.example and are not used"},
		{one, "", "", o{}, o{Server: "smtps://only.example:4650"}, "only: the only account"},
		{three, "x@example.org", "", o{Server: "smtps://h"}, o{}, "pattern: the envelope sender x@example.org selects it"},
		{one, "", "", o{Server: "smtps://g"}, o{Server: "smtps://h", User: "v"}, "only: the only account; user and secret belong to only.example and are not used; user and secret belong to h and are not used"},
		{one, "", "", o{Server: "smtps://g"}, o{Server: "smtps://h"}, "only: the only account; user and secret belong to only.example and are not used"},
	} {
		c, err := parse(row.text)
		if err != nil {
			t.Fatal(err)
		}
		by := Choice{CommandLine: row.command, Environment: row.environment}
		by.Sender, by.Header = mustAddress(t, row.sender), mustAddress(t, row.header)
		a, why, err := c.Choose(by)
		got := ""
		if err != nil {
			got = err.Error()
			if status.KindOf(err) != status.Config {
				t.Errorf("%s is of kind %s", got, status.KindOf(err))
			}
		} else {
			got = a.Name + ": " + why
		}
		if got != row.want {
			t.Errorf("-f %q From %q %+v %+v:\n got %s\nwant %s", row.sender, row.header, row.command, row.environment, got, row.want)
		}
	}
}

// TestStandard: if no file names the default account, the only account of the user's file
// comes before that of the system's file.
func TestStandard(t *testing.T) {
	const own, site = "[accounts.only]\nserver = \"smtps://own.example\"\n", "[accounts.site]\nserver = \"smtps://site.example\"\n"
	for _, row := range []struct{ system, user, want string }{
		{site, own, "only, the only account in FILE"},
		{two, own, "only, the only account in FILE"},
		{"account = \"site\"\n" + site, own, "site, the default account"},
		{site, "account = \"site\"\n" + own, "site, the default account"},
		{site, "log = \"off\"\n", "site, the only account"},
		{"[accounts.only]\nserver = \"smtps://site.example\"\n", own, "only, the only account"},
		{site, two, "no default account; known accounts: a, b, site"},
		{two, "", "no default account; known accounts: a, b"},
		{"", "", "no account configured"},
	} {
		dir := t.TempDir()
		user := write(t, filepath.Join(dir, "user.toml"), row.user)
		c, err := Load(Paths{System: write(t, filepath.Join(dir, "system.toml"), row.system), User: user})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if a, why, err := c.Choose(Choice{}); err != nil {
			got = err.Error()
		} else {
			got = a.Name + ", " + strings.ReplaceAll(why, user, "FILE")
		}
		if got != row.want {
			t.Errorf("system:\n%suser:\n%sgot %s, want %s", row.system, row.user, got, row.want)
		}
	}
}

func init() { inContainer = func() bool { return false } } // wherever the tests run

// TestChooseInContainer: an environment that is empty, in a container, is what cron's jobs
// have there.
func TestChooseInContainer(t *testing.T) {
	defer func(was func() bool) { inContainer = was }(inContainer)
	for _, tt := range []struct {
		container   bool
		environment Override
		want        string
	}{
		{false, Override{}, "no account configured"},
		{true, Override{Queue: "/queue"}, "no account configured"},
		{true, Override{}, "no account configured, and this process has no variable SENDOFF_SERVER"},
	} {
		inContainer = func() bool { return tt.container }
		if _, _, err := new(Config).Choose(Choice{Environment: tt.environment}); err == nil || err.Error() != tt.want {
			t.Errorf("in a container %t, %+v: %v, want %s", tt.container, tt.environment, err, tt.want)
		}
	}
}

// TestChooseOverrides: a secret is never sent to a host that it was not stored for.
func TestChooseOverrides(t *testing.T) {
	type o = Override
	for _, row := range []struct {
		name, text, sender   string
		command, environment Override
		want                 string // first host, user, secrets, whether with certificate, fingerprint and name
	}{
		{"nothing", three, "", o{}, o{}, "work.example ann [keyring] true"},
		{"another host", three, "", o{}, o{Server: "smtps://evil.example"}, "evil.example  [] false"},
		{"another host, command line", three, "", o{Server: "smtps://evil.example"}, o{}, "evil.example  [] false"},
		{"a host that begins alike", three, "", o{Server: "smtps://work.example.evil.example"}, o{}, "work.example.evil.example  [] false"},
		{"the same host", three, "", o{}, o{Server: "smtp://WORK.example.:2525"}, "work.example ann [keyring] true"},
		{"its second host", three, "", o{Server: "smtp://backup.work.example"}, o{}, "backup.work.example ann [keyring] true"},
		{"another host, with its own", three, "", o{}, o{Server: "smtps://new.example", User: "new", Secret: "file:/s"}, "new.example new [file:/s] false"},
		{"another user", three, "", o{}, o{User: "bob"}, "work.example bob [keyring] true"},
		{"another secret", three, "", o{}, o{Secret: "file:/s"}, "work.example ann [file:/s] true"},
		{"secret of the account the environment names", three, "", o{}, o{Account: "home", Secret: "file:/s"}, "home.example bob@home.example [file:/s] false"},
		{"secret of the default account, another by address", three, "ann@example.org", o{}, o{User: "u", Secret: "file:/s"}, "home.example bob@home.example [] false"},
		{"secret of the default account, another by name", three, "", o{Account: "home"}, o{User: "u", Secret: "file:/s"}, "home.example bob@home.example [] false"},
		{"secret of the default account, by name", three, "", o{Account: "work"}, o{Secret: "file:/s"}, "work.example ann [file:/s] true"},
		{"secret of the environment's account, another by name", three, "", o{Account: "home"}, o{Account: "work", Secret: "file:/s"}, "home.example bob@home.example [] false"},
		{"secret of the environment's server, another on the command line", three, "", o{Server: "smtps://evil.example"},
			o{Server: "smtps://new.example", User: "new", Secret: "file:/s"}, "evil.example  [] false"},
		{"secret of the default account, another host on the command line", three, "", o{Server: "smtps://evil.example"},
			o{User: "new", Secret: "file:/s"}, "evil.example  [] false"},
		{"no account, a secret for nobody", "", "", o{Server: "smtps://evil.example"}, o{User: "u", Secret: "file:/s"}, "evil.example  [] false"},
		{"no account, a secret for another", "", "", o{Server: "smtps://evil.example"}, o{Server: "smtps://h.example", Secret: "file:/s"}, "evil.example  [] false"},
		{"no account, a secret for it", "", "", o{}, o{Server: "smtps://h.example", User: "u", Secret: "file:/s"}, "h.example u [file:/s] false"},
		{"command line before environment", "", "", o{Server: "smtps://h.example", User: "cu", Secret: "none"},
			o{Server: "smtps://h.example", User: "u", Secret: "file:/s"}, "h.example cu [none] false"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := parse(row.text)
			if err != nil {
				t.Fatal(err)
			}
			a, _, err := c.Choose(Choice{Sender: mustAddress(t, row.sender), CommandLine: row.command, Environment: row.environment})
			if err != nil {
				t.Fatal(err)
			}
			proofs := a.TLSCert != "" && a.TLSName != "" && len(a.TLSFingerprint) > 0
			if !proofs && (a.TLSCert != "" || a.TLSName != "" || len(a.TLSFingerprint) > 0) {
				t.Errorf("only some of certificate, fingerprint and name are left")
			}
			got := fmt.Sprintf("%s %s %s %v", a.Servers[0].Host, a.User, a.Secret, proofs)
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
			if a.MaxRecipients != 100 {
				t.Errorf("max-recipients is %d", a.MaxRecipients)
			}
			if w := c.find("work"); w != nil && (w.Servers[0].Host != "work.example" || w.User != "ann") {
				t.Errorf("the Config was changed: %+v", w)
			}
		})
	}
}

func TestChooseOverrideErrors(t *testing.T) {
	type o = Override
	for _, row := range []struct {
		command, environment Override
		kind                 status.Kind
		want                 string
	}{
		{o{}, o{Server: "smtps:h"}, status.Config, "SENDOFF_SERVER: a server is written smtps://HOST"},
		{o{Server: "unix:x"}, o{}, status.Usage, "--server: a socket is written as a path"},
		{o{}, o{From: "ann"}, status.Config, "SENDOFF_FROM: an address or pattern needs an @"},
		{o{User: "a\r\nb"}, o{}, status.Usage, "--user holds a control character or a line break"},
		{o{}, o{Secret: "file:\n"}, status.Config, "SENDOFF_SECRET holds a control character or a line break"},
		{o{}, o{Secret: "oauth2:x"}, status.Config, "SENDOFF_SECRET oauth2:x: the configuration has no [oauth2.x]"},
		{o{}, o{Secret: "hunter2"}, status.Config, "SENDOFF_SECRET: unknown secret source; "},
		{o{Secret: "hunter2"}, o{Secret: "none"}, status.Config, "--secret: unknown secret source; "},
		{o{Secret: "oauth2:google"}, o{Secret: "oauth2:x"}, status.Config, "--secret oauth2:google: the configuration has no [oauth2.google], with a client-id"},
	} {
		c, err := parse(one)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Choose(Choice{CommandLine: row.command, Environment: row.environment})
		if err == nil || !strings.HasPrefix(err.Error(), row.want) || status.KindOf(err) != row.kind {
			t.Errorf("got %v (%s), want %s", err, status.KindOf(err), row.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, row := range []struct {
		variable string
		want     Override
	}{
		{"SENDOFF_CONFIG", Override{Config: "x"}},
		{"SENDOFF_ACCOUNT", Override{Account: "x"}},
		{"SENDOFF_SERVER", Override{Server: "x"}},
		{"SENDOFF_USER", Override{User: "x"}},
		{"SENDOFF_SECRET", Override{Secret: "x"}},
		{"SENDOFF_FROM", Override{From: "x"}},
		{"SENDOFF_QUEUE", Override{Queue: "x"}},
		{"SENDOFF_RUNNER", Override{Runner: "x"}},
		{"SENDOFF_PASSWORD", Override{}},
	} {
		got := Environment(func(name string) string {
			if name == row.variable {
				return "x"
			}
			return ""
		})
		if got != row.want {
			t.Errorf("%s: %+v", row.variable, got)
		}
	}
}

func TestSettle(t *testing.T) {
	for _, row := range []struct {
		queue, runner, wantQueue, wantRunner, err string
	}{
		{"", "", "/file", "on", ""},
		{"/data", "off", "/data", "off", ""},
		{"off", "auto", "off", "auto", ""},
		{"~/mail", "", "/home/ann/mail", "on", ""},
		{"data", "", "/file", "on", "SENDOFF_QUEUE is the absolute path"},
		{"/a\nb", "", "/file", "on", "SENDOFF_QUEUE is the absolute path"},
		{"/data", "yes", "/file", "on", "SENDOFF_RUNNER is "},
	} {
		c := &Config{Queue: "/file", Runner: "on"}
		err := c.Settle(Override{Queue: row.queue, Runner: row.runner}, "/home/ann")
		if c.Queue != row.wantQueue || c.Runner != row.wantRunner {
			t.Errorf("%+v: %q, %q", row, c.Queue, c.Runner)
		}
		if (err == nil) != (row.err == "") || err != nil && !strings.HasPrefix(err.Error(), row.err) || err != nil && status.KindOf(err) != status.Config {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

func TestAccountAddress(t *testing.T) {
	for _, row := range []struct{ settings, want string }{
		{`from = ["*@x.example", "Ann@X.example", "b@x.example"]`, "Ann@X.example"},
		{`from = ["*@x.example"]` + "\n" + `user = "u@x.example"`, "u@x.example"},
		{`user = "u@x.example"`, "u@x.example"},
		{`user = "u"`, ""},
		{`user = "u x@y"`, ""},
		{`from = '"a b"@x.example'`, `"a b"@x.example`},
		{``, ""},
	} {
		c, err := parse(account(row.settings))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := c.Accounts[0].Address()
		if got.String() != row.want || ok != (row.want != "") {
			t.Errorf("%s: %q, %v", row.settings, got, ok)
		}
	}
}

// TestUnread: unknown variables are reported with a proposal, but without their values.
func TestUnread(t *testing.T) {
	const secret = "hunter2"
	for _, row := range []struct{ variable, want string }{
		{"SENDOFF_SERVRE", "SENDOFF_SERVRE is ignored; did you mean SENDOFF_SERVER?"},
		{"SENDOFF_ACOUNT", "SENDOFF_ACOUNT is ignored; did you mean SENDOFF_ACCOUNT?"},
		{"SENDOFF_FORM", "SENDOFF_FORM is ignored; did you mean SENDOFF_FROM?"},
		{"SENDOFF_PASSWORD", "SENDOFF_PASSWORD is ignored: a password is not read from it; set SENDOFF_SECRET to where the password is, such as file:PATH or env:NAME"},
		{"SENDOFF_SMTP_PASS", "SENDOFF_SMTP_PASS is ignored: a password is not read from it; set SENDOFF_SECRET to where the password is, such as file:PATH or env:NAME"},
		{"SENDOFF_TRANSPORT", "SENDOFF_TRANSPORT is ignored; the variables are SENDOFF_CONFIG, SENDOFF_ACCOUNT, SENDOFF_SERVER, SENDOFF_USER, SENDOFF_SECRET, SENDOFF_FROM, SENDOFF_QUEUE, SENDOFF_RUNNER"},
		{"SENDOFF_", "SENDOFF_ is ignored; the variables are …"},
		{"SENDOFF_SERVER", ""},
		{"SENDOFF_REASON", ""}, // set for notify-command, which may run sendoff
		{"SENDOFF_SERVICE_HOST", ""},
		{"SENDOFF_MAIL_PORT_25_TCP_ADDR", ""},
		{"sendoff_server", ""},
		{"MSMTP_SERVER", ""},
	} {
		got := strings.Join(Unread([]string{"HOME=/", row.variable + "=" + secret, "x"}), "\n")
		begin, open := strings.CutSuffix(row.want, "…")
		if got != row.want && !(open && strings.HasPrefix(got, begin)) || strings.Contains(got, secret) {
			t.Errorf("%s: got %q, want %q", row.variable, got, row.want)
		}
	}
	// Kubernetes sets the first variable for a service called sendoff.
	if got := Unread([]string{"SENDOFF_PORT=tcp://10.0.0.1:25", "SENDOFF_PORT=587"}); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// TestBound: each setting of an account says what it is bound to, and is removed together
// with that.
func TestBound(t *testing.T) {
	full := func() *Account {
		a := new(Account)
		v := reflect.ValueOf(a).Elem()
		for _, f := range fields(v.Type()) {
			v.FieldByIndex(f.Index).Set(filled(t, f.Type))
		}
		return a
	}
	left := func(a *Account) (names []string) {
		v := reflect.ValueOf(a).Elem()
		for _, f := range fields(v.Type()) {
			if !v.FieldByIndex(f.Index).IsZero() && f.Tag.Get("toml") != "server" {
				names = append(names, f.Tag.Get("toml"))
			}
		}
		return names
	}
	want := map[string][]string{}
	for _, f := range fields(reflect.TypeFor[Account]()) {
		name, bound := f.Tag.Get("toml"), f.Tag.Get("bound")
		if !slices.Contains([]string{"host", "way", "no"}, bound) {
			t.Errorf("%s is bound to %q", name, bound)
		}
		if name != "server" {
			want[bound] = append(want[bound], name)
		}
	}
	for _, secret := range []string{"user", "secret", "refresh-token", "tls-cert", "tls-key", "tls-name", "tls-fingerprint", "server-user"} {
		if !slices.Contains(want["host"], secret) {
			t.Errorf("%s would go to another host", secret)
		}
	}
	a := full()
	if bare := left(a.Bare()); !slices.Equal(bare, want["no"]) {
		t.Errorf("a rehearsal has %q, want %q", bare, want["no"])
	}
	all := left(a)
	if a.moveTo(a.Servers); !slices.Equal(left(a), all) {
		t.Errorf("the same host leaves %q of %q", left(a), all)
	}
	a.moveTo(List[Server]{{Scheme: SchemeTLS, Host: "elsewhere.example"}})
	if moved := left(a); slices.ContainsFunc(want["host"], func(name string) bool { return slices.Contains(moved, name) }) ||
		len(moved) != len(want["way"])+len(want["no"]) {
		t.Errorf("another host leaves %q", moved)
	}
}

// filled returns a value of type t that is not zero.
func filled(t *testing.T, of reflect.Type) reflect.Value {
	t.Helper()
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(4)
	case reflect.String:
		v.SetString("x")
	case reflect.Slice:
		v = reflect.MakeSlice(of, 1, 1)
	case reflect.Struct:
		for _, text := range []string{"1m", "5/1m", "socks5://h", "127.0.0.1", "keyring"} {
			if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && u.UnmarshalText([]byte(text)) == nil {
				return v
			}
		}
		t.Fatalf("a setting is of the type %s", of)
	}
	return v
}
