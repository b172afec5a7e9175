package queue

import (
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// TestDescriptors checks that no operation leaves a file open that is not needed any more.
func TestDescriptors(t *testing.T) {
	q := openTest(t)
	e := testEntry(t, "b@example.org")
	if err := q.Add(e, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the garbage collector would close them
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	before := open()
	for name, f := range map[string]func(){
		"Add": func() {
			e := testEntry(t, "b@example.org")
			if q.Add(e, strings.NewReader(content)) == nil {
				q.Discard(e.ID)
			}
		},
		"AddFailed": func() {
			e := testEntry(t, "b@example.org")
			if q.AddFailed(e, strings.NewReader(content)) == nil {
				q.Retry(e.ID)
			}
		},
		"IDs":     func() { q.IDs() },
		"Read":    func() { q.Read(e.ID) },
		"Busy":    func() { q.Busy(e.ID) },
		"Sweep":   func() { q.Sweep() },
		"Changed": func() { q.Changed() },
		"space":   func() { q.disk.space() },
		"sync":    func() { q.disk.sync("") },
		"gone":    func() { q.Claim(NewID(e.ID.Time())); q.Discard(NewID(e.ID.Time())) },
		"Claim": func() {
			if c, err := q.Claim(e.ID); err == nil {
				q.Claim(e.ID)
				q.Discard(e.ID)
				c.Ready()
				c.Update()
				c.Release()
			}
		},
		"Files": func() {
			if _, message, err := q.Files(e.ID); err == nil {
				message.Close()
			}
		},
		"Existing": func() {
			if other, err := Existing(q.path, os.Geteuid()+1); err == nil {
				t.Errorf("opened %s", other)
			}
		},
	} {
		for range 20 {
			f()
		}
		if after := open(); after > before+2 { // the runtime may open some for itself
			t.Errorf("%s: %d files are open, %d were", name, after, before)
			before = after
		}
	}
}
