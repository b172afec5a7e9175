package setup

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// A memory is a keyring in memory.
type memory map[string]string

func (m memory) Get(_, user string) (string, error) {
	if s, ok := m[user]; ok {
		return s, nil
	}
	return "", credential.ErrNotFound
}
func (m memory) Set(_, user, secret string) error { m[user] = secret; return nil }
func (m memory) Delete(_, user string) error      { delete(m, user); return nil }

// A stage has what a conversation needs: a home, a keyring, and a server that accepts a
// single password.
type stage struct {
	Setup
	ring      memory
	shown     strings.Builder
	out       strings.Builder
	passwords []string // the passwords that the person types, in order
	trials    []string
	offered   []string // the server's mechanisms; nil: only PLAIN
	keyless   bool     // the server lacks the SCRAM keys of the user
}

func newStage(t *testing.T, answers ...string) *stage {
	s := &stage{ring: memory{}}
	home := t.TempDir()
	s.Paths = config.Paths{User: filepath.Join(home, ".config", "sendoff", "config.toml"), Home: home}
	s.Store = &credential.Store{Keyring: s.ring, Home: home}
	s.Setup.Out = &s.out
	s.Person = Person{There: true, In: strings.NewReader(strings.Join(answers, "\n") + "\n"), Shown: &s.shown, Secret: s.typed}
	s.Try = s.try
	return s
}

func (s *stage) typed(prompt string) (string, error) {
	s.shown.WriteString(prompt + "\n")
	if len(s.passwords) == 0 {
		return "", errors.New("nothing is typed")
	}
	text := s.passwords[0]
	s.passwords = s.passwords[1:]
	return text, nil
}

func (s *stage) try(_ context.Context, t Trial) (Seen, error) {
	a := t.Account
	seen := Seen{[]string{"connected to " + a.Servers[0].String()}, []string{"PLAIN"}}
	if a.Servers[0].Host == "token.example" {
		seen.Mechanisms = []string{"XOAUTH2"}
	}
	if s.offered != nil {
		seen.Mechanisms = s.offered
	}
	if a.User == "" {
		return seen, nil
	}
	s.trials = append(s.trials, strings.TrimSpace(a.User+" "+t.Secret.Reveal()+" "+strings.Join(a.Auth, ",")))
	if t.Secret.Reveal() != "right" || s.keyless && len(a.Auth) > 0 {
		return seen, status.AuthFailed.Errorf("535 wrong")
	}
	return seen, nil
}

