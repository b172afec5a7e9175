package queue

import (
	"math/rand/v2"
	"time"
)

// A Schedule says when a thing that has failed is tried again, and when it has
// been tried for long enough.
//
// What is in the queue was written by a clock that may have been wrong, as the
// clock that reads it may be:
//
//	now < last attempt   the clock was set back: whatever waits is due, because
//	                     nobody knows for how long it has waited
//	otherwise            the rest of a wait is not longer than the wait was
//	a long pause         may be a clock that was set forward, or a machine that
//	                     slept: it tells little of how often something was tried
//
// So nothing waits for more than twice its time, and nothing is given up because
// of a clock alone.
type Schedule struct {
	First, Longest time.Duration // the first wait; each other one is twice as long, up to Longest
	Lifetime       time.Duration // the age at which an entry, or an account's fault, is too old
}

// AlarmTime is how long mail may wait, or an account have a fault, before a person
// should learn of it.
const AlarmTime = time.Hour

// Backoff returns how long to wait after a number of failures in a row, 1 or more,
// with a part of the wait left to chance.
func (s Schedule) Backoff(failures int) time.Duration {
	wait := s.First
	for range failures - 1 {
		if wait *= 2; wait >= s.Longest {
			break
		}
	}
	return Jitter(min(wait, s.Longest))
}

// Jitter returns a wait of 80 to 120 percent of d, so that things that failed
// together do not come back together.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return d*4/5 + rand.N(d*2/5+1)
}

// Due reports whether a thing that was last tried, or made, at one time may be
// tried now instead of at next. A next that is further away than the longest wait
// was written by a wrong clock.
func (s Schedule) Due(last, next time.Time) bool {
	wait := time.Until(next)
	return wait <= 0 || wait > 2*s.Longest || time.Now().Before(last)
}

// IsDue reports whether an attempt may be made with e.
func (s Schedule) IsDue(e *Entry) bool { return s.Due(e.LastTried(), e.Next) }

// Bounds of when something is given up. It was tried three times when its
// lifetime was over, with at least an hour between the first and the last time;
// two, because the clock may have been set forward by one in between.
const (
	lateTries = 3
	lateTime  = 2 * time.Hour
	maxPause  = time.Hour        // that a pause counts for
	minPause  = 20 * time.Minute // after which another attempt counts
	maxTries  = 8                // that are remembered
)

// TooOld reports whether a thing that was made at born has been tried at tries for
// longer than its lifetime.
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

// TooFew reports whether attempts are fewer than TooOld wants of late ones.
func TooFew(attempts int) bool { return attempts < lateTries }

// AddTry adds an attempt at now to those that are remembered for TooOld. Attempts
// of the future are dropped: a wrong clock wrote them.
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

// LastTried returns when e was last tried, or was born.
func (e *Entry) LastTried() time.Time {
	if e.Tried.IsZero() {
		return e.Born()
	}
	return e.Tried
}
