package submit

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// A Tally counts what becomes of messages in a run of the queue. A nil Tally
// counts nothing.
type Tally struct {
	sent    atomic.Int32 // to all recipients that were left
	givenUp atomic.Int32 // for at least one
}

func (t *Tally) countSent() {
	if t != nil {
		t.sent.Add(1)
	}
}

func (t *Tally) countGivenUp() {
	if t != nil {
		t.givenUp.Add(1)
	}
}

// Words says for people, in a line, what a run has done that has left so many
// entries.
func (t *Tally) Words(left int) string {
	var parts []string
	sent, givenUp := t.sent.Load(), t.givenUp.Load()
	if sent > 0 {
		parts = append(parts, fmt.Sprintf("%d sent", sent))
	}
	if givenUp > 0 {
		parts = append(parts, fmt.Sprintf("%d given up", givenUp))
	}
	switch {
	case left == 0 && parts == nil:
		return "nothing to send"
	case left == 0:
		return strings.Join(parts, ", ")
	case parts == nil:
		parts = []string{"nothing sent"}
	}
	waits := "wait"
	if left == 1 {
		waits = "waits"
	}
	return fmt.Sprintf("%s, %d %s; mailq says why", strings.Join(parts, ", "), left, waits)
}
