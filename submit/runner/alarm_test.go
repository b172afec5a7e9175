//go:build !race && unix

package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/submit/maillog"
	"sendoff/submit/mailq"
	"sendoff/submit/notify"
	"sendoff/submit/queue"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// told makes notify-command write its events to a file, and returns a function that
// reads them. The command runs in real time, even within a synctest bubble.
func told(t *testing.T, s *user) func() []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "told")
	script := filepath.Join(t.TempDir(), "tell")
	text := "#!/bin/sh\necho \"$SENDOFF_EVENT/$SENDOFF_EVENT_ACCOUNT/$SENDOFF_ID/$SENDOFF_EVENT_COUNT/$SENDOFF_REASON\" >>" + file + "\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Config.NotifyCommand = "sh " + script
	return func() []string {
		text, _ := os.ReadFile(file)
		return strings.Fields(strings.ReplaceAll(string(text), " ", "_"))
	}
}

// sinceAnHour changes the fault of an account so that it began an hour ago.
func sinceAnHour(t *testing.T, s *user, key string) {
	t.Helper()
	since := regexp.MustCompile(`"Since":"[^"]*"`)
	text := since.ReplaceAll(s.Queue.State.Read("fault-"+key), []byte(`"Since":"`+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)+`"`))
	if err := s.Queue.State.Write("fault-"+key, text); err != nil {
		t.Fatal(err)
	}
}

// TestAlarm tests that a person is told once of a fault that lasts for an hour, and once
// that it is over, whichever process runs the queue.
func TestAlarm(t *testing.T) {
	s := office(t, &submittest.Post{Up: func() bool { return false }})
	events := told(t, s)
	if err := send(t, s, "bob@example.net"); err != nil {
		t.Fatal(err)
	}
	key := throttle.Key(s.Config.Accounts[0])
	run := func(want ...string) {
		t.Helper()
		if _, _, err := s.Run(t.Context(), Selection{}); err != nil {
			t.Fatal(err)
		}
		got := events()
		if len(got) != len(want) {
			t.Fatalf("told %q, want %q", got, want)
		}
		for i, w := range want {
			if !strings.HasPrefix(got[i], w) {
				t.Errorf("told %q, want %q", got[i], w)
			}
		}
	}
	run()
	sinceAnHour(t, s, key)
	run("fault/work///connect")
	run("fault/work///connect")
	s.Throttle().Forget(key)
	run("fault/work///connect", "recovered/work///connect")

	// A message waits for an hour although the account has no fault.
	id := entries(t, s)[0].ID
	old := queue.NewID(time.Now().Add(-2 * time.Hour))
	for _, end := range []string{".eml", ".env"} {
		if err := os.Rename(filepath.Join(s.Queue.String(), string(id)+end), filepath.Join(s.Queue.String(), string(old)+end)); err != nil {
			t.Fatal(err)
		}
	}
	run("fault", "recovered", "waiting/work///the_oldest_message_has_waited_since")
	run("fault", "recovered", "waiting")
	if _, err := mailq.Delete(s.Queue, "ALL"); err != nil {
		t.Fatal(err)
	}
	run("fault", "recovered", "waiting", "recovered/work")
}

// TestDropped tests that an entry which is removed from failed because of its bounds is
// logged, and that a person is told.
func TestDropped(t *testing.T) {
	p := &submittest.Post{Rcpt: func(string) string { return "550 5.1.1 no such user" }}
	s := office(t, p)
	events := told(t, s)
	place := filepath.Join(t.TempDir(), "log")
	s.Log = &maillog.Log{Place: place, Format: "text", Tag: "sendoff"}
	s.Queue.MaxBytes.Store(500)
	for range 3 {
		send(t, s, "bob@example.net")
	}
	got := events()
	if len(got) == 0 || !strings.HasPrefix(got[0], "dropped//") || !strings.Contains(got[0], "/1/") || !strings.Contains(got[0], "550_5.1.1") {
		t.Errorf("told %q", got)
	}
	text, err := os.ReadFile(place)
	if err != nil || strings.Count(string(text), "status=dropped") != len(got) {
		t.Errorf("%v, %d events\n%s", err, len(got), text)
	}
	if _, failed := submittest.Left(t, s.Submitter); failed+len(got) != 3 {
		t.Error(fmt.Sprint(failed, " are left, told of ", len(got)))
	}
}

// TestAlarmOfRunner tests that the runner tells of a fault when it is an hour old, not
// when the next attempt is due, and that the fault is over when the queue is empty.
func TestAlarmOfRunner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := false
		s := office(t, &submittest.Post{Up: func() bool { return up }})
		place := filepath.Join(t.TempDir(), "log")
		s.Config.Log = place
		s.Log = &maillog.Log{Place: place, Format: s.Config.LogFormat, Tag: "sendoff"}
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		events := func() (found string) {
			text, _ := os.ReadFile(place)
			for line := range strings.Lines(string(text)) {
				for _, event := range []string{notify.Fault, notify.Waiting, notify.Recovered} {
					if strings.Contains(line, "status="+event) {
						found += event + " "
					}
				}
			}
			return found
		}
		ended := make(chan error, 1)
		go func() { ended <- s.UntilEmpty(t.Context()) }()
		time.Sleep(59 * time.Minute)
		if got := events(); got != "" {
			t.Errorf("told %q too early", got)
		}
		time.Sleep(3 * time.Minute)
		if got := events(); got != "fault " {
			t.Errorf("told %q", got)
		}
		time.Sleep(3 * time.Hour)
		up = true
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if got := events(); got != "fault recovered " {
			t.Errorf("told %q", got)
		}
	})
}

// TestTellBug tests that a bug in tell does not end the run.
func TestTellBug(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := office(t, new(submittest.Post))
		s.Config.NotifyCommand = "tell"
		s.Smarthosts.Secrets.Store = nil // the bug
		r := s.newRun(Selection{})
		r.tell(notify.Fault, &delay{Account: "work", Since: time.Now(), Reason: "a reason"})
		r.startTelling(t.Context())
		r.goroutines.Wait()
	})
}

// TestAlarmOfSeveralRuns tests that several runs at the same time tell each event once.
func TestAlarmOfSeveralRuns(t *testing.T) {
	s := office(t, &submittest.Post{Up: func() bool { return false }})
	place := filepath.Join(t.TempDir(), "log")
	s.Config.Log = place
	s.Log = &maillog.Log{Place: place, Format: s.Config.LogFormat, Tag: "sendoff"}
	if err := send(t, s, "bob@example.net"); err != nil {
		t.Fatal(err)
	}
	key := throttle.Key(s.Config.Accounts[0])
	sinceAnHour(t, s, key)
	for n, event := range []string{notify.Fault, notify.Recovered} {
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 8 {
			process := *s
			r := process.newRun(Selection{})
			if _, _, err := r.look(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				<-begin
				r.alarm(t.Context(), true)
			})
		}
		close(begin)
		all.Wait()
		text, _ := os.ReadFile(place)
		if got := strings.Count(string(text), "status="+event); got != 1 {
			t.Errorf("%d times %s in round %d", got, event, n)
		}
		s.Throttle().Forget(key)
	}
}
