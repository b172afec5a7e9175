package submit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/smtp"
	"sendoff/submit/throttle"
)

// A visit is a session with an account, in one of the slots that it has.
type visit struct {
	*smtp.Session
	key   string // of all that the session depends on
	slots string // throttle.Key, whose slots it has one of
	again bool   // it carried a mail before, so the server may have left since
	leave func() // gives the slot back
	until time.Time
	timer *time.Timer
}

func (v *visit) end() {
	defer v.leave()
	v.Close()
}

// Kept holds sessions that have carried a mail, for a moment: whoever sends
// several in a row, not knowing of the next one, logs in once. The zero value
// holds none; a nil one keeps none.
type Kept struct {
	mu   sync.Mutex
	idle []*visit
}

// keepTime is how long a session is kept for the next mail, and visitTime for all:
// it has a slot of the account, which others may wait for, and knows nothing of
// a secret that has changed.
const (
	keepTime  = 2 * time.Second
	visitTime = 30 * time.Second
)

// visitKey is the same only for sessions in which nothing differs.
func visitKey(a *config.Account, hello string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v %q", *a, hello))
	return string(sum[:])
}

// take returns a session that was kept under key, or nil.
func (k *Kept) take(key string) *visit {
	v := k.remove(func(v *visit) bool { return v.key == key })
	if v != nil {
		v.again = true
	}
	return v
}

// yield ends a session that is kept and has one of the slots, so that it can be
// had for another purpose.
func (k *Kept) yield(slots string) {
	if v := k.remove(func(v *visit) bool { return v.slots == slots }); v != nil {
		v.end()
	}
}

func (k *Kept) remove(match func(*visit) bool) *visit {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.idle, match)
	if i < 0 {
		return nil
	}
	v := k.idle[i]
	k.idle = slices.Delete(k.idle, i, i+1)
	v.timer.Stop() // one that has fired finds nothing to end
	return v
}

// keep keeps v until its time is over.
func (k *Kept) keep(v *visit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = append(k.idle, v)
	v.timer = time.AfterFunc(keepTime, func() {
		if k.remove(func(other *visit) bool { return other == v }) != nil {
			_ = process.Guarded(v.end) // the others' sessions must not suffer
		}
	})
}

// Close ends all sessions that are kept.
func (k *Kept) Close() {
	k.mu.Lock()
	idle := k.idle
	k.idle = nil
	k.mu.Unlock()
	for _, v := range idle {
		v.timer.Stop()
		v.end()
	}
}

// enter returns a session with an account: one that was kept, or a new one if a
// slot is free within patience. That there was none is a busy error.
func (s *Submitter) enter(ctx context.Context, a *config.Account, hello string, patience time.Duration) (*visit, error) {
	key, slots := visitKey(a, hello), throttle.Key(a)
	wait, deadline := patience, time.Now().Add(patience)
	if s.Kept != nil {
		wait = 0 // look again among those that are kept
	}
	for {
		if v := s.Kept.take(key); v != nil {
			return v, nil
		}
		leave, err := s.throttle().Slot(ctx, a, wait)
		if err == nil {
			session, _, err := s.open(ctx, a, hello, nil)
			if err != nil {
				leave()
				return nil, err
			}
			return &visit{Session: session, key: key, slots: slots, leave: leave, until: time.Now().Add(visitTime)}, nil
		}
		if s.Kept == nil || time.Now().After(deadline) {
			return nil, err
		}
		s.Kept.yield(slots)
		if err := throttle.Pause(ctx, a); err != nil {
			return nil, err
		}
	}
}

// send sends the mails that wait, and then those that more returns, if it is not
// nil, until it has none. It returns those that are for a new session.
func (v *visit) send(ctx context.Context, waiting []smtp.Mail, more func() (smtp.Mail, bool)) (rest []smtp.Mail, err error) {
	asked := 0
	rest, err = v.Deliver(ctx, func(yield func(smtp.Mail) bool) {
		for asked < len(waiting) {
			asked++
			if !yield(waiting[asked-1]) {
				return
			}
		}
		for more != nil {
			if m, ok := more(); !ok || !yield(m) {
				return
			}
		}
	})
	return append(rest, waiting[asked:]...), err
}

// part ends a visit, or keeps its session for the next mail if nothing went
// wrong, the server may take it, and its time is not over.
func (s *Submitter) part(v *visit, err error) {
	if s.Kept == nil || err != nil || !v.More() || time.Now().After(v.until) {
		v.end()
		return
	}
	s.Kept.keep(v)
}
