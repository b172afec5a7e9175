//go:build !race && unix

// These tests run through days in a synctest bubble; see run_test.go.
package runner

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/mailq"
	"sendoff/submit/queue"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// A provider is a smarthost that takes a limited number of messages per minute, or none,
// and records the refused ones.
type provider struct {
	submittest.Post
	most    int           // messages per minute
	every   time.Duration // the length of the "minute"
	refusal []string      // the replies to further messages, in turn

	mu      sync.Mutex
	begun   time.Time // when the current "minute" began
	taken   int       // messages taken since begun
	refused []time.Time
}

func newProvider(most int, refusal ...string) *provider {
	p := &provider{most: most, every: time.Minute, refusal: refusal}
	p.Mail = func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		if time.Since(p.begun) >= p.every {
			p.begun, p.taken = time.Now(), 0
		}
		if p.taken < p.most {
			p.taken++
			return "250 ok"
		}
		p.refused = append(p.refused, time.Now())
		return p.refusal[len(p.refused)%len(p.refusal)]
	}
	return p
}

// refusedIn returns the largest number of MAILs that were refused within any time d.
func (p *provider) refusedIn(d time.Duration) (most int) { return busiest(p.refused, d) }

// busiest returns the largest number of times that lie within any time d.
func busiest(times []time.Time, d time.Duration) (most int) {
	for i := range times {
		n := 0
		for _, t := range times[i:] {
			if t.Sub(times[i]) < d {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// entries returns the entries of the user's queue.
func entries(t *testing.T, s *user) (all []*queue.Entry) {
	t.Helper()
	for e, err := range s.Queue.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// TestLimitOfCallers tests that messages submitted while the account rests are queued
// without an attempt.
func TestLimitOfCallers(t *testing.T) {
	for _, refusal := range []string{"450 4.7.1 slow down", "421 4.7.0 slow down", "451 4.3.2 busy", "550 5.4.5 Daily user sending limit exceeded."} {
		bubble(t, func(t *testing.T) {
			p := newProvider(3, refusal)
			p.every = time.Hour
			s := office(t, &p.Post)
			s.Sendmail = false
			for range 20 {
				if err := send(t, s, "bob@example.net"); err != nil {
					t.Fatal(err)
				}
			}
			if len(p.Mails) != 3 || len(p.refused) != 2 || len(p.Dials) != 5 {
				t.Errorf("%s: %d taken, %d refused, %d sessions", refusal, len(p.Mails), len(p.refused), len(p.Dials))
			}
			tried := 0
			for _, e := range entries(t, s) {
				tried += e.Attempts
				if (e.Attempts > 0) == e.Limited.IsZero() || e.Attempts == 0 && time.Until(e.Next) > 0 {
					t.Errorf("%s: %d attempts, limited at %s, next in %s", refusal, e.Attempts, e.Limited, time.Until(e.Next))
				}
			}
			if tried != 2 {
				t.Errorf("%s: %d were tried", refusal, tried)
			}
			time.Sleep(2 * time.Minute)
			send(t, s, "bob@example.net")
			send(t, s, "bob@example.net")
			if len(p.refused) != 3 {
				t.Errorf("%s: %d refused after the rest", refusal, len(p.refused))
			}
			time.Sleep(2 * time.Hour)
			before := len(p.Mails)
			send(t, s, "bob@example.net")
			if len(p.Mails) != before+1 || len(throttle.Faults(s.Queue)) != 0 {
				t.Errorf("%s: the limit is not over: %v", refusal, throttle.Faults(s.Queue))
			}
		})
	}
}

// TestOneMessageIsNoLimit tests that one message refused in words of a limit does not
// make other messages wait.
func TestOneMessageIsNoLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		spam := 0
		p := &submittest.Post{Dot: func() string {
			if spam++; spam%2 == 1 {
				return "451 4.7.1 looks like spam"
			}
			return "250 ok"
		}}
		s := office(t, p)
		for range 20 {
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.Mails) != 10 || len(entries(t, s)) != 10 || len(throttle.Faults(s.Queue)) != 0 {
			t.Errorf("%d taken, %d wait, faults: %v", len(p.Mails), len(entries(t, s)), throttle.Faults(s.Queue))
		}
	})
}

// TestRate tests that all processes together send no more messages than the account's
// rate allows, and that the other messages wait.
func TestRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		s.Config.Accounts[0].Rate = config.Rate{Messages: 5, Time: time.Minute}
		for range 12 {
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.Mails) != 5 || len(p.Dials) != 5 {
			t.Errorf("%d taken, in %d sessions", len(p.Mails), len(p.Dials))
		}
		for _, e := range entries(t, s) {
			if wait := time.Until(e.Next); wait < 50*time.Second || wait > 62*time.Second || e.Attempts != 0 {
				t.Errorf("%d attempts, next in %s", e.Attempts, wait)
			}
		}
		if len(throttle.Faults(s.Queue)) != 0 {
			t.Errorf("faults: %v", throttle.Faults(s.Queue))
		}
	})
}

