package runner

import (
	"maps"
	"sync"
	"time"

	"sendoff/submit/queue"
)

// Holds keep entries from being tried that look as if they could be. Without them a
// disk that is full would have one mail sent again and again.
type holds struct {
	mu   sync.Mutex
	byID map[queue.ID]hold
}

// A hold keeps an entry from being tried: what became of the last attempt is not
// in its file, somebody else is at work on it, or its user has submitted too much.
type hold struct {
	until    time.Time
	failures int
	busy     time.Duration // somebody else is at work on it: how long it was left alone
	done     bool          // every recipient is settled: it need only be removed
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

// record remembers that what became of an entry could not be written, or
// forgets that. By s it may be tried again.
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

// How long an entry is left alone that somebody else is at work on: at first,
// and at most.
const (
	minBusy = time.Second
	maxBusy = 10 * time.Second
)

// busy keeps an entry from being tried for a moment, because another process is at
// work on it, and for longer if that was so before.
func (h *holds) busy(id queue.ID) {
	h.change(id, func(held *hold) {
		maps.DeleteFunc(h.byID, func(_ queue.ID, other hold) bool {
			return other.failures == 0 && time.Since(other.until) > maxBusy
		})
		held.busy = min(max(2*held.busy, minBusy), maxBusy)
		held.until = time.Now().Add(held.busy)
	})
}
