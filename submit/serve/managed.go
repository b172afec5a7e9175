package serve

import (
	"context"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/login"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// A service manager gives a process its credentials once, when it starts the process:
//
//	the credential is missing or refused    mail waits; after a while, between two clients,
//	                                        the process ends, and the manager starts another
//	the next process has another one        it forgets the fault, and sends what waits

// renewTime is for how long a process keeps a credential that is no good, so that the
// manager does not start another process again and again.
const renewTime = 5 * time.Minute

// errRenew is why Listen ends without a good credential.
var errRenew = status.Credential.Errorf("the password is missing or refused; the service ends, so that systemd loads the credential again")

// faultOfGiven returns the fault of a if that is about a secret which a had from the
// service manager; nil: there is none.
func faultOfGiven(s *submit.Submitter, a *config.Account) *throttle.Fault {
	if !slices.ContainsFunc(a.Secret, credential.Ref.Given) {
		return nil
	}
	f := s.Throttle().Fault(throttle.Key(a))
	if f != nil && (f.Login || status.KindOf(status.Recall(f.Code, f.Reason)) == status.Credential) {
		return f
	}
	return nil
}

// needsCredential reports whether another process might get a better credential.
func (v *Service) needsCredential() bool {
	s, err := v.renewed()
	return v.Managed && err == nil && slices.ContainsFunc(s.Config.Accounts, func(a *config.Account) bool { return faultOfGiven(s, a) != nil })
}

// forgetMended forgets the faults of accounts for which this process was given another
// secret than the one that was missing or refused.
func (v *Service) forgetMended(ctx context.Context) {
	s, err := v.renewed()
	if err != nil || !v.Managed {
		return
	}
	for _, a := range s.Config.Accounts {
		if faultOfGiven(s, a) == nil {
			continue
		}
		refs, item := login.Item(a)
		secret, err := s.Smarthosts.Secrets.Store.Get(ctx, refs, item)
		if err == nil && s.Throttle().Refused(a, func() (credential.Secret, error) { return secret, nil }) == nil {
			s.Throttle().Forget(throttle.Key(a))
		}
	}
}

// allowedState is the text with listen-users, a name a line, of the last configuration
// without a fault.
const allowedState = "allowed"

// listenUsers returns the users who may connect to a Unix socket; none: everybody may. While
// the configuration has had a fault from the start, they are those of the last one that
// was good: a mistake must not let in more users.
func (v *Service) listenUsers() []string {
	s, err := v.renewed()
	if v.Submitter.Queue == nil {
		return s.Config.ListenUsers
	}
	state := v.Submitter.Queue.State
	if known := string(state.Read(allowedState)); err != nil && v.Fault != nil {
		return strings.FieldsFunc(known, func(r rune) bool { return r == '\n' })
	} else if text := strings.Join(s.Config.ListenUsers, "\n"); err == nil && text != known {
		s.Log.Fault(state.Write(allowedState, []byte(text)))
	}
	return s.Config.ListenUsers
}
