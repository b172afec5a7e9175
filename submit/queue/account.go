package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// What is in the folder account belongs to an account, or a secret, of which
// nobody says when it is gone, if there is a hyphen in its name. So what nobody
// has used for long is removed: a lock, which is an empty file, or a state.
const (
	maxLock  = 24 * time.Hour
	maxState = 7 * 24 * time.Hour
)

// sweepStates removes what nobody has used for long.
func (q *Queue) sweepStates() {
	names, _ := q.disk.list(account)
	for _, name := range names {
		if !strings.Contains(name, "-") {
			continue
		}
		name = account + name
		switch age, size := time.Since(q.disk.modified(name)), q.disk.size(name); {
		case size > 0 && age > maxState:
			q.disk.remove(name)
		case size == 0 && age > maxLock:
			q.sweepLock(name)
		}
	}
}

// sweepLock removes a lock that nobody has.
func (q *Queue) sweepLock(name string) {
	f, err := q.lock(name)
	if err != nil {
		return
	}
	defer f.Close()
	if q.disk.same(name, f) {
		q.disk.remove(name)
	}
}

// State returns what SetState kept under name, or nothing.
func (q *Queue) State(name string) []byte {
	text, err := q.disk.read(account + name)
	if err != nil {
		return nil
	}
	return text
}

// States returns the names under which something is kept.
func (q *Queue) States() []string {
	names, _ := q.disk.list(account)
	return names
}

// SetState keeps text under name, which must be fit for a file, for all
// processes; an empty one is forgotten. A crash may undo it.
func (q *Queue) SetState(name string, text []byte) error {
	if len(text) == 0 {
		return q.disk.remove(account + name)
	}
	if err := q.disk.mkdir(account); err != nil {
		return err
	}
	return q.disk.write(account+name, text)
}

// Note keeps text under name as SetState does, but in the file that is there: no
// runner is woken by what changes with each message. Whoever reads it meanwhile
// may find it broken.
func (q *Queue) Note(name string, text []byte) error {
	err := q.disk.overwrite(account+name, text)
	if errors.Is(err, fs.ErrNotExist) {
		return q.SetState(name, text)
	}
	return err
}

// Lock takes the lock that name stands for, if nobody has it: ErrBusy if
// somebody does. It is held until it is released or the process ends.
func (q *Queue) Lock(name string) (release func(), err error) {
	if err := q.disk.mkdir(account); err != nil {
		return nil, err
	}
	name = account + name
	for {
		f, err := q.lock(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if q.disk.same(name, f) {
			return func() { f.Close() }, nil
		}
		f.Close() // it was swept before it was locked
	}
}

// LockWithin is Lock for a lock that others hold for a moment only: it waits for
// them, up to patience.
func (q *Queue) LockWithin(name string, patience time.Duration) (release func(), err error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		release, err = q.Lock(name)
		if !errors.Is(err, ErrBusy) || time.Now().After(deadline) {
			return release, err
		}
	}
}

// lock locks a file of account, and makes it if there is none.
func (q *Queue) lock(name string) (file, error) {
	f, err := q.disk.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = q.disk.create(name); errors.Is(err, fs.ErrExist) {
			f, err = q.disk.open(name)
		}
	}
	if err != nil {
		return nil, err
	}
	locked, err := f.lock()
	if err == nil && !locked {
		err = ErrBusy
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Locked reports whether somebody has the lock that name stands for, and an error
// if that cannot be known, because nobody could take it.
func (q *Queue) Locked(name string) (bool, error) {
	f, err := q.disk.open(account + name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, q.disk.mkdir(account)
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	return f.locked()
}

// Changed returns when an entry last came or went, or was written to. An error
// says that the queue's folder is gone.
func (q *Queue) Changed() (time.Time, error) { return q.disk.changed() }
