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

// Show writes the envelope and the message of the entry with the ID name to w.
func Show(w io.Writer, q *queue.Queue, name string) error {
	id, ok := queue.ParseID(strings.ToLower(name))
	if !ok {
		return status.Usage.Errorf("%q is not a queue ID; sendoff -bp lists them", name)
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

// Delete removes the entry with the ID name, even if it has failed. For ALL it removes all
// entries that wait, but none that a process holds. It returns how many it has removed.
func Delete(q *queue.Queue, name string) (int, error) {
	return each(q, name, q.Discard, q.DiscardFailed)
}

// Retry makes the entry with the ID name due now; for ALL, all entries that wait, and it
// also forgets the faults of all accounts. A message that has failed is queued requeued under
// a new ID: requeued is called with the new entry and the old ID. Retry returns how many
// entries are due.
func Retry(q *queue.Queue, name string, requeued func(e *queue.Entry, was queue.ID)) (int, error) {
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
			requeued(e, id)
		}
		return err
	})
}

// each calls do for the entry with the ID name, or ifFailed if the message has failed. For
// ALL it calls do for all entries that wait. It returns how many calls succeeded.
func each(q *queue.Queue, name string, do, ifFailed func(queue.ID) error) (int, error) {
	if !strings.EqualFold(name, "ALL") {
		id, ok := queue.ParseID(strings.ToLower(name))
		if !ok {
			return 0, status.Usage.Errorf("%q is neither a queue ID nor ALL; sendoff -bp lists the IDs", name)
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

// noEntry returns err as the error about an entry that the caller has named.
func noEntry(id queue.ID, err error) error {
	if errors.Is(err, queue.ErrGone) {
		return status.Usage.Errorf("%s: %w", id, err)
	}
	if bad := new(queue.Bad); errors.As(err, &bad) {
		return status.Temporary.Wrap(err)
	}
	return status.Temporary.Errorf("%s: %w", id, err)
}

// Matching returns a function that reports whether a run tries an entry: if its ID (kind
// I), its sender (S) or one of its recipients (R) contains text, in any case of letters.
// With exclude it is the other entries. Kind 0 stands for all entries: the result is nil.
func Matching(kind byte, text string, exclude bool) func(*queue.Entry) bool {
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
		return match != exclude
	}
}
