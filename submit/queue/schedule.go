package queue

import (
	"math/rand/v2"
	"time"
)

// A Schedule says when a failed attempt is repeated, and when an entry is given up.
//
// The clock that wrote the times of an entry may have been wrong, and the clock now may be
// wrong, too:
//
//	now < last attempt   the clock was set back: the entry is due, because the
//	                     time that it has waited is unknown
//	otherwise            the rest of a wait cannot be longer than the whole wait
//	a long pause         the clock may have been set forward, or the machine was
//	                     asleep: long pauses do not count as many attempts
//
// So an entry never waits for more than twice the planned wait, and is never given up only
// because a clock was wrong.
type Schedule struct {
	First, Longest time.Duration // the first wait; each other wait is twice the one before, at most Longest
	Lifetime       time.Duration // the age at which an entry, or a fault of an account, is too old
}

// AlarmTime is how long mail may wait, or an account may have a fault, before a person
// is told.
const AlarmTime = time.Hour

// Backoff returns how long to wait after a number of successive failures, which must be 1
// or more. It includes Jitter.
func (s Schedule) Backoff(failures int) time.Duration {
	wait := s.First
	for range failures - 1 {
		if wait *= 2; wait >= s.Longest {
			break
		}
	}
	return Jitter(min(wait, s.Longest))
}

// Jitter returns a random wait of 80 to 120 percent of d, so that entries that failed
// together are not tried together again.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return d*4/5 + rand.N(d*2/5+1)
}

// Due reports whether a thing that was last tried, or made, at last, and is to be tried
// again at next, may be tried now. It does not believe a next that is further away than
// twice the longest wait: a wrong clock wrote it.
func (s Schedule) Due(last, next time.Time) bool {
	wait := time.Until(next)
	return wait <= 0 || wait > 2*s.Longest || time.Now().Before(last)
}

// IsDue reports whether an attempt may be made with e.
func (s Schedule) IsDue(e *Entry) bool { return s.Due(e.LastTried(), e.Next) }

// An entry is given up after lateTries attempts that were made after its lifetime, with
// lateTime between the first and the last of them. That is at least one hour even if the
// clock was set forward in between, because a pause counts as maxPause at most.
const (
	lateTries = 3
	lateTime  = 2 * time.Hour
	maxPause  = time.Hour
	minPause  = 20 * time.Minute // between two attempts that AddTry remembers
	maxTries  = 8                // attempts that AddTry remembers
)

// TooOld reports whether a thing that was made at born must be given up, after attempts at
// the times tries.
func (s Schedule) TooOld(born time.Time, tries []time.Time) bool {
	late, past := 0, time.Duration(0)
	for i, at := range tries {
		if at.Sub(born) <= s.Lifetime {
			continue
		}
		if late++; late > 1 {
			past += min(at.Sub(tries[i-1]), maxPause)
		}
	}
	return late >= lateTries && past >= lateTime
}

// TooFew reports whether there were so few attempts that TooOld must return false.
func TooFew(attempts int) bool { return attempts < lateTries }

// AddTry adds an attempt at now to the times of attempts that are kept for TooOld. It
// removes times in the future, which a wrong clock wrote.
func AddTry(tries []time.Time, now time.Time) []time.Time {
	now = now.Round(0)
	for n := len(tries); n > 0 && tries[n-1].After(now); n-- {
		tries = tries[:n-1]
	}
	n := len(tries)
	if n > 0 && now.Sub(tries[n-1]) < minPause {
		return tries
	}
	return append(tries[max(0, n-maxTries+1):n:n], now)
}

// Born returns when e was put into the queue, or became a notice.
func (e *Entry) Born() time.Time {
	if e.Notice.IsZero() {
		return e.ID.Time()
	}
	return e.Notice
}

// LastTried returns when e was last tried; if never, when it was born.
func (e *Entry) LastTried() time.Time {
	if e.Tried.IsZero() {
		return e.Born()
	}
	return e.Tried
}
