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

// TestExactCeiling takes what fills a queue to the octet, and nothing after it.
func TestExactCeiling(t *testing.T) {
	q := openTest(t)
	q.MaxBytes.Store(2 * int64(len(content)))
	for i, want := range []error{nil, nil, ErrFull} {
		q.State.Write(usageFile, nil) // or it is believed for a while
		e := testEntry(t, "b@example.org")
		e.Size = int64(len(content))
		if err := q.Add(e, strings.NewReader(content)); !errors.Is(err, want) {
			t.Errorf("message %d: %v, want %v", i+1, err, want)
		}
	}
}

// TestUsage believes what was counted a moment ago, but nothing that is older, of
// another clock, or not whole.
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
		if u := q.usage(); u.Entries != tt.entries || u.Octets != 10*tt.entries {
			t.Errorf("%q, %s ago: %d entries, %d octets", tt.format, tt.ago, u.Entries, u.Octets)
		}
	}
}

// TestGone says so when the queue's folder is removed, or cannot be asked.
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

// TestChanged holds that a queue has changed when an entry or a state last did.
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

// TestBorn counts the age of an entry from when it came, or became a notice.
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

// TestWhy says why an entry waits: its own reason, or the first of a recipient.
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

// TestQuote writes any text as one line of good UTF-8 that comes back as it was.
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
