//go:build !race && unix

// These tests run the queue through days in a synctest bubble. They are not run under
// the race detector, which may crash then; see smarthost/way_test.go.
package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/outcome"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// bubble runs f with faked time.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// TestRunnerWaits tests that mail is sent soon after a smarthost is up again, and that
// the waits between attempts grow.
func TestRunnerWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		p := &submittest.Post{Up: func() bool { return time.Since(start) > 5*time.Hour }}
		s := office(t, p)
		for range 3 {
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 5*time.Hour+75*time.Minute {
			t.Errorf("it took %s", took)
		}
		if waiting, failed := submittest.Left(t, s.Submitter); waiting+failed > 0 || len(p.Mails) != 3 {
			t.Errorf("%d wait, %d failed, %d are taken", waiting, failed, len(p.Mails))
		}
		if n := len(p.Dials); n < 12 || n > 20 {
			t.Errorf("%d attempts in five hours", n)
		}
		for i, at := range p.Dials[4:] {
			wait := at.Sub(p.Dials[3+i])
			if wait < 30*time.Second || wait > 75*time.Minute {
				t.Errorf("attempt %d came after %s", i+4, wait)
			}
		}
	})
}

// TestGivenUpDown tests that mail for a smarthost which stays down moves to failed after
// its lifetime, because nobody could be told by mail.
func TestGivenUpDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		p := &submittest.Post{Up: func() bool { return false }}
		s := office(t, p)
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 5*24*time.Hour || took > 5*24*time.Hour+5*time.Hour {
			t.Errorf("it took %s", took)
		}
		if waiting, failed := submittest.Left(t, s.Submitter); waiting != 0 || failed != 1 {
			t.Errorf("%d wait, %d failed", waiting, failed)
		}
	})
}

// TestGivenUpDeferred tests that the sender gets one notice of mail that a server has
// refused temporarily for days; it lists only the recipients who did not get the mail.
func TestGivenUpDeferred(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		p := &submittest.Post{Rcpt: func(line string) string {
			switch {
			case strings.Contains(line, "busy@"):
				return "450 4.2.0 try later"
			case strings.Contains(line, "nobody@") && time.Since(start) > time.Second:
				return "550 5.1.1 no such user"
			case strings.Contains(line, "nobody@"):
				return "450 4.2.0 try later"
			}
			return "250 ok"
		}}
		s := office(t, p)
		if err := send(t, s, "bob@example.net", "busy@example.net", "nobody@example.net"); err != nil {
			t.Fatal(err)
		}
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 5*24*time.Hour || took > 5*24*time.Hour+5*time.Hour {
			t.Errorf("it took %s", took)
		}
		if waiting, failed := submittest.Left(t, s.Submitter); waiting+failed != 0 {
			t.Errorf("%d wait, %d failed", waiting, failed)
		}
		if want := []string{"RCPT TO:<bob@example.net>", "RCPT TO:<ann@example.org>"}; strings.Join(p.To, " ") != strings.Join(want, " ") || len(p.Mails) != 2 {
			t.Fatalf("taken for %q", p.To)
		}
		notice := p.Mails[1]
		for _, words := range []string{"<busy@example.net>", "not delivered within 12", "<nobody@example.net>", "550 5.1.1 no such user", "Status: 5.1.1", "Status: 4.2.0", "Subject: x"} {
			if !strings.Contains(notice, words) {
				t.Errorf("the notice lacks %q:\n%s", words, notice)
			}
		}
		if strings.Contains(notice, "bob@example.net") {
			t.Errorf("the notice speaks of who got it:\n%s", notice)
		}
	})
}

// TestNoticeRefused tests that a notice which the server refuses is not tried again, and
// causes no other notice.
func TestNoticeRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deferred := true
		p := &submittest.Post{Rcpt: func(line string) string {
			if deferred {
				deferred = false
				return "450 later"
			}
			return "550 5.7.1 no"
		}}
		s := office(t, p)
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waiting, failed := submittest.Left(t, s.Submitter); waiting != 0 || failed != 1 || len(p.Mails) != 0 {
			t.Errorf("%d wait, %d failed, taken: %q", waiting, failed, p.Mails)
		}
	})
}

