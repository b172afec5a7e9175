//go:build !race && unix

package runner

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/spool"
	"sendoff/submit/submittest"
)

// TestBurst lets five hundred processes submit in the same second. Together they have no
// more sessions than the setting allows, each mail arrives once, and the smarthost is
// never idle for longer than maxPoll, whatever runs the queue.
func TestBurst(t *testing.T) {
	const takes = 100 * time.Millisecond
	for _, test := range []struct {
		name    string
		mails   int
		prepare func(t *testing.T, s *user)
	}{
		{"no runner yet", 500, func(*testing.T, *user) {}},
		{"a timer", 150, func(t *testing.T, s *user) {
			if err := s.MarkTimer(spool.TimerInterval, false); err != nil {
				t.Fatal(err)
			}
		}},
		{"a runner that sleeps", 150, func(t *testing.T, s *user) {
			s.Config.Accounts[0].Deliver = config.DeliverQueue
			if err := send(t, s, "later@example.net"); err != nil {
				t.Fatal(err)
			}
			s.Config.Accounts[0].Deliver = config.DeliverNow
			time.Sleep(time.Second)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var idle time.Duration // the longest time in which the smarthost got no mail while mail waited
				var begin, end time.Time
				var mu sync.Mutex
				busy, most := 0, 0 // messages that the smarthost works on now, and at most at once
				p := new(submittest.Post)
				p.Dot = func() string {
					mu.Lock()
					if busy++; busy == 1 && !end.IsZero() && len(p.Mails) < test.mails {
						idle = max(idle, time.Since(end))
					}
					most = max(most, busy)
					mu.Unlock()
					time.Sleep(takes)
					mu.Lock()
					defer mu.Unlock()
					if busy--; len(p.Mails) < test.mails {
						end = time.Now()
					}
					return "250 ok"
				}
				s := office(t, p)
				s.Spool.Runner = "auto"
				var runners, callers sync.WaitGroup
				s.Start = func(string) error {
					process := s.another()
					runners.Go(func() {
						if err := process.UntilEmpty(t.Context()); err != nil {
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
						if err := send(t, &process, fmt.Sprintf("bob%d@example.net", i)); err != nil {
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
				for _, to := range p.To {
					seen[to] = true
				}
				if n, _ := submittest.Left(t, s.Submitter); n > 0 || len(seen) < test.mails || len(p.Mails) != len(seen) {
					t.Errorf("%d wait, %d are taken, for %d recipients", n, len(p.Mails), len(seen))
				}
				if most > s.Config.Sessions {
					t.Errorf("%d messages at once", most)
				}
				if idle > maxPoll { // a sleeping runner looks again after maxPoll
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
