package queue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Ceilings. What is in failed is for people, who look at so many at most.
const (
	maxEntries = 200_000
	maxFailed  = 1000
	minFailed  = 100                 // that stay, however old a clock says they are
	maxAge     = 30 * 24 * time.Hour // of what is in failed, since it came there
	minFree    = 64 << 20            // octets that stay free on the disk, or
	minPart    = 20                  // this part of it, if that is less
)

// Sweep removes what crashes left, and ends moves to failed that they cut
// short. It leaves alone whatever somebody works on.
func (q *Queue) Sweep() error {
	names, err := q.disk.list("")
	if err != nil {
		return err
	}
	present := make(map[string]bool, len(names))
	for _, name := range names {
		present[name] = true
	}
	for _, name := range names {
		n := min(len(name), idLength)
		id, ok := ParseID(name[:n])
		if !ok {
			continue
		}
		switch end := name[n:]; {
		case end == messageEnd && !present[name[:n]+envelopeEnd], end == temporaryEnd && present[name[:n]+messageEnd]:
			err = cmp.Or(err, q.sweepLocked(id))
		case end == envelopeEnd && !present[name[:n]+messageEnd]:
			err = cmp.Or(err, q.sweepEnvelope(id))
		case end == temporaryEnd && !q.disk.exists(name[:n]+messageEnd):
			err = cmp.Or(err, q.disk.remove(name))
		}
	}
	q.trim("")
	q.State.Sweep()
	return err
}

// sweepLocked removes what belongs to no entry, if nobody has the lock.
func (q *Queue) sweepLocked(id ID) error {
	name := string(id)
	f, err := q.disk.open(name + messageEnd)
	if err != nil {
		return nil // somebody was faster
	}
	defer f.Close()
	if locked, err := f.lock(); err != nil || !locked {
		return err
	}
	q.disk.remove(name + temporaryEnd)
	if q.disk.exists(name + envelopeEnd) {
		return nil
	}
	return q.disk.remove(name + messageEnd)
}

// sweepEnvelope deals with an envelope that has no message. Because a message
// is the first to come and the last to go, one that is not there now is gone
// for good.
func (q *Queue) sweepEnvelope(id ID) error {
	name := string(id)
	switch {
	case q.disk.exists(name+messageEnd) || !q.disk.exists(name+envelopeEnd):
		return nil
	case q.disk.exists(failed + name + messageEnd):
		return q.move(id, envelopeEnd)
	}
	return q.disk.remove(name + envelopeEnd)
}

// trim removes from failed what is beyond its bounds, the one that has been
// there longest first, but never the newest one.
func (q *Queue) trim(newest ID) {
	type failure struct {
		at     time.Time
		octets int64
	}
	all := make(map[ID]failure)
	names, _ := q.disk.list(failed)
	octets := int64(0)
	for _, name := range names {
		id, ok := ParseID(name[:min(len(name), idLength)])
		if !ok {
			continue
		}
		f := all[id]
		if at := q.disk.modified(failed + name); at.After(f.at) {
			f.at = at
		}
		size := q.disk.size(failed + name)
		f.octets += size
		octets += size
		all[id] = f
	}
	ids := slices.SortedFunc(maps.Keys(all), func(a, b ID) int {
		return cmp.Or(all[a].at.Compare(all[b].at), cmp.Compare(a, b))
	})
	for i, id := range ids {
		left := len(ids) - i
		tooOld := left > minFailed && time.Since(all[id].at) > maxAge
		tooMuch := q.MaxBytes.Load() > 0 && octets > q.MaxBytes.Load()
		if id != newest && (left > maxFailed || tooOld || tooMuch) {
			q.drop(id)
			octets -= all[id].octets
		}
	}
}

// drop removes an entry from failed, and remembers it for TakeDropped.
func (q *Queue) drop(id ID) {
	e, err := q.read(failed, id)
	if err != nil {
		e = &Entry{ID: id}
	}
	q.remove(failed, id)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped = append(q.dropped, e)
}

// TakeDropped returns the entries that this process has removed from those that a
// person must look at, because there were too many, or they were too old; each
// once. Of one that could not be read only the ID is known.
func (q *Queue) TakeDropped() []*Entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.dropped
	q.dropped = nil
	return all
}

// remove removes the files of an entry that is nobody's.
func (q *Queue) remove(folder string, id ID) {
	for _, end := range [...]string{envelopeEnd, temporaryEnd, messageEnd} {
		q.disk.remove(folder + string(id) + end)
	}
}

// A usage is how much the queue held when it was counted, with what was added since.
// It is a text of State, and valid for a moment only, so that processes which add at
// the same time can pass the ceilings by no more than they add in that moment.
type usage struct {
	At time.Time
	room
}

const (
	usageFile  = "usage"
	usageValid = 5 * time.Second
)

// fits reports ErrFull if a message of that size is too much for the disk, or
// for the queue however empty it is.
func (q *Queue) fits(size int64) error {
	free, total := q.disk.space()
	switch {
	case total > 0 && free-size < min(minFree, total/minPart):
		return fmt.Errorf("%w: only %d MB are free on the disk of %s", ErrFull, free>>20, q.path)
	case q.MaxBytes.Load() > 0 && size > q.MaxBytes.Load():
		return fmt.Errorf("%w: queue-limit allows %d MB", ErrFull, q.MaxBytes.Load()>>20)
	}
	return nil
}

// room reports ErrFull if there is no room for another entry, or none for one
// of its client's.
func (q *Queue) room(e *Entry) error {
	if err := q.fits(e.Size); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.usage()
	all := u.add(e.Size)
	var err error
	switch {
	case all.Entries > maxEntries:
		err = fmt.Errorf("%w: %s has %d entries", ErrFull, q.path, u.Entries)
	case q.MaxBytes.Load() > 0 && all.Octets > q.MaxBytes.Load():
		err = fmt.Errorf("%w: %s holds %d MB, and queue-limit allows no more", ErrFull, q.path, u.Octets>>20)
	default:
		err = q.shared(e, all)
	}
	if err == nil {
		u.room = all
	}
	text, _ := json.Marshal(u)
	q.State.Overwrite(usageFile, text)
	return err
}

// usage returns how much the queue holds, or held a moment ago.
func (q *Queue) usage() usage {
	var u usage
	if err := json.Unmarshal(q.State.Read(usageFile), &u); err == nil {
		if age := time.Since(u.At); age >= 0 && age < usageValid {
			return u
		}
	}
	ids, _ := q.IDs()
	u = usage{time.Now(), room{Entries: int64(len(ids))}}
	for _, id := range ids {
		u.Octets += q.disk.size(string(id) + messageEnd)
	}
	return u
}
