//go:build !race && unix

package runner

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/submit/mailq"
	"sendoff/submit/queue"
	"sendoff/submit/status"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// TestOverview tests what a monitor is told, from the first message that waits to the
// last one that was given up.
func TestOverview(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := true
		p := &submittest.Post{Up: func() bool { return !down }}
		s := office(t, p)
		state := func() (text string) {
			t.Helper()
			var b bytes.Buffer
			if err := mailq.StatusJSON(&b, s.Queue); err != nil {
				t.Fatal(err)
			}
			all, err := mailq.ReadStatus(&b)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range all {
				text += fmt.Sprintf("%s %s %d %t %d ", o.Account, o.State, o.Entries, o.Fault != "", o.Failed)
			}
			return strings.TrimSpace(text)
		}
		expect := func(want string) {
			t.Helper()
			if got := state(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		expect("")
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		expect("work ok 1 true 0")
		time.Sleep(59 * time.Minute)
		expect("work ok 1 true 0")
		time.Sleep(time.Minute)
		expect("work late 1 true 0")
		down = false
		if _, _, err := s.Run(t.Context(), Selection{Now: true}); err != nil {
			t.Fatal(err)
		}
		expect("work ok 0 false 0")
		if last := throttle.LastTaken(s.Queue)[s.Config.Accounts[0].Name]; time.Since(last) > time.Minute {
			t.Errorf("last taken %s ago", time.Since(last))
		}

		p.Rcpt = func(string) string { return "550 5.1.1 no such user" }
		if err := send(t, s, "bob@example.net"); status.KindOf(err) != status.NoUser {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(s.Queue.String(), "failed", "*.env"))
		for _, old := range []struct {
			days int
			want string
		}{{0, "work failed 0 false 1"}, {6, "work failed 0 false 1"}, {8, "work ok 0 false 0"}} {
			at := time.Now().AddDate(0, 0, -old.days)
			if err := os.Chtimes(files[0], at, at); err != nil {
				t.Fatal(err)
			}
			expect(old.want)
		}
	})
}

// TestListStops tests that a list ends when its reader has left, and that faults are
// listed after a look at a part of a large queue only.
func TestListStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := office(t, &submittest.Post{Up: func() bool { return false }})
		for range 50 {
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		w := &closing{left: 1000}
		n, err := mailq.List(w, s.Queue, "")
		if err == nil || n > 30 {
			t.Errorf("%d entries, %v", n, err)
		}
		if !strings.HasPrefix(w.text, "(account work: connect") {
			t.Errorf("%q", w.text)
		}
	})
}

// closing is a pipe whose reader leaves after a number of octets.
type closing struct {
	left int
	text string
}

func (c *closing) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		return 0, queue.ErrGone
	}
	c.text += string(p)
	return len(p), nil
}
