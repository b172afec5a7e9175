package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/submit/envelope"
)

// TestTakeIn moves entries from one queue to another: all but those that somebody is
// at work on, or that cannot be read, and each once, also after a crash in between.
func TestTakeIn(t *testing.T) {
	from, to := openTest(t), openTest(t)
	bob, err := envelope.Parse("bob@example.net")
	if err != nil {
		t.Fatal(err)
	}
	add := func(q *Queue, id ID) ID {
		t.Helper()
		e := &Entry{ID: id, Attempts: 3, Next: time.Now().Add(time.Hour), To: []Recipient{{Recipient: envelope.Recipient{Address: bob}}}}
		if err := q.Add(e, strings.NewReader("Subject: x\n\nbody\n")); err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	plain, busy, both, bad := add(from, ""), add(from, ""), add(from, ""), add(from, "")
	add(to, both) // a crash came before it was removed
	claim, err := from.Claim(busy)
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Release()
	if err := os.WriteFile(filepath.Join(from.String(), string(bad)+envelopeEnd), []byte("to bob@example.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	named := new(Bad)
	if err := to.TakeIn(from); !errors.As(err, &named) || named.ID != bad {
		t.Errorf("error %v, want one about %s", err, bad)
	}
	if ids, err := from.IDs(); err != nil || len(ids) != 2 || ids[0] != busy || ids[1] != bad {
		t.Errorf("in the old queue: %v, %v", ids, err)
	}
	if ids, err := to.IDs(); err != nil || len(ids) != 2 || ids[0] != plain || ids[1] != both {
		t.Errorf("in the new queue: %v, %v", ids, err)
	}
	c, err := to.Claim(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	text, err := io.ReadAll(c.Message())
	if err != nil || string(text) != "Subject: x\n\nbody\n" || c.Attempts != 3 || time.Until(c.Next) < 50*time.Minute {
		t.Errorf("moved: %q, %+v, %v", text, c.Entry, err)
	}
}
