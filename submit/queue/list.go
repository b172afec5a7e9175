package queue

import (
	"errors"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
)

// IDs returns the IDs of all entries, the oldest first.
func (q *Queue) IDs() ([]ID, error) { return q.ids("") }

func (q *Queue) ids(folder string) (ids []ID, err error) {
	for id, e := range q.unsorted(folder) {
		if e != nil {
			err = e
			break
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, err
}

// unsorted returns the IDs of all entries in folder, in any order. An error ends the
// sequence; a folder that does not exist is none.
func (q *Queue) unsorted(folder string) iter.Seq2[ID, error] {
	return func(yield func(ID, error) bool) {
		for name, err := range q.disk.list(folder) {
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					yield("", err)
				}
				return
			}
			if id, ok := envelopeOf(name); ok && !yield(id, nil) {
				return
			}
		}
	}
}

// envelopeOf returns the ID of the entry whose envelope a file of that name is.
func envelopeOf(name string) (ID, bool) {
	text, ok := strings.CutSuffix(name, envelopeEnd)
	id, isID := ParseID(text)
	return id, ok && isID
}

// Entries returns all entries, the oldest first, also the claimed ones. In the place of an
// entry that cannot be read it returns a Bad. An error that is no Bad ends the sequence.
func (q *Queue) Entries() iter.Seq2[*Entry, error] { return q.entries("") }

func (q *Queue) entries(folder string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		ids, err := q.ids(folder)
		for _, id := range ids {
			e, err := q.read(folder, id)
			if err != ErrGone && !yield(e, err) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// Waits reports whether the queue has a readable entry that is not in except. It does not
// list the whole queue.
func (q *Queue) Waits(except map[ID]bool) bool {
	for id, err := range q.unsorted("") {
		if err != nil {
			break
		}
		if _, err := q.Read(id); err == nil && !except[id] {
			return true
		}
	}
	return false
}

// CountBelow returns how many entries, waiting or failed, the queues in folder have: also a
// queue that Open refuses because of its owner or mode.
func CountBelow(folder string) (n int, err error) {
	err = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if _, ok := envelopeOf(filepath.Base(path)); ok {
			n++
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return n, err
}

// untriedFile has the last entries that Untried returns, an ID a line. It spares a caller
// the list of the whole queue.
const (
	untriedFile = "untried"
	maxUntried  = 100
)

// NoteUntried remembers an entry for Untried. If processes do that at the same time, one
// of the entries may be forgotten.
func (q *Queue) NoteUntried(id ID) {
	ids := append(q.Untried(), id)
	ids = ids[max(0, len(ids)-maxUntried):]
	var text strings.Builder
	for _, id := range ids {
		text.WriteString(string(id) + "\n")
	}
	q.State.Overwrite(untriedFile, []byte(text.String()))
}

// Untried returns the newest entries that were queued because no session was free for
// them. Some may have left the queue.
func (q *Queue) Untried() (ids []ID) {
	for _, text := range strings.Fields(string(q.State.Read(untriedFile))) {
		if id, ok := ParseID(text); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