func (s *stage) file(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.Paths.User)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// TestPerson: a person answers all questions, and types a wrong password once.
func TestPerson(t *testing.T) {
	s := newStage(t, "no address", "ann@gmail.com", "certificate", "3", "1", "kitchen", "5", "1")
	s.passwords = []string{"wrong", "right"}
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, s.shown.String())
	}
	const want = "[accounts.gmail]\nserver = \"smtps://smtp.gmail.com\"\nuser = \"ann@gmail.com\"\nfrom = \"ann@gmail.com\"\nsecret = \"keyring\"\n"
	if got := s.file(t); got != want {
		t.Errorf("written:\n%swant:\n%s", got, want)
	}
	if got := s.ring["ann@gmail.com@smtp.gmail.com"]; got != "right" {
		t.Errorf("the keyring has %q", got)
	}
	if len(s.trials) != 2 {
		t.Errorf("trials: %q", s.trials)
	}
	for _, words := range []string{"App password for ann@gmail.com at smtp.gmail.com", "from 1 to 2", "from 1 to 4", "535 wrong", "  1) this desktop: password in your keyring\n"} {
		if !strings.Contains(s.shown.String(), words) {
			t.Errorf("not shown: %s", words)
		}
	}
	if strings.Contains(s.shown.String()+s.out.String(), "right") {
		t.Error("the password is shown")
	}
	if want := "Saved account \"gmail\" in ~/.config/sendoff/config.toml;\nthe password is in the keyring\nTry it: echo test | sendoff -a gmail ann@gmail.com\n"; s.out.String() != want {
		t.Errorf("said:\n%swant:\n%s", s.out.String(), want)
	}
	for line := range strings.Lines(strings.ReplaceAll(s.shown.String(), "]: ", "]: \n") + s.out.String()) {
		if len(line) > screenWidth+1 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

// TestBoundLogin: after a password has worked, a login bound to the TLS connection is tried
// once. If it works, the account names its mechanism.
func TestBoundLogin(t *testing.T) {
	const both = "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN"
	for _, tt := range []struct {
		offered string
		keyless bool
		auth    string // the setting auth of the account; "": none
		trials  string
	}{
		{both, false, "SCRAM-SHA-256-PLUS", "ann@gmail.com wrong; ann@gmail.com right; ann@gmail.com right SCRAM-SHA-256-PLUS"},
		{both, true, "", "ann@gmail.com wrong; ann@gmail.com right; ann@gmail.com right SCRAM-SHA-256-PLUS"},
		{"SCRAM-SHA-1-PLUS PLAIN", false, "SCRAM-SHA-1-PLUS", "ann@gmail.com wrong; ann@gmail.com right; ann@gmail.com right SCRAM-SHA-1-PLUS"},
		{"SCRAM-SHA-256 PLAIN", false, "", "ann@gmail.com wrong; ann@gmail.com right"},
	} {
		s := newStage(t, "ann@gmail.com", "password", "desktop")
		s.passwords, s.offered, s.keyless = []string{"wrong", "right"}, strings.Fields(tt.offered), tt.keyless
		if err := s.Run(t.Context()); err != nil {
			t.Fatalf("%v\n%s", err, s.shown.String())
		}
		if got := strings.Join(s.trials, "; "); got != tt.trials {
			t.Errorf("%s: trials: %s", tt.offered, got)
		}
		_, after, named := strings.Cut(s.file(t), "auth = \"")
		if auth, _, _ := strings.Cut(after, "\""); named != (tt.auth != "") || auth != tt.auth {
			t.Errorf("%s: written:\n%s", tt.offered, s.file(t))
		}
	}
}

// TestNothingWritten: if a person types three wrong passwords, or goes away, nothing is
// stored.
func TestNothingWritten(t *testing.T) {
	const all = "ann@gmail.com\n\ncron"
	tests := []struct {
		name, answers string
		passwords     []string
		want          status.Kind
	}{
		{"wrong passwords", all, []string{"a", "b", "c", "right"}, status.AuthFailed},
		{"no password", all, nil, status.NoInput},
		{"empty passwords", all, []string{"", "", "", "right"}, status.Usage},
		{"gone at the begin", "", nil, status.NoInput},
		{"gone at the login", "ann@gmail.com", nil, status.NoInput},
		{"gone at the client ID", "ann@gmail.com\n2", nil, status.NoInput},
		{"gone at the use", "ann@gmail.com\n1", nil, status.NoInput},
	}
	for _, tt := range tests {
		s := newStage(t)
		s.In, s.passwords = strings.NewReader(tt.answers+"\n"), tt.passwords
		err := s.Run(t.Context())
		if err == nil || status.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if left, _ := os.ReadDir(s.Paths.Home); len(left) > 0 || len(s.ring) > 0 {
			t.Errorf("%s: left behind: %v, %v", tt.name, left, s.ring)
		}
	}
}

// TestSetupSpares: an existing secret is replaced only if a person agrees, or with --force.
// If it is the same secret, there is no question, even if the user has not named the file.
func TestSetupSpares(t *testing.T) {
	tests := []struct {
		name, use, secret, there, answer string
		force, isThere                   bool
		want, file                       string
	}{
		{"no", "desktop", "", "theirs", "n", false, true, "keyring contains another secret already", ""},
		{"yes", "desktop", "", "theirs", "y", false, true, "", ""},
		{"nobody to ask", "desktop", "", "theirs", "", false, false, "give --force", ""},
		{"by force", "desktop", "", "theirs", "", true, false, "", ""},
		{"the same", "desktop", "", "right", "", false, false, "", ""},
		{"a file", "cron", "", "theirs", "", false, false, "give --force", ""},
		{"a file, no", "cron", "", "theirs", "n", false, true, "example.secret contains another secret already", ""},
		{"the same file", "cron", "", "right", "", false, false, "", "example.secret"},
		{"a file that is named", "cron", "file:~/.config/sendoff/example.secret", "theirs", "", false, false, "give --force", "example.secret"},
	}
	for _, tt := range tests {
		s := newStage(t, tt.answer)
		folder := filepath.Dir(s.Paths.User)
		first, given := filepath.Join(folder, "example.secret"), filepath.Join(s.Paths.Home, "given")
		err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(first, []byte(tt.there+"\n"), 0o600), os.WriteFile(given, []byte("right\n"), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		s.ring["ann@example.org@smtp.example.org"] = tt.there
		s.Address, s.Server, s.User, s.For, s.PasswordFile = "ann@example.org", "smtps://smtp.example.org", "ann@example.org", tt.use, given
		s.There, s.Force, s.Setup.Secret, s.Account = tt.isThere, tt.force, tt.secret, "example"
		err = s.Run(t.Context())
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q\n%s", tt.name, err, tt.want, s.shown.String())
		}
		inRing, want := s.ring["ann@example.org@smtp.example.org"], tt.there
		if tt.use == "desktop" && err == nil {
			want = "right"
		}
		if left, _ := os.ReadFile(first); string(left) != tt.there+"\n" || inRing != want {
			t.Errorf("%s: left %q and %q", tt.name, left, inRing)
		}
		if err == nil && tt.file != "" && !strings.Contains(s.file(t), "/"+tt.file+"\"") {
			t.Errorf("%s: written\n%s", tt.name, s.file(t))
		}
	}
}

// TestTokens: a server that accepts only tokens is tried with a password only if the person
// wants that. With a known provider, the person consents.
func TestTokens(t *testing.T) {
	answers := []string{"", "cron"}
	tests := []struct {
		name    string
		answers []string
		secret  string
		want    string
	}{
		{"no password", append(answers, "n"), "", "accepts only OAuth tokens, not passwords: give --secret SOURCE"},
		{"a password all the same", append(answers, "y"), "", ""},
		{"no source", []string{"", ""}, "nonsense:example", "unknown secret source"},
		{"an account that is still to be", []string{"", "", ""}, "oauth2:example", "the configuration has no [oauth2.example]"},
	}
	for _, tt := range tests {
		s := newStage(t, tt.answers...)
		s.passwords = []string{"right"}
		s.Address, s.Server, s.Setup.Secret = "ann@example.org", "smtps://token.example", tt.secret
		err := s.Run(t.Context())
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %s\n%s", tt.name, err, tt.want, s.shown.String())
		}
	}
}

