package auth

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

func TestChoose(t *testing.T) {
	_, tls13, _ := connect(t, &tls.Config{})
	unbound := &tls.ConnectionState{} // no binding: TLS 1.2 without EMS, and a certificate signed with Ed25519
	var (
		over    = Facts{Protected: true, State: tls13, User: "ann", HasSecret: true}
		local   = Facts{Protected: true, User: "ann", HasSecret: true}
		open    = Facts{User: "ann", HasSecret: true}
		noBind  = Facts{Protected: true, State: unbound, User: "ann", HasSecret: true}
		bearer  = Facts{Protected: true, State: tls13, User: "ann", HasSecret: true, Token: true}
		cert    = Facts{Protected: true, State: tls13, Certificate: true}
		legacy  = Facts{Protected: true, Recorded: true, State: tls13, User: "ann", HasSecret: true}
		both    = Facts{Protected: true, State: tls13, Certificate: true, User: "ann", HasSecret: true}
		noUser  = Facts{Protected: true, State: tls13, HasSecret: true}
		noWord  = Facts{Protected: true, State: tls13, User: "ann"}
		openKey = Facts{Certificate: true, User: "ann", HasSecret: true}
	)
	all := strings.Join(Known(), " ")
	known := strings.Join(Known(), ", ")
	const plus = "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1"
	tests := []struct {
		offered, allowed string
		have             Facts
		want             string // the mechanism, or "kind: text"
	}{
		{"PLAIN LOGIN", "", local, "PLAIN"},
		{"LOGIN PLAIN", "", local, "PLAIN"},
		{"login", "", local, "LOGIN"},
		{"CRAM-MD5 plain", "", local, "PLAIN"},
		{"PLAIN LOGIN", "login", local, "LOGIN"},
		{"PLAIN LOGIN", "LOGIN PLAIN", local, "LOGIN"},
		{"LOGIN CRAM-MD5", "PLAIN cram-md5 LOGIN", local, "CRAM-MD5"},
		{"PLAIN SCRAM-SHA-256 SCRAM-SHA-1", "PLAIN SCRAM-SHA-1", open, "SCRAM-SHA-1"},
		{"XPLAIN PLAIN-CLIENTTOKEN LOGIN", "", local, "LOGIN"},
		{"PLAIN LOGIN", "", open, "insecure: login: PLAIN, LOGIN would send the secret in clear without TLS"},
		{"CRAM-MD5 LOGIN", "LOGIN", open, "insecure: login: LOGIN would send the secret in clear without TLS"},
		{"GSSAPI NTLM", "", local, "login failed: login: server offers GSSAPI, NTLM; sendoff knows " + known},
		{"GSSAPI NTLM", "PLAIN", local, "login failed: login: server offers GSSAPI, NTLM; account allows PLAIN"},
		{"CRAM-MD5 LOGIN", "PLAIN", local, "configuration: login: server offers CRAM-MD5, LOGIN; account allows PLAIN"},
		{"", "", local, "login failed: login: server offers no AUTH"},
		{"PLAIN", "PLIAN", local, "configuration: login: server offers PLAIN; account allows PLIAN"},
		{"\x1b[2J" + strings.Repeat("é", 300), "", local,
			"login failed: login: server offers ?[2J" + strings.Repeat("?", 196) + "...; sendoff knows " + known},

		{all, "", both, "EXTERNAL"},
		{all, "", cert, "EXTERNAL"},
		{all, "", over, "PLAIN"},
		{all, "", noBind, "PLAIN"},
		{all, "", local, "PLAIN"},
		{all, "", legacy, "SCRAM-SHA-256-PLUS"},
		{"PLAIN SCRAM-SHA-1", "", legacy, "SCRAM-SHA-1"},
		{"PLAIN LOGIN", "", legacy, "PLAIN"},
		{"PLAIN SCRAM-SHA-1", "PLAIN SCRAM-SHA-1", legacy, "PLAIN"},
		{plus, "", noBind, "SCRAM-SHA-256"},
		{all, "", open, "SCRAM-SHA-256"},
		{all, "", openKey, "SCRAM-SHA-256"},
		{all, "", bearer, "OAUTHBEARER"},
		{"SCRAM-SHA-256 SCRAM-SHA-1-PLUS", "", over, "SCRAM-SHA-1-PLUS"},
		{"scram-sha-1 LOGIN", "", over, "LOGIN"},
		{"scram-sha-1 PLAIN", "SCRAM-SHA-1 PLAIN", over, "SCRAM-SHA-1"},
		{"scram-sha-1 cram-md5", "", over, "SCRAM-SHA-1"},
		{plus, "SCRAM-SHA-1", over, "SCRAM-SHA-1"},
		{"SCRAM-SHA-256-PLUS PLAIN", "", noBind, "PLAIN"},
		{"SCRAM-SHA-256-PLUS", "", local, "insecure: login: for SCRAM-SHA-256-PLUS there must be a TLS connection to bind it to"},
		{"PLAIN LOGIN CRAM-MD5", "", open, "CRAM-MD5"},
		{"CRAM-MD5", "", over, "CRAM-MD5"},
		{"PLAIN CRAM-MD5", "CRAM-MD5", over, "CRAM-MD5"},
		{"EXTERNAL PLAIN", "", over, "PLAIN"},
		{"EXTERNAL", "", over, "configuration: login: for EXTERNAL there must be TLS and a client certificate"},
		{"EXTERNAL", "", openKey, "configuration: login: for EXTERNAL there must be TLS and a client certificate"},
		{"EXTERNAL PLAIN", "PLAIN", both, "PLAIN"},
		{"XOAUTH2 PLAIN", "", over, "PLAIN"},
		{"XOAUTH2 PLAIN", "", bearer, "XOAUTH2"},
		{"XOAUTH2 PLAIN", "XOAUTH2", over, "XOAUTH2"},
		{"PLAIN", "PLAIN", bearer, "PLAIN"},
		{"SCRAM-SHA-1-PLUS XOAUTH2", "", noBind, "configuration: login: for XOAUTH2 the secret must be a token; if it is one, name the mechanism in auth"},
		{"XOAUTH2 EXTERNAL NTLM", "", over, "configuration: login: the server takes only OAuth2 tokens (XOAUTH2), and the secret is taken for a password"},
		{"XOAUTH2 OAUTHBEARER", "PLAIN", open, "configuration: login: the server takes only OAuth2 tokens (OAUTHBEARER, XOAUTH2), and the secret is taken for a password"},
		{"XOAUTH2", "OAUTHBEARER", over, "configuration: login: server offers XOAUTH2; account allows OAUTHBEARER"},
		{"XOAUTH2", "PLAIN", bearer, "configuration: login: server offers XOAUTH2; account allows PLAIN"},
		{"XOAUTH2 PLAIN", "CRAM-MD5", over, "configuration: login: server offers XOAUTH2, PLAIN; account allows CRAM-MD5"},
		{"XOAUTH2", "", noWord, "configuration: login: the account has no secret"},
		{"PLAIN LOGIN", "", bearer, "configuration: login: for PLAIN, LOGIN the secret must be a password, and it is a token"},
		{"XOAUTH2", "XOAUTH2", open, "insecure: login: XOAUTH2 would send the secret in clear without TLS"},
		{"XOAUTH2 PLAIN", "", open, "insecure: login: PLAIN would send the secret in clear without TLS"},
		{all, "", noUser, "configuration: login: the account has no user"},
		{all, "", noWord, "configuration: login: the account has no secret"},
		{"PLAIN", "", cert, "configuration: login: the account has no user"},
	}
	for _, tt := range tests {
		m, err := Choose(strings.Fields(tt.offered), strings.Fields(tt.allowed), tt.have)
		got := m.Name
		if err != nil {
			got = fmt.Sprintf("%v: %v", status.KindOf(err), err)
		}
		if got != tt.want {
			t.Errorf("Choose(%q, %q, %+v):\n got %s\nwant %s", tt.offered, tt.allowed, tt.have, got, tt.want)
		}
	}
}

