package queue

import (
	"fmt"
	"time"

	"sendoff/submit/process"
)

// A queue that many users fill through one service has a share for each of
// them: while more than half of its room is taken, nobody but root (uid 0) may
// have more than a quarter of all.
const (
	crowded    = 2 // a queue is crowded if the part that is taken is larger than 1/crowded
	shareOf    = 4 // a client's share of a crowded queue is 1/shareOf
	countValid = 5 * time.Second
)

// shares is how much room each client takes, as it was counted at a time, with
// what was added since.
type shares struct {
	at      time.Time
	clients map[int]room // by process.CountedAs
}

// countedAs is replaced by tests, which do not know what users the machine has.
var countedAs = process.CountedAs

// A room is what a queue, or a part of it, holds.
type room struct{ Entries, Octets int64 }

func (r room) add(octets int64) room { return room{r.Entries + 1, r.Octets + octets} }

// over reports whether r is more than 1/part of what q may hold.
func (r room) over(q *Queue, part int64) bool {
	return r.Entries > maxEntries/part || q.MaxBytes.Load() > 0 && r.Octets > q.MaxBytes.Load()/part
}

// shared reports ErrFull if e is more than the share of its client in a queue
// that holds all with e. The caller has locked q.mu.
func (q *Queue) shared(e *Entry, all room) error {
	if e.Client == nil || *e.Client == 0 || !all.over(q, crowded) {
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

// count counts anew what each client has in the queue.
func (q *Queue) count() {
	q.shares = shares{time.Now(), make(map[int]room)}
	counted := make(map[int]int) // because it reads a file
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
