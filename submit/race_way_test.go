//go:build unix

package submit

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
)

// These tests go the way to the server in real time, and so under the race
// detector. What must be said when is held by those with a faked one.

// TestAddressesInRealTime has several mails race over the addresses of a name, some
// of which are slow, or refuse, or never answer.
func TestAddressesInRealTime(t *testing.T) {
	names := map[string]zone{
		"ip6:mx.example": {after: 20 * time.Millisecond, found: []string{six1, six2}},
		"ip4:mx.example": {found: []string{four1, four2}},
	}
	refused, busy := peer{err: syscall.ECONNREFUSED}, peer{says: "S: 421 4.3.2 busy\n"}
	for _, tt := range []struct {
		name  string
		hosts map[string]peer
		err   string
	}{
		{"all are there", map[string]peer{at(six1): {}, at(six2): {}, at(four1): {}, at(four2): {}}, ""},
		{"one is a black hole", map[string]peer{at(six2): {}, at(four1): {after: 10 * time.Millisecond}, at(four2): {}}, ""},
		{"the slower one wins", map[string]peer{at(six1): {after: 300 * time.Millisecond}, at(four1): {after: 300 * time.Millisecond}}, ""},
		{"refused, and busy", map[string]peer{at(six1): refused, at(four1): busy, at(six2): busy, at(four2): {}}, ""},
		{"nobody is there", map[string]peer{at(six1): refused, at(four1): refused, at(six2): refused, at(four2): refused}, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &network{began: time.Now(), names: names, hosts: tt.hosts}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					err := n.submit(t, "smtp+plain://mx.example")
					if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
						t.Errorf("%v, want %q", err, tt.err)
					}
				})
			}
			all.Wait()
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.open != 0 {
				t.Errorf("%d connections are left open", n.open)
			}
		})
	}
}

// TestWayIsLeft ends on the way to addresses that do not answer, before and after
// the connection.
func TestWayIsLeft(t *testing.T) {
	for name, hosts := range map[string]map[string]peer{
		"black holes": nil,
		"mute":        {at(four1): {mute: true}},
	} {
		n := &network{began: time.Now(), hosts: hosts, names: map[string]zone{"ip4:mx.example": {found: []string{four1, four2}}}}
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		step := " dial " + at(four1)
		if hosts != nil {
			step = " reach " + at(four1)
		}
		var all sync.WaitGroup
		all.Go(func() {
			a := work(t, "ann@example.org")
			a.User, a.Servers = "", config.List[config.Server]{server(t, "smtp+plain://mx.example")}
			err := n.submitter().Submit(ctx, request(t, a, nil, "Subject: x\n", "bob@example.net"))
			if err == nil || !strings.Contains(err.Error(), "enough") {
				t.Errorf("%s: %v", name, err)
			}
		})
		for !n.noted(step) {
			time.Sleep(time.Millisecond)
		}
		cancel(enough)
		all.Wait()
		n.mu.Lock()
		if n.open != 0 {
			t.Errorf("%s: %d connections are left open", name, n.open)
		}
		n.mu.Unlock()
	}
}

// noted reports whether the network has noted what ends so.
func (n *network) noted(end string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.notes, func(note string) bool { return strings.HasSuffix(note, end) })
}

// TestDoctorInRealTime has the doctor meet many addresses at once, with what they
// say to be shown.
func TestDoctorInRealTime(t *testing.T) {
	n := &network{began: time.Now(), hosts: map[string]peer{
		at(four2): {err: syscall.ECONNREFUSED}, at(six1): {says: "S: 421 4.3.2 busy\nC: QUIT\n"},
	}, names: map[string]zone{"ip4:mx.example": {found: []string{four1, four2}}, "ip6:mx.example": {found: []string{six1, six2}}}}
	a := work(t, "ann@example.org")
	a.User, a.Servers = "", config.List[config.Server]{server(t, "smtp+plain://mx.example:25")}
	c := config.Default()
	c.Accounts, c.Queue, c.Hostname = []*config.Account{a}, config.Off, "client.example"
	s := n.submitter()
	s.Config, s.Identity, s.Store = c, host, &credential.Store{}
	good := new(post)
	s.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == at(four1) || address == at(six2) {
			return good.dial(ctx, network, address)
		}
		return n.dial(ctx, network, address)
	}
	var out strings.Builder
	s.Doctor(t.Context(), &out, Checkup{})
	lines := strings.Split(out.String(), "\n")
	for _, want := range []string{
		"ok    connect   smtp+plain://mx.example:25 (192.0.2.1:25)",
		"ok    connect   smtp+plain://mx.example:25 ([2001:db8::2]:25)",
		"note  EHLO      [2001:db8::1]:25: greeting: 421 4.3.2 busy (mx.example)",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s\nin %s", want, out.String())
		}
	}
	if !strings.Contains(out.String(), "\nnote  connect   connect to mx.example:25 at 192.0.2.2: connection refused") {
		t.Errorf("nothing of who refuses in\n%s", out.String())
	}
}
