// Package login brings an account's secret to a mechanism.
//
//	account ── Item ──> sources ── Start ──> Login: the secret is fetched
//	                                           │ while the connection is made
//	            server's mechanisms ── Auth ───┤ a mechanism, with the secret
//	                                           │ if the server refuses
//	            an access token ── Revoked ────┤ another one is fetched, once
//	            anything else ── Blame ────────┘ the error says whose fault it may be
//
// The package must not know sockets, messages or entries, nor when an account may
// log in (package throttle).
//
// Errors: those of package credential; status.Config for a source or a provider that
// the configuration does not have; status.Insecure from trust.Port and auth.Choose;
// status.AuthFailed, if there is no mechanism that may be used.
package login

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/auth"
	"sendoff/submit/credential"
	"sendoff/submit/secret"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/trust"
)

// A Login is who we are to a server, and the secret to prove it, which is fetched
// while the connection is made. A nil Login is none.
type Login struct {
	account *config.Account
	done    chan result // has one result, once the secret is fetched; nil: there is no secret
	cancel  func()      // ends the fetching of an access token, as far as that can be ended; else nil

	// Of the session in which Auth is called.
	local bool           // the server is on this machine: nobody reads along
	port  netip.AddrPort // the server's, if it is on this machine
	from  netip.AddrPort // our end of the connection to that port
	tried []string       // the mechanisms that were chosen; the server knew only the last
}

// A result is what came of fetching a secret.
type result struct {
	secret credential.Secret
	err    error
}

// NeedsToken reports whether the secret of a may be an access token, for which a
// provider is asked.
func NeedsToken(a *config.Account) bool {
	return a.User != "" && !ByCertificate(a) && slices.ContainsFunc(a.Sources(), credential.Ref.IsOAuth2)
}

// Start starts to fetch the secret of a; the Login is nil if a does not log in. A
// secret that may ask a person is fetched before Start returns, because no server
// waits that long. refused is an access token that is not to be used again; it may
// be zero.
func (s *Secrets) Start(ctx context.Context, a *config.Account, refused credential.Secret) (*Login, error) {
	if ByCertificate(a) {
		return &Login{account: a}, nil
	}
	if a.User == "" {
		return nil, nil
	}
	refs, item, err := s.Credentials(a)
	if err != nil || len(refs) == 1 && refs[0].Kind() == secret.None {
		return nil, err
	}
	l := &Login{account: a, done: make(chan result, 1)}
	prompts := slices.ContainsFunc(refs, credential.Ref.Prompts)
	if item.OAuth2 != nil {
		item.OAuth2.Refused = refused
		prompts = prompts || item.OAuth2.Refresh.Prompts()
		ctx, l.cancel = context.WithCancel(ctx)
	}
	fetch := func() {
		var r result
		r.err = status.Guarded(func() (err error) {
			r.secret, err = s.Store.Get(ctx, refs, item)
			return err
		})
		l.done <- r
	}
	if s.Store.Interactive && prompts {
		fetch()
	} else {
		go fetch()
	}
	return l, nil
}

// Secret waits for the secret. It is zero if the account logs in by certificate.
func (l *Login) Secret(ctx context.Context) (credential.Secret, error) {
	if l.done == nil {
		return credential.Secret{}, nil
	}
	select {
	case r := <-l.done:
		l.done <- r // for the next call
		return r.secret, r.err
	case <-ctx.Done():
		kind := status.Credential
		if l.cancel != nil {
			kind = status.Connection // the provider of an access token is not on this machine
		}
		return credential.Secret{}, kind.Errorf("%w while the secret was fetched", context.Cause(ctx))
	}
}

// Close ends the fetching of an access token, and waits until the provider is asked
// for nothing any more: an answer that nobody waits for may still be a refresh token
// that replaces the one before.
func (l *Login) Close() {
	if l != nil && l.cancel != nil {
		l.cancel()
		l.done <- <-l.done
	}
}

// Revoked returns the access token that a server has refused with err; zero if it
// has not, or if what it has refused is no access token.
func (l *Login) Revoked(ctx context.Context, err error) credential.Secret {
	if l != nil && l.cancel != nil && refusedLogin(err) {
		if secret, _ := l.Secret(ctx); secret.IsToken() {
			return secret
		}
	}
	return credential.Secret{}
}

// Blame adds to the error of a refused login what named the user, if that was not
// the account, and where the secret is from, unless --login would put another secret
// there.
func (l *Login) Blame(ctx context.Context, err error) error {
	if l == nil || !refusedLogin(err) {
		return err
	}
	if from := l.account.UserFrom; from != "" {
		err = fmt.Errorf("%w; the user is from %s", err, from)
	}
	got, _ := l.Secret(ctx)
	if from := got.Source(); from != (credential.Ref{}) && !from.Writable() {
		return fmt.Errorf("%w; the secret is from %s", err, from)
	}
	return err
}

// refusedLogin reports whether err is a server's no to a login.
func refusedLogin(err error) bool {
	return status.KindOf(err) == status.AuthFailed && errors.As(err, new(*smtp.Refusal))
}

// ByCertificate reports whether a logs in with its certificate, and needs no
// secret.
func ByCertificate(a *config.Account) bool {
	return a.TLSCert != "" && len(a.Auth) == 1 && a.Auth[0] == "EXTERNAL"
}

// To says whom the next session is with, before Auth is called for it: whether what
// is sent there stays on this machine, the server's port, and our end of the
// connection. port and from are only used if local is set, and may be invalid.
func (l *Login) To(local bool, port, from netip.AddrPort) {
	if l != nil {
		l.local, l.port, l.from, l.tried = local, port, from, nil
	}
}

// Auth is smtp.Options.Auth: it chooses the mechanism.
func (l *Login) Auth(ctx context.Context, offered []string, cs *tls.ConnectionState) (*smtp.Login, error) {
	secret, err := l.Secret(ctx)
	if err != nil {
		return nil, err
	}
	if cs == nil && l.local {
		if _, err := trust.Port(l.account, l.port, l.from); err != nil {
			return nil, err
		}
	}
	m, err := auth.Choose(offered, l.account.Auth, auth.Needs{
		Protected:   cs != nil || l.local,
		Recorded:    cs != nil && l.account.TLSLegacy,
		State:       cs,
		Certificate: l.account.TLSCert != "",
		User:        l.account.User,
		HasSecret:   !secret.IsZero(),
		Token:       secret.IsToken(),
	})
	if err != nil {
		return nil, err
	}
	l.tried = append(l.tried, m.Name)
	return &smtp.Login{Client: m.Client(l.account.User, secret.Reveal()), Secret: secret.Reveal()}, nil
}

// PassedOver says of a login that has succeeded which mechanisms the server offers
// and does not know; "" if there was none.
func (l *Login) PassedOver() string {
	if l == nil || len(l.tried) < 2 {
		return ""
	}
	last := len(l.tried) - 1
	return fmt.Sprintf("the server offers AUTH %s and refuses it; set auth = %q to spare that", strings.Join(l.tried[:last], ", "), l.tried[last])
}
