//go:build !race && unix

package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/maillog"
	"sendoff/submit/mailq"
	"sendoff/submit/queue"
	"sendoff/submit/status"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// block replaces a file of the queue by a folder that is not empty, so that the file
// cannot be written; the returned function undoes that.
func block(t *testing.T, s *user, name string) (unblock func()) {
	t.Helper()
	path := filepath.Join(s.Queue.String(), name)
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	return func() { os.RemoveAll(path) }
}

// TestUnwritable tests that an entry is not sent while its outcome could not be written,
// and is sent when it can be.
func TestUnwritable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		s.Config.Accounts[0].Deliver = config.DeliverQueue
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		ids, _ := s.Queue.IDs()
		unblock := block(t, s, string(ids[0])+".tmp")
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		begin := time.Now()
		if err := s.UntilEmpty(ctx); err != nil {
			t.Fatal(err)
		}
		if len(p.Dials) > 0 || time.Since(begin) < 23*time.Hour {
			t.Errorf("%d sessions in %s", len(p.Dials), time.Since(begin))
		}
		unblock()
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := submittest.Left(t, s.Submitter); n != 0 || len(p.Mails) != 1 {
			t.Errorf("%d wait, %d are taken", n, len(p.Mails))
		}
	})
}

// TestHolds tests that an entry whose outcome could not be written waits, for longer
// each time, and that an entry which was sent to all is never sent again.
func TestHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		s.Config.Accounts[0].Deliver = config.DeliverQueue
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		ids, _ := s.Queue.IDs()
		s.holds.record(ids[0], errors.New("no space"), true, s.Schedule())
		next, n, err := s.Run(t.Context(), Selection{Now: true})
		if wait := time.Until(next); err != nil || n != 1 || len(p.Dials) > 0 || wait < 40*time.Second || wait > 80*time.Second {
			t.Errorf("%d left, %d sessions, next in %s: %v", n, len(p.Dials), wait, err)
		}
		time.Sleep(2 * time.Minute)
		if _, n, err := s.Run(t.Context(), Selection{}); err != nil || n != 0 || len(p.Dials) > 0 {
			t.Errorf("%d left, %d sessions: %v", n, len(p.Dials), err)
		}
	})
}

// TestStrayFolder tests that a file which cannot be removed disturbs no mail, and that
// a runner ends although an entry cannot be read.
func TestStrayFolder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		s.Config.Accounts[0].Deliver = config.DeliverQueue
		block(t, s, "0123456789abcdef.tmp")
		bad := string(queue.NewID(time.Now()))
		for _, end := range []string{".eml", ".env"} {
			if err := os.WriteFile(filepath.Join(s.Queue.String(), bad+end), []byte("garbage\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := submittest.Left(t, s.Submitter); n != 1 || len(p.Mails) != 1 {
			t.Errorf("%d wait, %d are taken", n, len(p.Mails))
		}
		started := 0
		s.Spool.Runner, s.Start = "on", func(string) error { started++; return nil }
		if s.Wake(); started > 0 {
			t.Error("a runner was started for what only a person can mend")
		}
	})
}

// TestTruncated tests that an entry with an incomplete message is never sent, and is
// logged once in a while.
func TestTruncated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		log := filepath.Join(t.TempDir(), "log")
		s.Config.Log = log
		s.Log = &maillog.Log{Place: log, Format: s.Config.LogFormat, Tag: "sendoff"}
		s.Config.Accounts[0].Deliver = config.DeliverQueue
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		ids, _ := s.Queue.IDs()
		if err := os.Truncate(filepath.Join(s.Queue.String(), string(ids[0])+".eml"), 3); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := s.UntilEmpty(ctx); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(log)
		if n := strings.Count(string(text), "its message has 3 octets"); n < 10 || n > 40 || len(p.Dials) > 0 {
			t.Errorf("named %d times in a day, %d sessions\n%.500s", n, len(p.Dials), text)
		}
	})
}

// TestNoFaultFile tests that a failed login is not repeated even if the fault cannot be
// written.
func TestNoFaultFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{Login: func() string { return "535 5.7.8 no" }}
		s := office(t, p)
		s.Config.Accounts[0].Deliver = config.DeliverQueue
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		block(t, s, "account/fault-"+throttle.Key(s.Config.Accounts[0]))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.UntilEmpty(ctx); err != nil {
			t.Fatal(err)
		}
		if p.Logins == 0 || p.Logins > 8 {
			t.Errorf("%d logins in an hour", p.Logins)
		}
	})
}

// TestRepeatReigns tests that a process with -qTIME counts as the runner until it ends.
func TestRepeatReigns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := office(t, &submittest.Post{})
		s.Spool.Runner = "auto"
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Every(ctx, 10*7*24*time.Hour, true, func() error { return nil }) }()
		time.Sleep(time.Minute)
		if running, err := s.Runs(); !running || err != nil {
			t.Errorf("while it runs: %v, %v", running, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if running, err := s.Runs(); running || err != nil {
			t.Errorf("after it: %v, %v", running, err)
		}
	})
}

// TestNoLock tests that the caller is warned if no process can take the runner's lock.
func TestNoLock(t *testing.T) {
	s := office(t, &submittest.Post{Up: func() bool { return false }})
	s.Spool.Runner, s.Start = "on", func(string) error { return nil }
	if err := os.RemoveAll(filepath.Join(s.Queue.String(), "account")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Queue.String(), "account"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	warned := ""
	s.Console = &status.Console{Caller: func(text string) { warned += text }}
	if err := send(t, s, "bob@example.net"); err != nil || !strings.Contains(warned, "no process can lock its folder") {
		t.Errorf("%v, %q", err, warned)
	}
	s.Sendmail = false
	if err := send(t, s, "bob@example.net"); status.Exit(err) != 75 {
		t.Errorf("sendoff: %v", fmt.Sprint(err))
	}
}

// TestHeadlines tests that mailq's list begins with the faults of accounts for which
// mail waits, each once, and with no other faults.
func TestHeadlines(t *testing.T) {
	s := office(t, &submittest.Post{Up: func() bool { return false }})
	if err := send(t, s, "bob@example.net"); err != nil {
		t.Fatal(err)
	}
	name := s.Config.Accounts[0].Name
	s.Throttle().Note("1", "gone", status.Connection.Errorf("nobody there"), nil)
	var b strings.Builder
	if _, err := mailq.List(&b, s.Queue, ""); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); !strings.HasPrefix(out, "(account "+name+": ") || strings.Count(out, "(account ") != 1 {
		t.Error(out)
	}
}
