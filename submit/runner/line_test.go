package runner

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sendoff/submit"
	"sendoff/submit/queue"
)

// TestLine holds that a group tries fresh mail before a backlog, and in each what
// has few attempts first, in whatever order the entries came, and that many which
// come in any order take no time that matters.
func TestLine(t *testing.T) {
	const many = 100_000 // with time for each that grows with their number, this takes minutes
	s := new(submit.Submitter)
	g := &group{r: New(s).newRun(Selection{}), s: s, sessions: 1}
	var want []pending
	for range many {
		id := queue.NewID(time.Now().Add(-time.Duration(rand.N(1000))*time.Minute - 30*time.Second))
		w := newPending(id, rand.N(40))
		want = append(want, w)
		g.take(t.Context(), id, &known{attempts: w.attempts})
	}
	slices.SortFunc(want, pending.before)
	for n, w := range want {
		if id, ok := g.pop(); !ok || id != w.id {
			t.Fatalf("%s is number %d instead of %s", id, n, w.id)
		}
	}
}
