package smarthost

import (
	"testing"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial/dialtest"
)

// session is the dialogue of a session that sends no mail.
const session = "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 250 PIPELINING\nC: QUIT\nS: 250 ok\n"

// account returns an account with these servers, and no login.
func account(t *testing.T, servers ...string) *config.Account {
	t.Helper()
	a := &config.Account{Name: "work", MaxRecipients: 100}
	for _, url := range servers {
		var s config.Server
		if err := s.UnmarshalText([]byte(url)); err != nil {
			t.Fatal(err)
		}
		a.Servers = append(a.Servers, s)
	}
	return a
}

// poolIn returns a Pool that dials in the test network.
func poolIn(n *dialtest.Network) *Pool {
	p := New(new(credential.Store))
	p.Dialer.Lookup, p.Dialer.LookupSRV, p.Dialer.Dial = n.Lookup, n.LookupSRV, n.Dial
	return p
}

// openIn opens a session with servers of the test network, and ends it.
func openIn(t *testing.T, n *dialtest.Network, servers ...string) error {
	s, _, err := poolIn(n).Open(t.Context(), account(t, servers...), "client.example", Options{})
	if err == nil {
		s.Close()
	}
	return err
}