// TestDefaultStays: a second account does not become the default, unless it is the first in
// the user's file.
func TestDefaultStays(t *testing.T) {
	const old = "# mine\n[accounts.home] # bare\nserver = \"smtp://home.example\"\n"
	const site = "[accounts.site]\nserver = \"smtp://site.example\"\n"
	tests := []struct{ system, user, want string }{
		{"", old, "home"},
		{old, "", "example"},
		{"", "account = \"home\"\n" + old, "home"},
		{site, old, "home"},
		{"", "", ""},
	}
	for _, tt := range tests {
		s := newStage(t)
		s.Address, s.Server, s.User, s.For, s.passwords = "ann@example.org", "smtps://smtp.example.org", "ann@example.org", "desktop", []string{"right"}
		s.Paths.System = filepath.Join(s.Paths.Home, "system.toml")
		for path, text := range map[string]string{s.Paths.System: tt.system, s.Paths.User: tt.user} {
			if text == "" {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Run(t.Context()); err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		c, err := config.Load(s.Paths)
		if err != nil || c.Account != tt.want {
			t.Errorf("%+v: the default is %q, %v; want %q", tt, c.Account, err, tt.want)
		}
		if tt.user != "" && !strings.Contains(s.file(t), "[accounts.home] # bare\n") {
			t.Errorf("a line is lost:\n%s", s.file(t))
		}
	}
}

// TestUserPrintable: a user name with invisible characters is refused.
func TestUserPrintable(t *testing.T) {
	s := newStage(t)
	s.Address, s.Server, s.User = "ann@example.org", "smtps://smtp.example.org", "ann\u202egro"
	if err := s.Run(t.Context()); status.KindOf(err) != status.Usage || !strings.Contains(err.Error(), "--user: it contains characters that cannot be seen") {
		t.Errorf("--user: %v", err)
	}
	s = newStage(t, "ann\u202egro", "ann", "desktop", "")
	s.Address, s.Server, s.passwords = "ann@example.org", "smtps://smtp.example.org", []string{"right"}
	if err := s.Run(t.Context()); err != nil || s.ring["ann@smtp.example.org"] != "right" {
		t.Errorf("%v\n%s", err, s.shown.String())
	}
}

// TestPasswordSlips: a person at a terminal who types no password is asked again, at most
// tries times.
func TestPasswordSlips(t *testing.T) {
	for _, tt := range []struct {
		there     bool
		passwords []string
		want      string
		asked     int
	}{
		{true, []string{"", "right"}, "", 2},
		{true, []string{"", "", "", "right"}, "the password is empty", 3},
		{false, []string{"", "right"}, "the password is empty", 1},
	} {
		s := newStage(t)
		s.Address, s.Server, s.User, s.For, s.PasswordFile, s.passwords = "ann@example.org", "smtps://smtp.example.org", "ann@example.org", "desktop", "-", tt.passwords
		s.There = tt.there
		err := s.Run(t.Context())
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) || len(tt.passwords)-len(s.passwords) != tt.asked {
			t.Errorf("%q: %v\n%s", tt.passwords, err, s.shown.String())
		}
	}
}

// TestShowPrintable: text of a server or provider cannot control the terminal.
func TestShowPrintable(t *testing.T) {
	var b strings.Builder
	(&Person{Shown: &b}).show("a\x1b[2Jb\rc\nd")
	if got := b.String(); strings.ContainsAny(got, "\x1b\r") || strings.Count(got, "\n") != 2 {
		t.Errorf("%q", got)
	}
}

// TestConsent: for access tokens the person consents, and types no password. The refresh
// token is stored where the use can read it.
func TestConsent(t *testing.T) {
	for _, tt := range []struct{ use, there, answer, refresh string }{
		{"desktop", "", "", ""},
		{"cron", "", "", "refresh-token = \"file:~/.config/sendoff/example.secret\"\n"},
		{"cron", "theirs", "y", "refresh-token = \"file:~/.config/sendoff/example.secret\"\n"},
		{"cron", "theirs", "n", "no"},
	} {
		s := newStage(t, tt.answer)
		const table = "[oauth2.own]\nclient-id = \"1\"\ntoken-url = \"https://own.example/token\"\nauth-url = \"https://own.example/\"\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(s.Paths.User), 0o700), os.WriteFile(s.Paths.User, []byte(table), 0o600)); err != nil {
			t.Fatal(err)
		}
		if tt.there != "" {
			if err := os.WriteFile(filepath.Join(filepath.Dir(s.Paths.User), "example.secret"), []byte(tt.there), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.Address, s.Server, s.User, s.Setup.Secret, s.For = "ann@example.org", "smtps://token.example", "ann@example.org", "oauth2:own", tt.use
		asked := 0
		s.Setup.Authorise = func(_ context.Context, a *config.Account) error {
			asked++
			if a.User != "ann@example.org" || a.Secret[0].Text() != "oauth2:own" {
				t.Errorf("asked for %+v", a)
			}
			return nil
		}
		s.Try = func(_ context.Context, tr Trial) (Seen, error) {
			return Seen{Mechanisms: []string{"XOAUTH2"}}, nil
		}
		err := s.Run(t.Context())
		if tt.refresh == "no" {
			if status.KindOf(err) != status.Usage || !strings.Contains(err.Error(), "example.secret contains another secret already: to replace it give --force, to use another file --account NAME") || asked != 0 || s.file(t) != table {
				t.Errorf("%v; asked %d times, left\n%s", err, asked, s.file(t))
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, s.shown.String())
		}
		want := "secret = \"oauth2:own\"\n" + tt.refresh
		if got := s.file(t); asked != 1 || !strings.HasPrefix(got, table) || !strings.HasSuffix(got, want) {
			t.Errorf("asked %d times, written:\n%s", asked, got)
		}
		place := cmp.Or(strings.Trim(strings.TrimPrefix(tt.refresh, "refresh-token = \"file:"), "\"\n"), "the keyring")
		if said := "the refresh token is in " + place + "\n"; !strings.Contains(s.out.String(), said) {
			t.Errorf("said\n%s\nwant %s", s.out.String(), said)
		}
	}
}

// TestRemark: a person who needs a password is told which kind of password.
func TestRemark(t *testing.T) {
	for _, tt := range []struct {
		secret string
		want   bool
	}{{"", true}, {"keyring", true}, {"oauth2:google", false}} {
		s := newStage(t)
		const table = "[oauth2.google]\nclient-id = \"1\"\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(s.Paths.User), 0o700), os.WriteFile(s.Paths.User, []byte(table), 0o600)); err != nil {
			t.Fatal(err)
		}
		s.Address, s.Setup.Secret, s.For, s.Yes, s.NoTest, s.PasswordFile, s.passwords = "ann@gmail.com", tt.secret, "desktop", true, true, "-", []string{"right"}
		s.Setup.Authorise = func(context.Context, *config.Account) error { return errors.New("enough") }
		s.Setup.Withdraw = func(context.Context, *config.Account) error { return nil }
		if err := s.Run(t.Context()); err != nil && !strings.Contains(err.Error(), "enough") {
			t.Fatal(err)
		}
		if got := strings.Contains(s.shown.String(), "app password: https:"); got != tt.want {
			t.Errorf("--secret %q: %t\n%s", tt.secret, got, s.shown.String())
		}
	}
}

// TestRemarkOnce: the remark is not shown again when a person tries the server again.
func TestRemarkOnce(t *testing.T) {
	s := newStage(t, "", "", "", "1", "1")
	s.Address, s.passwords = "ann@gmail.com", []string{"right"}
	failures := 2
	s.Try = func(ctx context.Context, trial Trial) (Seen, error) {
		if failures--; failures >= 0 {
			return Seen{}, status.Insecure.Errorf("TLS: certificate of another host")
		}
		return s.try(ctx, trial)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, s.shown.String())
	}
	if n := strings.Count(s.shown.String(), "2-step verification"); n != 1 {
		t.Errorf("%d times:\n%s", n, s.shown.String())
	}
}

