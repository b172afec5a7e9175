package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	q.sweepWrites()
	return err
}

// sweepWrites removes what a crash left of disk.write.
func (q *Queue) sweepWrites() {
	names, _ := q.disk.list("")
	for _, name := range names {
		_, after, _ := strings.Cut(name, ".")
		if id, ok := ParseID(after); ok && time.Since(id.Time()) > time.Hour {
			q.disk.remove(name)
		}
	}
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

// usageFile holds how many entries and octets the queue held when it was last
// counted. The count is valid for a moment only, so that other processes can pass
// the ceilings by no more than they add in that moment.
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
	size := e.Size
	if err := q.fits(size); err != nil {
		return err
	}
	entries, octets := q.usage()
	switch {
	case entries >= maxEntries:
		return fmt.Errorf("%w: %s has %d entries", ErrFull, q.path, entries)
	case q.MaxBytes.Load() > 0 && octets+size > q.MaxBytes.Load():
		return fmt.Errorf("%w: %s holds %d MB, and queue-limit allows no more", ErrFull, q.path, octets>>20)
	}
	if err := q.shared(e, room{entries, octets}); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.added.room = q.added.room.add(size)
	return nil
}

// An addition is what this process has added since the queue was counted.
type addition struct {
	counted int64 // when that was, in microseconds
	room
}

// since returns how much the queue holds that held so much when it was counted.
func (q *Queue) since(counted, entries, octets int64) (int64, int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.added.counted != counted {
		q.added = addition{counted: counted}
	}
	return entries + q.added.entries, octets + q.added.octets
}

// usage returns how much the queue holds, or held a moment ago.
func (q *Queue) usage() (entries, octets int64) {
	if text, err := q.disk.read(usageFile); err == nil {
		words := strings.Fields(string(text))
		if len(words) == 4 && words[3] == endLine {
			at, _ := strconv.ParseInt(words[0], 10, 64)
			entries, _ = strconv.ParseInt(words[1], 10, 64)
			octets, _ = strconv.ParseInt(words[2], 10, 64)
			if age := time.Since(time.UnixMicro(at)); age >= 0 && age < usageValid {
				return q.since(at, entries, octets)
			}
		}
	}
	ids, _ := q.IDs()
	entries, octets = int64(len(ids)), 0
	for _, id := range ids {
		octets += q.disk.size(string(id) + messageEnd)
	}
	at := time.Now().UnixMicro()
	q.disk.write(usageFile, fmt.Appendf(nil, "%d %d %d %s\n", at, entries, octets, endLine))
	return q.since(at, entries, octets)
}
