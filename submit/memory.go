package submit

import (
	"sync"
	"time"

	"sendoff/submit/queue"
)

// A memory is what a process knows that the queue's disk would not take. Without
// it a disk that is full would have one mail sent, or one login tried, again
// and again. A nil memory knows nothing, and keeps nothing.
type memory struct {
	mu     sync.Mutex
	holds  map[queue.ID]hold
	faults map[string]*fault
	bad    map[queue.ID]bool // entries that were said to be unreadable
	failed []*queue.Entry    // of which a person is still to be told
}

// A hold keeps an entry from being tried, because what became of the last
// attempt is not in its file.
type hold struct {
	until    time.Time
	failures int
	done     bool // every recipient is settled: it need only be removed
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
	h := m.holds[id]
	if err == nil {
		delete(m.holds, id)
		return
	}
	if m.holds == nil {
		m.holds = make(map[queue.ID]hold)
	}
	h.failures++
	h.done = h.done || done
	h.until = until(h.failures)
	m.holds[id] = h
}

// rest keeps an entry from being tried until then.
func (m *memory) rest(id queue.ID, until time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holds == nil {
		m.holds = make(map[queue.ID]hold)
	}
	for other, h := range m.holds {
		if h.failures == 0 && time.Now().After(h.until) { // its rest is over
			delete(m.holds, other)
		}
	}
	h := m.holds[id]
	h.until = until
	m.holds[id] = h
}

// fault returns the fault of an account that could not be written, or nil.
func (m *memory) fault(key string) *fault {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.faults[key]
}

// setFault remembers a fault that could not be written; nil is none.
func (m *memory) setFault(key string, f *fault) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if f == nil {
		delete(m.faults, key)
		return
	}
	if m.faults == nil {
		m.faults = make(map[string]*fault)
	}
	m.faults[key] = f
}

// firstBad reports whether an entry was not yet said to be unreadable.
func (m *memory) firstBad(id queue.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := !m.bad[id]
	if m.bad == nil {
		m.bad = make(map[queue.ID]bool)
	}
	m.bad[id] = true
	return first
}

// addFailed remembers to tell of an entry; false if nobody will ask.
func (m *memory) addFailed(e *queue.Entry) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = append(m.failed, e)
	return true
}

// takeFailed returns the entries of which to tell.
func (m *memory) takeFailed() []*queue.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	failed := m.failed
	m.failed = nil
	return failed
}
