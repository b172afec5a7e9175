//go:build !race && unix

package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sendoff/submit/mailq"
	"sendoff/submit/queue"
	"sendoff/submit/submittest"
)

// jump changes the files of the queue as if the clock had been set forward, or back if
// by is negative: all times in the files become earlier, or later.
func jump(t *testing.T, s *user, by time.Duration) {
	t.Helper()
	dated := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	earlier := func(text string) string {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.Add(-by).Format(time.RFC3339Nano)
	}
	for _, pattern := range []string{"*.env", "account/*"} {
		names, _ := filepath.Glob(filepath.Join(s.Queue.String(), pattern))
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil || len(text) == 0 {
				continue
			}
			if err := os.WriteFile(name, []byte(dated.ReplaceAllStringFunc(string(text), earlier)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	ids, err := s.Queue.IDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		other := queue.NewID(id.Time().Add(-by))
		for _, end := range []string{".eml", ".env"} {
			if err := os.Rename(filepath.Join(s.Queue.String(), string(id)+end), filepath.Join(s.Queue.String(), string(other)+end)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// saidWait returns the longest wait that mailq lists; 0: everything is due.
func saidWait(t *testing.T, s *user) (longest time.Duration) {
	t.Helper()
	var b strings.Builder
	if _, err := mailq.List(&b, s.Queue, ""); err != nil {
		t.Fatal(err)
	}
	for _, said := range regexp.MustCompile(`next attempt in (\S+)[);]`).FindAllStringSubmatch(b.String(), -1) {
		wait, err := time.ParseDuration(strings.TrimRight(said[1], ");"))
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, wait)
	}
	return longest
}

// TestClocks sets the clock forward and back at random, while a server is down, refuses
// a recipient for now, or refuses the login. No wait is longer than twice its back-off;
// no entry is given up before three attempts, over an hour or more, at times when the
// clock said that it was too old; and each entry is tried when mailq says.
func TestClocks(t *testing.T) {
	jumps := []time.Duration{time.Hour, -time.Hour, 48 * time.Hour, -48 * time.Hour, 6 * 24 * time.Hour, -6 * 24 * time.Hour}
	for name, p := range map[string]func(tried func()) *submittest.Post{
		"server down": func(tried func()) *submittest.Post {
			return &submittest.Post{Up: func() bool { tried(); return false }}
		},
		"recipient put off": func(tried func()) *submittest.Post {
			return &submittest.Post{Rcpt: func(to string) string {
				if !strings.Contains(to, "bob@") { // the recipient of a notice
					return "250 ok"
				}
				tried()
				return "450 4.2.0 try later"
			}}
		},
		"login refused": func(tried func()) *submittest.Post {
			return &submittest.Post{Login: func() string { tried(); return "535 5.7.8 no" }}
		},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s %d", name, seed), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 7))
					var tries, late []time.Time
					var set time.Duration // how far the clock was set forward, in total
					born := time.Now()
					lifetime := 5 * 24 * time.Hour
					s := office(t, p(func() {
						now := time.Now()
						tries = append(tries, now)
						if now.Add(set).Sub(born) > lifetime {
							late = append(late, now)
						} else {
							late = nil
						}
					}))
					if err := send(t, s, "bob@example.net"); err != nil {
						t.Fatal(err)
					}
					const slack = 2 * time.Second // more than maxPoll
					for n := 0; ; n++ {
						for range 1 + n%2 {
							by := jumps[random.IntN(len(jumps))]
							if n > 5 {
								by = 6*24*time.Hour - set // now the entry is too old, and the clock is not changed any more
							}
							jump(t, s, by)
							set += by
						}
						said, before := saidWait(t, s), len(tries)
						ctx, cancel := context.WithTimeout(t.Context(), said+slack)
						process := s.another()
						if err := process.UntilEmpty(ctx); err != nil {
							t.Fatal(err)
						}
						cancel()
						if waiting, _ := submittest.Left(t, s.Submitter); waiting > 0 && len(tries) == before {
							t.Fatalf("no attempt after the %s that the list spoke of", said)
						}
						ctx, cancel = context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(8*time.Hour))))
						if err := process.UntilEmpty(ctx); err != nil {
							t.Fatal(err)
						}
						cancel()
						if waiting, _ := submittest.Left(t, s.Submitter); waiting == 0 || n > 20 {
							break
						}
					}
					if waiting, failed := submittest.Left(t, s.Submitter); waiting > 0 || failed > 1 {
						t.Fatalf("%d wait, %d failed", waiting, failed)
					}
					for i := 1; i < len(tries); i++ {
						longest := s.Config.Retry[1].Duration
						if i < 7 {
							longest = s.Config.Retry[0].Duration << (i - 1)
						}
						if wait := tries[i].Sub(tries[i-1]); wait > 2*longest*6/5+slack {
							t.Errorf("attempt %d came after %s", i+1, wait)
						}
					}
					if len(late) < 3 || late[len(late)-1].Sub(late[0]) < time.Hour {
						t.Errorf("given up after late attempts at %v", late)
					}
				})
			})
		}
	}
}

// TestClockAgainstOneMessage tests that a message which was refused once in permanent
// words of a limit does not fail because the clock is set forward.
func TestClockAgainstOneMessage(t *testing.T) {
	s := office(t, &submittest.Post{DotFor: func(to string) string {
		if strings.Contains(to, "bob@") {
			return "550 5.1.90 You have reached your daily limit for message recipients"
		}
		return "250 ok"
	}})
	for _, to := range []string{"bob@example.net", "carol@example.net"} {
		if err := send(t, s, to); err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; queue.TooFew(n + 1); n++ {
		claim, err := s.Queue.Claim(entries(t, s)[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		claim.Limited = time.Now().Add(-48 * time.Hour)
		if err := claim.Update(); err != nil {
			t.Fatal(err)
		}
		claim.Release()
		if _, _, err := s.Run(t.Context(), Selection{Now: true}); err != nil {
			t.Fatal(err)
		}
		if all := entries(t, s); len(all) != 1 || !all[0].Notice.IsZero() {
			t.Fatalf("%d wait", len(all))
		}
	}
}
