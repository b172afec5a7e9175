//go:build !race

// Go 1.26's race detector crashes now and then when timers end within a
// synctest bubble, as they do here; TestAddressesInRealTime and its like run with it.

package smarthost

import (
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/submit/dial/dialtest"
	"sendoff/submit/status"
)

// TestHappyEyeballs tests in which order, and when, addresses are tried (RFC 8305).
func TestHappyEyeballs(t *testing.T) {
	both := map[string]dialtest.Zone{"ip6:mx.example": {Found: []string{dialtest.Six1, dialtest.Six2}}, "ip4:mx.example": {Found: []string{dialtest.Four1, dialtest.Four2}}}
	const ms = time.Millisecond
	tests := []struct {
		name  string
		names map[string]dialtest.Zone
		hosts map[string]dialtest.Peer
		notes []string
		err   string
	}{
		{"IPv6 first", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {After: 10 * ms}},
			[]string{"0s dial [2001:db8::1]:25", "10ms reach [2001:db8::1]:25"}, ""},
		{"IPv6 is a black hole", both, map[string]dialtest.Peer{dialtest.At(dialtest.Four1): {After: 10 * ms}},
			[]string{"0s dial [2001:db8::1]:25", "250ms dial 192.0.2.1:25", "260ms reach 192.0.2.1:25"}, ""},
		{"refused: the next one at once", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {After: 10 * ms, Err: syscall.ECONNREFUSED}, dialtest.At(dialtest.Four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "10ms dial 192.0.2.1:25", "10ms reach 192.0.2.1:25"}, ""},
		{"the slower one wins", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {After: 300 * ms}, dialtest.At(dialtest.Four1): {After: 100 * ms}},
			[]string{"0s dial [2001:db8::1]:25", "250ms dial 192.0.2.1:25", "300ms reach [2001:db8::1]:25"}, ""},
		{"late AAAA", map[string]dialtest.Zone{"ip6:mx.example": {After: time.Minute, Found: []string{dialtest.Six1}}, "ip4:mx.example": {After: 5 * ms, Found: []string{dialtest.Four1}}},
			map[string]dialtest.Peer{dialtest.At(dialtest.Four1): {}},
			[]string{"55ms dial 192.0.2.1:25", "55ms reach 192.0.2.1:25"}, ""},
		{"AAAA in time", map[string]dialtest.Zone{"ip6:mx.example": {After: 40 * ms, Found: []string{dialtest.Six1}}, "ip4:mx.example": {Found: []string{dialtest.Four1}}},
			map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {}},
			[]string{"40ms dial [2001:db8::1]:25", "40ms reach [2001:db8::1]:25"}, ""},
		{"late A, and IPv6 refuses", map[string]dialtest.Zone{"ip6:mx.example": {Found: []string{dialtest.Six1}}, "ip4:mx.example": {After: 3 * time.Second, Found: []string{dialtest.Four1}}},
			map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {Err: syscall.ECONNREFUSED}, dialtest.At(dialtest.Four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "3s dial 192.0.2.1:25", "3s reach 192.0.2.1:25"}, ""},
		{"only A", map[string]dialtest.Zone{"ip4:mx.example": {After: ms, Found: []string{dialtest.Four1}}}, map[string]dialtest.Peer{dialtest.At(dialtest.Four1): {}},
			[]string{"1ms dial 192.0.2.1:25", "1ms reach 192.0.2.1:25"}, ""},
		{"the winner is mute, the others get their share", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {After: ms, Mute: true}, dialtest.At(dialtest.Four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "1ms reach [2001:db8::1]:25", "15.001s dial 192.0.2.1:25", "15.001s reach 192.0.2.1:25"}, ""},
		{"the winner has no time", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {Says: "S: 421 busy\n"}, dialtest.At(dialtest.Four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "0s reach [2001:db8::1]:25", "1ms dial 192.0.2.1:25", "1ms reach 192.0.2.1:25"}, ""},
		{"nobody is there", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {Err: syscall.ENETUNREACH}, dialtest.At(dialtest.Six2): {Err: syscall.ENETUNREACH}, dialtest.At(dialtest.Four1): {Err: syscall.ECONNREFUSED}, dialtest.At(dialtest.Four2): {Err: syscall.EHOSTUNREACH}},
			[]string{"0s dial [2001:db8::1]:25", "0s dial 192.0.2.1:25", "0s dial [2001:db8::2]:25", "0s dial 192.0.2.2:25"},
			"connect to mx.example:25 at 192.0.2.1: connection refused"},
		{"no network at all", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {Err: syscall.ENETUNREACH}, dialtest.At(dialtest.Six2): {Err: syscall.ENETUNREACH}, dialtest.At(dialtest.Four1): {Err: syscall.ENETUNREACH}, dialtest.At(dialtest.Four2): {Err: syscall.ENETUNREACH}},
			[]string{"0s dial [2001:db8::1]:25", "0s dial 192.0.2.1:25", "0s dial [2001:db8::2]:25", "0s dial 192.0.2.2:25"},
			"connect to mx.example:25 at 2001:db8::1: network is unreachable"},
		{"no such host", nil, nil, nil, "look up mx.example: no such host"},
		{"one family does not exist, the other does not answer", map[string]dialtest.Zone{"ip4:mx.example": {After: time.Hour}}, nil, nil,
			"look up mx.example: the name server does not answer"},
		{"black holes only", both, nil,
			[]string{"0s dial [2001:db8::1]:25", "250ms dial 192.0.2.1:25", "500ms dial [2001:db8::2]:25", "750ms dial 192.0.2.2:25"},
			"connect to mx.example:25 at 2001:db8::1: no answer within 30s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &dialtest.Network{Began: time.Now(), Session: session, Names: tt.names, Hosts: tt.hosts}
				err := openIn(t, n, "smtp+plain://mx.example")
				if (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("%v, want %s", err, tt.err)
				}
				if err != nil && !status.Of(err).Temporary() {
					t.Errorf("%v is permanent", err)
				}
				if !slices.Equal(n.Notes, tt.notes) {
					t.Errorf("got %q, want %q", n.Notes, tt.notes)
				}
				if n.Open != 0 {
					t.Errorf("%d connections are left open", n.Open)
				}
			})
		})
	}
}

