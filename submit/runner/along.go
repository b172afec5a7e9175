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

// Entries go along with another message, in its session, where nothing else would
// send them: no process outlives its caller here, or an entry has found all sessions
// busy a moment ago, and until a runner looks again the smarthost would be idle. Its
// caller waits meanwhile, so they have little time.
const (
	alongTime = 2 * time.Second // no entry is begun after
	alongEnd  = 4 * time.Second // no command is waited for after
	alongSize = 1 << 20         // octets of the largest message
	alongAge  = time.Minute     // of the oldest entry that is not left to a runner
	alongMost = 100             // so many of the oldest entries are looked at, and of the newest
)

// TakesAlong reports whether entries may go along with a message of s. If so, its
// session is to be kept for them.
func TakesAlong(s *submit.Submitter) bool {
	if s.Queue == nil {
		return false
	}
	if trouble, _ := s.Trouble(); trouble != "" {
		return s.Queue.Waits(nil)
	}
	ids, _ := s.Queue.IDs()
	for _, id := range ids[max(0, len(ids)-alongMost):] {
		if time.Since(id.Time()) > alongAge {
			continue
		}
		if e, err := s.Queue.Read(id); err == nil && hadNoSession(s, e) {
			return true
		}
	}
	return false
}

// hadNoSession reports whether an entry has found all sessions busy a moment ago.
func hadNoSession(s *submit.Submitter, e *queue.Entry) bool {
	return e.Attempts == 0 && s.Schedule().IsDue(e) && time.Since(e.ID.Time()) <= alongAge
}

// Along sends entries of a in the session that a message has left to idle; nothing if
// there is no session. If something runs the queue, only those that found all sessions
// busy go along.
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
