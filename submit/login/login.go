// Package login fetches an account's secret, and logs in with it by a SASL mechanism.
//
//	account ── Item ──> sources ── Start ──> Login: the secret is fetched
//	                                           │ while the connection is made
//	            server's mechanisms ── Auth ───┤ a mechanism, with the secret
//	                                           │ if the server refuses
//	            an access token ── Revoked ────┤ another token is fetched, once
//	            any other secret ── Blame ─────┘ the error says where user and secret are from
//
// The package must not know sockets, messages or entries, nor when an account may
// log in (package throttle).
//
// Errors: those of package credential; status.Config for a source or a provider that
// the configuration does not have; status.Insecure from trust.Port and auth.Choose;
// status.AuthFailed, if no mechanism may be used.
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

// A Login is an account's user and secret, for one or more attempts to log in. The
// secret is fetched while the connection is made. A nil Login does not log in.
type Login struct {
	account *config.Account
	done    chan result // gets one result when the secret is fetched; nil: there is no secret
	cancel  func()      // stops the fetching of an access token; nil: the secret may be no token

	// The session in which Auth is called next.
	local bool           // the server is on this machine: nobody can read the connection
	port  netip.AddrPort // the server's address, if local
	from  netip.AddrPort // our end of the connection, if local
	tried []string       // the mechanisms that Auth chose; the server refused all but the last
}

// A result is a fetched secret, or why it could not be fetched.
type result struct {
	secret credential.Secret
	err    error
}

// NeedsToken reports whether one of the sources of a's secret asks a provider for an
// access token.
func NeedsToken(a *config.Account) bool {
	return a.User != "" && !ByCertificate(a) && slices.ContainsFunc(a.Sources(), credential.Ref.IsOAuth2)
}

// Start starts to fetch the secret of a. The Login is nil if a does not log in. If a
// source may ask a person, Start returns after the secret is fetched, because no server
// waits for a person. refused is an access token not to use again; zero: there is none.
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

// Secret waits for the secret and returns it; zero: the account logs in by certificate.
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
			kind = status.Connection // the provider of the token did not answer in time
		}
		return credential.Secret{}, kind.Errorf("%w while reading the secret", context.Cause(ctx))
	}
}

// Close stops the fetching of an access token, and waits for its end: the provider may
// still answer with a new refresh token, which must be stored because the old one is
// no longer valid.
func (l *Login) Close() {
	if l != nil && l.cancel != nil {
		l.cancel()
		l.done <- <-l.done
	}
}

// Revoked returns the access token that a server refused with err; zero: err is not a
// refused login, or the secret is no access token.
func (l *Login) Revoked(ctx context.Context, err error) credential.Secret {
	if l != nil && l.cancel != nil && refusedLogin(err) {
		if secret, _ := l.Secret(ctx); secret.IsToken() {
			return secret
		}
	}
	return credential.Secret{}
}

// Blame adds to the error of a refused login where the user is from, if not from the
// account itself, and the source of the secret, if --login cannot write to the source, or
// only as root.
// It returns other errors as they are.
func (l *Login) Blame(ctx context.Context, err error) error {
	if l == nil || !refusedLogin(err) {
		return err
	}
	if source := l.account.UserFrom; source != "" {
		err = fmt.Errorf("%w; the user is from %s", err, source)
	}
	got, _ := l.Secret(ctx)
	if source := got.Source(); source != (credential.Ref{}) && (!source.Writable() || strings.HasPrefix(source.Path(""), "/etc/")) {
		return fmt.Errorf("%w; the secret is from %s", err, source)
	}
	return err
}

// refusedLogin reports whether err is a server's reply that refuses a login.
func refusedLogin(err error) bool {
	return status.KindOf(err) == status.AuthFailed && errors.As(err, new(*smtp.Refusal))
}

// ByCertificate reports whether a logs in by its TLS certificate (EXTERNAL), and needs
// no secret.
func ByCertificate(a *config.Account) bool {
	return a.TLSCert != "" && len(a.Auth) == 1 && a.Auth[0] == "EXTERNAL"
}

// To describes the next session, before Auth is called in it. local says that the server
// is on this machine; then port is its address and from is our end of the connection.
// Both may be invalid.
func (l *Login) To(local bool, port, from netip.AddrPort) {
	if l != nil {
		l.local, l.port, l.from, l.tried = local, port, from, nil
	}
}

// Auth is smtp.Options.Auth: it chooses one of the mechanisms that the server offers.
// cs is nil without TLS.
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
	m, err := auth.Choose(offered, l.account.Auth, auth.Facts{
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

// PassedOver returns, after a login, a warning that names the mechanisms which the
// server offers but refuses; "": it refused none.
func (l *Login) PassedOver() string {
	if l == nil || len(l.tried) < 2 {
		return ""
	}
	last := len(l.tried) - 1
	return fmt.Sprintf("the server offers AUTH %s and refuses it; to avoid the attempt set auth = %q", strings.Join(l.tried[:last], ", "), l.tried[last])
}
