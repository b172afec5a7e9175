package queue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Ceilings of a queue.
const (
	maxEntries = 200_000
	maxFailed  = 1000                // failed entries: a person will not look at more
	minFailed  = 100                 // failed entries that are kept, even if they are over maxAge
	maxAge     = 30 * 24 * time.Hour // of a failed entry, since it failed
	minFree    = 64 << 20            // octets of the disk that stay free,
	minPart    = 20                  // or 1/minPart of the disk, if that is less
)

// Sweep removes files that crashes left, and finishes moves to failed that a crash
// interrupted. It does not touch locked entries.
func (q *Queue) Sweep() error {
	names, err := q.names("")
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
	q.trimFailed("")
	q.State.Sweep()
	q.recount()
	return err
}

func (q *Queue) names(folder string) (names []string, err error) {
	for name, err := range q.disk.list(folder) {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// sweepLocked locks an entry, and removes its ID.tmp, and its ID.eml if there is no ID.env.
// It does nothing if another process has the lock.
func (q *Queue) sweepLocked(id ID) error {
	name := string(id)
	f, err := q.disk.open(name + messageEnd)
	if err != nil {
		return nil // another process has removed the file
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

// sweepEnvelope removes ID.env if there is no ID.eml, or moves it to failed if ID.eml is
// there. ID.eml will not come: it is made before ID.env, and removed after it.
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

// trimFailed removes failed entries that exceed the ceilings, those that failed first
// before others, but never the entry newest.
func (q *Queue) trimFailed(newest ID) {
	type failure struct {
		at     time.Time
		octets int64
	}
	all := make(map[ID]failure)
	names, _ := q.names(failed)
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

// TakeDropped returns the failed entries that this process has removed because there were
// too many, or because they were too old. It returns each of them once only. An entry that
// could not be read has only an ID.
func (q *Queue) TakeDropped() []*Entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.dropped
	q.dropped = nil
	return all
}

// remove removes the files of an entry. It ignores errors: Sweep removes what remains.
func (q *Queue) remove(folder string, id ID) {
	for _, end := range [...]string{envelopeEnd, temporaryEnd, messageEnd} {
		q.disk.remove(folder + string(id) + end)
	}
}

// A usage is how much was in the queue at the time At, with the entries added since. It is
// kept in State as JSON. Nobody subtracts the entries that leave, so it may be too high; it
// is counted anew before an entry is refused for it, by Sweep, and after usageValid.
// Processes that add entries at the same time may lose each other's additions, and exceed
// the ceilings until then.
type usage struct {
	At time.Time
	amount
}

const (
	usageFile  = "usage"
	usageValid = 10 * time.Minute
	usageExact = 5 * time.Second // the greatest age at which a usage may refuse an entry
)

// checkSize returns ErrFull if a message of that size does not fit the disk, or would not
// fit even an empty queue.
func (q *Queue) checkSize(size int64) error {
	free, total := q.disk.space()
	switch {
	case total > 0 && free-size < min(minFree, total/minPart):
		return fmt.Errorf("%w: only %d MB are free on the disk of %s", ErrFull, free>>20, q.path)
	case q.MaxBytes.Load() > 0 && size > q.MaxBytes.Load():
		return fmt.Errorf("%w: queue-limit allows %d MB", ErrFull, q.MaxBytes.Load()>>20)
	}
	return nil
}

// checkRoom returns ErrFull if the queue, or the share of the client of e, has no room for
// e. If there is room, e is added to the usage.
func (q *Queue) checkRoom(e *Entry) error {
	if err := q.checkSize(e.Size); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.usage(usageValid)
	if full := u.add(e.Size); full.over(q, 1) || isLimited(e) && full.over(q, crowded) {
		u = q.usage(usageExact)
	}
	all := u.add(e.Size)
	var err error
	switch {
	case all.Entries > maxEntries:
		err = fmt.Errorf("%w: %s has %d entries", ErrFull, q.path, u.Entries)
	case q.MaxBytes.Load() > 0 && all.Octets > q.MaxBytes.Load():
		err = fmt.Errorf("%w: %s holds %d MB, and queue-limit allows no more", ErrFull, q.path, u.Octets>>20)
	default:
		err = q.checkShare(e, all)
	}
	if err == nil {
		u.amount = all
	}
	q.keep(u)
	return err
}

// usage returns how much is in the queue, or was at most valid ago.
func (q *Queue) usage(valid time.Duration) usage {
	var u usage
	if err := json.Unmarshal(q.State.Read(usageFile), &u); err == nil {
		if age := time.Since(u.At); age >= 0 && age < valid {
			return u
		}
	}
	u = usage{At: time.Now()}
	for id, err := range q.unsorted("") {
		if err != nil {
			break
		}
		u.amount = u.add(q.disk.size(string(id) + messageEnd))
	}
	return u
}

func (q *Queue) keep(u usage) {
	text, _ := json.Marshal(u)
	q.State.Overwrite(usageFile, text)
}

// recount counts the queue, if a process has asked for its usage.
func (q *Queue) recount() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.State.Read(usageFile) != nil {
		q.keep(q.usage(0))
	}
}
