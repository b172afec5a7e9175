package submit

import (
	"sync"
	"time"

	"sendoff/submit/notify"
	"sendoff/submit/queue"
	"sendoff/submit/throttle"
)

// A memory is what a process knows that the queue's disk would not take. Without
// it a disk that is full would have one mail sent, or one login tried, again
// and again. A nil memory knows nothing, and keeps nothing.
type memory struct {
	mu     sync.Mutex
	holds  map[queue.ID]hold
	faults throttle.Unwritten
	events notify.List // of which a person is still to be told
}

// A hold keeps an entry from being tried: what became of the last attempt is not
// in its file, somebody else is at work on it, or its user has submitted too much.
type hold struct {
	until    time.Time
	failures int
	busy     time.Duration // somebody else is at work on it: how long it was left alone
	done     bool          // every recipient is settled: it need only be removed
}

func (m *memory) hold(id queue.ID) hold {
	if m == nil {
		return hold{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holds[id]
}

// record remembers that what became of an entry could not be written, or
// forgets that; until is when it may be tried again after so many failures.
func (m *memory) record(id queue.ID, err error, done bool, until func(failures int) time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.holds, id)
		return
	}
	h := m.holds[id]
	h.failures++
	h.done = h.done || done
	h.until = until(h.failures)
	m.setHold(id, h)
}

// setHold keeps a hold. The lock is held.
func (m *memory) setHold(id queue.ID, h hold) {
	if m.holds == nil {
		m.holds = make(map[queue.ID]hold)
	}
	m.holds[id] = h
}

// How long an entry is left alone that somebody else is at work on: at first,
// and at most.
const (
	minBusy = time.Second
	maxBusy = 10 * time.Second
)

// rest keeps an entry from being tried for a moment, and for longer if that was
// so before.
func (m *memory) rest(id queue.ID, now time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, h := range m.holds {
		if h.failures == 0 && now.After(h.until.Add(maxBusy)) { // that is long ago
			delete(m.holds, other)
		}
	}
	h := m.holds[id]
	h.busy = min(max(2*h.busy, minBusy), maxBusy)
	h.until = now.Add(h.busy)
	m.setHold(id, h)
}

// keepUntil keeps an entry from being tried before a time.
func (m *memory) keepUntil(id queue.ID, until time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.holds[id]
	h.until = until
	m.setHold(id, h)
}

// eventList is where events wait until a person is told of them.
func (m *memory) eventList() *notify.List {
	if m == nil {
		return nil
	}
	return &m.events
}

// unwrittenFaults are the faults of accounts that the disk did not take.
func (m *memory) unwrittenFaults() *throttle.Unwritten {
	if m == nil {
		return nil
	}
	return &m.faults
}