// TestConsentWithdrawn: if the account does not work, the new tokens are removed, but not
// those of an earlier consent. No other file is replaced.
func TestConsentWithdrawn(t *testing.T) {
	const item = "oauth2:own:ann@example.org@token.example"
	for _, there := range []string{"", "older"} {
		s := newStage(t)
		s.Address, s.Server, s.Setup.Secret, s.For, s.Yes = "ann@example.org", "smtps://token.example", "oauth2:own", "desktop", true
		s.There = false
		if there != "" {
			s.ring[item] = there
		}
		// The table is in the configuration already, so that only the login fails.
		const table = "[oauth2.own]\nclient-id = \"1\"\ntoken-url = \"https://own.example/token\"\nauth-url = \"https://own.example/\"\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(s.Paths.User), 0o700), os.WriteFile(s.Paths.User, []byte(table), 0o600)); err != nil {
			t.Fatal(err)
		}
		s.Setup.Authorise = func(context.Context, *config.Account) error { s.ring[item] = "fresh"; return nil }
		s.Setup.Withdraw = func(context.Context, *config.Account) error { delete(s.ring, item); return nil }
		if err := s.Run(t.Context()); status.KindOf(err) != status.AuthFailed || !strings.Contains(err.Error(), "account not saved") {
			t.Errorf("got %v", err)
		}
		if _, left := s.ring[item]; left != (there != "") {
			t.Errorf("there was %q, left is %v", there, s.ring)
		}
	}
}

