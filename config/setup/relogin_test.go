package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// own is the table of a provider that is not built in.
const own = "[oauth2.own]\nclient-id = \"1\"\ntoken-url = \"https://own.example/token\"\nauth-url = \"https://own.example/\"\n"

// relogin makes the person of s log in to the account work of the configuration text. It
// returns the new text.
func (s *stage) relogin(t *testing.T, text string) (string, error) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.Paths.User), 0o700), os.WriteFile(s.Paths.User, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(s.Paths)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Login(t.Context(), c, c.Accounts[0])
	return s.file(t), err
}

// TestLoginFor: the secret is stored where the use can read it, and the account looks only
// there: another source would have an old password.
func TestLoginFor(t *testing.T) {
	const head = "[accounts.work] # mine\nserver = \"smtps://smtp.example.org\"\nuser = \"ann\"\n"
	tests := []struct {
		name, secret, use, answers string // with answers, the person is at a terminal
		want                       string // the lines of the account after secret
		ring, file                 string // what is stored
		shown, out                 string
	}{
		{"as it is", "", "", "", "", "right", "", "", "Password for ann at smtp.example.org stored in the keyring"},
		{"as it is, said", `secret = "keyring"`, "", "-", `secret = "keyring"`, "right", "", "for cron: sendoff --login work --for cron", ""},
		{"a desktop", "", "", "desktop", "", "right", "", "keeping the keyring", ""},
		{"whatever is there", "", "", "-", "", "right", "", "Where will this account be used? 1-4 [1]: ", ""},
		{"cron, asked", "", "", "cron", `secret = "file:~/.config/sendoff/work.secret"`, "", "right", "2) cron and scripts: password in a file", "Changed account \"work\""},
		{"cron", `secret = "keyring" # x`, "cron", "", `secret = "file:~/.config/sendoff/work.secret" # x`, "", "right", "cron cannot open a keyring", "Password for ann at smtp.example.org stored in ~/.config/sendoff/work.secret"},
		{"cron, there", `secret = ["keyring", "file:~/.config/sendoff/work.secret"]`, "cron", "", `secret = "file:~/.config/sendoff/work.secret"`, "", "right", "keeping ~/.config/sendoff/work.secret", "Changed account \"work\""},
		{"cron, there behind others' ways", `secret = ["systemd:x", "file:~/.config/sendoff/work.secret"]`, "cron", "", `secret = ["systemd:x", "file:~/.config/sendoff/work.secret"]`, "", "right", "keeping ~/.config/sendoff/work.secret", ""},
		{"a desktop, from a file", `secret = "file:~/.config/sendoff/work.secret"`, "desktop", "", `secret = "keyring"`, "right", "", "goes into your keyring", "secret = \"keyring\""},
		{"a desktop, after cron", `secret = ["file:~/.config/sendoff/work.secret", "keyring"] # x`, "desktop", "", `secret = "keyring" # x`, "right", "", "", "Changed account \"work\""},
		{"a desktop, before cron", `secret = ["keyring", "file:~/.config/sendoff/work.secret"]`, "desktop", "", `secret = "keyring"`, "right", "", "", "Changed account \"work\""},
		{"a desktop, from all", `secret = ["file:/x", "systemd:x", "command:pass", "keyring"]`, "desktop", "", `secret = "keyring"`, "right", "", "", "systemd:x is no longer used"},
		{"a desktop, from a command", `secret = "command:pass show x"`, "desktop", "", `secret = "keyring"`, "right", "", "open while you are logged in", "command pass is no longer used"},
		{"a service", `secret = "keyring"`, "service", "", `secret = "systemd:sendoff-work"`, "", "", "decrypts for the service alone", "LoadCredentialEncrypted=sendoff-work:"},
		{"a service, there", `secret = "systemd:smtp"`, "service", "", `secret = "systemd:smtp"`, "", "", "keeping systemd:smtp", "LoadCredentialEncrypted=smtp:"},
		{"a container", `secret = "file:~/.config/sendoff/work.secret"`, "container", "", `secret = "file:~/.config/sendoff/work.secret"`, "", "", "The account goes into variables", "SENDOFF_SERVER=smtps://smtp.example.org\nSENDOFF_USER=ann\nSENDOFF_SECRET=file:/run/secrets/sendoff\n"},
	}
	for _, tt := range tests {
		s := newStage(t, strings.TrimPrefix(tt.answers, "-"))
		s.There, s.For, s.passwords = tt.answers != "", tt.use, []string{"right"}
		with := func(secret string) string {
			if secret != "" {
				secret += "\n"
			}
			return "# top\n" + head + secret + "\n# other\n[accounts.other]\nserver = \"smtp://x.example\"\n"
		}
		got, err := s.relogin(t, with(tt.secret))
		if err != nil || got != with(tt.want) {
			t.Errorf("%s: %v, left\n%s\n%s", tt.name, err, got, s.shown.String())
		}
		file, _ := os.ReadFile(filepath.Join(filepath.Dir(s.Paths.User), "work.secret"))
		if ring := s.ring["ann@smtp.example.org"]; ring != tt.ring || strings.TrimSuffix(string(file), "\n") != tt.file {
			t.Errorf("%s: the keyring has %q, the file %q", tt.name, ring, file)
		}
		if !strings.Contains(s.shown.String(), tt.shown) || !strings.Contains(s.out.String(), tt.out) {
			t.Errorf("%s: shown\n%swritten\n%s", tt.name, s.shown.String(), s.out.String())
		}
	}
}

