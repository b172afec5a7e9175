//go:build e2e && linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestAccountFault breaks the account in one way after the other. The sendoff
// face fails with the fault's own code; the sendmail face with 75, as its
// callers take the others for a bounce.
func TestAccountFault(t *testing.T) {
	s := mail(t)
	url := func(scheme string, port int) string { return quote(fmt.Sprintf("%s://localhost:%d", scheme, port)) }
	tests := []struct {
		name    string
		changes settings
		exit    int
		words   []string
	}{
		{"wrong password, PLAIN", settings{"auth": `["PLAIN"]`, "secret": quote("file:" + secretFile(t, "wrong"))}, 77, []string{"535", "authentication failed", hint}},
		{"wrong password, LOGIN", settings{"auth": `["LOGIN"]`, "secret": quote("file:" + secretFile(t, "wrong"))}, 77, []string{"535", "authentication failed", hint}},
		{"unknown user", settings{"user": quote("eve@example.org")}, 77, []string{"535", hint}},
		{"a mechanism that is none", settings{"auth": `["PLIAN"]`}, 78, []string{"PLIAN"}},
		{"unknown authority", settings{"tls-ca": ""}, 77, []string{"certificate", "unknown authority", hint}},
		{"certificate for another host", settings{"server": url("smtps", s.otherName)}, 77, []string{"certificate", "mail.example.com", "localhost", hint}},
		{"certificate of last year", settings{"server": url("smtps", s.expired)}, 77, []string{"certificate", "expired", hint}},
		{"TLS where STARTTLS is spoken", settings{"server": url("smtps", s.smtp)}, 77, []string{"TLS", hint, "smtp://"}},
		{"STARTTLS where TLS is spoken", settings{"server": url("smtp", s.smtps), "timeout": `"3s"`}, 75, []string{hint, "smtps://"}},
		{"no such secret", settings{"secret": quote("file:/nonexistent/secret")}, 77, []string{"/nonexistent/secret", hint}},
		{"a secret's command fails", settings{"secret": quote("command:sh -c 'echo the vault is shut >&2; exit 3'")}, 77, []string{"the vault is shut", hint}},
		{"nobody listens", settings{"server": `"smtps://127.0.0.1:1"`}, 75, []string{"127.0.0.1:1", "refused"}},
		{"a setting misspelt", settings{"sever": `"smtps://localhost"`}, 78, []string{"config.toml:", "sever"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := config(t, s.account(t, tt.changes))
			box := s.box()
			call{args: []string{"--config", file, box}, stdin: header + "\nx\n"}.fails(t, tt.exit, tt.words...)
			call{as: "sendmail", args: []string{box}, env: []string{"SENDOFF_CONFIG=" + file}, stdin: header + "\nx\n"}.fails(t, 75, tt.words...)
		})
	}
	t.Run("no configuration", func(t *testing.T) {
		call{args: []string{s.box()}, stdin: header + "\nx\n"}.fails(t, 78)
		call{as: "sendmail", args: []string{s.box()}, stdin: header + "\nx\n"}.fails(t, 75)
	})
}

// TestRefusal sends what the server, or sendoff, does not take.
func TestRefusal(t *testing.T) {
	s := mail(t)
	file := config(t, s.account(t, nil))
	box := s.box()
	// A line of text, as long as the server's limit.
	huge := header + "\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 8_000_000/71+1)
	tests := []struct {
		name  string
		args  []string
		stdin string
		exit  int
		words []string
	}{
		{"some recipients unknown", []string{"ghost@example.net", box, "phantom@example.net"}, header + "\nx\n", 67, []string{"ghost@example.net", "phantom@example.net", "5.1.1", "unknown"}},
		{"all recipients unknown", []string{"ghost@example.net"}, header + "\nx\n", 67, []string{"ghost@example.net", "5.1.1"}},
		{"relaying refused by the next hop", []string{"bob@example.com"}, header + "\nx\n", 67, []string{"bob@example.com", "no mail leaves this host"}},
		{"too big", []string{box}, huge, 65, []string{"8000000"}},
		{"an address that is none", []string{"-t"}, "To: " + box + ", <broken\n" + header + "\nx\n", 65, []string{"broken"}},
		{"no recipients", nil, header + "\nx\n", 64, nil},
	}
	for _, tt := range tests {
		for _, face := range []string{"sendoff", "sendmail"} {
			t.Run(tt.name+", "+face, func(t *testing.T) {
				call{as: face, args: tt.args, env: []string{"SENDOFF_CONFIG=" + file}, stdin: tt.stdin}.fails(t, tt.exit, tt.words...)
			})
		}
	}
	// Of all these only the first came to the good address, once from each face, and
	// from sendmail also that beside an address that is none; what was sent in
	// between would be there before one more.
	call{args: []string{box}, env: []string{"SENDOFF_CONFIG=" + file}, stdin: header + "\nx\n"}.succeeds(t)
	s.fetch(t, box, 4)
}
