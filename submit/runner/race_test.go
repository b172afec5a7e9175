//go:build unix

package runner

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/submittest"
)

// These tests run in real time with short waits, so that the race detector can run them.
// Other tests check the same with faked time.

// quick is office with short waits.
func quick(t *testing.T, p *submittest.Post) *user {
	t.Helper()
	s := office(t, p)
	s.Config.Retry = config.List[config.Duration]{{Duration: 20 * time.Millisecond}, {Duration: 100 * time.Millisecond}}
	return s
}

// TestRunnerInRealTime lets a runner send over several sessions while other processes
// submit. The account's server is down at first.
func TestRunnerInRealTime(t *testing.T) {
	up := make(chan struct{})
	p := &submittest.Post{Up: func() bool {
		select {
		case <-up:
			return true
		default:
			return false
		}
	}}
	s := quick(t, p)
	for range 12 {
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Error(err)
		}
	})
	close(up)
	for range 4 {
		all.Go(func() {
			process := *s
			if err := send(t, &process, "carol@example.net"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.UntilEmpty(t.Context()); err != nil { // sends entries that came while the first runner ended
		t.Fatal(err)
	}
	if n, _ := submittest.Left(t, s.Submitter); n > 0 || len(p.Mails) != 16 {
		t.Errorf("%d wait, %d are taken", n, len(p.Mails))
	}
}

// TestSessionsThatFailAtOnce lets several sessions of an account fail at the same time.
func TestSessionsThatFailAtOnce(t *testing.T) {
	var came sync.Map
	p := &submittest.Post{}
	p.Mail = func() string {
		came.Store(time.Now(), true)
		return "421 4.3.2 closing"
	}
	s := quick(t, p)
	s.Config.Accounts[0].Deliver = config.DeliverQueue
	for range 12 {
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, n, err := s.Run(t.Context(), Selection{Now: true}); err != nil || n != 12 {
			t.Fatalf("%d wait: %v", n, err)
		}
	}
}

// TestBugs tests that a bug in the goroutine that writes one message does not stop other
// messages.
func TestBugs(t *testing.T) {
	t.Run("the writer of a message", func(t *testing.T) {
		client, server := net.Pipe()
		go new(submittest.Post).Serve(server)
		session, err := smtp.Open(t.Context(), client, smtp.Options{Name: "client.example", Host: "mx", Security: smtp.None})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		var got error
		e := envelope.Envelope{From: submittest.Parse(t, "ann@example.org"), To: []envelope.Recipient{{Address: submittest.Parse(t, "bob@example.net")}}}
		mail := smtp.Mail{
			Envelope: &e,
			Open:     func(envelope.Form) (io.Reader, int64, error) { return buggy{}, 10, nil },
			Done:     func(r smtp.Result) { got = r.Err },
		}
		session.Deliver(t.Context(), func(yield func(smtp.Mail) bool) { yield(mail) })
		if status.KindOf(got) != status.Bug {
			t.Errorf("%v", got)
		}
	})
}

// buggy is a message whose reading panics.
type buggy struct{}

func (buggy) Read([]byte) (int, error) { panic("of no use") }
