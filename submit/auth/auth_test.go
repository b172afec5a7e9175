package auth

import (
	"fmt"
	"strings"
	"testing"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

func TestChoose(t *testing.T) {
	const protected, open = true, false
	tests := []struct {
		offered, allowed string
		protected        bool
		want             string // the mechanism, or "kind: text"
	}{
		{"PLAIN LOGIN", "", protected, "PLAIN"},
		{"LOGIN PLAIN", "", protected, "PLAIN"},
		{"login", "", protected, "LOGIN"},
		{"CRAM-MD5 plain", "", protected, "PLAIN"},
		{"PLAIN LOGIN", "login", protected, "LOGIN"},
		{"PLAIN LOGIN", "LOGIN PLAIN", protected, "PLAIN"},
		{"XPLAIN PLAIN-CLIENTTOKEN LOGIN", "", protected, "LOGIN"},
		{"PLAIN LOGIN", "", open, "insecure: login: PLAIN, LOGIN would send the password in clear without TLS"},
		{"CRAM-MD5 LOGIN", "LOGIN", open, "insecure: login: LOGIN would send the password in clear without TLS"},
		{"CRAM-MD5 NTLM", "", protected, "login failed: login: server offers CRAM-MD5, NTLM; sendoff knows PLAIN, LOGIN"},
		{"CRAM-MD5 NTLM", "PLAIN", protected, "login failed: login: server offers CRAM-MD5, NTLM; account allows PLAIN"},
		{"CRAM-MD5 LOGIN", "PLAIN", protected, "configuration: login: server offers CRAM-MD5, LOGIN; account allows PLAIN"},
		{"", "", protected, "login failed: login: server offers no AUTH"},
		{"PLAIN", "PLIAN", protected, `configuration: unknown mechanism "PLIAN" in auth; known are PLAIN, LOGIN`},
		{"\x1b[2J" + strings.Repeat("é", 300), "", protected,
			"login failed: login: server offers ?[2J" + strings.Repeat("?", 196) + "...; sendoff knows PLAIN, LOGIN"},
	}
	for _, tt := range tests {
		m, err := Choose(strings.Fields(tt.offered), strings.Fields(tt.allowed),
			Needs{Protected: tt.protected, User: "ann", HasSecret: true})
		got := m.Name
		if err != nil {
			got = fmt.Sprintf("%v: %v", status.KindOf(err), err)
		}
		if got != tt.want {
			t.Errorf("Choose(%q, %q, %v):\n got %s\nwant %s", tt.offered, tt.allowed, tt.protected, got, tt.want)
		}
	}
}

func TestChooseNeedsUserAndSecret(t *testing.T) {
	for _, have := range []Needs{{Protected: true, User: "ann"}, {Protected: true, HasSecret: true}} {
		_, err := Choose([]string{"PLAIN"}, nil, have)
		if status.KindOf(err) != status.Config {
			t.Errorf("%+v: got %v, want a configuration error", have, err)
		}
	}
}

// converse plays challenges against a client and returns all that it said.
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
	}
	for _, tt := range tests {
		m, err := Choose([]string{tt.mechanism}, nil, Needs{Protected: true, User: "ann", HasSecret: true})
		if err != nil {
			t.Fatal(err)
		}
		said, err := converse(m.Client("ann", "pw"), tt.challenges...)
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

// TestMechanisms holds what a row says about masking against what its client
// does.
func TestMechanisms(t *testing.T) {
	for _, m := range mechanisms {
		said, err := converse(m.Client("ann", "pw"))
		if err != nil {
			t.Fatal(err)
		}
		if said[0] != m.Name {
			t.Errorf("%s calls itself %s", m.Name, said[0])
		}
		if initial := len(said) > 1; initial != m.Initial {
			t.Errorf("%s: Initial is %v, initial response %q", m.Name, m.Initial, said[1:])
		}
		for _, bad := range [][2]string{{"a\x00b", "pw"}, {"ann", "p\x00w"}} {
			if _, _, err := m.Client(bad[0], bad[1]).Start(); status.KindOf(err) != status.Config {
				t.Errorf("%s takes %q: %v", m.Name, bad, err)
			} else if strings.Contains(err.Error(), bad[1]) {
				t.Errorf("%s: %v shows the secret", m.Name, err)
			}
		}
	}
}

// FuzzLogin: whatever a server asks, the user name comes first, the password
// at most once, never in answer to a question for the user, and the exchange
// ends.
func FuzzLogin(f *testing.F) {
	f.Add([]byte("Username:"), []byte("Password:"), []byte(""), []byte(""))
	f.Add([]byte(""), []byte("USER"), []byte("pass"), []byte("x"))
	f.Add([]byte("\xff\x00"), []byte("user\x00"), []byte("user"), []byte("user"))
	f.Fuzz(func(t *testing.T, a, b, c, d []byte) {
		client, passwords := newLogin("ann", "secret"), 0
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
