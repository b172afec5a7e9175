//go:build e2e && linux

package e2e

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/submit/credential/oauth2test"
)

// startProvider starts what gives access tokens, and says to Dovecot whose they
// are.
//
//	sendoff ── refresh token ── provider ── whose? ── Dovecot
//	   └──────────── access token ── Postfix ───────────┘
func (s *mailServer) startProvider() error {
	s.tokens = &oauth2test.Provider{ClientID: "client", Life: time.Hour, Once: true, User: username}
	s.provider = httptest.NewServer(s.tokens)
	conf := "introspection_url = " + s.provider.URL + "/introspect\nintrospection_mode = post\n" +
		"username_attribute = username\nactive_attribute = active\nactive_value = true\n"
	return os.WriteFile(s.dir+"/oauth2.conf", []byte(conf), 0o644)
}

// TestOAuth2 logs in with access tokens, by each mechanism.
func TestOAuth2(t *testing.T) {
	s := mail(t)
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		t.Run(mechanism, func(t *testing.T) {
			home := home(t)
			if err := os.Chmod(home, 0o700); err != nil {
				t.Fatal(err)
			}
			refresh := filepath.Join(home, "refresh")
			err := os.WriteFile(refresh, []byte(s.tokens.Refresh(username)+"\n"), 0o600)
			if err := errors.Join(err, chown(refresh, lab.caller.Username)); err != nil {
				t.Fatal(err)
			}
			file := configQueue(t, s.account(t, settings{
				"secret": `"oauth2:test"`, "refresh-token": quote("file:" + refresh), "auth": `["` + mechanism + `"]`,
			}), `queue = "off"`, "[oauth2.test]", `client-id = "client"`,
				"token-url = "+quote(s.provider.URL+"/token"), "auth-url = "+quote(s.provider.URL+"/authorize"))
			before := s.tokens.Count("refresh_token")
			send := func(exit int, words ...string) {
				t.Helper()
				box := s.box()
				c := call{args: []string{"--config", file, box}, env: []string{"XDG_RUNTIME_DIR=" + home}, stdin: header + "\nIt works.\n"}
				if exit != 0 {
					c.fails(t, exit, words...)
					return
				}
				c.succeeds(t)
				if got := s.mechanism(t, s.fetch(t, box, 1)[0]); got != mechanism {
					t.Errorf("login by %s, want %s", got, mechanism)
				}
			}
			send(0)
			send(0)
			if n := s.tokens.Count("refresh_token") - before; n != 1 {
				t.Errorf("%d tokens for two mails", n)
			}
			s.tokens.Revoke(false) // Dovecot refuses what is in the cache
			send(0)
			s.tokens.Revoke(true)
			send(77, "invalid_grant", "consent again: sendoff --login work")
			if trouble := s.tokens.Trouble(); len(trouble) > 0 {
				t.Error(strings.Join(trouble, "\n"))
			}
		})
	}
	t.Run("keyring", func(t *testing.T) {
		k := newKeyring(t)
		item := []string{"service", "sendoff", "username", "oauth2:test:" + username + "@localhost"}
		first := s.tokens.Refresh(username)
		if _, err := k.do(first, append([]string{"secret-tool", "store", "--label=mail"}, item...)...); err != nil {
			t.Fatal(err)
		}
		file := configQueue(t, s.account(t, settings{"secret": `"oauth2:test"`}), `queue = "off"`, "[oauth2.test]", `client-id = "client"`,
			"token-url = "+quote(s.provider.URL+"/token"), "auth-url = "+quote(s.provider.URL+"/authorize"))
		for range 2 { // there is no cache: the second has the first one's new refresh token
			box := s.box()
			call{args: []string{"--config", file, box}, env: k.env(), stdin: header + "\nIt works.\n"}.succeeds(t)
			s.fetch(t, box, 1)
		}
		if now, _ := k.do("", append([]string{"secret-tool", "lookup"}, item...)...); now == first || !strings.HasPrefix(now, "refresh-") {
			t.Errorf("the keyring has %q", now)
		}
		if r := (call{args: []string{"--config", file, "--logout", "work"}, env: k.env()}).run(t); r.exit != 0 {
			t.Errorf("exit %d, stderr:\n%s", r.exit, r.stderr)
		}
		if now, _ := k.do("", append([]string{"secret-tool", "lookup"}, item...)...); now != "" {
			t.Errorf("the keyring still has %q", now)
		}
	})
	t.Run("a stranger's token", func(t *testing.T) {
		home := home(t)
		file := config(t, s.account(t, settings{
			"secret": quote("command:echo no-token-of-the-provider"), "auth": `["XOAUTH2"]`,
		}))
		call{args: []string{"--config", file, s.box()}, env: []string{"XDG_RUNTIME_DIR=" + home}, stdin: header + "\nx\n"}.
			fails(t, 77, "AUTH XOAUTH2: 535", "server refuses the token", "hint:")
	})
}