// TestLoginForToken: the refresh token is stored where the use can read and replace it.
func TestLoginForToken(t *testing.T) {
	const head = own + "[accounts.work]\nserver = \"smtps://smtp.example.org\"\nuser = \"ann\"\nsecret = [\"none\", \"oauth2:own\"]\n"
	const inFile = "refresh-token = \"file:~/.config/sendoff/work.secret\"\n"
	tests := []struct{ name, has, use, answer, want, refresh, kind string }{
		{"as it is", "", "", "", "", "", ""},
		{"asked", "", "", "cron", inFile, "file:~/.config/sendoff/work.secret", ""},
		{"said", "refresh-token = \"keyring\"\n", "", "-", "refresh-token = \"keyring\"\n", "keyring", ""},
		{"a desktop", "", "desktop", "", "", "keyring", ""},
		{"cron", "refresh-token = \"keyring\"\n", "cron", "", inFile, "file:~/.config/sendoff/work.secret", ""},
		{"a service", "", "service", "", inFile, "file:~/.config/sendoff/work.secret", ""},
		{"there", inFile, "service", "", inFile, "file:~/.config/sendoff/work.secret", ""},
		{"a container", "", "container", "", "", "none", "OAuth in a container needs a configuration file"},
		{"nobody's consent", "", "cron", "", "", "", ""},
	}
	for _, tt := range tests {
		s := newStage(t, strings.TrimPrefix(tt.answer, "-"))
		s.There, s.For = tt.answer != "", tt.use
		asked := "none"
		s.Authorise = func(_ context.Context, a *config.Account) error {
			if asked = a.RefreshToken.Text(); len(a.Secret) != 1 || a.Secret[0].Text() != "oauth2:own" || a.User != "ann" {
				t.Errorf("%s: asked for %+v", tt.name, a)
			}
			return nil
		}
		text := head
		if tt.name == "nobody's consent" {
			text = strings.Replace(head, "\nauth-url", "\ngrant = \"client-credentials\"\nclient-secret = \"keyring\"\nauth-url", 1)
		}
		got, err := s.relogin(t, text+tt.has)
		if (err == nil) != (tt.kind == "") || err != nil && !strings.Contains(err.Error(), tt.kind) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got != text+tt.want || asked != tt.refresh {
			t.Errorf("%s: left\n%s\nthe refresh token is in %q, want %q", tt.name, got, asked, tt.refresh)
		}
		said := "Refresh token for ann at smtp.example.org stored in " + strings.TrimPrefix(strings.Replace(cmp.Or(tt.refresh, "keyring"), "keyring", "the keyring", 1), "file:") + "\n"
		if tt.name == "nobody's consent" {
			said = "Access tokens for ann at smtp.example.org work; they come from oauth2:own\n"
		}
		if err == nil && !strings.HasPrefix(s.out.String(), said) {
			t.Errorf("%s: said\n%s\nwant %s", tt.name, s.out.String(), said)
		}
	}
}

