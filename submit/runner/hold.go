package runner

import (
	"maps"
	"sync"
	"time"

	"sendoff/submit/queue"
)

// Holds remember in memory which entries not to try, although their files say that
// they are due. Without them, one message would be sent again and again while the disk
// is full.
type holds struct {
	mu   sync.Mutex
	byID map[queue.ID]hold
}

// A hold says until when an entry is not tried, because the outcome of the last
// attempt could not be written, another process works on the entry, or its user has
// reached user-rate. The zero value forbids nothing.
type hold struct {
	until    time.Time
	failures int           // how often the outcome could not be written
	busy     time.Duration // how long the entry was last held because another process had it
	done     bool          // no recipient waits any more: the entry need only be removed
}

func (h *holds) of(id queue.ID) hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byID[id]
}

// change has f change the hold of an entry.
func (h *holds) change(id queue.ID, f func(*hold)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.byID[id]
	f(&held)
	h.byID[id] = held
}

// record holds an entry whose outcome could not be written, for longer each time, as s
// says. If err is nil, the outcome was written, and record removes the hold.
func (h *holds) record(id queue.ID, err error, done bool, s queue.Schedule) {
	if err == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.byID, id)
		return
	}
	h.change(id, func(held *hold) {
		held.failures++
		held.done = held.done || done
		held.until = time.Now().Add(s.Backoff(held.failures))
	})
}

// How long an entry is held because another process works on it.
const (
	minBusy = time.Second // at first; each next time is twice as long
	maxBusy = 10 * time.Second
)

// busy holds an entry because another process works on it.
func (h *holds) busy(id queue.ID) {
	h.change(id, func(held *hold) {
		maps.DeleteFunc(h.byID, func(_ queue.ID, other hold) bool {
			return other.failures == 0 && time.Since(other.until) > maxBusy
		})
		held.busy = min(max(2*held.busy, minBusy), maxBusy)
		held.until = time.Now().Add(held.busy)
	})
}