// TestSetupPlaceFirst: a place where the secret cannot be stored is found before a mail is
// sent.
func TestSetupPlaceFirst(t *testing.T) {
	s := newStage(t)
	s.There = false
	given, folder := filepath.Join(s.Paths.Home, "given"), filepath.Join(s.Paths.Home, "file")
	if err := errors.Join(os.WriteFile(given, []byte("right\n"), 0o600), os.WriteFile(folder, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.Address, s.Server, s.PasswordFile, s.Yes = "ann@example.org", "smtps://smtp.example.org", given, true
	s.Setup.Secret = "file:" + filepath.ToSlash(folder) + "/secret" // folder is a file
	if err := s.Run(t.Context()); status.KindOf(err) != status.Credential || len(s.trials) > 0 {
		t.Errorf("got %v after %q", err, s.trials)
	}
}

// TestContainerWithoutHome: for a container no file is written, so that no home is needed.
func TestContainerWithoutHome(t *testing.T) {
	s := newStage(t)
	s.Paths, s.Store.Home = config.Paths{}, ""
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Address, s.Yes, s.For, s.PasswordFile = "ann@gmail.com", true, "container", secret
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "SENDOFF_SERVER=smtps://smtp.gmail.com\nSENDOFF_USER=ann@gmail.com\nSENDOFF_SECRET=file:/run/secrets/sendoff\nSENDOFF_FROM=ann@gmail.com\n"
	if s.out.String() != want {
		t.Errorf("got:\n%swant:\n%s", s.out.String(), want)
	}
	s = newStage(t)
	s.Paths = config.Paths{}
	s.Address, s.Yes, s.For = "ann@gmail.com", true, "cron"
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no home") {
		t.Errorf("for cron: %v", err)
	}
}
