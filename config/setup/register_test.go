package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// consenting makes the person of s consent, which stores a token. It returns the provider
// that Authorise knows at this time.
func (s *stage) consenting(t *testing.T) *config.OAuth2 {
	known := &config.OAuth2{}
	s.Provide = func(p *config.OAuth2) { *known = *p }
	s.Authorise = func(_ context.Context, a *config.Account) error {
		if a.Secret[0].Text() != "oauth2:"+known.Name {
			t.Errorf("asked for %s, known is %q", a.Secret, known.Name)
		}
		for _, ref := range known.ClientSecret {
			if _, err := s.Store.Get(t.Context(), []credential.Ref{ref}, credential.Item{}); err != nil {
				t.Errorf("the client's secret: %v", err)
			}
		}
		return nil
	}
	s.Withdraw = func(context.Context, *config.Account) error { return nil }
	return known
}

// TestRegister: a person who chooses access tokens is asked for the client ID, and the
// configuration gets a table for the provider.
func TestRegister(t *testing.T) {
	s := newStage(t, "oauth2", "123.apps.example", "cron")
	s.Address, s.passwords = "ann@gmail.com", []string{"client secret"}
	known := s.consenting(t)
	s.Try = func(context.Context, Trial) (Seen, error) { return Seen{Mechanisms: []string{"PLAIN", "XOAUTH2"}}, nil }
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, s.shown.String())
	}
	const want = `[oauth2.google]
client-id = "123.apps.example"
client-secret = "file:~/.config/sendoff/oauth2-google.secret"

[accounts.gmail]
server = "smtps://smtp.gmail.com"
user = "ann@gmail.com"
from = "ann@gmail.com"
secret = "oauth2:google"
refresh-token = "file:~/.config/sendoff/gmail.secret"
`
	if got := s.file(t); got != want {
		t.Errorf("written:\n%swant:\n%s", got, want)
	}
	if known.ClientID != "123.apps.example" || !strings.HasPrefix(known.TokenURL.URL, "https://oauth2.googleapis.com/") {
		t.Errorf("known: %+v", known)
	}
	if text, _ := os.ReadFile(filepath.Join(filepath.Dir(s.Paths.User), "oauth2-google.secret")); string(text) != "client secret\n" {
		t.Errorf("the client's secret is %q", text)
	}
	if strings.Contains(s.shown.String()+s.out.String(), "client secret\n") {
		t.Error("the client's secret is shown")
	}
}

// TestClientSecretWrong: a wrong client secret fails after the consent, and is removed.
func TestClientSecretWrong(t *testing.T) {
	for _, tt := range []struct {
		typed []string
		file  string
		want  string
	}{
		{[]string{"right"}, "", ""},
		{[]string{"wrong", "right"}, "", "account not saved: the provider refused: invalid_client"},
		{nil, "wrong", "account not saved: the provider refused: invalid_client"},
	} {
		s := newStage(t, "oauth2", "123.apps.example", "cron")
		s.Address, s.passwords = "ann@gmail.com", tt.typed
		if tt.file != "" {
			s.ClientSecretFile = filepath.Join(s.Paths.Home, "given")
			if err := os.WriteFile(s.ClientSecretFile, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.consenting(t)
		kept := filepath.Join(filepath.Dir(s.Paths.User), "oauth2-google.secret")
		s.Authorise = func(context.Context, *config.Account) error {
			if text, _ := os.ReadFile(kept); string(text) != "right\n" {
				return status.AuthFailed.Errorf("the provider refused: invalid_client")
			}
			return nil
		}
		s.Try = func(context.Context, Trial) (Seen, error) { return Seen{Mechanisms: []string{"PLAIN", "XOAUTH2"}}, nil }
		err := s.Run(t.Context())
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%q: %v\n%s", tt.typed, err, s.shown.String())
		}
		if _, left := os.Stat(kept); (left == nil) != (err == nil) {
			t.Errorf("%q: the client secret's file: %v", tt.typed, left)
		}
	}
}

// TestRegisterForEverybody: the tokens of a consent are stored before the system's
// configuration is written. All users can still read its folder.
func TestRegisterForEverybody(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	s := newStage(t, "oauth2", "123.apps.example", "cron")
	s.Address, s.passwords = "ann@gmail.com", []string{"client secret"}
	s.Paths.Explicit = filepath.Join(t.TempDir(), "etc", "config.toml")
	s.consenting(t)
	s.Try = func(context.Context, Trial) (Seen, error) { return Seen{Mechanisms: []string{"PLAIN", "XOAUTH2"}}, nil }
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, s.shown.String())
	}
	for _, row := range []struct {
		path string
		want os.FileMode
	}{
		{filepath.Dir(s.Paths.Explicit), 0o755 | os.ModeDir},
		{s.Paths.Explicit, 0o644},
		{filepath.Join(filepath.Dir(s.Paths.Explicit), "oauth2-google.secret"), 0o600},
	} {
		info, err := os.Stat(row.path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != row.want {
			t.Errorf("%s: %v, want %v", row.path, info.Mode(), row.want)
		}
	}
}

