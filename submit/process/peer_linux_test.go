package process

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTCPOwners finds both ends of a connection in the kernel's table.
func TestTCPOwners(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			if strings.Contains(address, "::") {
				t.Logf("no IPv6 here: %v", err)
				continue
			}
			t.Fatal(err)
		}
		target := l.Addr().String()
		if strings.HasPrefix(target, "0.0.0.0:") || strings.HasPrefix(target, "[::]:") {
			_, port, _ := net.SplitHostPort(target)
			target = "127.0.0.1:" + port
		}
		near, err := net.Dial("tcp", target)
		if err != nil {
			t.Fatal(err)
		}
		here, from := netip.MustParseAddrPort(target), near.LocalAddr().(*net.TCPAddr).AddrPort()
		servers := func(when string, from netip.AddrPort, want int) {
			t.Helper()
			uids, err := ServersOf(here, from)
			if len(uids) != want || (err != nil) != (want == 0) || slices.ContainsFunc(uids, func(uid int) bool { return uid != os.Getuid() }) {
				t.Errorf("%s, %s: %v, %v", address, when, uids, err)
			}
		}
		servers("by the address", netip.AddrPort{}, 1)
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if peer, err := PeerOfTCP(far); err != nil || peer.UID != os.Getuid() {
			t.Errorf("%s: client %v, %v", address, peer, err)
		}
		l.Close()
		servers("nobody listens any more", netip.AddrPort{}, 0)
		servers("the connection is accepted", from, 1)
		near.Close()
		far.Close()
	}
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if _, err := PeerOfTCP(one); err == nil {
		t.Error("a pipe has a user")
	}
}

func TestParseTCPLine(t *testing.T) {
	for _, test := range []struct {
		name, line, local, remote string
		uid                       int
		bad                       bool
	}{
		{name: "an address of 4 octets", line: "  12: 0100007F:0CEA 0200007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 20 4 30 10 -1", local: "127.0.0.1:3306", remote: "127.0.0.2:54321", uid: 1000},
		{name: "one of 16", line: "0: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1", local: "[::1]:25", remote: "[::]:0"},
		{name: "one of 4 in 16", line: "0: 0000000000000000FFFF00000100007F:0019 00000000000000000000000000000000:0000 0A 0:0 0:0 0 65534 0 1", local: "127.0.0.1:25", remote: "[::]:0", uid: 65534},
		{name: "a word too few", line: "0: 0100007F:0CEA 0200007F:D431 01 0:0 0:0 0", bad: true},
		{name: "no number", line: "0: 0100007F:0CEA 0200007F:D431 01 0:0 0:0 0 root", bad: true},
		{name: "half an address", line: "0: 0100:0CEA 0200007F:D431 01 0:0 0:0 0 0", bad: true},
	} {
		s, err := parseTCPLine(test.line)
		if (err != nil) != test.bad {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil && (s.local.String() != test.local || s.remote.String() != test.remote || s.uid != test.uid) {
			t.Errorf("%s: %v", test.name, s)
		}
	}
}