// TestLookupStalls tests that a name server which does not answer takes only the share
// of the time that its server has.
func TestLookupStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &dialtest.Network{Began: time.Now(), Session: session, Hosts: map[string]dialtest.Peer{dialtest.At(dialtest.Four1): {}},
			Names: map[string]dialtest.Zone{"ip4:mx.example": {After: time.Hour}, "ip6:mx.example": {After: time.Hour}, "ip4:other.example": {Found: []string{dialtest.Four1}}}}
		if err := openIn(t, n, "smtp+plain://mx.example", "smtp+plain://other.example"); err != nil {
			t.Error(err)
		}
		if want := []string{"30s dial 192.0.2.1:25", "30s reach 192.0.2.1:25"}; !slices.Equal(n.Notes, want) {
			t.Errorf("got %q", n.Notes)
		}
	})
}

func TestSRV(t *testing.T) {
	names := map[string]dialtest.Zone{"ip4:a.example.org": {Found: []string{dialtest.Four1}}, "ip4:b.example.net": {Found: []string{dialtest.Four2}}}
	tests := []struct {
		name    string
		records []*net.SRV
		hosts   map[string]dialtest.Peer
		notes   []string
		err     string
	}{
		{"the second takes over", []*net.SRV{{Target: "a.example.org.", Port: 25}, {Target: "b.example.net.", Port: 26}},
			map[string]dialtest.Peer{dialtest.At(dialtest.Four1): {Err: syscall.ECONNREFUSED}, dialtest.Four2 + ":26": {}},
			[]string{"0s SRV _submission._tcp.example.org", "0s dial 192.0.2.1:25", "0s dial 192.0.2.2:26", "0s reach 192.0.2.2:26"}, ""},
		{"not offered", []*net.SRV{{Target: ".", Port: 0}}, nil, []string{"0s SRV _submission._tcp.example.org"},
			"look up _submission._tcp.example.org: the domain does not offer this service"},
		{"no records", nil, nil, []string{"0s SRV _submission._tcp.example.org"}, "look up _submission._tcp.example.org: no such host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &dialtest.Network{Began: time.Now(), Session: session, Names: names, Hosts: tt.hosts, SRV: tt.records}
				err := openIn(t, n, "smtp+plain://_submission._tcp.example.org")
				if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
					t.Errorf("%v, want %s", err, tt.err)
				}
				if !slices.Equal(n.Notes, tt.notes) {
					t.Errorf("got %q, want %q", n.Notes, tt.notes)
				}
			})
		})
	}
}

// TestLocalhost tests that no name server is asked for localhost, or names below it.
func TestLocalhost(t *testing.T) {
	for _, name := range []string{"localhost", "mail.localhost"} {
		synctest.Test(t, func(t *testing.T) {
			n := &dialtest.Network{Began: time.Now(), Session: session, Hosts: map[string]dialtest.Peer{dialtest.At("::1"): {Err: syscall.ECONNREFUSED}, dialtest.At("127.0.0.1"): {}},
				Names: map[string]dialtest.Zone{"ip4:" + name: {Found: []string{dialtest.Four1}}}}
			if err := openIn(t, n, "smtp+plain://"+name); err != nil {
				t.Error(err)
			}
			if want := []string{"0s dial [::1]:25", "0s dial 127.0.0.1:25", "0s reach 127.0.0.1:25"}; !slices.Equal(n.Notes, want) {
				t.Errorf("got %q", n.Notes)
			}
		})
	}
}

// TestSilentSocket tests that a service of this machine has 10 s for its greeting, so that
// a caller does not wait long while systemd restarts the service.
func TestSilentSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &dialtest.Network{Began: time.Now(), Session: session, Hosts: map[string]dialtest.Peer{"/run/submit.sock": {Mute: true}}}
		err := openIn(t, n, "unix:/run/submit.sock")
		if words := "no answer within 10s while waiting for the greeting"; err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %s", err, words)
		}
		if took := time.Since(n.Began); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestSilentHandshake tests that a server which does not answer a ClientHello gets
// another ClientHello after 10 s, within the same readyTime.
func TestSilentHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &dialtest.Network{Began: time.Now(), Session: session, Names: map[string]dialtest.Zone{"ip4:mx.example": {Found: []string{dialtest.Four1}}},
			Hosts: map[string]dialtest.Peer{dialtest.Four1 + ":465": {Mute: true}}}
		err := openIn(t, n, "smtps://mx.example")
		want := []string{"0s dial 192.0.2.1:465", "0s reach 192.0.2.1:465", "10s dial 192.0.2.1:465", "10s reach 192.0.2.1:465"}
		if !slices.Equal(n.Notes, want) {
			t.Errorf("got %q", n.Notes)
		}
		if words := "TLS: no answer within 10s while shaking hands for TLS (mx.example)"; err == nil || err.Error() != words || status.Hint(err) == "" {
			t.Errorf("%v, want %s", err, words)
		}
		if took := time.Since(n.Began); took != time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}
