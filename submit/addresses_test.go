//go:build !race && unix

package submit

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/dial"
	"sendoff/submit/dial/dialtest"
)

// dualStack is a Submitter whose smarthost has an address of each family, with a
// post at each; the returned function tells which were dialled since it was called
// last.
func dualStack(t *testing.T, six, four *post) (s *Submitter, dialled func() string) {
	s = office(t, four)
	s.Config.Accounts[0].Servers = config.List[config.Server]{server(t, "smtp+plain://mx.example")}
	s.Smarthosts.Dialer.Lookup = func(_ context.Context, network, _ string) ([]netip.Addr, error) {
		if network == "ip6" {
			return []netip.Addr{netip.MustParseAddr(dialtest.Six1)}, nil
		}
		return []netip.Addr{netip.MustParseAddr(dialtest.Four1)}, nil
	}
	var list []string
	s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == dialtest.At(dialtest.Six1) {
			list = append(list, "six")
			return six.dial(ctx, network, address)
		}
		list = append(list, "four")
		return four.dial(ctx, network, address)
	}
	return s, func() string {
		words := strings.Join(list, " ")
		list = nil
		return words
	}
}

// TestStalledAddress: where large packets are lost on the way over IPv6, the next
// attempt goes over IPv4, and so do all within an hour.
func TestStalledAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		six, four := &post{dot: after(24*time.Hour, "250 ok")}, &post{}
		s, dialled := dualStack(t, six, four)
		if err := submit(t, s, "bob@example.net"); err != nil { // it waits in the queue
			t.Fatal(err)
		}
		if got := dialled(); got != "six" {
			t.Errorf("first: %s", got)
		}
		if err := s.Runner(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := dialled(); got != "four" || len(four.mails) != 1 {
			t.Errorf("then: %s, %d mails", got, len(four.mails))
		}
		if err := submit(t, s, "bob@example.net"); err != nil || dialled() != "four" {
			t.Errorf("within the hour: %v", err)
		}
		s.Config.Queue = s.Queue.String()
		var found strings.Builder
		RunDoctor(t.Context(), s, &found)
		if !strings.Contains(found.String(), "\nnote  connect   smtp+plain://mx.example:25 ([2001:db8::1]:25): a mail got stuck there") {
			t.Errorf("the doctor says:\n%s", found.String())
		}
		dialled()
		four.up = func() bool { return false } // and if nobody is there, IPv6 after all
		six.dot = nil
		if err := submit(t, s, "bob@example.net"); err != nil {
			t.Errorf("IPv4 is down: %v", err)
		}
		if got := dialled(); got != "four six" || len(six.mails) != 1 {
			t.Errorf("IPv4 is down: %s, %d mails", got, len(six.mails))
		}
		time.Sleep(time.Hour)
		if err := submit(t, s, "bob@example.net"); err != nil || dialled() != "six" {
			t.Errorf("later: %v", err)
		}
		s.Secrets().Dialer.Sweep()
		if names := s.Queue.State.List(); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "address-") }) {
			t.Errorf("left: %q", names)
		}
		time.Sleep(48 * time.Hour) // until the silent one has noticed
	})
}

// TestStalls: what is a stall of the address, and what the server's own word or
// the network's.
func TestStalls(t *testing.T) {
	hang := func() string { time.Sleep(24 * time.Hour); return "250 ok" }
	for _, tt := range []struct {
		name string
		six  *post
		want bool
	}{
		{"MAIL", &post{mail: hang}, true},
		{"RCPT", &post{rcpt: func(string) string { return hang() }}, true},
		{"the dot", &post{dot: hang}, true},
		{"the server's clock", &post{dot: func() string { return "421 4.4.2 mx Error: timeout exceeded" }}, true},
		{"the server's clock, in words", &post{dot: func() string { return "421 mx: SMTP incoming data timeout - closing connection." }}, true},
		{"refused", &post{dot: func() string { return "451 4.3.0 later" }}, false},
		{"too busy", &post{dot: func() string { return "421 4.3.2 busy" }}, false},
		{"idle for too long", &post{mail: func() string { return "421 4.4.2 timeout exceeded" }}, false},
		{"taken", &post{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, dialled := dualStack(t, tt.six, &post{})
				if err := submit(t, s, "bob@example.net"); err != nil {
					t.Error(err)
				}
				dialled()
				h := dial.Hop{Target: dial.Target{Server: s.Config.Accounts[0].Servers[0]}, Address: netip.MustParseAddrPort(dialtest.At(dialtest.Six1))}
				if got := s.Secrets().Dialer.Is(h, dial.Stalls); got != tt.want {
					t.Errorf("%v", got)
				}
				time.Sleep(48 * time.Hour)
			})
		})
	}
}

// TestLateAnswerAfterStall: the other family has a moment to be known.
func TestLateAnswerAfterStall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, dialled := dualStack(t, &post{}, &post{})
		lookup := s.Smarthosts.Dialer.Lookup
		s.Smarthosts.Dialer.Lookup = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			if network == "ip4" {
				time.Sleep(time.Second)
			}
			return lookup(ctx, network, host)
		}
		s.Secrets().Dialer.Remember(dial.Hop{Target: dial.Target{Server: s.Config.Accounts[0].Servers[0]}, Address: netip.MustParseAddrPort(dialtest.At(dialtest.Six1))}, dial.Stalls)
		if err := submit(t, s, "bob@example.net"); err != nil {
			t.Error(err)
		}
		if got := dialled(); got != "four" {
			t.Errorf("%s", got)
		}
	})
}
