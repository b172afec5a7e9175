package queue

import (
	"errors"
	"iter"
	"path/filepath"
	"time"
)

// FailedFolder returns the folder of the failed entries, each with its message in ID.eml.
func (q *Queue) FailedFolder() string { return filepath.Join(q.path, failed) }

// Failed returns the failed entries, which a person must look at. It is Entries for the
// folder of the failed entries.
func (q *Queue) Failed() iter.Seq2[*Entry, error] { return q.entries(failed) }

// CountFailed returns the number of failed entries.
func (q *Queue) CountFailed() (int, error) {
	ids, err := q.ids(failed)
	return len(ids), err
}

// FailedAt returns when an entry was moved to the failed ones; zero: it is not there.
func (q *Queue) FailedAt(id ID) time.Time { return q.disk.modified(failed + string(id) + envelopeEnd) }

// errNoRecipient is the error of Retry for an entry that was refused because its header
// has no valid recipient.
var errNoRecipient = errors.New("none of its recipients is an address; correct its header, and send it with sendmail -t")

// Retry puts a failed entry into the queue again, for all its recipients and to be tried
// at once. It returns the new entry, which has an ID of its own and survives any crash. An
// error together with an entry says that the failed entry could not be removed.
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

// DiscardFailed removes a failed entry, even if the entry cannot be read, or if a person
// has removed its message.
func (q *Queue) DiscardFailed(id ID) error {
	err := q.discard(failed, id)
	if errors.Is(err, ErrGone) && q.disk.exists(failed+string(id)+envelopeEnd) {
		return q.erase(failed, id)
	}
	return err
}

func (q *Queue) discard(folder string, id ID) error {
	f, err := q.lock(folder, id)
	if err != nil {
		return err
	}
	defer f.Close()
	return q.erase(folder, id)
}

// erase removes an entry. This process must have its lock.
func (q *Queue) erase(folder string, id ID) error {
	name := folder + string(id)
	if err := q.disk.remove(name + envelopeEnd); err != nil {
		return err
	}
	q.disk.remove(name + messageEnd) // after an error, Sweep removes the message
	return q.disk.sync(folder)
}
