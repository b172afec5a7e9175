//go:build !race && unix

// This test runs through hours in a synctest bubble; see run_test.go.

package runner_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/runner"
	"sendoff/submit/spool"
	"sendoff/submit/submittest"
)

// TestOrder tests that a runner tries the entries that another process selects, though they
// are not due, and that a process does it itself where the runner does not.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		p := &submittest.Post{Up: func() bool { return !down }}
		s := submittest.Office(t, p)
		s.Config.Retry = config.List[config.Duration]{{Duration: 5 * time.Hour}, {Duration: 5 * time.Hour}}
		for _, to := range []string{"bob@example.net", "carol@example.net"} {
			if err := submittest.Submit(t, s, to); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() { runner.New(s).Forever(ctx); close(ended) }()
		time.Sleep(time.Minute)
		pass := func(selection runner.Selection, want runner.Outcome) {
			t.Helper()
			o, err := runner.New(s).Pass(t.Context(), selection)
			if o.Next = (time.Time{}); err != nil || o != want {
				t.Errorf("got %+v, %v; want %+v", o, err, want)
			}
		}
		begun := len(p.Dials)
		pass(runner.Selection{Now: true}, runner.Outcome{Left: 2})
		if len(p.Dials) == begun {
			t.Error("the runner has not tried")
		}
		down = false
		pass(runner.Selection{Now: true, Match: func(e *queue.Entry) bool { return e.To[0].Address.Local() == "carol" }}, runner.Outcome{Sent: 1, Left: 1})
		pass(runner.Selection{Now: true}, runner.Outcome{Sent: 1})
		cancel()
		<-ended

		s.Config.Accounts[0].Deliver = config.DeliverQueue
		if err := submittest.Submit(t, s, "dan@example.net"); err != nil {
			t.Fatal(err)
		}
		release, err := s.Queue.State.Lock(spool.RunnerLock) // a runner that takes no orders
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		pass(runner.Selection{Now: true}, runner.Outcome{Sent: 1})
	})
}
