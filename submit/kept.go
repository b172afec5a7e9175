package submit

import (
	"context"
	"slices"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/smtp"
)

// A visit is a session with an account, in one of the slots that it has.
type visit struct {
	*smtp.Session
	key   string
	again bool   // it carried a mail before, so the server may have left since
	leave func() // gives the slot back
	timer *time.Timer
}

func (v *visit) end() {
	v.Close()
	v.leave()
}

// Kept holds sessions that have carried a mail, for a moment: whoever sends
// several in a row, not knowing of the next one, logs in once. The zero value
// holds none; a nil one keeps none.
type Kept struct {
	mu   sync.Mutex
	idle []*visit
}

// keepTime is how long a session is kept. It has a slot of the account, which
// others may wait for.
const keepTime = 5 * time.Second

// take returns a session that was kept under key, or nil.
func (k *Kept) take(key string) *visit {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.idle, func(v *visit) bool { return v.key == key })
	if i < 0 {
		return nil
	}
	v := k.idle[i]
	k.idle = slices.Delete(k.idle, i, i+1)
	v.timer.Stop() // one that has fired finds nothing to end
	v.again = true
	return v
}

// keep keeps v until its time is over.
func (k *Kept) keep(v *visit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = append(k.idle, v)
	v.timer = time.AfterFunc(keepTime, func() {
		k.mu.Lock()
		i := slices.Index(k.idle, v)
		if i >= 0 {
			k.idle = slices.Delete(k.idle, i, i+1)
		}
		k.mu.Unlock()
		if i >= 0 {
			v.end()
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

// enter returns a session with an account: one that was kept, or a new one as
// soon as there is a slot.
func (s *Submitter) enter(ctx context.Context, a *config.Account, hello string) (*visit, error) {
	key := accountKey(a) + " " + hello
	patience, deadline := slotTime, time.Now().Add(slotTime)
	if s.Kept != nil {
		patience = 0 // look again among those that are kept
	}
	for {
		if v := s.Kept.take(key); v != nil {
			return v, nil
		}
		leave, err := s.slot(ctx, a, patience)
		if err == nil {
			session, err := s.open(ctx, a, hello)
			if err != nil {
				leave()
				return nil, err
			}
			return &visit{Session: session, key: key, leave: leave}, nil
		}
		if s.Kept == nil || time.Now().After(deadline) {
			return nil, err
		}
		if err := pause(ctx, a); err != nil {
			return nil, err
		}
	}
}

// part ends a visit, or keeps its session for the next mail if nothing went
// wrong.
func (s *Submitter) part(v *visit, err error) {
	if s.Kept == nil || err != nil {
		v.end()
		return
	}
	s.Kept.keep(v)
}
