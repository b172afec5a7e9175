//go:build !race && unix

package runner

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/smarthost"
	"sendoff/submit/submittest"
)

// TestKept tests that mails in a row share a session, for half a minute at most, and
// that the session carries no other account's mail.
func TestKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		s.Smarthosts.Idle = new(smarthost.Idle)
		defer s.Smarthosts.Idle.Close()
		dials := func(want int, why string) {
			t.Helper()
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
			if len(p.Dials) != want {
				t.Errorf("%s: %d sessions, want %d", why, len(p.Dials), want)
			}
		}
		dials(1, "the first mail")
		time.Sleep(time.Second)
		dials(1, "a second later")
		other := *s.Config.Accounts[0]
		other.TLSCert = "/other.pem" // the same server, user and secret
		own := s.Config.Accounts[0]
		s.Config.Accounts[0] = &other
		dials(2, "another account")
		s.Config.Accounts[0] = own
		dials(2, "the first account again")
		time.Sleep(3 * time.Second)
		dials(3, "after a rest")
		for range 40 {
			time.Sleep(time.Second)
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.Dials) != 4 {
			t.Errorf("%d more sessions in forty seconds", len(p.Dials)-3)
		}
	})
}

// TestKeptYields tests that an idle session is ended if its process needs the slot for
// another session.
func TestKeptYields(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := office(t, &submittest.Post{})
		s.Smarthosts.Idle, s.Config.Sessions = new(smarthost.Idle), 1
		defer s.Smarthosts.Idle.Close()
		for _, hello := range []string{"a.example", "b.example"} {
			s.Config.Hostname = hello
			begin := time.Now()
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
			if n, _ := submittest.Left(t, s.Submitter); n > 0 || time.Since(begin) > time.Second {
				t.Errorf("%s: %d wait, after %s", hello, n, time.Since(begin))
			}
		}
	})
}

// TestRunnerUnderTraffic tests that the entries of the queue are tried although the same
// process uses the only slot for new mail all the time.
func TestRunnerUnderTraffic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		s.Config.Sessions = 1
		s.Config.Accounts[0].Deliver = config.DeliverQueue
		if err := send(t, s, "waiting@example.net"); err != nil {
			t.Fatal(err)
		}
		s.Config.Accounts[0].Deliver = config.DeliverNow
		s.Smarthosts.Idle = new(smarthost.Idle)
		defer s.Smarthosts.Idle.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { s.Forever(ctx) })
		for range 150 {
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n, _ := submittest.Left(t, s.Submitter); n > 0 || len(p.Mails) != 151 {
			t.Errorf("%d wait, %d were taken", n, len(p.Mails))
		}
		cancel()
		all.Wait()
	})
}

// TestNoticeKeepsQuiet tests that a notice does not list recipients with NOTIFY=NEVER.
func TestNoticeKeepsQuiet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{Rcpt: func(to string) string {
			if strings.Contains(to, "ann@example.org") {
				return "250 ok"
			}
			return "550 5.1.1 no such user"
		}}
		s := office(t, p)
		r := submittest.Request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n", "loud@example.net", "quiet@example.net")
		defer r.Message.Close()
		r.To[1].Notify = envelope.NotifyNever
		r.QueueOnly = true
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Run(t.Context(), Selection{Now: true}); err != nil {
			t.Fatal(err)
		}
		if len(p.Mails) != 1 || !strings.Contains(p.Mails[0], "loud@example.net") || strings.Contains(p.Mails[0], "quiet@example.net") {
			t.Errorf("%q", p.Mails)
		}
	})
}
