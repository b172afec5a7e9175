package queue

import "errors"

// TakeIn moves all entries of other that nobody is at work on into q, with their
// IDs. After a crash, an entry that is in both queues is removed from other at the
// next time; if q has sent the entry meanwhile, its recipients get it twice. An
// entry that cannot be moved stays where it is, and the error names it.
func (q *Queue) TakeIn(other *Queue) error {
	ids, err := other.IDs()
	failures := []error{err}
	for _, id := range ids {
		if err := q.takeIn(other, id); !errors.Is(err, ErrBusy) && !errors.Is(err, ErrGone) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (q *Queue) takeIn(other *Queue, id ID) error {
	c, err := other.Claim(id)
	if err != nil {
		return err
	}
	if !q.disk.exists(string(id) + envelopeEnd) {
		f, err := q.add("", c.Entry, c.Message())
		if err != nil {
			c.Release()
			return err
		}
		defer f.Close()
	}
	return c.Done()
}
