package submit

import (
	"context"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/throttle"
)

// Times in which a session that was opened for one message takes along others.
const (
	alongTime = 2 * time.Second // no other is begun after
	alongEnd  = 4 * time.Second // no command is waited for after
	alongSize = 1 << 20         // octets of the largest
	alongAge  = time.Minute     // of the oldest that is not left to whoever runs the queue
)

// maxAlong is how many of the oldest entries are looked at, and how many of the
// newest, which nobody had a session for.
const maxAlong = 100

// takesAlong reports whether a session for one message is to take along others.
func (s *Submitter) takesAlong() bool {
	if s.Queue == nil || s.Smarthosts.Idle != nil {
		return false
	}
	if trouble, _ := s.Trouble(); trouble != "" {
		return s.Queue.Waits(nil)
	}
	ids, _ := s.Queue.IDs()
	for _, id := range ids[max(0, len(ids)-maxAlong):] {
		if time.Since(id.Time()) > alongAge {
			continue
		}
		if e, err := s.Queue.Read(id); err == nil && s.hadNoSession(e) {
			return true
		}
	}
	return false
}

// hadNoSession reports whether an entry has found all sessions busy a moment ago.
func (s *Submitter) hadNoSession(e *queue.Entry) bool {
	return e.Attempts == 0 && s.schedule().IsDue(e) && time.Since(e.ID.Time()) <= alongAge
}

// along sends what waits for an account, as far as it does not keep the caller
// of another message waiting, whose outcome is known by now. Where something runs
// the queue, it is only what has found all sessions busy a moment ago: until
// somebody looks the smarthost would be idle.
func (s *Submitter) along(ctx context.Context, session *smtp.Session, a *config.Account) {
	ctx, cancel := context.WithTimeout(ctx, alongEnd)
	defer cancel()
	ids, _ := s.Queue.IDs()
	if n := len(ids); n > 2*maxAlong {
		ids = append(ids[:maxAlong], ids[n-maxAlong:]...)
	}
	key := throttle.Key(a)
	trouble, _ := s.Trouble()
	r := s.newRun(Selection{})
	r.begin()
	until := time.Now().Add(alongTime)
	rest, _ := session.Deliver(ctx, func(yield func(smtp.Mail) bool) {
		for _, id := range ids {
			if ctx.Err() != nil || time.Now().After(until) {
				return
			}
			if s.throttle().Limit(key) != nil || s.throttle().Pace(a, false) != nil {
				return
			}
			e, err := s.Queue.Read(id)
			if err != nil || !s.schedule().IsDue(e) || e.Size > alongSize || trouble == "" && !s.hadNoSession(e) {
				continue
			}
			g := r.group(choiceOf(e), false)
			if g.account == nil || g.key.account != key {
				continue
			}
			t := g.try(id)
			if t == nil {
				continue
			}
			s.throttle().Pace(a, true)
			if !yield(t.mail()) {
				return
			}
		}
	})
	fail(rest, errLeft)
	r.spread(ctx)
	r.all.Wait()
}