// TestChooseUnprotected checks that, with every order of preference, a mechanism chosen
// without protection sends neither a password nor a token in clear.
func TestChooseUnprotected(t *testing.T) {
	known := Known()
	orders := [][]string{nil}
	for i := range known {
		orders = append(orders, known[i:i+1], slices.Concat(known[i:], known[:i]), reversed(slices.Concat(known[i:], known[:i])))
		for j := range known {
			orders = append(orders, []string{known[i], known[j]})
		}
	}
	offers := slices.Clone(orders[1:])
	for _, allowed := range orders {
		for _, offered := range offers {
			for n := range 8 {
				have := Facts{User: "ann", HasSecret: true, Recorded: n&1 != 0, Token: n&2 != 0, Certificate: n&4 != 0}
				m, err := Choose(offered, allowed, have)
				if err == nil && (m.Clear || !contains([]string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"}, m.Name)) {
					t.Errorf("Choose(%q, %q, %+v): %s", offered, allowed, have, m.Name)
				}
			}
		}
	}
}

func reversed(names []string) []string {
	slices.Reverse(names)
	return names
}

// row returns the mechanism of that name, as Choose returns it without TLS.
func row(t testing.TB, name string) Mechanism {
	t.Helper()
	for _, m := range mechanisms {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no mechanism %s", name)
	return Mechanism{}
}

// converse sends challenges to a client, and returns all its responses.
func converse(c sasl.Client, challenges ...string) (said []string, err error) {
	name, initial, err := c.Start()
	if err != nil {
		return nil, err
	}
	said = []string{name}
	if initial != nil {
		said = append(said, string(initial))
	}
	for _, challenge := range challenges {
		response, err := c.Next([]byte(challenge))
		if err != nil {
			return said, err
		}
		said = append(said, string(response))
	}
	return said, nil
}

func TestClients(t *testing.T) {
	tests := []struct {
		mechanism  string
		challenges []string
		want       string // joined with |; "!" at the end for an error
	}{
		{"PLAIN", nil, "PLAIN|\x00ann\x00pw"},
		{"PLAIN", []string{""}, "PLAIN|\x00ann\x00pw|\x00ann\x00pw"},
		{"PLAIN", []string{"", ""}, "PLAIN|\x00ann\x00pw|\x00ann\x00pw|!"},
		{"PLAIN", []string{"go on"}, "PLAIN|\x00ann\x00pw|!"},
		{"LOGIN", []string{"Username:", "Password:"}, "LOGIN|ann|pw"},
		{"LOGIN", []string{"User Name\x00", "Password\x00"}, "LOGIN|ann|pw"},
		{"LOGIN", []string{"username:", "password:"}, "LOGIN|ann|pw"},
		{"LOGIN", []string{"Benutzer", "Password"}, "LOGIN|ann|pw"},
		{"LOGIN", []string{"", "Password:\x00"}, "LOGIN|ann|pw"},
		{"LOGIN", []string{"", ""}, "LOGIN|ann|pw"},
		{"LOGIN", []string{"\xff\xfe", "\x00"}, "LOGIN|ann|pw"},
		{"LOGIN", []string{"", "Username:", "Password:"}, "LOGIN|ann|ann|pw"},
		{"LOGIN", []string{"Username:", "USERNAME", ""}, "LOGIN|ann|ann|pw"},
		{"LOGIN", []string{"Username:", "Username:", "Username:"}, "LOGIN|ann|ann|!"},
		{"LOGIN", []string{"", "", ""}, "LOGIN|ann|pw|!"},
		{"EXTERNAL", nil, "EXTERNAL|ann"},
		{"EXTERNAL", []string{""}, "EXTERNAL|ann|ann"},
		{"EXTERNAL", []string{"", ""}, "EXTERNAL|ann|ann|!"},
		{"EXTERNAL", []string{"who?"}, "EXTERNAL|ann|!"},
		{"CRAM-MD5", []string{"<1@x>"}, "CRAM-MD5|ann 0134654b73dcd856343054a762c8a3ee"},
		{"CRAM-MD5", []string{""}, "CRAM-MD5|!"},
		{"CRAM-MD5", []string{"<1@x>", "<2@x>"}, "CRAM-MD5|ann 0134654b73dcd856343054a762c8a3ee|!"},
		{"XOAUTH2", nil, "XOAUTH2|user=ann\x01auth=Bearer pw\x01\x01"},
		{"XOAUTH2", []string{""}, "XOAUTH2|user=ann\x01auth=Bearer pw\x01\x01|user=ann\x01auth=Bearer pw\x01\x01"},
		{"XOAUTH2", []string{"{}", "{}"}, "XOAUTH2|user=ann\x01auth=Bearer pw\x01\x01||!"},
		{"OAUTHBEARER", nil, "OAUTHBEARER|n,a=ann,\x01auth=Bearer pw\x01\x01"},
		{"OAUTHBEARER", []string{"{}", "{}"}, "OAUTHBEARER|n,a=ann,\x01auth=Bearer pw\x01\x01|\x01|!"},
	}
	for _, tt := range tests {
		said, err := converse(row(t, tt.mechanism).Client("ann", "pw"), tt.challenges...)
		if err != nil {
			said = append(said, "!")
			if status.KindOf(err) != status.AuthFailed {
				t.Errorf("%s %q: error of kind %v", tt.mechanism, tt.challenges, status.KindOf(err))
			}
		}
		if got := strings.Join(said, "|"); got != tt.want {
			t.Errorf("%s %q: said %q, want %q", tt.mechanism, tt.challenges, got, tt.want)
		}
	}
}

// TestMechanisms compares each row of mechanisms with its client.
func TestMechanisms(t *testing.T) {
	for _, m := range mechanisms {
		said, err := converse(m.Client("ann", "pw"))
		if err != nil {
			t.Fatal(err)
		}
		if said[0] != m.Name {
			t.Errorf("%s calls itself %s", m.Name, said[0])
		}
		if sent := strings.Contains(strings.Join(said[1:], ""), "pw"); sent && !m.Clear {
			t.Errorf("%s sends the secret", m.Name)
		}
		serverFirst := m.Name == "LOGIN" || m.Name == "CRAM-MD5"
		if initial := len(said) > 1; initial == serverFirst {
			t.Errorf("%s: initial response %q", m.Name, said[1:])
		}
		for _, bad := range [][2]string{{"a\x00b", "pw"}, {"ann", "p\x00w"}} {
			if m.needs&aSecret == 0 && bad[0] == "ann" {
				continue
			}
			if _, _, err := m.Client(bad[0], bad[1]).Start(); status.KindOf(err) != status.Config {
				t.Errorf("%s takes %q: %v", m.Name, bad, err)
			} else if strings.Contains(err.Error(), bad[1]) {
				t.Errorf("%s: %v shows the secret", m.Name, err)
			}
		}
	}
}

// FuzzLogin checks, for any challenges, that the user name is sent first, the password at
// most once and never in answer to a question for the user, and that the exchange ends.
func FuzzLogin(f *testing.F) {
	f.Add([]byte("Username:"), []byte("Password:"), []byte(""), []byte(""))
	f.Add([]byte(""), []byte("USER"), []byte("pass"), []byte("x"))
	f.Add([]byte("\xff\x00"), []byte("user\x00"), []byte("user"), []byte("user"))
	f.Fuzz(func(t *testing.T, a, b, c, d []byte) {
		client, passwords := newLogin(Mechanism{}, "ann", "secret"), 0
		for i, challenge := range [][]byte{a, b, c, d} {
			response, err := client.Next(challenge)
			switch {
			case err != nil:
				if response != nil {
					t.Fatalf("response %q with error %v", response, err)
				}
				return
			case i == 0 && string(response) != "ann":
				t.Fatalf("first answer %q", response)
			case string(response) == "secret":
				passwords++
				if strings.Contains(strings.ToLower(string(challenge)), "user") {
					t.Fatalf("password in answer to %q", challenge)
				}
			case string(response) != "ann":
				t.Fatalf("answer %q", response)
			}
			if passwords > 1 || i == 3 {
				t.Fatalf("%d passwords in %d answers", passwords, i+1)
			}
		}
	})
}

// TestVectors are the examples of RFC 2195 section 2 and of Google's
// description of XOAUTH2; RFC 7628 section 4.1 without host and port, which a
// client may leave out.
func TestVectors(t *testing.T) {
	tests := []struct{ mechanism, user, secret, challenge, want string }{
		{"CRAM-MD5", "tim", "tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>",
			"CRAM-MD5|tim b913a602c7eda7a495b4e6e7334d3890"},
		{"XOAUTH2", "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", "{}",
			"XOAUTH2|user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01|"},
		{"OAUTHBEARER", "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "{}",
			"OAUTHBEARER|n,a=user@example.com,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01|\x01"},
		{"OAUTHBEARER", "a,b=c", "t", "{}", "OAUTHBEARER|n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01|\x01"},
	}
	for _, tt := range tests {
		said, err := converse(row(t, tt.mechanism).Client(tt.user, tt.secret), tt.challenge)
		if got := strings.Join(said, "|"); err != nil || got != tt.want {
			t.Errorf("%s: said %q, %v, want %q", tt.mechanism, got, err, tt.want)
		}
	}
}

// TestReason checks that a refusal in a challenge is answered and returned by Reason, and
// that Verify returns it if the reply is positive.
func TestReason(t *testing.T) {
	tests := []struct{ challenge, want string }{
		{`{"status":"401","schemes":"bearer","scope":"mail.send"}`, ": 401; it must be good for scope mail.send"},
		{`{"status":"invalid_token"}`, ": invalid_token"},
		{`{"status":401}`, `: {"status":401}`},
		{"no \x1b[1mway\r\n", ": no ?[1mway??"},
		{"{}", ""},
	}
	for _, tt := range tests {
		for _, name := range []string{"OAUTHBEARER", "XOAUTH2"} {
			c := row(t, name).Client("ann", "pw")
			if _, err := converse(c); err != nil || c.Reason() != nil || c.Verify() != nil {
				t.Fatalf("%s: %v, reason %v, verify %v before any challenge", name, err, c.Reason(), c.Verify())
			}
			answer, err := c.Next([]byte(tt.challenge))
			if err != nil || answer == nil {
				t.Errorf("%s: %q is answered with %v, %v", name, tt.challenge, answer, err)
			}
			want := "login: server refuses the token" + tt.want
			if err := c.Reason(); err == nil || err.Error() != want || c.Verify() != err {
				t.Errorf("%s: %q:\n got %v, verify %v\nwant %s", name, tt.challenge, err, c.Verify(), want)
			}
		}
	}
}

func TestNotAToken(t *testing.T) {
	for _, tt := range [][2]string{{"ann", "my password"}, {"ann", "pässword"}, {"ann", "a\x01b"}, {"a\x01auth=x", "token"}} {
		for _, name := range []string{"OAUTHBEARER", "XOAUTH2"} {
			_, _, err := row(t, name).Client(tt[0], tt[1]).Start()
			if status.KindOf(err) != status.Config || strings.Contains(err.Error(), tt[1]) {
				t.Errorf("%s takes %q: %v", name, tt, err)
			}
		}
	}
}

// FuzzChallenge checks, for any challenges, that an exchange ends after a few answers, that
// a secret is sent in clear only by a mechanism with Clear, and that errors are printable.
func FuzzChallenge(f *testing.F) {
	for i := range mechanisms {
		f.Add(uint8(i), []byte(""), []byte(""), []byte(""))
		f.Add(uint8(i), []byte(`{"status":"401"}`), []byte("<1@x>"), []byte("v=x"))
	}
	f.Add(uint8(2), []byte(" "), []byte(""), []byte("")) // a refusal without a reason
	f.Add(uint8(6), []byte("{\"status\":\"\xff\x1b\"}"), []byte("{"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, i uint8, a, b, d []byte) {
		m := mechanisms[int(i)%len(mechanisms)]
		const secret = "5ecret-Tok3n"
		client := m.Client("ann", secret)
		said, err := converse(client, string(a), string(b), string(d), "x", "y")
		if err == nil {
			t.Fatalf("%s answers without end: %q", m.Name, said)
		}
		if client.Reason() == nil || client.Verify() == nil {
			t.Fatalf("%s: %v, but reason %v, verify %v", m.Name, err, client.Reason(), client.Verify())
		}
		if !m.Clear && strings.Contains(strings.Join(said, ""), secret) {
			t.Fatalf("%s sends the secret: %q", m.Name, said)
		}
		if text := err.Error(); text != shown(text) && len(text) < 200 {
			t.Fatalf("%s: %q", m.Name, text)
		}
	})
}
