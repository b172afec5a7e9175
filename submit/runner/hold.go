package runner

import (
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

// record remembers that what became of an entry could not be written, or
// forgets that; until is when it may be tried again after so many failures.
func (h *holds) record(id queue.ID, err error, done bool, until func(failures int) time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.byID, id)
		return
	}
	held := h.byID[id]
	held.failures++
	held.done = held.done || done
	held.until = until(held.failures)
	h.set(id, held)
}

// set holds an entry. The lock is held.
func (h *holds) set(id queue.ID, held hold) {
	if h.byID == nil {
		h.byID = make(map[queue.ID]hold)
	}
	h.byID[id] = held
}

// How long an entry is left alone that somebody else is at work on: at first,
// and at most.
const (
	minBusy = time.Second
	maxBusy = 10 * time.Second
)

// busy keeps an entry from being tried for a moment, because another process is at
// work on it, and for longer if that was so before.
func (h *holds) busy(id queue.ID, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for other, held := range h.byID {
		if held.failures == 0 && now.After(held.until.Add(maxBusy)) {
			delete(h.byID, other)
		}
	}
	held := h.byID[id]
	held.busy = min(max(2*held.busy, minBusy), maxBusy)
	held.until = now.Add(held.busy)
	h.set(id, held)
}

// until keeps an entry from being tried before a time.
func (h *holds) until(id queue.ID, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.byID[id]
	held.until = until
	h.set(id, held)
}
