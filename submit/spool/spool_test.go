//go:build unix

package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
)

// testUser returns a user with a home of their own.
func testUser(t *testing.T) config.Identity {
	return config.Identity{UID: os.Getuid(), Home: t.TempDir()}
}

// addEntry puts a message into q.
func addEntry(t *testing.T, q *queue.Queue) {
	t.Helper()
	address, err := envelope.Parse("ann@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Add(&queue.Entry{To: []queue.Recipient{{Recipient: envelope.Recipient{Address: address}}}}, strings.NewReader("Subject: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
}

// TestOpen tests where the queue is, by the setting queue and the user's home.
func TestOpen(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "queue")
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o777); err != nil { // everybody may write in it: not fit for a queue
		t.Fatal(err)
	}
	home := testUser(t)
	tests := []struct {
		name   string
		queue  string
		user   config.Identity
		folder string // "": no queue
		warns  string // what the warning contains; "": there is no warning
		absent string // what the error Absent contains
	}{
		{"the setting", folder, home, folder, "", ""},
		{"off", config.Off, home, "", "", `queue = "off"`},
		{"a folder that others may write to", closed, home, filepath.Join(home.Home, ".local/state/sendoff"), closed, ""},
		{"no home", closed, config.Identity{UID: os.Getuid()}, "", "", ""},
		{"a home that is no place", closed, config.Identity{UID: os.Getuid(), Home: "/"}, "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var warnings strings.Builder
			q, err := spool.Open(&config.Config{Queue: test.queue}, test.user, func(text string) { warnings.WriteString(text) })
			if test.folder == "" {
				var absent spool.Absent
				if err == nil || test.absent != "" && (!errors.As(err, &absent) || !strings.Contains(err.Error(), test.absent)) {
					t.Fatalf("the queue is in %v, the error is %v; want no queue: %s", q, err, test.absent)
				}
				return
			}
			if err != nil || q.String() != test.folder {
				t.Fatalf("the queue is in %v, the error is %v; want %s", q, err, test.folder)
			}
			if got := warnings.String(); !strings.Contains(got, test.warns) || test.warns == "" && got != "" {
				t.Errorf("the warning is %q; want %q", got, test.warns)
			}
		})
	}
}

// TestElsewhere tests that mail in the queue at home is found while the queue is
// in another folder, and an empty queue is not.
func TestElsewhere(t *testing.T) {
	user := testUser(t)
	open := func(folder string) *queue.Queue {
		q, err := spool.Open(&config.Config{Queue: folder}, user, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	atHome := open(filepath.Join(user.Home, ".local/state/sendoff"))
	now := open(filepath.Join(t.TempDir(), "queue"))
	elsewhere := func(q *queue.Queue) (folders []string) {
		for _, other := range spool.Elsewhere(user, q) {
			if !strings.HasPrefix(other.String(), queue.Shared) { // the queue of whoever tests
				folders = append(folders, other.String())
			}
		}
		return folders
	}
	if got := elsewhere(now); len(got) != 0 {
		t.Errorf("with no mail: %v", got)
	}
	addEntry(t, atHome)
	for _, q := range []*queue.Queue{now, nil} {
		if got := elsewhere(q); !slices.Equal(got, []string{atHome.String()}) {
			t.Errorf("beside %v: %v; want %v", q, got, atHome)
		}
	}
	if got := elsewhere(atHome); len(got) != 0 {
		t.Errorf("the queue itself is elsewhere: %v", got)
	}
}

// TestStartRunner tests who runs the queue, and when a process is started for that.
func TestStartRunner(t *testing.T) {
	const never = "this process is PID 1"
	tests := []struct {
		name     string
		runner   string        // the setting
		timer    time.Duration // of the timer that has left a note; 0: none
		holds    bool          // a runner holds the lock
		lasts    bool          // a process would outlive its caller
		cannot   bool          // no process can be started
		starts   bool
		trouble  string // what the trouble contains; "": there is none
		hastens  bool   // Hasten starts a process
		isServed bool   // Runs
	}{
		{name: "nobody runs it", runner: "auto", lasts: true, starts: true},
		{name: "a runner is there", runner: "auto", lasts: true, holds: true, isServed: true},
		{name: "a timer comes", runner: "auto", lasts: true, timer: time.Minute, isServed: true, hastens: true},
		{name: "a timer comes and a runner is there", runner: "auto", lasts: true, timer: time.Minute, holds: true, isServed: true},
		{name: "an administrator has said that something runs it", runner: config.Off, lasts: true, isServed: true},
		{name: "no process outlives its caller", runner: "auto", trouble: never},
		{name: "a process is to be started all the same", runner: "on", starts: true},
		{name: "nothing can be started", runner: "auto", lasts: true, cannot: true, trouble: "no process could be started"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q, err := spool.Open(&config.Config{Queue: filepath.Join(t.TempDir(), "queue")}, testUser(t), func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			started := 0
			s := &spool.Spool{Queue: q, Runner: test.runner, Start: func(folder string) error {
				if folder != q.String() {
					t.Errorf("a process is started for %s; want %s", folder, q)
				}
				if test.cannot {
					return errors.New("no memory")
				}
				started++
				return nil
			}, Outlives: func() (string, bool) {
				if test.lasts {
					return "", true
				}
				return never, false
			}}
			if test.timer > 0 {
				s.MarkTimer(test.timer, false)
			}
			if test.holds {
				release, err := q.State.Lock(spool.RunnerLock)
				if err != nil {
					t.Fatal(err)
				}
				defer release()
			}
			if served, err := s.Runs(); err != nil || served != test.isServed {
				t.Errorf("Runs returns %v, %v; want %v", served, err, test.isServed)
			}
			s.Wake()
			if started > 0 {
				t.Error("a process is started for an empty queue")
			}
			s.Hasten()
			if (started == 1) != test.hastens {
				t.Errorf("Hasten has started %d processes", started)
			}
			started = 0
			if trouble := s.StartRunner(); !strings.Contains(trouble, test.trouble) || test.trouble == "" && trouble != "" {
				t.Errorf("the trouble is %q; want %q", trouble, test.trouble)
			}
			if (started == 1) != test.starts {
				t.Errorf("StartRunner has started %d processes", started)
			}
			started = 0
			addEntry(t, q)
			s.Wake()
			if (started == 1) != test.starts {
				t.Errorf("Wake has started %d processes", started)
			}
		})
	}
}
