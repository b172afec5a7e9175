//go:build linux

package trust

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
	"sendoff/submit/trust/trusttest"
)

func TestTrustedOwner(t *testing.T) {
	nobody := "65534"
	if name := process.UserName(65534); name != nobody {
		nobody = name
	}
	for _, test := range []struct {
		name   string
		user   string // server-user
		uid    int
		wanted bool
	}{
		{"root", "", 0, true},
		{"ourselves", "", os.Geteuid(), true},
		{"a service", "", 101, true},
		{"somebody", "", 60001, false},
		{"somebody who is meant, by number", "60001", 60001, true},
		{"somebody else than is meant", "60001", 60002, false},
		{"one who is meant, by name", nobody, 65534, true},
	} {
		if got := trustedOwner(&config.Account{ServerUser: test.user}, test.uid); got != test.wanted {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// TestTrustPort: no secret is sent to another user who listens on a port of this machine,
// or who has accepted our connection and has stopped listening since.
func TestTrustPort(t *testing.T) {
	for _, how := range []string{"stays", "leaves"} {
		t.Run(how, func(t *testing.T) {
			address, _ := trusttest.ListenAs60001(t, how)
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			port, from := conn.RemoteAddr().(*net.TCPAddr).AddrPort(), conn.LocalAddr().(*net.TCPAddr).AddrPort()
			known, err := Port(&config.Account{}, port, from)
			if !known || status.KindOf(err) != status.Insecure || !strings.Contains(status.Hint(err), "server-user") {
				t.Errorf("%v, %v; hint: %s", known, err, status.Hint(err))
			}
			if _, err := Port(&config.Account{ServerUser: "60001"}, port, from); err != nil {
				t.Error(err)
			}
		})
	}
	if known, err := Port(&config.Account{}, netip.MustParseAddrPort("127.0.0.1:25"), netip.AddrPort{}); !known || err != nil {
		t.Errorf("a port that only root can open: %v, %v", known, err)
	}
}
