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

// A Session is a session with an account. It holds one of the account's slots
// (throttle.Slot).
type Session struct {
	*smtp.Session
	Reused bool // the session carried a mail before, so the server may have closed it since

	account config.Account
	hello   string      // our name in EHLO
	release func()      // releases the slot
	until   time.Time   // after this time the session is not put into Idle
	timer   *time.Timer // ends the session while it is idle
}

// End closes the session, and releases its slot.
func (s *Session) End() {
	defer s.release()
	s.Close()
}

// Send sends the mails in waiting, and then calls next for more, until next returns
// false; next may be nil. It returns the mails that the server did not take in this
// session; another session may send them.
func (s *Session) Send(ctx context.Context, waiting []smtp.Mail, next func() (smtp.Mail, bool)) (untried []smtp.Mail, err error) {
	begun := 0 // how many of waiting Deliver has asked for
	untried, err = s.Deliver(ctx, func(yield func(smtp.Mail) bool) {
		for begun < len(waiting) {
			begun++
			if !yield(waiting[begun-1]) {
				return
			}
		}
		for next != nil {
			if m, ok := next(); !ok || !yield(m) {
				return
			}
		}
	})
	return append(untried, waiting[begun:]...), err
}

// fits reports whether a mail of a may go over s. It compares all settings of the
// account, so that a new setting needs no change here.
func (s *Session) fits(a *config.Account, hello string) bool {
	return s.hello == hello && reflect.DeepEqual(s.account, *a)
}

// Idle holds sessions for a moment after a mail, so that a caller that sends several
// mails in a row logs in once. The zero value holds no session.
type Idle struct {
	mu       sync.Mutex
	sessions []*Session
}

// idleTime is how long a session stays in Idle for the next mail, and maxTime is the
// age at which it is ended. Both are short: other processes may wait for the session's
// slot, and a change of the secret has no effect on an open session.
const (
	idleTime = 2 * time.Second
	maxTime  = 30 * time.Second
)

// take removes a session for which match returns true from i, and returns it; nil:
// there is none.
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
	s.timer.Stop() // if the timer has fired already, its function does not find the session
	return s
}

// put adds s, which it ends after idleTime unless take returns s before.
func (i *Idle) put(s *Session) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sessions = append(i.sessions, s)
	s.timer = time.AfterFunc(idleTime, func() {
		if i.take(func(other *Session) bool { return other == s }) != nil {
			_ = process.Guarded(s.End) // a bug in End must not end the process
		}
	})
}

// IsEmpty reports whether i holds no session.
func (i *Idle) IsEmpty() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.sessions) == 0
}

// Close ends all sessions in i.
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

// New returns a Pool that keeps no session, and dials as the system does.
func New(store *credential.Store) *Pool {
	p := &Pool{Opener: &Opener{Dialer: new(dial.Dialer), Secrets: &login.Secrets{Store: store}}}
	return p.Clone()
}

// Clone returns a deep copy of p that shares only the Idle sessions with p. If p is nil,
// it returns New of an empty Store.
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

// Remark is Opener.Remark; a nil Pool ignores it.
func (p *Pool) Remark(text string) {
	if p != nil {
		p.Opener.Remark(text)
	}
}

// Get returns a session with a: an idle session, or a new one if a slot of the account
// gets free within patience. Otherwise the error is a throttle.Held. keepOpen is
// Options.KeepOpen.
func (p *Pool) Get(ctx context.Context, a *config.Account, hello string, patience time.Duration, keepOpen bool) (*Session, error) {
	wait, deadline := patience, time.Now().Add(patience)
	if p.Idle != nil {
		wait = 0 // the loop looks for idle sessions between its attempts at a slot
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
			s.End() // frees a slot: s has other settings, but the same server, user and secret
		}
		if err := throttle.Pause(ctx, a); err != nil {
			return nil, err
		}
	}
}

// Put keeps a session for the next mail if err, the result of Send, is nil, the server
// takes another mail in this session, and maxTime is not over. Otherwise it ends the
// session.
func (p *Pool) Put(s *Session, err error) {
	if p.Idle == nil || err != nil || !s.More() || time.Now().After(s.until) {
		s.End()
		return
	}
	p.Idle.put(s)
}