// TestOneLogin tests that all processes together try a wrong password only as often as
// the schedule allows, and that a correct password ends the waits.
func TestOneLogin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		reply := "535 5.7.8 no"
		p := &submittest.Post{Login: func() string { return reply }}
		s := office(t, p)
		for range 30 {
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		if p.Logins < 1 || p.Logins > 3 {
			t.Errorf("%d logins for thirty mails in a minute", p.Logins)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := s.UntilEmpty(ctx); err != nil {
			t.Fatal(err)
		}
		if p.Logins > 40 {
			t.Errorf("%d logins in a day", p.Logins)
		}
		f := throttle.Faults(s.Queue)
		if len(f) != 1 || !f[0].Login || !strings.Contains(f[0].Reason, "535 5.7.8 no") {
			t.Fatalf("%+v", f)
		}
		if strings.Contains(string(s.Queue.State.Read("fault-"+throttle.Key(s.Config.Accounts[0]))), "wrong") {
			t.Error("the fault's file has the secret")
		}

		// The sendoff face fails at once, without a login.
		before := p.Logins
		s.Sendmail = false
		if err := send(t, s, "bob@example.net"); status.KindOf(err) != status.AuthFailed || p.Logins != before {
			t.Errorf("%v after %d logins", err, p.Logins-before)
		}
		// Another secret may be tried at once, and ends the fault.
		reply = "235 welcome"
		secret := s.Config.Accounts[0].Secret[0].Path("")
		if err := os.WriteFile(secret, []byte("right\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := send(t, s, "bob@example.net"); err != nil || len(p.Mails) == 0 {
			t.Fatalf("%v, %d mails", err, len(p.Mails))
		}
		if len(throttle.Faults(s.Queue)) != 0 {
			t.Error("the fault is still there")
		}
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waiting, failed := submittest.Left(t, s.Submitter); waiting+failed > 0 || len(p.Mails) != 31 {
			t.Errorf("%d wait, %d failed, %d are taken", waiting, failed, len(p.Mails))
		}
	})
}

// TestAccountNeverBounces tests that mail waits while the server refuses the account's
// own sender, which is a fault of the account, and then moves to failed without a notice.
func TestAccountNeverBounces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{Rcpt: func(string) string { return "553 5.7.1 <ann@example.org> is not yours" }}
		s := office(t, p)
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		if waiting, _ := submittest.Left(t, s.Submitter); waiting != 1 {
			t.Fatalf("%d wait", waiting)
		}
		start := time.Now()
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waiting, failed := submittest.Left(t, s.Submitter); waiting != 0 || failed != 1 || time.Since(start) < 5*24*time.Hour {
			t.Errorf("%d wait, %d failed, after %s", waiting, failed, time.Since(start))
		}
	})
}

// TestTwoAccounts tests that an account which cannot be used does not delay the mail of
// another.
func TestTwoAccounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		other := *s.Config.Accounts[0]
		other.Name = "home"
		other.Servers = config.List[config.Server]{submittest.Server(t, "smtp+plain://127.0.0.2:25")}
		s.Config.Accounts = append(s.Config.Accounts, &other)
		s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "127.0.0.2:") {
				return nil, errors.New("connection refused")
			}
			return p.Dial(ctx, network, address)
		}
		for _, a := range s.Config.Accounts {
			r := submittest.Request(t, a, nil, "Subject: x\n\nbody\n", "bob@example.net")
			r.QueueOnly = true
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			r.Message.Close()
		}
		next, n, err := s.Run(t.Context(), Selection{Now: true})
		if err != nil || n != 1 || len(p.Mails) != 1 || time.Until(next) < 30*time.Second {
			t.Errorf("%d left, next in %s, %d taken: %v", n, time.Until(next), len(p.Mails), err)
		}
	})
}

// TestAlong tests that the session of a new message also sends entries of the same
// account if nothing else would send them, and that their failure harms nothing.
func TestAlong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := true
		p := &submittest.Post{Up: func() bool { return !down }}
		s := office(t, p)
		s.Spool.Runner = "auto"
		s.Start = func(string) error { return nil }
		s.Outlives = func() (string, bool) { return "this is a test", false }
		for range 5 {
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		down = false
		time.Sleep(2 * time.Minute)
		before := len(p.Dials)
		if err := sendAlong(t, s, "carol@example.net"); err != nil {
			t.Fatal(err)
		}
		if waiting, _ := submittest.Left(t, s.Submitter); waiting != 0 || len(p.Mails) != 6 || len(p.Dials) != before+1 {
			t.Errorf("%d wait, %d are taken, in %d sessions", waiting, len(p.Mails), len(p.Dials)-before)
		}
	})
}

