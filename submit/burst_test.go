//go:build !race && unix

package submit

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/spool"
)

// TestBurst has five hundred processes submit in the same second. Nobody has more
// sessions than allowed, each mail arrives once, and the smarthost is never idle
// for longer than it takes a runner to look, whatever is there to run the queue.
func TestBurst(t *testing.T) {
	const takes = 100 * time.Millisecond
	for _, test := range []struct {
		name    string
		mails   int
		prepare func(t *testing.T, s *Submitter)
	}{
		{"no runner yet", 500, func(*testing.T, *Submitter) {}},
		{"a timer", 150, func(t *testing.T, s *Submitter) {
			if err := s.MarkTimer(spool.TimerInterval, false); err != nil {
				t.Fatal(err)
			}
		}},
		{"a runner that sleeps", 150, func(t *testing.T, s *Submitter) {
			s.Config.Accounts[0].Deliver = config.DeliverQueue
			if err := submit(t, s, "later@example.net"); err != nil {
				t.Fatal(err)
			}
			s.Config.Accounts[0].Deliver = config.DeliverNow
			time.Sleep(time.Second)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var idle time.Duration // of the smarthost, while mail waited
				var begin, end time.Time
				busy, most := 0, 0 // messages that it was at work on
				p := new(post)
				p.dot = func() string {
					posting.Lock()
					if busy++; busy == 1 && !end.IsZero() && len(p.mails) < test.mails {
						idle = max(idle, time.Since(end))
					}
					most = max(most, busy)
					posting.Unlock()
					time.Sleep(takes)
					posting.Lock()
					defer posting.Unlock()
					if busy--; len(p.mails) < test.mails {
						end = time.Now()
					}
					return "250 ok"
				}
				s := office(t, p)
				s.Spool.Runner = "auto"
				var runners, callers sync.WaitGroup
				s.Start = func(string) error {
					runner := *s
					runners.Go(func() {
						if err := runner.Runner(t.Context()); err != nil {
							t.Error(err)
						}
					})
					return nil
				}
				test.prepare(t, s)
				begin = time.Now()
				for i := range test.mails {
					callers.Go(func() {
						process := *s
						if err := submit(t, &process, fmt.Sprintf("bob%d@example.net", i)); err != nil {
							t.Error(err)
						}
						if wait := time.Since(begin); wait > 15*time.Second {
							t.Errorf("a caller waited for %s", wait)
						}
					})
				}
				callers.Wait()
				synctest.Wait()
				runners.Wait()
				seen := make(map[string]bool)
				for _, to := range p.to {
					seen[to] = true
				}
				if n, _ := left(t, s); n > 0 || len(seen) < test.mails || len(p.mails) != len(seen) {
					t.Errorf("%d wait, %d are taken, for %d recipients", n, len(p.mails), len(seen))
				}
				if most > s.Config.Sessions {
					t.Errorf("%d messages at once", most)
				}
				if idle > maxPoll { // until a runner looks that was asleep
					t.Errorf("the smarthost was idle for %s", idle)
				}
				whole := time.Duration(test.mails) * takes / time.Duration(s.Config.Sessions)
				if took := end.Sub(begin); took > whole*3/2 {
					t.Errorf("it took %s, with %s of work", took, whole)
				}
			})
		})
	}
}
