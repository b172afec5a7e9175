//go:build !race && unix

package runner

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
	"sendoff/submit/doctor"
	"sendoff/submit/submittest"
)

// dualStack returns a user whose smarthost has an IPv6 and an IPv4 address, with a
// server at each. The returned function lists the addresses that were dialled since its
// last call.
func dualStack(t *testing.T, six, four *submittest.Post) (s *user, dialled func() string) {
	s = office(t, four)
	s.Config.Accounts[0].Servers = config.List[config.Server]{submittest.Server(t, "smtp+plain://mx.example")}
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
			return six.Dial(ctx, network, address)
		}
		list = append(list, "four")
		return four.Dial(ctx, network, address)
	}
	return s, func() string {
		words := strings.Join(list, " ")
		list = nil
		return words
	}
}

// TestStalledAddress tests that after a stall over IPv6, because large packets are lost,
// all attempts of the next hour use IPv4.
func TestStalledAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		six, four := &submittest.Post{Dot: after(24*time.Hour, "250 ok")}, &submittest.Post{}
		s, dialled := dualStack(t, six, four)
		if err := send(t, s, "bob@example.net"); err != nil { // it waits in the queue
			t.Fatal(err)
		}
		if got := dialled(); got != "six" {
			t.Errorf("first: %s", got)
		}
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := dialled(); got != "four" || len(four.Mails) != 1 {
			t.Errorf("then: %s, %d mails", got, len(four.Mails))
		}
		if err := send(t, s, "bob@example.net"); err != nil || dialled() != "four" {
			t.Errorf("within the hour: %v", err)
		}
		s.Config.Queue = s.Queue.String()
		var found strings.Builder
		doctor.Run(t.Context(), s.Submitter, &found, doctor.Checkup{})
		if !strings.Contains(found.String(), "\nnote  connect   smtp+plain://mx.example:25 ([2001:db8::1]:25): a message got stuck there") {
			t.Errorf("the doctor says:\n%s", found.String())
		}
		dialled()
		four.Up = func() bool { return false } // if IPv4 cannot be connected to, IPv6 is used after all
		six.Dot = nil
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Errorf("IPv4 is down: %v", err)
		}
		if got := dialled(); got != "four six" || len(six.Mails) != 1 {
			t.Errorf("IPv4 is down: %s, %d mails", got, len(six.Mails))
		}
		time.Sleep(time.Hour)
		if err := send(t, s, "bob@example.net"); err != nil || dialled() != "six" {
			t.Errorf("later: %v", err)
		}
		s.Pool().Secrets.Dialer.Sweep()
		if names := s.Queue.State.List(); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "address-") }) {
			t.Errorf("left: %q", names)
		}
		time.Sleep(48 * time.Hour) // until the silent server sees that the connection is closed
	})
}

// TestStalls tests which silences and replies count as a stall of the address.
func TestStalls(t *testing.T) {
	hang := func() string { time.Sleep(24 * time.Hour); return "250 ok" }
	for _, tt := range []struct {
		name string
		six  *submittest.Post
		want bool
	}{
		{"MAIL", &submittest.Post{Mail: hang}, true},
		{"RCPT", &submittest.Post{Rcpt: func(string) string { return hang() }}, true},
		{"the dot", &submittest.Post{Dot: hang}, true},
		{"the server's clock", &submittest.Post{Dot: func() string { return "421 4.4.2 mx Error: timeout exceeded" }}, true},
		{"the server's clock, in words", &submittest.Post{Dot: func() string { return "421 mx: SMTP incoming data timeout - closing connection." }}, true},
		{"refused", &submittest.Post{Dot: func() string { return "451 4.3.0 later" }}, false},
		{"too busy", &submittest.Post{Dot: func() string { return "421 4.3.2 busy" }}, false},
		{"idle for too long", &submittest.Post{Mail: func() string { return "421 4.4.2 timeout exceeded" }}, false},
		{"taken", &submittest.Post{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, dialled := dualStack(t, tt.six, &submittest.Post{})
				if err := send(t, s, "bob@example.net"); err != nil {
					t.Error(err)
				}
				dialled()
				h := dial.Hop{Target: dial.Target{Server: s.Config.Accounts[0].Servers[0]}, Address: netip.MustParseAddrPort(dialtest.At(dialtest.Six1))}
				if got := s.Pool().Secrets.Dialer.Is(h, dial.Stalls); got != tt.want {
					t.Errorf("%v", got)
				}
				time.Sleep(48 * time.Hour)
			})
		})
	}
}

// TestLateAnswerAfterStall tests that, if the first answer has only a stalled address,
// the answer about the other family is waited for.
func TestLateAnswerAfterStall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, dialled := dualStack(t, &submittest.Post{}, &submittest.Post{})
		lookup := s.Smarthosts.Dialer.Lookup
		s.Smarthosts.Dialer.Lookup = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			if network == "ip4" {
				time.Sleep(time.Second)
			}
			return lookup(ctx, network, host)
		}
		s.Pool().Secrets.Dialer.Remember(dial.Hop{Target: dial.Target{Server: s.Config.Accounts[0].Servers[0]}, Address: netip.MustParseAddrPort(dialtest.At(dialtest.Six1))}, dial.Stalls)
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Error(err)
		}
		if got := dialled(); got != "four" {
			t.Errorf("%s", got)
		}
	})
}
