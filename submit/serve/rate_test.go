//go:build !race && unix

// This test runs through days in a synctest bubble; see runner/run_test.go.
package serve

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/runner"
	"sendoff/submit/submittest"
)

// TestUserRate tests that a user's messages beyond user-rate wait in the queue, and do
// not delay those of other users.
func TestUserRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := submittest.Office(t, p)
		s.Config.UserRate = config.Rate{Messages: 5, Time: time.Minute}
		v := &Service{Submitter: s}
		hand := func(uid int) {
			t.Helper()
			to, err := envelope.Parse("bob@example.net")
			if err != nil {
				t.Fatal(err)
			}
			m, err := message.Read(strings.NewReader("Subject: x\n\nbody\n"), message.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e := &envelope.Envelope{To: []envelope.Recipient{{Address: to}}}
			if e.From, err = envelope.Parse("ann@example.org"); err != nil {
				t.Fatal(err)
			}
			r := v.request(e, m)
			r.Peer = process.Peer{UID: uid, PID: 4711}
			if err := v.handle(t.Context(), s, nil, r); err != nil {
				t.Fatal(err)
			}
		}
		const daemon, unknown = 1, 4_000_000 // users whom a machine does not know count as one
		for range 12 {
			hand(daemon)
		}
		if waiting, _ := submittest.Left(t, s); len(p.Mails) != 5 || waiting != 7 {
			t.Errorf("of 12 messages %d are sent and %d wait", len(p.Mails), waiting)
		}
		for range 3 {
			hand(unknown)
		}
		for range 9 {
			hand(0)
		}
		if len(p.Mails) != 17 {
			t.Errorf("%d messages are sent, with those of others", len(p.Mails))
		}
		begun := time.Now()
		if err := runner.New(s).UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); len(p.Mails) != 24 || took < 2*time.Minute-5*time.Second || took > 4*time.Minute {
			t.Errorf("after %s %d messages are sent", took, len(p.Mails))
		}
	})
}
