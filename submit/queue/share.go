package queue

import (
	"fmt"
	"time"

	"sendoff/submit/process"
)

// Many users may fill one queue through a service, and each of them has a share: while
// more than half of the queue is used, no user except root (uid 0) may have more than a
// quarter of the whole queue.
const (
	crowded    = 2 // a queue is crowded if more than 1/crowded of it is used
	shareOf    = 4 // the share of a client in a crowded queue is 1/shareOf
	countValid = 5 * time.Second
)

// shares is how much of the queue each client had when it was counted at the time at, with
// the entries that were added since.
type shares struct {
	at      time.Time
	clients map[int]amount // by process.CountedAs
}

// countedAs is process.CountedAs. Tests replace it, so that the users of the machine do
// not matter.
var countedAs = process.CountedAs

// An amount is how much a queue, or a client in it, has.
type amount struct{ Entries, Octets int64 }

func (a amount) add(octets int64) amount { return amount{a.Entries + 1, a.Octets + octets} }

// over reports whether a is more than 1/part of the ceilings of q.
func (a amount) over(q *Queue, part int64) bool {
	return a.Entries > maxEntries/part || q.MaxBytes.Load() > 0 && a.Octets > q.MaxBytes.Load()/part
}

// isLimited reports whether e counts to a share: it came from another user than root.
func isLimited(e *Entry) bool { return e.Client != nil && *e.Client != 0 }

// checkShare returns ErrFull if the client of e would have more than its share with e. all
// is how much the queue would have with e. The caller must hold q.mu.
func (q *Queue) checkShare(e *Entry, all amount) error {
	if !isLimited(e) || !all.over(q, crowded) {
		return nil
	}
	if q.shares.clients == nil || time.Since(q.shares.at) > countValid {
		q.count()
	}
	client := countedAs(*e.Client)
	share := q.shares.clients[client].add(e.Size)
	if share.over(q, shareOf) {
		return fmt.Errorf("%w: uid %d has used its share of the queue", ErrFull, *e.Client)
	}
	q.shares.clients[client] = share
	return nil
}

// count sets q.shares to what each client has in the queue now.
func (q *Queue) count() {
	q.shares = shares{time.Now(), make(map[int]amount)}
	counted := make(map[int]int) // results of countedAs, which reads a file
	for e, err := range q.Entries() {
		if err != nil || e.Client == nil {
			continue
		}
		client, ok := counted[*e.Client]
		if !ok {
			client = countedAs(*e.Client)
			counted[*e.Client] = client
		}
		q.shares.clients[client] = q.shares.clients[client].add(e.Size)
	}
}
