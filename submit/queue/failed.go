package queue

import (
	"errors"
	"iter"
	"path/filepath"
	"time"
)

// FailedFolder returns the folder of the entries that were given up: of each, the
// message is in ID.eml.
func (q *Queue) FailedFolder() string { return filepath.Join(q.path, failed) }

// Failed returns the entries that a person must look at, as Entries does those
// that wait.
func (q *Queue) Failed() iter.Seq2[*Entry, error] { return q.entries(failed) }

// CountFailed returns how many entries Failed returns.
func (q *Queue) CountFailed() (int, error) {
	ids, err := q.ids(failed)
	return len(ids), err
}

// FailedAt returns when an entry came to those that a person must look at.
func (q *Queue) FailedAt(id ID) time.Time { return q.disk.modified(failed + string(id) + envelopeEnd) }

// errNoRecipient is returned for an entry that was refused before it had a
// recipient: nobody could get it.
var errNoRecipient = errors.New("none of its recipients is an address; mend its header, and send it with sendmail -t")

// Retry puts an entry that failed into the queue again, as a new one, which it
// returns, for all of its recipients and to be tried at once. When it returns
// an entry, that survives any crash; an error beside it says that it is among
// those that failed, too.
func (q *Queue) Retry(id ID) (*Entry, error) {
	c, err := q.claim(failed, id)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	message, e := c.Message(), c.Entry
	if len(e.To) == 0 {
		return nil, errNoRecipient
	}
	e.Limited = time.Time{}
	e.ID, e.Attempts, e.Tried, e.Tries, e.Next, e.Reason, e.Notice = "", 0, time.Time{}, nil, time.Now(), "", time.Time{}
	for i, to := range e.To {
		e.To[i] = Recipient{Recipient: to.Recipient, NoAliases: to.NoAliases}
	}
	if err := q.Add(e, message); err != nil {
		return nil, err
	}
	return e, q.erase(failed, id)
}

// DiscardFailed removes an entry that failed, even one that cannot be read, or
// whose message a person has removed.
func (q *Queue) DiscardFailed(id ID) error {
	err := q.discard(failed, id)
	if errors.Is(err, ErrGone) && q.disk.exists(failed+string(id)+envelopeEnd) {
		return q.erase(failed, id)
	}
	return err
}

func (q *Queue) discard(folder string, id ID) error {
	f, err := q.seize(folder, id)
	if err != nil {
		return err
	}
	defer f.Close()
	return q.erase(folder, id)
}

// erase removes an entry whose lock this process has.
func (q *Queue) erase(folder string, id ID) error {
	name := folder + string(id)
	if err := q.disk.remove(name + envelopeEnd); err != nil {
		return err
	}
	q.disk.remove(name + messageEnd) // or it is swept
	return q.disk.sync(folder)
}
