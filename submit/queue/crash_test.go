package queue

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

const content = "Subject: hello\r\n\r\nIt works.\r\n"

func testEntry(t *testing.T, to ...string) *Entry {
	t.Helper()
	e := &Entry{Account: []string{"name=work"}, Next: time.Now()}
	for _, s := range to {
		a, err := envelope.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		e.To = append(e.To, Recipient{Recipient: envelope.Recipient{Address: a}})
	}
	return e
}

// A witness knows which operations a scenario has begun, and which returned nil.
type witness struct {
	queued   []ID // Add returned nil
	finished []ID // Done was begun: the server has the mail
	done     []ID // Done returned nil
	failing  []ID // Fail was begun
	failed   []ID // Fail, or AddFailed, returned nil
	retrying []ID // entries in failed for which Retry was begun
	again    []ID // Retry returned these entries
}

func has(ids []ID, id ID) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}

// scenarios are uses of a queue, which the tests interrupt at each operation of the disk.
// A scenario ends at the first error.
var scenarios = map[string]func(*testing.T, *Queue, *witness) error{
	"add": func(t *testing.T, q *Queue, w *witness) error {
		return add(t, q, w)
	},
	"add and go on": func(t *testing.T, q *Queue, w *witness) error {
		for _, outcome := range []func(*Claim) error{w.finish, w.fail, (*Claim).Update} {
			e := testEntry(t, "b@example.org", "c@example.org")
			c, err := q.AddClaimed(e, strings.NewReader(content))
			if err != nil {
				return err
			}
			defer c.Release()
			w.queued = append(w.queued, e.ID)
			if err := outcome(c); err != nil {
				return err
			}
		}
		return nil
	},
	"update": func(t *testing.T, q *Queue, w *witness) error {
		c, err := addAndClaim(t, q, w)
		if err != nil {
			return err
		}
		defer c.Release()
		c.Attempts, c.To = 1, c.To[1:]
		return c.Update()
	},
	"done": func(t *testing.T, q *Queue, w *witness) error {
		c, err := addAndClaim(t, q, w)
		if err != nil {
			return err
		}
		return w.finish(c)
	},
	"fail": func(t *testing.T, q *Queue, w *witness) error {
		c, err := addAndClaim(t, q, w)
		if err != nil {
			return err
		}
		return w.fail(c)
	},
	"add to failed": func(t *testing.T, q *Queue, w *witness) error {
		e := testEntry(t, "b@example.org")
		if err := q.AddFailed(e, strings.NewReader(content)); err != nil {
			return err
		}
		w.failed = append(w.failed, e.ID)
		return nil
	},
	"retry": func(t *testing.T, q *Queue, w *witness) error {
		e := testEntry(t, "b@example.org")
		if err := q.AddFailed(e, strings.NewReader(content)); err != nil {
			return err
		}
		w.failed, w.retrying = append(w.failed, e.ID), append(w.retrying, e.ID)
		again, err := q.Retry(e.ID)
		if again != nil {
			w.again = append(w.again, again.ID)
		}
		return err
	},
	"delete what failed": func(t *testing.T, q *Queue, w *witness) error {
		e := testEntry(t, "b@example.org")
		if err := q.AddFailed(e, strings.NewReader(content)); err != nil {
			return err
		}
		return q.DiscardFailed(e.ID)
	},
	"sweep": func(t *testing.T, q *Queue, w *witness) error {
		if err := add(t, q, w); err != nil {
			return err
		}
		return q.Sweep()
	},
	"run": func(t *testing.T, q *Queue, w *witness) error {
		for range 3 {
			if err := add(t, q, w); err != nil {
				return err
			}
		}
		return run(q, w)
	},
}

func add(t *testing.T, q *Queue, w *witness) error {
	e := testEntry(t, "b@example.org", "c@example.org")
	if err := q.Add(e, strings.NewReader(content)); err != nil {
		return err
	}
	w.queued = append(w.queued, e.ID)
	return nil
}

func addAndClaim(t *testing.T, q *Queue, w *witness) (*Claim, error) {
	if err := add(t, q, w); err != nil {
		return nil, err
	}
	return q.Claim(w.queued[len(w.queued)-1])
}

func (w *witness) finish(c *Claim) error {
	w.finished = append(w.finished, c.ID)
	if err := c.Done(); err != nil {
		return err
	}
	w.done = append(w.done, c.ID)
	return nil
}

func (w *witness) fail(c *Claim) error {
	w.failing = append(w.failing, c.ID)
	if err := c.Fail(); err != nil {
		return err
	}
	w.failed = append(w.failed, c.ID)
	return nil
}

