package login

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// started returns a Login of Start for an account whose secret is in a file.
func started(t *testing.T, a *config.Account) *Login {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("s3kr1t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a.Secret == nil {
		a.Secret = from(t, "file:"+file)
	}
	l, err := (&Secrets{Config: new(config.Config), Store: new(credential.Store)}).Start(t.Context(), a, credential.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestStart tests which accounts log in, and with which secret.
func TestStart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		a      config.Account
		none   bool
		secret string
	}{
		{"no user", config.Account{}, true, ""},
		{"no secret, on purpose", config.Account{User: "ann", Secret: from(t, "none")}, true, ""},
		{"a certificate", config.Account{User: "ann", TLSCert: "cert.pem", Auth: config.List[string]{"EXTERNAL"}}, false, ""},
		{"a password", config.Account{User: "ann"}, false, "s3kr1t"},
	} {
		l := started(t, &tt.a)
		if (l == nil) != tt.none {
			t.Errorf("%s: %v", tt.name, l)
		}
		l.Close()
		if l == nil {
			continue
		}
		for range 2 { // the second call is for the next server
			if secret, err := l.Secret(t.Context()); err != nil || secret.Reveal() != tt.secret {
				t.Errorf("%s: %q, %v", tt.name, secret.Reveal(), err)
			}
		}
	}
}

// TestAuth tests that no password is sent to another machine without TLS.
func TestAuth(t *testing.T) {
	for _, tt := range []struct {
		local bool
		cs    *tls.ConnectionState
		kind  status.Kind
	}{
		{false, new(tls.ConnectionState), 0},
		{true, nil, 0},
		{false, nil, status.Insecure},
	} {
		l := started(t, &config.Account{User: "ann"})
		l.To(tt.local, netip.AddrPort{}, netip.AddrPort{})
		got, err := l.Auth(t.Context(), []string{"PLAIN"}, tt.cs)
		if tt.kind != 0 {
			if status.KindOf(err) != tt.kind {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if err != nil || got.Secret != "s3kr1t" {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestBlame tests that the error of a refused login says where user and secret are from.
func TestBlame(t *testing.T) {
	refused := status.AuthFailed.Wrap(&smtp.Refusal{Reply: smtp.Reply{Code: 535, Lines: []string{"no"}}})
	l := started(t, &config.Account{User: "ann", UserFrom: "the environment"})
	if got := l.Blame(t.Context(), refused).Error(); !strings.HasSuffix(got, "; the user is from the environment") {
		t.Errorf("%s", got)
	}
	if other := errors.New("lost"); l.Blame(t.Context(), other) != other {
		t.Error("another error is not left as it is")
	}
	l = started(t, &config.Account{User: "ann", Secret: from(t, "command:echo s3kr1t")})
	if got := l.Blame(t.Context(), refused).Error(); !strings.HasSuffix(got, "; the secret is from command echo") {
		t.Errorf("%s", got)
	}
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("s3kr1t"), 0o600); err != nil {
		t.Fatal(err)
	}
	l = started(t, &config.Account{User: "ann", Secret: from(t, "file:"+path)})
	if got := l.Blame(t.Context(), refused); got != refused {
		t.Errorf("%v", got)
	}
	if got := (*Login)(nil).Blame(t.Context(), refused); got != refused {
		t.Errorf("%v", got)
	}
}

// TestPassedOver tests that a mechanism which the server offers and refuses is named.
func TestPassedOver(t *testing.T) {
	l := started(t, &config.Account{User: "ann"})
	for _, offered := range [][]string{{"SCRAM-SHA-256"}, {"PLAIN"}} {
		if _, err := l.Auth(t.Context(), offered, new(tls.ConnectionState)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := l.PassedOver(), `the server offers AUTH SCRAM-SHA-256 and refuses it; to avoid the attempt set auth = "PLAIN"`; got != want {
		t.Errorf("%q", got)
	}
	l.To(false, netip.AddrPort{}, netip.AddrPort{})
	if got := l.PassedOver(); got != "" {
		t.Errorf("of another session: %q", got)
	}
}

// TestProxyForTokens tests that the provider of access tokens is asked only through the
// account's proxy.
func TestProxyForTokens(t *testing.T) {
	a := &config.Account{Name: "work", User: "ann@example.org"}
	a.Secret, a.RefreshToken = from(t, "oauth2:test"), from(t, "file:/nowhere")[0]
	a.Proxy.Address = "127.0.0.1:1080"
	test := &config.OAuth2{Name: "test", ClientID: "c", TokenURL: config.Endpoint{URL: "https://provider.example/t"}}
	asked := make(chan string, 2)
	d := &dial.Dialer{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		here, there := net.Pipe()
		asked <- address
		go func() {
			defer there.Close()
			b := make([]byte, 512)
			there.Read(b)
			there.Write([]byte{5, 0})
			n, _ := there.Read(b)
			asked <- string(b[5:max(5, n-2)])
		}()
		return here, nil
	}}
	s := &Secrets{Config: &config.Config{Providers: []*config.OAuth2{test}}, Store: new(credential.Store), Dialer: d}
	_, item, err := s.Credentials(a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = item.OAuth2.Dial(t.Context(), "tcp", "provider.example:443")
	if proxy, name := <-asked, <-asked; proxy != "127.0.0.1:1080" || name != "provider.example" || err == nil {
		t.Errorf("asked %s for %s: %v", proxy, name, err)
	}
	a.Proxy.Address = ""
	if _, item, err = s.Credentials(a); err != nil || item.OAuth2.Dial != nil {
		t.Errorf("without a proxy: %v", err)
	}
}

// from returns one source of a secret.
func from(t *testing.T, text string) config.List[credential.Ref] {
	t.Helper()
	ref, err := credential.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return config.List[credential.Ref]{ref}
}
