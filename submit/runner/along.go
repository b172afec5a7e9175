package runner

import (
	"context"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/throttle"
)

// After a new message its session also sends entries of the queue, in two cases: no
// process can be started here that outlives its caller and would send them; or an entry
// has just found all sessions busy, and until a runner looks again the smarthost would
// be idle. The caller of the new message waits meanwhile, so the time is short.
const (
	alongTime = 2 * time.Second // no attempt begins after this time
	alongEnd  = 4 * time.Second // no notify-command is waited for after this time
	alongSize = 1 << 20         // the largest message, in octets
	alongAge  = time.Minute     // an older entry that found all sessions busy is left to a runner
	alongMost = 100             // how many of the oldest, and of the newest, entries are looked at
)

// TakesAlong reports whether the session of the new message r should also send entries. If
// so, the caller keeps the session for Along. A message r that is only queued has no
// session.
func TakesAlong(s *submit.Submitter, r *submit.Request) bool {
	if s.Queue == nil || r.IsForLater() {
		return false
	}
	if trouble, _ := s.Trouble(); trouble != "" {
		return s.Queue.Waits(nil)
	}
	for _, id := range s.Queue.Untried() {
		if time.Since(id.Time()) > alongAge {
			continue
		}
		if e, err := s.Queue.Read(id); err == nil && hadNoSession(s, e) {
			return true
		}
	}
	return false
}

// hadNoSession reports whether a new entry was queued because all sessions were busy.
func hadNoSession(s *submit.Submitter, e *queue.Entry) bool {
	return e.Attempts == 0 && s.Schedule().IsDue(e) && time.Since(e.ID.Time()) <= alongAge
}

// Along sends entries of a over the session that a new message has put into idle. It
// does nothing if a is nil or idle is empty. If something runs the queue, Along sends
// only entries that found all sessions busy.
func (r *Runner) Along(ctx context.Context, a *config.Account, idle *smarthost.Idle) error {
	if a == nil || idle.IsEmpty() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, alongEnd)
	defer cancel()
	trouble, _ := r.s.Trouble()
	fits := func(e *queue.Entry) bool { return e.Size <= alongSize && (trouble != "" || hadNoSession(r.s, e)) }
	_, err := r.Pass(ctx, Selection{Match: fits, account: throttle.Key(a), until: time.Now().Add(alongTime)})
	return err
}