// TestLoginForFails: an impossible login is refused before a password is asked for, and
// nothing is changed.
func TestLoginForFails(t *testing.T) {
	const work = "[accounts.work]\nserver = \"smtps://smtp.example.org\"\nuser = \"ann\"\n"
	tests := []struct {
		name, text, use string
		noKeyring       bool
		want            status.Kind
		words           string
	}{
		{"no such use", work, "laptop", false, status.Usage, "--for can only be desktop, cron, service, container or machine"},
		{"not for one", work, "machine", false, status.Usage, "--for machine can only be used with --setup"},
		{"not a table", "accounts.work.server = \"smtps://smtp.example.org\"\naccounts.work.user = \"ann\"\n", "cron", false, status.Config, `write into the account secret = "file:~/.config/sendoff/work.secret"`},
		{"no keyring", work + "secret = \"command:pass\"\n", "desktop", true, status.Credential, "to keep the password in a file, use --for cron"},
		{"nothing to write to", work + "secret = \"command:pass\"\n", "", false, status.Credential, "can store passwords only"},
	}
	for _, tt := range tests {
		s := newStage(t)
		s.There, s.For = false, tt.use
		if tt.noKeyring {
			s.Store.Keyring = noKeyring{}
		}
		got, err := s.relogin(t, tt.text)
		if status.KindOf(err) != tt.want || !strings.Contains(err.Error(), tt.words) || got != tt.text {
			t.Errorf("%s: %v, left\n%s", tt.name, err, got)
		}
	}
	s := newStage(t)
	s.passwords = []string{"right"}
	got, err := s.relogin(t, work+"secret = \"file:~/.config/sendoff/config.toml/x\"\n")
	if status.KindOf(err) != status.Credential || !strings.Contains(err.Error(), "/x: open: not a directory") || len(s.passwords) != 1 {
		t.Errorf("where no file can be: %v, left\n%s\n%s", err, got, s.shown.String())
	}
	s = newStage(t)
	s.There, s.For, s.passwords = false, "cron", []string{"right"}
	var server config.Server
	if err := server.UnmarshalText([]byte("smtps://smtp.example.org")); err != nil {
		t.Fatal(err)
	}
	a := &config.Account{Name: "environment", User: "ann", Servers: config.List[config.Server]{server}}
	if err := s.Login(t.Context(), config.Default(), a); status.KindOf(err) != status.Usage || len(s.passwords) != 1 {
		t.Errorf("without a file: %v", err)
	}
}

