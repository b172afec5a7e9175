package mailq

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"sendoff/submit/queue"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// Show writes an entry to w, its envelope and its message.
func Show(w io.Writer, q *queue.Queue, name string) error {
	id, ok := queue.ParseID(strings.ToLower(name))
	if !ok {
		return status.Usage.Errorf("%q is not a queue ID; mailq lists them", name)
	}
	if q == nil {
		return noEntry(id, queue.ErrGone)
	}
	envelope, message, err := q.Files(id)
	if err != nil {
		return noEntry(id, err)
	}
	defer message.Close()
	if _, err := fmt.Fprintf(w, "%s\n", envelope); err != nil {
		return err
	}
	_, err = io.Copy(w, message)
	return err
}

// Delete removes an entry, also one that was given up, or ALL that wait; those that
// somebody is at work on stay. It returns how many it removed.
func Delete(q *queue.Queue, name string) (int, error) {
	return each(q, name, q.Discard, q.DiscardFailed)
}

// Retry makes an entry, or ALL that wait, due now, and forgets for ALL why accounts
// could not be used. An entry that was given up is put into the queue again as
// another, of which again hears. It returns how many are due.
func Retry(q *queue.Queue, name string, again func(e *queue.Entry, was queue.ID)) (int, error) {
	if q != nil && strings.EqualFold(name, "ALL") {
		throttle.ForgetAll(q)
	}
	due := func(id queue.ID) error {
		c, err := q.Claim(id)
		if err != nil {
			return err
		}
		defer c.Release()
		c.Next = time.Now()
		return c.Update()
	}
	return each(q, name, due, func(id queue.ID) error {
		e, err := q.Retry(id)
		if e != nil {
			again(e, id)
		}
		return err
	})
}

// each does something to the entry of that name, or something else to it if it
// was given up; or it does something to ALL that wait.
func each(q *queue.Queue, name string, do, ifFailed func(queue.ID) error) (int, error) {
	if !strings.EqualFold(name, "ALL") {
		id, ok := queue.ParseID(strings.ToLower(name))
		if !ok {
			return 0, status.Usage.Errorf("%q is neither a queue ID nor ALL; mailq lists the IDs", name)
		}
		err := queue.ErrGone
		if q != nil {
			err = do(id)
		}
		if q != nil && errors.Is(err, queue.ErrGone) {
			err = ifFailed(id)
		}
		if err != nil {
			return 0, noEntry(id, err)
		}
		return 1, nil
	}
	if q == nil {
		return 0, nil
	}
	n := 0
	ids, err := q.IDs()
	failures := []error{status.Temporary.Wrap(err)}
	for _, id := range ids {
		err := do(id)
		switch {
		case err == nil:
			n++
		case !errors.Is(err, queue.ErrGone):
			failures = append(failures, noEntry(id, err))
		}
	}
	return n, errors.Join(failures...)
}

// noEntry says what is wrong with an entry that somebody has named.
func noEntry(id queue.ID, err error) error {
	if errors.Is(err, queue.ErrGone) {
		return status.Usage.Errorf("%s: %w", id, err)
	}
	if bad := new(queue.Bad); errors.As(err, &bad) {
		return status.Temporary.Wrap(err)
	}
	return status.Temporary.Errorf("%s: %w", id, err)
}

// Matching returns whether an entry is what a run is about: the one whose ID,
// whose sender or one of whose recipients holds text, or not. kind is I, S or R;
// 0 is every entry, for which there is no function.
func Matching(kind byte, text string, not bool) func(*queue.Entry) bool {
	if kind == 0 {
		return nil
	}
	text = strings.ToLower(text)
	holds := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	return func(e *queue.Entry) bool {
		match := true
		switch kind {
		case 'I':
			match = holds(string(e.ID))
		case 'S':
			match = holds(senderOf(e))
		case 'R':
			match = false
			for _, to := range e.To {
				match = match || holds(to.Address.String())
			}
		}
		return match != not
	}
}
