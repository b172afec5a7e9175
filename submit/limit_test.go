//go:build !race && unix

// These tests run through days in a synctest bubble; see run_test.go.
package submit

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A provider is a smarthost that takes so many messages a minute, or none, and
// counts what it refuses.
type provider struct {
	post
	most    int           // messages a minute
	every   time.Duration // a minute, or what stands for it
	refusal []string      // what it says in turn to what exceeds that

	mu      sync.Mutex
	begun   time.Time // of the minute
	taken   int       // in it
	refused []time.Time
}

func newProvider(most int, refusal ...string) *provider {
	p := &provider{most: most, every: time.Minute, refusal: refusal}
	p.mail = func() string {
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

// refusedIn returns how many MAILs were refused in the busiest time of that length.
func (p *provider) refusedIn(d time.Duration) (most int) { return busiest(p.refused, d) }

// busiest returns how many of times are in the time of that length that has most.
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

// entries returns what waits.
func entries(t *testing.T, s *Submitter) (all []*queue.Entry) {
	t.Helper()
	for e, err := range s.Queue.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// TestLimitOfCallers holds that messages which come while the account rests are
// queued, as they came, and ask the server nothing.
func TestLimitOfCallers(t *testing.T) {
	for _, refusal := range []string{"450 4.7.1 slow down", "421 4.7.0 slow down", "451 4.3.2 busy", "550 5.4.5 Daily user sending limit exceeded."} {
		bubble(t, func(t *testing.T) {
			p := newProvider(3, refusal)
			p.every = time.Hour
			s := office(t, &p.post)
			s.Sendmail = false
			for range 20 {
				if err := submit(t, s, "bob@example.net"); err != nil {
					t.Fatal(err)
				}
			}
			if len(p.mails) != 3 || len(p.refused) != 2 || len(p.dials) != 5 {
				t.Errorf("%s: %d taken, %d refused, %d sessions", refusal, len(p.mails), len(p.refused), len(p.dials))
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
			submit(t, s, "bob@example.net")
			submit(t, s, "bob@example.net")
			if len(p.refused) != 3 {
				t.Errorf("%s: %d refused after the rest", refusal, len(p.refused))
			}
			time.Sleep(2 * time.Hour)
			before := len(p.mails)
			submit(t, s, "bob@example.net")
			if len(p.mails) != before+1 || len(faults(s.Queue)) != 0 {
				t.Errorf("%s: the limit is not over: %v", refusal, faults(s.Queue))
			}
		})
	}
}

// TestOneMessageIsNoLimit holds that the words of a limit about one message hold
// back no other.
func TestOneMessageIsNoLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		spam := 0
		p := &post{dot: func() string {
			if spam++; spam%2 == 1 {
				return "451 4.7.1 looks like spam"
			}
			return "250 ok"
		}}
		s := office(t, p)
		for range 20 {
			if err := submit(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.mails) != 10 || len(entries(t, s)) != 10 || len(faults(s.Queue)) != 0 {
			t.Errorf("%d taken, %d wait, faults: %v", len(p.mails), len(entries(t, s)), faults(s.Queue))
		}
	})
}

// TestReadyEndsFaults holds that a session which is ready ends the faults of a
// server that the account had before, and no limit.
func TestReadyEndsFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &post{}
		s := office(t, p)
		s.note("0123", "work", status.Connection.Errorf("connect to old:25: refused"), nil)
		s.note("4567", "other", status.Connection.Errorf("connect to other:25: refused"), nil)
		s.meetLimit("89ab", "work", status.Limited.Errorf("450 slow"), "")
		if err := submit(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, f := range faults(s.Queue) {
			left = append(left, f.file)
		}
		if fmt.Sprint(left) != "[fault-4567 fault-89ab]" && fmt.Sprint(left) != "[fault-89ab fault-4567]" {
			t.Errorf("left: %q", left)
		}
	})
}

// TestRate holds that no more messages go out than the account's rate allows,
// whoever submits them, and that what exceeds it waits for its time.
func TestRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &post{}
		s := office(t, p)
		s.Config.Accounts[0].Rate = config.Rate{Messages: 5, Time: time.Minute}
		for range 12 {
			if err := submit(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.mails) != 5 || len(p.dials) != 5 {
			t.Errorf("%d taken, in %d sessions", len(p.mails), len(p.dials))
		}
		for _, e := range entries(t, s) {
			if wait := time.Until(e.Next); wait < 50*time.Second || wait > 62*time.Second || e.Attempts != 0 {
				t.Errorf("%d attempts, next in %s", e.Attempts, wait)
			}
		}
		if len(faults(s.Queue)) != 0 {
			t.Errorf("faults: %v", faults(s.Queue))
		}
	})
}

// TestUserRate lets a user submit no more to a service in a time than user-rate
// allows: what exceeds it waits in the queue, and keeps others from nothing.
func TestUserRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &post{}
		s := office(t, p)
		s.Config.UserRate = config.Rate{Messages: 5, Time: time.Minute}
		v := &Service{Submitter: s}
		hand := func(uid int) {
			t.Helper()
			to, err := envelope.Parse("bob@example.net")
			if err != nil {
				t.Fatal(err)
			}
			m, err := message.Read(strings.NewReader("Subject: x\n\nbody\n"), message.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e := &envelope.Envelope{To: []envelope.Recipient{{Address: to}}}
			if e.From, err = envelope.Parse("ann@example.org"); err != nil {
				t.Fatal(err)
			}
			r := &Request{Message: m, Peer: process.Peer{UID: uid, PID: 4711}}
			if err := v.handle(t.Context(), s, e, r); err != nil {
				t.Fatal(err)
			}
		}
		for range 12 {
			hand(1000)
		}
		if waiting, _ := left(t, s); len(p.mails) != 5 || waiting != 7 {
			t.Errorf("of 12 messages %d are sent and %d wait", len(p.mails), waiting)
		}
		for range 3 {
			hand(1001)
		}
		for range 9 {
			hand(0)
		}
		if len(p.mails) != 17 {
			t.Errorf("%d messages are sent, with those of others", len(p.mails))
		}
		begun := time.Now()
		if err := s.Runner(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); len(p.mails) != 24 || took < 2*time.Minute-5*time.Second || took > 4*time.Minute {
			t.Errorf("after %s %d messages are sent", took, len(p.mails))
		}
	})
}

func TestPace(t *testing.T) {
	p := readPace(nil)
	p.advance(1000)
	p.counts[paceSteps] = 3
	p.advance(1010)
	p.counts[paceSteps] = 2
	p = readPace(p.marshal())
	if p.sum() != 5 || p.over() != 1061 {
		t.Errorf("%d until %d", p.sum(), p.over())
	}
	if p.advance(1060); p.sum() != 5 {
		t.Errorf("%d in the last of the steps", p.sum())
	}
	if p.advance(1061); p.sum() != 2 || p.over() != 1071 {
		t.Errorf("%d until %d", p.sum(), p.over())
	}
	if p.advance(900); p.sum() != 0 {
		t.Errorf("%d after a clock went back", p.sum())
	}
	for _, text := range []string{"", "x", "1 2 end\n", string(p.marshal()[:20])} {
		if p := readPace([]byte(text)); p.sum() != 0 {
			t.Errorf("%q: %v", text, p)
		}
	}
}