// backlog puts n old entries into the queue, as after a weekend.
func backlog(t *testing.T, s *user, n int) {
	t.Helper()
	for range n {
		r := submittest.Request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n", "bob@example.net")
		e := &queue.Entry{Author: new(envelope.Address), To: []queue.Recipient{{Recipient: r.To[0].Recipient}}, Account: r.By.Lines(r.Account)}
		e.Attempts, e.Tried, e.Next = 1, time.Now(), time.Now()
		if err := s.Queue.Add(e, strings.NewReader("Subject: x\n\nbody\n")); err != nil {
			t.Fatal(err)
		}
		r.Message.Close()
	}
}

// TestLimitOfBacklog sends a backlog of hours to a provider that takes thirty messages
// per minute. Whatever its replies are, only a handful of messages and logins beyond the
// limit are refused; fresh mail goes first; and entries that were not tried are
// unchanged.
func TestLimitOfBacklog(t *testing.T) {
	for _, refusals := range [][]string{{"450 4.7.1 slow down"}, {"421 4.7.0 slow down"}, {"450 4.7.1 slow down", "421 4.3.2 slow down"}} {
		bubble(t, func(t *testing.T) {
			const n = 200
			p := newProvider(30, refusals...)
			s := office(t, &p.Post)
			backlog(t, s, n)
			time.Sleep(2 * time.Hour)
			start := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.UntilEmpty(ctx) }()
			time.Sleep(5*time.Minute + 30*time.Second)
			before := len(p.To)
			if err := send(t, s, "fresh@example.net"); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			cancel()
			if n := slices.Index(p.To[before:], "RCPT TO:<fresh@example.net>"); n != 0 {
				t.Errorf("%v: fresh mail is behind %d of the backlog", refusals, n)
			}
			if took := time.Since(start); took > time.Hour {
				t.Errorf("%v: it took %s", refusals, took)
			}
			if waiting, failed := submittest.Left(t, s.Submitter); waiting+failed > 0 || len(p.Mails) != n+1 {
				t.Errorf("%v: %d wait, %d failed, %d are taken", refusals, waiting, failed, len(p.Mails))
			}
			if most := p.refusedIn(time.Minute); most > 8 {
				t.Errorf("%v: %d refused in a minute", refusals, most)
			}
			if most := busiest(p.Dials, time.Minute); most > 10 {
				t.Errorf("%v: %d sessions in a minute", refusals, most)
			}
		})
	}
}

