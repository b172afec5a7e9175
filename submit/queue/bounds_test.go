package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// TestExactCeiling checks that a queue can be filled to the last octet, and not further.
func TestExactCeiling(t *testing.T) {
	q := openTest(t)
	q.MaxBytes.Store(2 * int64(len(content)))
	for i, want := range []error{nil, nil, ErrFull} {
		q.State.Write(usageFile, nil) // so that the queue is counted again
		e := testEntry(t, "b@example.org")
		e.Size = int64(len(content))
		if err := q.Add(e, strings.NewReader(content)); !errors.Is(err, want) {
			t.Errorf("message %d: %v, want %v", i+1, err, want)
		}
	}
}

// TestUsage checks that a recent usage is used, but not one that is older, from a wrong
// clock, or incomplete.
func TestUsage(t *testing.T) {
	q := openTest(t)
	for _, tt := range []struct {
		ago     time.Duration
		format  string
		entries int64
	}{
		{0, `{"At":"%s","Entries":7,"Octets":70}`, 7},
		{usageValid + time.Second, `{"At":"%s","Entries":7,"Octets":70}`, 0},
		{-time.Minute, `{"At":"%s","Entries":7,"Octets":70}`, 0},
		{0, `{"At":"%s","Entries":7,"Octets":70`, 0},
		{0, `{"At":"%s","Entries":7,"Octets":`, 0},
		{0, `{"At":"%s","Entries":7,"Octets":70}}`, 0},
		{0, `{"At":"%s","Entries":7,"Octets":70} 9`, 0},
	} {
		text := fmt.Sprintf(tt.format, time.Now().Add(-tt.ago).Format(time.RFC3339Nano))
		if err := q.State.Write(usageFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if u := q.usage(usageValid); u.Entries != tt.entries || u.Octets != 10*tt.entries {
			t.Errorf("%q, %s ago: %d entries, %d octets", tt.format, tt.ago, u.Entries, u.Octets)
		}
	}
}

// TestGone checks the errors if the folder of the queue was removed, or cannot be read.
func TestGone(t *testing.T) {
	q := openTest(t)
	if err := os.RemoveAll(q.path); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Changed(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
	q.disk.(rooted).root.Close()
	if _, err := q.Changed(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("closed: %v", err)
	}
	if err := q.Sweep(); err == nil {
		t.Error("swept")
	}
}

// TestChanged checks that Changed returns the later time of a change of an entry or state.
func TestChanged(t *testing.T) {
	q := openTest(t)
	older, newer := time.Unix(1_000_000, 0), time.Unix(2_000_000, 0)
	set := func(folder string, at time.Time) {
		if err := os.Chtimes(filepath.Join(q.path, folder), at, at); err != nil {
			t.Fatal(err)
		}
	}
	want := func(at time.Time) {
		t.Helper()
		if got, err := q.Changed(); !got.Equal(at) || err != nil {
			t.Errorf("changed at %s, %v; want %s", got, err, at)
		}
	}
	set("", older)
	want(older)
	if err := q.State.Write("work", []byte("down\n")); err != nil {
		t.Fatal(err)
	}
	set("", older)
	set(stateFolder, newer)
	want(newer)
	set("", newer)
	set(stateFolder, older)
	want(newer)
}

// TestBorn checks that the age of an entry counts from its ID, or from its notice.
func TestBorn(t *testing.T) {
	came := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	noticed, tried := came.Add(time.Minute), came.Add(2*time.Minute)
	for _, tt := range []struct {
		e          Entry
		born, last time.Time
	}{
		{Entry{}, came, came},
		{Entry{Notice: noticed}, noticed, noticed},
		{Entry{Tried: tried}, came, tried},
		{Entry{Notice: noticed, Tried: tried}, noticed, tried},
	} {
		tt.e.ID = NewID(came)
		if got := tt.e.Born(); !got.Equal(tt.born) {
			t.Errorf("born at %s, want %s", got, tt.born)
		}
		if got := tt.e.LastTried(); !got.Equal(tt.last) {
			t.Errorf("last tried at %s, want %s", got, tt.last)
		}
	}
}

// TestWhy checks that Why returns the reason of the entry, or the first of a recipient.
func TestWhy(t *testing.T) {
	for _, tt := range []struct{ own, first, second, want string }{
		{"", "", "", ""},
		{"no network", "450 busy", "", "no network"},
		{"", "450 busy", "550 no", "450 busy"},
		{"", "", "550 no", "550 no"},
	} {
		e := &Entry{Reason: tt.own, To: []Recipient{{Reason: tt.first}, {Reason: tt.second}}}
		if got := e.Why(); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// TestQuote checks that every text is quoted as one line of valid UTF-8, and unquoted again.
func TestQuote(t *testing.T) {
	for _, text := range []string{"", "x y", "Ünï", `"quoted"`, `"`, `in "the" middle`, "a\nb", "a\rb", "\x00", "\x7f", "\u0085", "\x80", "a\xffb", "\ufffd"} {
		line := quote(text)
		if again, err := unquote(line); again != text || err != nil {
			t.Errorf("%q became %q, then %q: %v", text, line, again, err)
		}
		if !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("%q became %q", text, line)
		}
	}
}
