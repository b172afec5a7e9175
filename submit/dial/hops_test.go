package dial

import (
	"cmp"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/dial/dialtest"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// TestConnect connects to several addresses in real time, so that the race detector can
// run it. The tests of package smarthost check the times.
func TestConnect(t *testing.T) {
	both := map[string]dialtest.Zone{
		"ip6:mx.example": {Found: []string{dialtest.Six1, dialtest.Six2}},
		"ip4:mx.example": {Found: []string{dialtest.Four1}},
	}
	const ms = time.Millisecond
	refused, unreachable := dialtest.Peer{Err: syscall.ECONNREFUSED}, dialtest.Peer{Err: syscall.ENETUNREACH}
	for _, tt := range []struct {
		name   string
		names  map[string]dialtest.Zone
		hosts  map[string]dialtest.Peer
		want   string // the address that is connected to
		left   int    // the hops that the next call tries
		words  string // what the error contains
		within time.Duration
	}{
		{"IPv6 first", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {}}, dialtest.Six1, 2, "", 0},
		{"a loser is left", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {After: time.Hour}, dialtest.At(dialtest.Four1): {}}, dialtest.Four1, 2, "", 0},
		{"so is one of this machine", map[string]dialtest.Zone{"ip6:mx.example": {Found: []string{"::1"}}, "ip4:mx.example": {Found: []string{dialtest.Four1}}},
			map[string]dialtest.Peer{dialtest.At("::1"): {After: time.Hour}, dialtest.At(dialtest.Four1): {}}, dialtest.Four1, 1, "", 5 * time.Second},
		{"who refuses is not", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): refused, dialtest.At(dialtest.Four1): {}}, dialtest.Four1, 1, "", 0},
		{"one family", map[string]dialtest.Zone{"ip4:mx.example": {Found: []string{dialtest.Four1}}}, map[string]dialtest.Peer{dialtest.At(dialtest.Four1): {}}, dialtest.Four1, 0, "", 0},
		{"the first error", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): refused, dialtest.At(dialtest.Six2): {Err: syscall.EHOSTUNREACH}, dialtest.At(dialtest.Four1): refused},
			"", 0, "connect to mx.example:25 at 2001:db8::1: connection refused", 0},
		{"no network for a family", both, map[string]dialtest.Peer{dialtest.At(dialtest.Six1): unreachable, dialtest.At(dialtest.Six2): unreachable, dialtest.At(dialtest.Four1): refused},
			"", 0, "connect to mx.example:25 at 192.0.2.1: connection refused", 0},
		{"no such host", nil, nil, "", 0, "look up mx.example: no such host", 0},
		{"the name server does not answer", map[string]dialtest.Zone{"ip4:mx.example": {After: time.Hour}, "ip6:mx.example": {After: time.Hour}}, nil,
			"", 0, "look up mx.example: the name server does not answer", 20 * ms},
		{"nobody answers", both, nil, "", 0, "connect to mx.example:25 at 2001:db8::1: context deadline exceeded", 20 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &dialtest.Network{Began: time.Now(), Names: tt.names, Hosts: tt.hosts}
			d := &Dialer{Lookup: n.Lookup, Dial: n.Dial}
			ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(tt.within, time.Minute))
			defer cancel()
			hops := d.Hops(ctx, new(config.Account), Target{Server: server(t, "smtp+plain://mx.example"), Name: "mx.example", Port: 25})
			conn, hop, err := hops.Connect(ctx)
			if err != nil {
				if tt.words == "" || !strings.HasPrefix(err.Error(), tt.words) || !status.Of(err).Temporary() {
					t.Errorf("%v, want %q", err, tt.words)
				}
				return
			}
			conn.Close()
			if got := hop.Address.Addr().String(); got != tt.want || hops.Left() != tt.left {
				t.Errorf("connected to %s, %d left; want %s, %d", got, hops.Left(), tt.want, tt.left)
			}
			n.Lock()
			defer n.Unlock()
			if n.Open != 0 {
				t.Errorf("%d connections are left open", n.Open)
			}
		})
	}
}

// TestConnectAgain calls Connect until no hop is left.
func TestConnectAgain(t *testing.T) {
	n := &dialtest.Network{Began: time.Now(),
		Names: map[string]dialtest.Zone{"ip4:mx.example": {Found: []string{dialtest.Four1, dialtest.Four2}}},
		Hosts: map[string]dialtest.Peer{dialtest.At(dialtest.Four1): {}, dialtest.At(dialtest.Four2): {}}}
	d := &Dialer{Lookup: n.Lookup, Dial: n.Dial}
	hops := d.Hops(t.Context(), &config.Account{AddressFamily: 4}, Target{Server: server(t, "smtp+plain://mx.example"), Name: "mx.example", Port: 25})
	var got []string
	for hops.Left() > 0 {
		conn, hop, err := hops.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		got = append(got, hop.Address.Addr().String())
	}
	if strings.Join(got, " ") != dialtest.Four1+" "+dialtest.Four2 {
		t.Errorf("connected to %q", got)
	}
}

// TestConnectStopped holds that no name server is blamed for a signal that came before the
// connection to an address.
func TestConnectStopped(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(process.Stopped{Signal: syscall.SIGTERM})
	for range 20 { // the attempt may begin, or not
		n := &dialtest.Network{Began: time.Now()}
		d := &Dialer{Lookup: n.Lookup, Dial: n.Dial}
		hops := d.Hops(ctx, new(config.Account), Target{Server: server(t, "smtp+plain://"+dialtest.Four1), Name: dialtest.Four1, Port: 25})
		_, _, err := hops.Connect(ctx)
		if want := "connect to 192.0.2.1:25: stopped by a signal (terminated)"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
