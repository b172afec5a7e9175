//go:build unix

package smarthost

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sendoff/submit/dial/dialtest"
)

// These tests connect in real time, so that the race detector can run them. The tests of
// way_test.go check the times, with faked time.

// TestAddressesInRealTime sends several mails at the same time to a name with addresses
// that are slow, refuse, or never answer.
func TestAddressesInRealTime(t *testing.T) {
	names := map[string]dialtest.Zone{
		"ip6:mx.example": {After: 20 * time.Millisecond, Found: []string{dialtest.Six1, dialtest.Six2}},
		"ip4:mx.example": {Found: []string{dialtest.Four1, dialtest.Four2}},
	}
	refused, busy := dialtest.Peer{Err: syscall.ECONNREFUSED}, dialtest.Peer{Says: "S: 421 4.3.2 busy\n"}
	for _, tt := range []struct {
		name  string
		hosts map[string]dialtest.Peer
		err   string
	}{
		{"all are there", map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {}, dialtest.At(dialtest.Six2): {}, dialtest.At(dialtest.Four1): {}, dialtest.At(dialtest.Four2): {}}, ""},
		{"one is a black hole", map[string]dialtest.Peer{dialtest.At(dialtest.Six2): {}, dialtest.At(dialtest.Four1): {After: 10 * time.Millisecond}, dialtest.At(dialtest.Four2): {}}, ""},
		{"the slower one wins", map[string]dialtest.Peer{dialtest.At(dialtest.Six1): {After: 300 * time.Millisecond}, dialtest.At(dialtest.Four1): {After: 300 * time.Millisecond}}, ""},
		{"refused, and busy", map[string]dialtest.Peer{dialtest.At(dialtest.Six1): refused, dialtest.At(dialtest.Four1): busy, dialtest.At(dialtest.Six2): busy, dialtest.At(dialtest.Four2): {}}, ""},
		{"nobody is there", map[string]dialtest.Peer{dialtest.At(dialtest.Six1): refused, dialtest.At(dialtest.Four1): refused, dialtest.At(dialtest.Six2): refused, dialtest.At(dialtest.Four2): refused}, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &dialtest.Network{Began: time.Now(), Session: session, Names: names, Hosts: tt.hosts}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					err := openIn(t, n, "smtp+plain://mx.example")
					if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
						t.Errorf("%v, want %q", err, tt.err)
					}
				})
			}
			all.Wait()
			n.Lock()
			defer n.Unlock()
			if n.Open != 0 {
				t.Errorf("%d connections are left open", n.Open)
			}
		})
	}
}

// TestWayIsLeft tests that nothing stays open if ctx ends while an address does not
// answer, before or after the connection.
func TestWayIsLeft(t *testing.T) {
	for name, hosts := range map[string]map[string]dialtest.Peer{
		"black holes": nil,
		"mute":        {dialtest.At(dialtest.Four1): {Mute: true}},
	} {
		n := &dialtest.Network{Began: time.Now(), Session: session, Hosts: hosts, Names: map[string]dialtest.Zone{"ip4:mx.example": {Found: []string{dialtest.Four1, dialtest.Four2}}}}
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		step := " dial " + dialtest.At(dialtest.Four1)
		if hosts != nil {
			step = " reach " + dialtest.At(dialtest.Four1)
		}
		var all sync.WaitGroup
		all.Go(func() {
			_, _, err := poolIn(n).Open(ctx, account(t, "smtp+plain://mx.example"), "client.example", Options{})
			if err == nil || !strings.Contains(err.Error(), "enough") {
				t.Errorf("%s: %v", name, err)
			}
		})
		for !hasNoted(n, step) {
			time.Sleep(time.Millisecond)
		}
		cancel(enough)
		all.Wait()
		n.Lock()
		if n.Open != 0 {
			t.Errorf("%s: %d connections are left open", name, n.Open)
		}
		n.Unlock()
	}
}

// hasNoted reports whether a note of the network ends with end.
func hasNoted(n *dialtest.Network, end string) bool {
	n.Lock()
	defer n.Unlock()
	return slices.ContainsFunc(n.Notes, func(note string) bool { return strings.HasSuffix(note, end) })
}
