package submit

import (
	"context"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/login"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/state"
	"sendoff/submit/throttle"
)

// throttle holds accounts back, for all processes that use the queue.
func (s *Submitter) throttle() *throttle.Throttle {
	return throttle.New(s.Queue, s.Config, s.memory.unwrittenFaults())
}

// schedule is when things are tried again, as the configuration has it.
func (s *Submitter) schedule() queue.Schedule { return throttle.Schedule(s.Config) }

// Secrets finds the secrets of accounts.
func (s *Submitter) Secrets() *login.Secrets {
	store := s.Store
	if store == nil {
		store = new(credential.Store)
	}
	var known *state.Folder
	if s.Queue != nil {
		known = s.Queue.State
	}
	d := &dial.Dialer{Lookup: s.Lookup, LookupSRV: s.LookupSRV, Dial: s.Dial, State: known, Home: store.Home, Interactive: store.Interactive}
	secrets := &login.Secrets{Config: s.Config, Store: store, State: known, Dialer: d}
	d.ProxySecret = secrets.ForProxy
	return secrets
}

// Smarthosts opens sessions with accounts.
func (s *Submitter) Smarthosts() *smarthost.Pool {
	secrets := s.Secrets()
	return &smarthost.Pool{Idle: s.Idle, Opener: &smarthost.Opener{
		Dialer: secrets.Dialer, Secrets: secrets, Throttle: s.throttle(), Log: s.Log, Console: s.Console,
		Trace: s.Trace, Patience: s.Patience, Quiet: s.Sendmail,
	}}
}

// session returns a session with an account, unless mail for it would come back to us.
func (s *Submitter) session(ctx context.Context, a *config.Account, hello string, patience time.Duration) (*smarthost.Session, error) {
	if err := refuseOwn(a, s.own); err != nil {
		s.Log.Fault(s.throttle().Failed(a, err, nil))
		return nil, err
	}
	return s.Smarthosts().Get(ctx, a, hello, patience, s.stay)
}

// remark puts into the dialogue what neither side said.
func (s *Submitter) remark(text string) {
	if s.Trace != nil {
		s.Trace(smtp.Line{From: '*', Text: text})
	}
}

// meetLimit notes that a message was refused for a limit of its account's, and
// reports whether the account rests now.
func (s *Submitter) meetLimit(a *config.Account, refusal error, id queue.ID) bool {
	rests, err := s.throttle().Met(a, refusal, id)
	s.Log.Fault(err)
	return rests
}

// Forget forgets that the account could not be used, because a person has done
// something about it.
func (s *Submitter) Forget(a *config.Account) { s.throttle().Forget(throttle.Key(a)) }

// Resting says of each account that rests until when, and why.
func (s *Submitter) Resting() []string { return s.throttle().Resting(s.Queue) }