// TestClockBackwards tests that entries and faults written by a clock that was ahead are
// due now.
func TestClockBackwards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		r := submittest.Request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n", "bob@example.net")
		defer r.Message.Close()
		e := &queue.Entry{Author: new(envelope.Address), Account: r.By.Lines(r.Account)}
		e.To = []queue.Recipient{{Recipient: envelope.Recipient{Address: submittest.Parse(t, "bob@example.net")}}}
		e.Next = time.Now().AddDate(10, 0, 0)
		if err := s.Queue.Add(e, strings.NewReader("Subject: x\n\nbody\n")); err != nil {
			t.Fatal(err)
		}
		if _, n, err := s.Run(t.Context(), Selection{}); err != nil || n != 0 || len(p.Mails) != 1 {
			t.Errorf("%d left, %d taken: %v", n, len(p.Mails), err)
		}
	})
}

// TestSlots tests that a user's processes together have no more sessions with an account
// than the setting allows, and that a message without a session is queued.
func TestSlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		a := s.Config.Accounts[0]
		var held []func()
		for range s.Config.Sessions {
			release, err := s.Throttle().Slot(t.Context(), a, 0)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, release)
		}
		start := time.Now()
		if err := send(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		if waiting, _ := submittest.Left(t, s.Submitter); waiting != 1 || len(p.Dials) != 0 || time.Since(start) > 6*time.Second {
			t.Errorf("%d wait, %d sessions, after %s", waiting, len(p.Dials), time.Since(start))
		}
		held[0]()
		if err := send(t, s, "carol@example.net"); err != nil || len(p.Mails) == 0 {
			t.Errorf("%v, %d taken", err, len(p.Mails))
		}
		held[1]()
	})
}

// TestHeartbeat tests when a runner is started.
func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := office(t, &submittest.Post{Up: func() bool { return false }})
		s.Spool.Runner = "auto"
		started := 0
		s.Start = func(folder string) error {
			if folder != s.Queue.String() {
				t.Errorf("started for %s", folder)
			}
			started++
			return nil
		}
		queueOne := func(want int, why string) {
			t.Helper()
			started = 0
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
			if started != want {
				t.Errorf("%s: started %d", why, started)
			}
		}
		queueOne(1, "nothing runs the queue")
		release, err := s.Queue.State.Lock(spool.RunnerLock)
		if err != nil {
			t.Fatal(err)
		}
		queueOne(0, "a runner has the lock")
		release()
		for range 2 {
			if _, _, err := s.Run(t.Context(), Selection{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(spool.TimerInterval)
		}
		queueOne(1, "somebody has run the queue twice, and has not said that it is a timer")
		mark := func(every time.Duration) {
			t.Helper()
			if err := s.MarkTimer(every, false); err != nil {
				t.Fatal(err)
			}
		}
		note := func(at time.Time) []byte {
			return fmt.Appendf(nil, "%d %.0f end\n", at.Unix(), spool.TimerInterval.Seconds())
		}
		mark(spool.TimerInterval)
		queueOne(0, "a timer has just run")
		time.Sleep(2 * spool.TimerInterval)
		queueOne(0, "the timer is late")
		time.Sleep(2*time.Minute + time.Second)
		queueOne(1, "the timer has stopped")
		mark(time.Hour)
		time.Sleep(90 * time.Minute)
		queueOne(0, "a timer runs each hour")
		s.Queue.State.Write("timer", note(time.Now().Add(time.Hour)))
		queueOne(1, "a timer of the future")
		s.Queue.State.Write("timer", note(time.Now())[:12])
		queueOne(1, "half a note")
		s.Spool.Runner = config.Off
		queueOne(0, `runner = "off"`)

		s.Spool.Runner = "auto"
		s.Outlives = func() (string, bool) { return "this is a test", false }
		warned := ""
		s.Console = &status.Console{Caller: func(text string) { warned += text }}
		queueOne(0, "no process outlives this one")
		if !strings.Contains(warned, "this is a test") {
			t.Errorf("warned of %q", warned)
		}
		if !strings.HasSuffix(warned, "hint: let a timer run every 5 minutes: sendoff --queue-run=5m") {
			t.Errorf("warned of %q", warned)
		}
		s.Outlives = func() (string, bool) { return "it ends with a test", true }
		queueOne(1, "a process does not last for long")
		if !strings.Contains(warned, "it ends with a test") {
			t.Errorf("warned of %q", warned)
		}
		s.Outlives = func() (string, bool) { return "this is a test", false }
		s.Sendmail = false
		err = send(t, s, "bob@example.net")
		report := new(outcome.Report)
		if status.Exit(err) != 75 || !errors.As(err, &report) || report.NotQueued != "this is a test" {
			t.Errorf("sendoff: %v", err)
		}
	})
}
