package submit

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/auth"
	"sendoff/submit/credential"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// A login is who we are to a server, and the secret to prove it, which is
// fetched while the connection is made.
type login struct {
	account *config.Account
	secret  func(context.Context) (credential.Secret, error)
	local   bool // the server is on this machine: nobody reads along
}

// Item returns what a secret of a is kept under, and the sources where it may
// be: the keyring, if the account names none.
func Item(a *config.Account) (refs []credential.Ref, item credential.Item, err error) {
	item = credential.Item{User: a.User}
	if len(a.Servers) > 0 {
		item.Host = a.Servers[0].Identity()
	}
	names := []string(a.Secret)
	if len(names) == 0 {
		names = []string{"keyring"}
	}
	for _, name := range names {
		r, err := credential.ParseRef(name)
		if err != nil {
			return nil, item, status.Config.Errorf("secret: %w", err)
		}
		refs = append(refs, r)
	}
	return refs, item, nil
}

// newLogin starts to fetch the secret of a; nil if a does not log in. A secret
// that may ask a person is fetched here and now, because no server waits that
// long.
func (s *Submitter) newLogin(ctx context.Context, a *config.Account) (*login, error) {
	if byCertificate(a) {
		none := func(context.Context) (credential.Secret, error) { return credential.Secret{}, nil }
		return &login{account: a, secret: none}, nil
	}
	if a.User == "" {
		return nil, nil
	}
	if s.rehearsal != nil {
		known := func(context.Context) (credential.Secret, error) { return s.rehearsal.secret, nil }
		return &login{account: a, secret: known}, nil
	}
	refs, item, err := Item(a)
	if err != nil {
		return nil, err
	}
	if len(refs) == 1 && refs[0].String() == "none" {
		return nil, nil
	}
	type fetched struct {
		secret credential.Secret
		err    error
	}
	done := make(chan fetched, 1)
	fetch := func() {
		secret, err := s.Store.Get(ctx, refs, item)
		done <- fetched{secret, err}
	}
	if s.Store.Interactive && slices.ContainsFunc(refs, credential.Ref.Prompts) {
		fetch()
	} else {
		go fetch()
	}
	l := &login{account: a}
	l.secret = func(ctx context.Context) (credential.Secret, error) {
		select {
		case f := <-done:
			done <- f // for the next server
			return f.secret, f.err
		case <-ctx.Done():
			return credential.Secret{}, status.Credential.Errorf("%w while the secret was fetched", context.Cause(ctx))
		}
	}
	return l, nil
}

// byCertificate reports whether a logs in with its certificate, and needs no
// secret.
func byCertificate(a *config.Account) bool {
	return a.TLSCert != "" && len(a.Auth) == 1 && a.Auth[0] == "EXTERNAL"
}

// auth is smtp.Options.Auth: it chooses the mechanism.
func (l *login) auth(ctx context.Context, offered []string, cs *tls.ConnectionState) (*smtp.Login, error) {
	secret, err := l.secret(ctx)
	if err != nil {
		return nil, err
	}
	m, err := auth.Choose(offered, l.account.Auth, auth.Needs{
		Protected:   cs != nil || l.local,
		State:       cs,
		Certificate: l.account.TLSCert != "",
		User:        l.account.User,
		HasSecret:   !secret.IsZero(),
	})
	if err != nil {
		return nil, err
	}
	return &smtp.Login{Client: m.Client(l.account.User, secret.Reveal()), Secret: secret.Reveal()}, nil
}

// Values says of the settings that config leaves open what they may be.
func Values() config.Values {
	return config.Values{
		Secret: func(s string) error {
			_, err := credential.ParseRef(s)
			return err
		},
		Mechanism: func(name string) error {
			if !slices.Contains(auth.Known(), name) {
				return fmt.Errorf("unknown mechanism %.20q; known are %s", name, strings.Join(auth.Known(), ", "))
			}
			return nil
		},
	}
}
