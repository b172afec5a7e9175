package submit

import (
	"time"

	"sendoff/submit/queue"
)

// What is in the queue was written by a clock that may have been wrong, as the
// one that reads it may be:
//
//	now < last attempt   the clock was set back: whatever waits is due, because
//	                     nobody knows for how long it has waited
//	otherwise            what is left of a wait is not more than the wait was
//	a long pause         may be a clock that was set forward, or a machine that
//	                     slept: it tells little of how often something was tried
//
// So nothing waits for more than twice its time, and nothing is given up because
// of a clock alone.

// dueAfter reports whether what was last tried, or made, at one time may be tried
// now instead of at next. A time further away than the longest wait is none.
func (s *Submitter) dueAfter(last, next time.Time) bool {
	wait := time.Until(next)
	return wait <= 0 || wait > 2*s.Config.Retry[1].Duration || time.Now().Before(last)
}

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

// tried adds an attempt to those that are remembered. Those of the future were
// none.
func tried(tries []time.Time, now time.Time) []time.Time {
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

// tooOld reports whether what was born then has been tried for longer than its
// lifetime.
func (s *Submitter) tooOld(born time.Time, tries []time.Time) bool {
	late, past := 0, time.Duration(0)
	for i, at := range tries {
		if at.Sub(born) <= s.Config.Lifetime.Duration {
			continue
		}
		if late++; late > 1 {
			past += min(at.Sub(tries[i-1]), maxPause)
		}
	}
	return late >= lateTries && past >= lateTime
}

// born returns when e was put into the queue, or became a notice.
func born(e *queue.Entry) time.Time {
	if e.Notice.IsZero() {
		return e.ID.Time()
	}
	return e.Notice
}

// lastOf returns when an entry was last tried, or was born.
func lastOf(e *queue.Entry) time.Time {
	if e.Tried.IsZero() {
		return born(e)
	}
	return e.Tried
}

// isDue reports whether an attempt may be made with an entry.
func (s *Submitter) isDue(e *queue.Entry) bool { return s.dueAfter(lastOf(e), e.Next) }

// age returns how old an entry is, in words.
func age(e *queue.Entry) string {
	return time.Since(born(e)).Round(time.Second).String()
}