// written returns the files of the queue, with the time of the last write.
func written(t *testing.T, s *user) map[string]time.Time {
	t.Helper()
	all := make(map[string]time.Time)
	err := filepath.WalkDir(s.Queue.String(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			all[path] = info.ModTime()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLimitOfMany tests the cost of a large backlog that mostly waits: each minute the
// runner works only on the messages that the provider takes. It writes no file of the
// others, and hardly asks the server about them.
func TestLimitOfMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, minutes = 5_000, 10
		p := newProvider(30, "450 4.7.1 slow down", "421 4.3.2 slow down")
		s := office(t, &p.Post)
		backlog(t, s, 1)
		like := entries(t, s)[0].ID
		for i := range n - 1 { // write the files directly, because Add would sync each of them
			id := queue.NewID(like.Time().Add(time.Duration(i+1) * time.Microsecond))
			for _, end := range []string{".eml", ".env"} {
				text, err := os.ReadFile(filepath.Join(s.Queue.String(), string(like)+end))
				if err == nil {
					err = os.WriteFile(filepath.Join(s.Queue.String(), string(id)+end), text, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(2 * time.Hour)
		before := written(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), minutes*time.Minute)
		defer cancel()
		if err := s.UntilEmpty(ctx); err != nil {
			t.Fatal(err)
		}
		rewritten := 0
		for path, at := range written(t, s) {
			if was, ok := before[path]; ok && !at.Equal(was) {
				rewritten++
			}
		}
		taken := len(p.Mails)
		if taken < 30*minutes/3 || taken > 30*(minutes+1) {
			t.Errorf("%d taken", taken)
		}
		if most := p.refusedIn(time.Minute); most > 8 || len(p.refused) > 4*minutes {
			t.Errorf("%d refused in a minute, %d in all", most, len(p.refused))
		}
		if most := busiest(p.Dials, time.Minute); most > 10 || len(p.Dials) > 5*minutes {
			t.Errorf("%d sessions in a minute, %d in all", most, len(p.Dials))
		}
		if rewritten > len(p.refused)+minutes {
			t.Errorf("%d files were rewritten, %d messages refused", rewritten, len(p.refused))
		}
		var list closing
		list.left = 4096
		if n, _ := mailq.List(&list, s.Queue, ""); n > 100 || !strings.HasPrefix(list.text, "(account work: ") {
			t.Errorf("the list came after %d entries: %.100s", n, list.text)
		}
	})
}

// TestDailyLimit tests that no message is given up, and no notice is made, if the
// provider refuses with a permanent reply about a limit per day.
func TestDailyLimit(t *testing.T) {
	for _, refusal := range []string{"550 5.4.5 Daily user sending limit exceeded.", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"} {
		bubble(t, func(t *testing.T) {
			p := newProvider(10, refusal)
			p.every = 24 * time.Hour
			s := office(t, &p.Post)
			for range 35 {
				if err := send(t, s, "bob@example.net"); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			if err := s.UntilEmpty(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 3*24*time.Hour || took > 3*24*time.Hour+8*time.Hour {
				t.Errorf("it took %s", took)
			}
			if waiting, failed := submittest.Left(t, s.Submitter); waiting+failed > 0 || len(p.Mails) != 35 {
				t.Errorf("%d wait, %d failed, %d are taken", waiting, failed, len(p.Mails))
			}
			for _, m := range p.Mails {
				if strings.Contains(m, "MAILER-DAEMON") {
					t.Errorf("a notice:\n%s", m)
				}
			}
			if most := busiest(p.refused, time.Hour); most > 12 {
				t.Errorf("%d refused in an hour", most)
			}
		})
	}
}

// TestLimitOfOneMessage tests that a message refused in words of a limit, while others
// pass, waits alone, and fails after a day if the reply is permanent.
func TestLimitOfOneMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		p.Rcpt = func(line string) string {
			if strings.Contains(line, "many@") {
				return "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients"
			}
			return "250 ok"
		}
		s := office(t, p)
		send(t, s, "many@example.net")
		start := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- s.UntilEmpty(t.Context()) }()
		for range 30 {
			time.Sleep(time.Hour)
			if len(entries(t, s)) == 0 {
				break
			}
			before := len(p.Mails)
			if err := send(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
			if len(p.Mails) != before+1 {
				t.Errorf("after %s a message was held back", time.Since(start))
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 24*time.Hour || took > 28*time.Hour {
			t.Errorf("it took %s", took)
		}
		if last := p.Mails[len(p.Mails)-1]; !strings.Contains(last, "5.1.90") {
			t.Errorf("no notice, but\n%s", last)
		}
	})
}

// TestHealthyMailPasses tests that greylisting, dead mailboxes, recipients over quota
// and spam verdicts do not make other mail of the same account wait.
func TestHealthyMailPasses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		p := &submittest.Post{}
		p.Rcpt = func(line string) string {
			switch {
			case strings.Contains(line, "grey") && time.Since(start) < 10*time.Minute:
				return "450 4.7.1 greylisted, come back later"
			case strings.Contains(line, "dead"):
				return "550 5.1.1 no such user"
			case strings.Contains(line, "full"):
				return "452 4.2.2 mailbox over quota"
			case strings.Contains(line, "many"):
				return "452 4.5.3 too many recipients"
			}
			return "250 ok"
		}
		p.DotFor = func(to string) string {
			if strings.Contains(to, "spam") {
				return "451 4.7.1 looks like spam"
			}
			return "250 ok"
		}
		s := office(t, p)
		var all []string
		for i := range 60 {
			all = append(all, fmt.Sprintf("%s%d@example.net", []string{"grey", "spam", "good", "dead", "spam", "full", "many"}[i%7], i))
		}
		for _, to := range all {
			s.Config.Accounts[0].Deliver = config.DeliverQueue
			if err := send(t, s, to); err != nil {
				t.Fatal(err)
			}
		}
		s.Config.Accounts[0].Deliver = config.DeliverNow
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.UntilEmpty(ctx) }()
		time.Sleep(15 * time.Minute)
		to := strings.Join(p.To, " ")
		for _, one := range all {
			if strings.HasPrefix(one, "good") && !strings.Contains(to, one) {
				t.Errorf("%s was held back", one)
			}
		}
		for i := range 20 {
			time.Sleep(10 * time.Minute)
			one := fmt.Sprintf("later%d@example.net", i)
			if err := send(t, s, one); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Minute)
			if !strings.Contains(strings.Join(p.To, " "), one) {
				t.Errorf("%s was held back", one)
			}
		}
		cancel()
		<-ended
	})
}

// TestRateOfRunner tests that the runner obeys the rate, and does not write to the
// entries that wait for it.
func TestRateOfRunner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newProvider(30, "450 4.7.1 slow down")
		s := office(t, &p.Post)
		s.Config.Accounts[0].Rate = config.Rate{Messages: 30, Time: time.Minute}
		backlog(t, s, 300)
		start := time.Now()
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 11*time.Minute {
			t.Errorf("it took %s", took)
		}
		if len(p.Mails) != 300 || len(p.Dials) > 40 || len(p.refused) > 2 {
			t.Errorf("%d taken, in %d sessions; %d refused", len(p.Mails), len(p.Dials), len(p.refused))
		}
	})
}
