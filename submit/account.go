package submit

import (
	"sendoff/config"
	"sendoff/submit/login"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/throttle"
)

// Throttle holds accounts back, for all processes that use the queue.
func (s *Submitter) Throttle() *throttle.Throttle {
	return throttle.New(s.Queue, s.Config, s.Unwritten)
}

// Schedule is when things are tried again, as the configuration has it.
func (s *Submitter) Schedule() queue.Schedule { return throttle.Schedule(s.Config) }

// Secrets finds the secrets of accounts.
func (s *Submitter) Secrets() *login.Secrets { return s.Pool().Secrets }

// Pool returns Smarthosts with the configuration, the queue and the log of s.
func (s *Submitter) Pool() *smarthost.Pool {
	p := s.Smarthosts.Clone()
	if p.Secrets.Config = s.Config; s.Queue != nil {
		p.Secrets.State, p.Dialer.State = s.Queue.State, s.Queue.State
	}
	p.Throttle, p.Log, p.Console, p.Quiet = s.Throttle(), s.Log, s.Console, s.Sendmail
	return p
}

// meetLimit notes that a message was refused for a limit of its account's, and
// reports whether the account rests now.
func (s *Submitter) meetLimit(a *config.Account, refusal error, id queue.ID) bool {
	rests, err := s.Throttle().Met(a, refusal, id)
	s.Log.Fault(err)
	return rests
}

// Forget forgets that the account could not be used, because a person has done
// something about it.
func (s *Submitter) Forget(a *config.Account) { s.Throttle().Forget(throttle.Key(a)) }

// Resting says of each account that rests until when, and why.
func (s *Submitter) Resting() []string { return s.Throttle().Resting(s.Queue) }
