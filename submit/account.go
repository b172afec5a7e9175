package submit

import (
	"context"
	"errors"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/login"
	"sendoff/submit/queue"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// throttle holds accounts back, for all processes that use the queue.
func (s *Submitter) throttle() *throttle.Throttle {
	return throttle.New(s.Queue, s.Config, s.memory.unwrittenFaults())
}

// schedule is when things are tried again, as the configuration has it.
func (s *Submitter) schedule() queue.Schedule { return throttle.Schedule(s.Config) }

// opened notes how the opening of a session went.
func (s *Submitter) opened(ctx context.Context, a *config.Account, l *login.Login, err error) {
	t := s.throttle()
	switch {
	case err == nil:
		t.Works(a)
	case errors.As(err, new(*throttle.TooSoon)), ctx.Err() != nil:
	case leaves(err):
		s.Log.Fault(t.MetBySession(a, err))
	case status.KindOf(err) == status.AuthFailed && l != nil:
		secret, _ := l.Secret(ctx) // none: no access token was to be had
		s.Log.Fault(t.Failed(a, err, &secret))
	default:
		s.Log.Fault(t.Failed(a, err, nil))
	}
}

// meetLimit notes that a message was refused for a limit of its account's, and
// reports whether the account rests now.
func (s *Submitter) meetLimit(a *config.Account, refusal error, id queue.ID) bool {
	rests, err := s.throttle().Met(a, refusal, id)
	s.Log.Fault(err)
	return rests
}

// rest returns an error if a must not log in now, whatever its secret is.
func (s *Submitter) rest(a *config.Account) error {
	if s.Queue == nil || s.Store.Interactive {
		return nil
	}
	return s.throttle().Rest(a)
}

// refused returns an error if a must not log in now with the secret of l.
func (s *Submitter) refused(ctx context.Context, a *config.Account, l *login.Login) error {
	if l == nil || s.Queue == nil || s.Store.Interactive {
		return nil
	}
	return s.throttle().Refused(a, func() (credential.Secret, error) { return l.Secret(ctx) })
}

// Forget forgets that the account could not be used, because a person has done
// something about it.
func (s *Submitter) Forget(a *config.Account) { s.throttle().Forget(throttle.Key(a)) }

// Resting says of each account that rests until when, and why.
func (s *Submitter) Resting() []string { return s.throttle().Resting(s.Queue) }
