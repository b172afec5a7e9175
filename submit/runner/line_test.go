package runner

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sendoff/submit"
	"sendoff/submit/queue"
)

// TestLine tests that a group tries fresh mail before the backlog, and mail with fewer
// attempts first in each, in whatever order the entries came; and that the order of a
// great number of entries takes no noticeable time.
func TestLine(t *testing.T) {
	const many = 100_000 // a quadratic algorithm would take minutes
	s := new(submit.Submitter)
	g := &group{r: New(s).newRun(Selection{}), s: s, sessions: 1}
	var want []pending
	for range many {
		id := queue.NewID(time.Now().Add(-time.Duration(rand.N(1000))*time.Minute - 30*time.Second))
		p := newPending(id, rand.N(40))
		want = append(want, p)
		g.take(t.Context(), id, &knownEntry{attempts: p.attempts})
	}
	slices.SortFunc(want, pending.compare)
	for n, p := range want {
		if id, ok := g.pop(); !ok || id != p.id {
			t.Fatalf("%s is number %d instead of %s", id, n, p.id)
		}
	}
}