// run sweeps, and gives the entries different results: one is delivered, one refused, one
// deferred.
func run(q *Queue, w *witness) error {
	if err := q.Sweep(); err != nil {
		return err
	}
	ids, err := q.IDs()
	if err != nil {
		return err
	}
	for i, id := range ids {
		c, err := q.Claim(id)
		if err != nil {
			return err
		}
		if err := c.Ready(); err != nil {
			c.Release()
			return err
		}
		switch i {
		case 0:
			err = w.finish(c)
		case 1:
			err = w.fail(c)
		default:
			c.Attempts++
			c.To[0].Code, c.To[0].Reason = status.Code{Class: 4}, "450 later"
			err = c.Update()
			c.Release()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestCrash stops the machine at each operation of each scenario, and loses different parts
// of the changes that were not synced. After the restart no queued entry is lost, no
// incomplete entry is read, no finished entry is there again, and one Sweep removes all
// other files.
func TestCrash(t *testing.T) {
	cases := 0
	for name, scenario := range scenarios {
		for n, ended := 0, false; !ended; n++ {
			for seed := range 8 {
				m, w := newModel(), &witness{}
				m.stopAt = n
				err := scenario(t, &Queue{disk: m}, w)
				ended = !m.stopped
				if ended && err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				var r *rand.Rand
				if seed > 0 {
					r = rand.New(rand.NewPCG(uint64(seed), uint64(n)))
				}
				after := m.crash(r)
				cases++
				if err := w.check(after); err != nil {
					t.Fatalf("%s, stopped at operation %d, seed %d: %v\n%s", name, n, seed, err, after.names())
				}
			}
		}
	}
	t.Logf("%d crashes", cases)
}

// check looks at the disk after a crash.
func (w *witness) check(m *model) error {
	q := &Queue{disk: m}
	if err := q.Sweep(); err != nil {
		return err
	}
	for e, err := range q.Entries() {
		if err != nil {
			return err
		}
		c, err := q.Claim(e.ID)
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		if text, err := io.ReadAll(c.Message()); string(text) != content || err != nil {
			return fmt.Errorf("half a message: %q, %v", text, err)
		}
		if _, err := q.Claim(e.ID); !errors.Is(err, ErrBusy) {
			return fmt.Errorf("two owners: %v", err)
		}
		c.Release()
		if has(w.done, e.ID) || has(w.failed, e.ID) {
			return errors.New("what was finished is there again")
		}
	}
	for _, id := range w.queued {
		pair := m.pair("", id)
		inFailed := m.pair(failed, id)
		if !pair && !inFailed && !has(w.finished, id) {
			return fmt.Errorf("%s is lost", id)
		}
		if inFailed && !has(w.failing, id) {
			return fmt.Errorf("%s failed by itself", id)
		}
	}
	queued, _ := q.IDs()
	for _, id := range w.failed {
		if !m.pair(failed, id) && !(has(w.retrying, id) && len(queued) > 0) {
			return fmt.Errorf("%s is not in failed", id)
		}
	}
	for _, id := range w.again {
		if !m.pair("", id) {
			return fmt.Errorf("%s is lost, which was to be tried again", id)
		}
	}
	for name := range m.folders[""] {
		id, _ := ParseID(name[:min(len(name), idLength)])
		if id != "" && !m.pair("", id) || strings.HasSuffix(name, temporaryEnd) {
			return fmt.Errorf("%s was left", name)
		}
	}
	return nil
}

// pair reports whether both files of an entry are there and complete.
func (m *model) pair(folder string, id ID) bool {
	text, err := m.read(folder + string(id) + envelopeEnd)
	if err != nil {
		return false
	}
	_, err = unmarshal(id, text)
	message, err2 := m.read(folder + string(id) + messageEnd)
	return err == nil && err2 == nil && string(message) == content
}

// TestFaults lets each operation of each scenario fail once. If Add failed, there is no
// entry; no other entry is lost, and the next run removes what remains.
func TestFaults(t *testing.T) {
	for name, scenario := range scenarios {
		for _, failure := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EDQUOT} {
			for n := 0; ; n++ {
				m, w := newModel(), &witness{}
				m.failAt, m.failure = n, failure
				q := &Queue{disk: m}
				err := scenario(t, q, w)
				if m.ops <= n {
					break
				}
				if err != nil && !errors.Is(err, failure) {
					t.Fatalf("%s, operation %d: %v, want %v", name, n, err, failure)
				}
				ids, _ := q.IDs()
				for _, id := range ids {
					if !has(w.queued, id) && !has(w.again, id) {
						t.Fatalf("%s, operation %d: Add failed, but there is an entry\n%s", name, n, m.names())
					}
				}
				if err := w.check(m); err != nil {
					t.Fatalf("%s, %v at operation %d: %v\n%s", name, failure, n, err, m.names())
				}
			}
		}
	}
}

// TestReady checks that Ready returns an error if the disk is full, and leaves no file.
func TestReady(t *testing.T) {
	m := newModel()
	c, err := addAndClaim(t, &Queue{disk: m}, &witness{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		m.failAt, m.failure = m.ops+n, syscall.ENOSPC
		if err := c.Ready(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("operation %d: %v", n, err)
		}
	}
}

// syncs has for each scenario the number of syncs. To add an entry takes three: of message,
// envelope and folder.
var syncs = map[string]int{
	"add":                3,
	"add and go on":      3*3 + 1 + 5 + 2, // done, failed, updated
	"update":             3 + 2,           // of envelope and folder
	"done":               3 + 1,           // of the folder
	"fail":               3 + 5,           // of the new folder; of both folders for each of two files
	"add to failed":      3 + 1,           // of the new folder
	"retry":              3 + 1 + 4,
	"delete what failed": 3 + 1 + 1,
	"sweep":              3,
	"run":                3*3 + 1 + 5 + 2, // done, failed, updated
}

// TestSyncs checks that no scenario makes more syncs, nor fewer.
func TestSyncs(t *testing.T) {
	for name, scenario := range scenarios {
		m := newModel()
		if err := scenario(t, &Queue{disk: m}, &witness{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.syncs != syncs[name] {
			t.Errorf("%s: %d syncs, want %d", name, m.syncs, syncs[name])
		}
	}
}