// TestLoginLeavesFile: if the keyring replaces a file, the file stays, and a line says so.
func TestLoginLeavesFile(t *testing.T) {
	for _, there := range []bool{true, false} {
		s := newStage(t)
		s.There, s.For, s.passwords = false, "desktop", []string{"right"}
		file := filepath.Join(s.Paths.Home, "old.secret")
		if there {
			if err := os.WriteFile(file, []byte("old\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.relogin(t, "[accounts.work]\nserver = \"smtps://smtp.example.org\"\nuser = \"ann\"\nsecret = \"file:~/old.secret\"\n"); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(file); there && (err != nil || string(text) != "old\n") {
			t.Errorf("the file has %q, %v", text, err)
		}
		const said = "~/old.secret is no longer used; delete it if nothing else needs it\n"
		if strings.Contains(s.out.String(), said) != there {
			t.Errorf("a file is there: %t; said:\n%s", there, s.out.String())
		}
	}
}

// A noKeyring says that there is no keyring.
type noKeyring struct{ memory }

func (noKeyring) Get(string, string) (string, error) { return "", credential.ErrNoBus }

// TestLoginForgetsOld: a refresh token that has moved is deleted at the old place, unless
// another account uses it.
func TestLoginForgetsOld(t *testing.T) {
	const item = "oauth2:own:ann@smtp.example.org"
	const account = "[accounts.%s]\nserver = \"smtps://smtp.example.org\"\nuser = \"%s\"\nsecret = \"oauth2:own\"\n"
	for _, tt := range []struct {
		other string // the other account's user
		left  bool
	}{{"", false}, {"bob", false}, {"ann", true}} {
		s := newStage(t)
		s.There, s.For, s.ring[item] = false, "cron", "old"
		s.Authorise = func(context.Context, *config.Account) error { return nil }
		text := own + fmt.Sprintf(account, "work", "ann")
		if tt.other != "" {
			text += fmt.Sprintf(account, "other", tt.other)
		}
		if _, err := s.relogin(t, text); err != nil {
			t.Fatal(err)
		}
		if _, left := s.ring[item]; left != tt.left {
			t.Errorf("beside %q: left %v, want %v: %v", tt.other, left, tt.left, s.ring)
		}
	}
}

// TestLoginLeavesSharedFile: accounts with the same file share its refresh token, whatever
// their users are, and however the path is written.
func TestLoginLeavesSharedFile(t *testing.T) {
	const account = "[accounts.%s]\nserver = \"smtps://smtp.example.org\"\nuser = %[1]q\nsecret = \"oauth2:own\"\nrefresh-token = %q\n"
	for _, tt := range []struct {
		other string // the path of the other account's refresh token
		left  bool
	}{{"~/other.secret", false}, {"~/token.secret", true}, {"HOME/token.secret", true}} {
		s := newStage(t)
		s.There, s.For = false, "desktop"
		s.Authorise = func(context.Context, *config.Account) error { return nil }
		path := filepath.Join(s.Paths.Home, "token.secret")
		if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		other := "file:" + strings.Replace(tt.other, "HOME", s.Paths.Home, 1)
		if _, err := s.relogin(t, own+fmt.Sprintf(account, "ann", "file:~/token.secret")+fmt.Sprintf(account, "bob", other)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); (err == nil) != tt.left {
			t.Errorf("beside %s: left %v, want %v", other, err == nil, tt.left)
		}
	}
}

// TestLockedFolder: a locked folder cannot be locked again before it is released.
func TestLockedFolder(t *testing.T) {
	folder := t.TempDir()
	release, ok := process.LockFolder(folder, time.Minute)
	if !ok {
		t.Skip("folders cannot be locked here")
	}
	if _, again := process.LockFolder(folder, 0); again {
		t.Skip("folders cannot be locked here")
	}
	release()
	if release, ok := process.LockFolder(folder, 0); !ok {
		t.Error("the lock was not given back")
	} else {
		release()
	}
}

// TestServiceUnit: the unit needs the user, if only this user can read the file, and the
// path, if it is not a usual one. Of other users' files, only those of root can be used.
func TestServiceUnit(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("systemd is not there")
	}
	none := func(string) string { return "" }
	ann, root := config.Identity{UID: 1000, Login: "ann", Home: "/home/ann"}, config.Identity{Login: "root", Home: "/root"}
	tests := []struct {
		id           config.Identity
		file         string
		lines, who   string // a part of them
		usual, never bool   // usual: the user's own file; never: no text about other users
	}{
		{ann, "", "    User=ann\n", "the service runs as ann then", true, false},
		{ann, "/srv/100% mine.toml", "    User=ann\n    Environment=\"SENDOFF_CONFIG=/srv/100%% mine.toml\"\n", "the service runs as ann then", false, false},
		{root, "", "", "the service has to run as root", true, false},
		{root, config.Find("", none, root).System, "", "the service has to be able to read ", false, true},
		{root, "/srv/x.toml", "    Environment=\"SENDOFF_CONFIG=/srv/x.toml\"\n", "the service has to be able to read /srv/x.toml", false, true},
	}
	for _, tt := range tests {
		if tt.usual {
			tt.file = config.Find("", none, tt.id).User
		}
		var out strings.Builder
		c := &conversation{Setup: &Setup{Identity: tt.id, Out: &out}, file: tt.file}
		if err := c.ref.UnmarshalText([]byte("systemd:x")); err != nil {
			t.Fatal(err)
		}
		c.explainCredential()
		_, unit, _ := strings.Cut(out.String(), "    [Service]\n")
		who, ok := strings.CutPrefix(unit, tt.lines+"    LoadCredentialEncrypted=x:/etc/credstore.encrypted/x\n"+tt.who)
		if !ok || strings.Contains(who, "--config") == tt.never || strings.Count(who, "\n") != 1 {
			t.Errorf("%s, %s:\n%s", tt.id.Login, tt.file, out.String())
		}
	}
}
