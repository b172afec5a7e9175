package smarthost

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/login"
	"sendoff/submit/process"
	"sendoff/submit/smtp"
	"sendoff/submit/throttle"
)

// A Session is a session with an account, in one of the slots that the account has.
type Session struct {
	*smtp.Session
	Reused bool // it carried a mail before, so the server may have left since

	account config.Account
	hello   string    // our name in EHLO
	release func()    // gives the slot back
	until   time.Time // the session is kept no longer
	timer   *time.Timer
}

// End ends the session at once.
func (s *Session) End() {
	defer s.release()
	s.Close()
}

// Send sends the mails that wait, and then those that more returns, if it is not
// nil, until it has none. It returns those that are for another session.
func (s *Session) Send(ctx context.Context, waiting []smtp.Mail, more func() (smtp.Mail, bool)) (left []smtp.Mail, err error) {
	asked := 0
	left, err = s.Deliver(ctx, func(yield func(smtp.Mail) bool) {
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
	return append(left, waiting[asked:]...), err
}

// fits reports whether a mail of a may go over s. Every setting counts, so that no
// setting can be forgotten that a session depends on.
func (s *Session) fits(a *config.Account, hello string) bool {
	return s.hello == hello && reflect.DeepEqual(s.account, *a)
}

// Idle holds sessions that have carried a mail, for a moment: a caller that sends
// several mails in a row, not knowing of the next one, logs in once. The zero value
// holds none.
type Idle struct {
	mu       sync.Mutex
	sessions []*Session
}

// idleTime is how long a session is kept for the next mail, and maxTime for all
// mails together: it has a slot of the account, which others may wait for, and does
// not notice that the secret has changed.
const (
	idleTime = 2 * time.Second
	maxTime  = 30 * time.Second
)

// take returns a session that match reports, which is Idle no longer, or nil.
func (i *Idle) take(match func(*Session) bool) *Session {
	if i == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	n := slices.IndexFunc(i.sessions, match)
	if n < 0 {
		return nil
	}
	s := i.sessions[n]
	i.sessions = slices.Delete(i.sessions, n, n+1)
	s.timer.Stop() // a timer that has fired finds no session to end
	return s
}

func (i *Idle) put(s *Session) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sessions = append(i.sessions, s)
	s.timer = time.AfterFunc(idleTime, func() {
		if i.take(func(other *Session) bool { return other == s }) != nil {
			_ = process.Guarded(s.End) // the others' sessions must not suffer
		}
	})
}

// IsEmpty reports whether there is no session.
func (i *Idle) IsEmpty() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.sessions) == 0
}

// Close ends all sessions.
func (i *Idle) Close() {
	for {
		s := i.take(func(*Session) bool { return true })
		if s == nil {
			return
		}
		s.End()
	}
}

// A Pool opens sessions, and keeps them in Idle for the next mail.
type Pool struct {
	*Opener
	Idle *Idle // nil: no session is kept
}

// New returns a Pool that keeps no session, with the system's means of dialling.
func New(store *credential.Store) *Pool {
	p := &Pool{Opener: &Opener{Dialer: new(dial.Dialer), Secrets: &login.Secrets{Store: store}}}
	return p.Clone()
}

// Clone returns a copy of p of which everything may be changed but the Idle sessions
// that both have. Of a nil Pool it is New of the zero Store.
func (p *Pool) Clone() *Pool {
	if p == nil {
		return New(new(credential.Store))
	}
	opener, dialer, secrets, store := *p.Opener, *p.Dialer, *p.Secrets, credential.Store{}
	if secrets.Store != nil {
		store = *secrets.Store
	}
	secrets.Store, secrets.Dialer = &store, &dialer
	dialer.ProxySecret, dialer.Home, dialer.Interactive = (&secrets).ForProxy, store.Home, store.Interactive
	opener.Secrets, opener.Dialer = &secrets, &dialer
	return &Pool{&opener, p.Idle}
}

// Remark puts into the dialogue what neither side said. A nil Pool has no dialogue.
func (p *Pool) Remark(text string) {
	if p != nil {
		p.Opener.Remark(text)
	}
}

// Get returns a session with an account: one that is idle, or a new one if a slot is
// free within patience. If there was none, the error is a throttle.Held.
func (p *Pool) Get(ctx context.Context, a *config.Account, hello string, patience time.Duration, keepOpen bool) (*Session, error) {
	wait, deadline := patience, time.Now().Add(patience)
	if p.Idle != nil {
		wait = 0 // look again among those that are idle
	}
	for {
		if s := p.Idle.take(func(s *Session) bool { return s.fits(a, hello) }); s != nil {
			s.Reused = true
			return s, nil
		}
		release, err := p.Throttle.Slot(ctx, a, wait)
		if err == nil {
			session, _, err := p.Open(ctx, a, hello, Options{KeepOpen: keepOpen || p.Idle != nil})
			if err != nil {
				release()
				return nil, err
			}
			return &Session{Session: session, account: *a, hello: hello, release: release, until: time.Now().Add(maxTime)}, nil
		}
		if p.Idle == nil || time.Now().After(deadline) {
			return nil, err
		}
		if s := p.Idle.take(func(s *Session) bool { return throttle.Key(&s.account) == throttle.Key(a) }); s != nil {
			s.End() // its slot serves
		}
		if err := throttle.Pause(ctx, a); err != nil {
			return nil, err
		}
	}
}

// Put keeps a session for the next mail, if err is nil, the server may take another
// mail, and the time of the session is not over. Otherwise it ends the session.
func (p *Pool) Put(s *Session, err error) {
	if p.Idle == nil || err != nil || !s.More() || time.Now().After(s.until) {
		s.End()
		return
	}
	p.Idle.put(s)
}