// TestRegisterByOptions: options answer the questions, and an existing table needs no
// options. If an answer is missing, the error names the option. After a failure, nothing
// stays.
func TestRegisterByOptions(t *testing.T) {
	const office = "[oauth2.microsoft]\nclient-id = \"1\"\n"
	tests := []struct {
		name, has, secret, server, id, tenant string
		fails                                 bool // the login fails
		want, table                           string
	}{
		{"Microsoft", "", "oauth2:microsoft", "smtp://smtp.office365.com", "11", "example.com", false, "", "[oauth2.microsoft]\nclient-id = \"11\"\nclient-secret = \"file:~/.config/sendoff/oauth2-microsoft.secret\"\ntenant = \"example.com\"\n"},
		{"no tenant", "", "oauth2:microsoft", "smtp://smtp.office365.com", "11", "", false, "", "[oauth2.microsoft]\nclient-id = \"11\"\nclient-secret = \"file:~/.config/sendoff/oauth2-microsoft.secret\"\n"},
		{"there already", office, "oauth2:microsoft", "smtp://smtp.office365.com", "", "", false, "", office},
		{"there, and another id", office, "oauth2:microsoft", "smtp://smtp.office365.com", "11", "", false, "has [oauth2.microsoft] already", ""},
		{"no id", "", "oauth2:google", "smtps://smtp.gmail.com", "", "", false, "give --client-id ID", ""},
		{"an id of no provider", "", "command:pass", "smtps://smtp.gmail.com", "11", "", false, "can only be used with --secret oauth2:NAME", ""},
		{"not built in", "", "oauth2:other", "smtps://smtp.gmail.com", "11", "", false, "the configuration has no [oauth2.other]", ""},
		{"an id that hides", "", "oauth2:google", "smtps://smtp.gmail.com", "1\u202e1", "", false, "--client-id: it contains characters", ""},
		{"no login", "", "oauth2:google", "smtps://smtp.gmail.com", "11", "", true, "account not saved: 535", ""},
		{"no source", "", "", "smtp://smtp.office365.com", "", "", false, "such as oauth2:microsoft", ""},
	}
	for _, tt := range tests {
		s := newStage(t)
		s.There = false
		s.Address, s.Server, s.Setup.Secret, s.ClientID, s.Tenant, s.For, s.Yes = "ann@example.org", tt.server, tt.secret, tt.id, tt.tenant, "cron", true
		known := s.consenting(t)
		folder := filepath.Dir(s.Paths.User)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if tt.has != "" {
			known.Name = "microsoft"
			if err := os.WriteFile(s.Paths.User, []byte(tt.has), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if tt.id != "" {
			s.ClientSecretFile = filepath.Join(s.Paths.Home, "given")
			if err := os.WriteFile(s.ClientSecretFile, []byte("client secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.Try = func(_ context.Context, tr Trial) (Seen, error) {
			if tt.fails && tr.Account.User != "" {
				return Seen{}, status.AuthFailed.Errorf("535 wrong")
			}
			return Seen{Mechanisms: []string{"PLAIN", "XOAUTH2"}}, nil
		}
		err := s.Run(t.Context())
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q\n%s", tt.name, err, tt.want, s.shown.String())
		}
		if err == nil && !strings.HasPrefix(s.file(t), tt.table+"\n[accounts.example]\n") {
			t.Errorf("%s: written\n%s", tt.name, s.file(t))
		}
		if err != nil && s.file(t) != tt.has {
			t.Errorf("%s: left\n%s", tt.name, s.file(t))
		}
		if _, err := os.Stat(filepath.Join(folder, "oauth2-google.secret")); tt.want != "" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the client's secret is left", tt.name)
		}
	}
}
