package submit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/auth"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/trust"
)

// A login is who we are to a server, and the secret to prove it, which is
// fetched while the connection is made.
type login struct {
	account *config.Account
	secret  func(context.Context) (credential.Secret, error)
	local   bool           // the server is on this machine: nobody reads along
	port    netip.AddrPort // of this machine, if that is where the server is
	from    netip.AddrPort // our end of the connection to that port
	tried   []string       // the mechanisms of the last session, of which the server knew none but the last

	// Of an access token, which is asked for elsewhere; else nil.
	done   chan fetched
	cancel func() // ends the fetching, as far as it can be ended
}

// fetched is what came of fetching a secret.
type fetched struct {
	secret credential.Secret
	err    error
}

// Item returns what a secret of a is kept under, and the sources where it may
// be: the keyring, if the account names none.
func Item(a *config.Account) (refs []credential.Ref, item credential.Item, err error) {
	item = credential.Item{User: a.User}
	if len(a.Servers) > 0 {
		item.Host = a.Servers[0].Identity()
	}
	for _, name := range a.Sources() {
		r, err := credential.ParseRef(name)
		if err != nil {
			return nil, item, status.Config.Errorf("secret: %w", err)
		}
		refs = append(refs, r)
	}
	return refs, item, nil
}

// Credentials is Item for whoever may get access tokens.
func (s *Submitter) Credentials(a *config.Account) (refs []credential.Ref, item credential.Item, err error) {
	refs, item, err = Item(a)
	if err != nil || !slices.ContainsFunc(refs, credential.Ref.IsOAuth2) {
		return refs, item, err
	}
	o := &credential.OAuth2{Account: a.Name, Providers: make(map[string]credential.Provider), Shelf: s.shelf()}
	for _, r := range refs {
		if r.IsOAuth2() && err == nil {
			o.Providers[r.Provider()], err = s.provider(r.Provider())
		}
	}
	if err != nil {
		return nil, item, err
	}
	if dial.Proxied(a) {
		o.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
			return s.dialer().DialProxy(ctx, a, address)
		}
	}
	item.OAuth2 = o
	o.Refresh, err = credential.ParseRef(cmp.Or(a.RefreshToken, "keyring"))
	return refs, item, err
}

// proxySecret fetches the password for the proxy of a.
func (s *Submitter) proxySecret(ctx context.Context, a *config.Account) (string, error) {
	host, _, _ := net.SplitHostPort(a.Proxy.Address)
	refs, _, err := Item(&config.Account{Secret: a.ProxySecret})
	if err != nil {
		return "", err
	}
	secret, err := s.Store.Get(ctx, refs, credential.Item{User: a.Proxy.User, Host: host})
	return secret.Reveal(), err
}

// Authorise gets a person's consent to access tokens for a, again or unless one
// is to be had already. The configuration need not have a, but its provider.
func (s *Submitter) Authorise(ctx context.Context, a *config.Account, again bool, who credential.Person) error {
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	if !again && s.consented(ctx, refs[0], item) {
		if _, err := s.Store.Get(ctx, refs, item); err == nil {
			return nil
		}
	}
	return s.Store.Authorise(ctx, refs[0], item, who)
}

// consented reports whether what brings access tokens is in its place. An access
// token that is kept from another account brings no other.
func (s *Submitter) consented(ctx context.Context, ref credential.Ref, item credential.Item) bool {
	if item.OAuth2.Providers[ref.Provider()].ByClient {
		return true
	}
	_, err := s.Store.Get(ctx, []credential.Ref{item.OAuth2.Refresh}, ref.RefreshItem(item))
	return err == nil
}

// Withdraw forgets the tokens that Authorise has kept for a.
func (s *Submitter) Withdraw(ctx context.Context, a *config.Account) error {
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	return s.Store.Delete(ctx, refs[0], item)
}

// provider returns what the configuration says of a provider of access tokens.
func (s *Submitter) provider(name string) (credential.Provider, error) {
	p, err := s.Config.Provider(name)
	if err != nil {
		return credential.Provider{}, status.Config.Errorf("secret: oauth2:%s: %w", name, err)
	}
	c := credential.Provider{
		AuthURL: p.AuthURL.URL, DeviceURL: p.DeviceURL.URL, TokenURL: p.TokenURL.URL, RedirectURL: p.RedirectURL.URL,
		ClientID: p.ClientID, Scopes: p.Scopes, ByClient: p.Grant == config.GrantClient,
	}
	for _, source := range p.ClientSecret {
		ref, err := credential.ParseRef(source)
		if err != nil {
			return c, status.Config.Errorf("client-secret: %w", err)
		}
		c.ClientSecret = append(c.ClientSecret, ref)
	}
	return c, nil
}

// shelf is where all processes of the user find access tokens if they have no
// runtime folder.
func (s *Submitter) shelf() *credential.Shelf {
	if s.Queue == nil {
		return nil
	}
	return &credential.Shelf{
		Read:  s.Queue.State,
		Write: s.Queue.SetState,
		Lock: func(name string) (func(), error) {
			release, err := s.Queue.Lock(name)
			if errors.Is(err, queue.ErrBusy) {
				return nil, nil
			}
			return release, err
		},
	}
}

// newLogin starts to fetch the secret of a; nil if a does not log in. A secret
// that may ask a person is fetched here and now, because no server waits that
// long. An access token is not the one that was refused, and not asked for
// while the account rests.
func (s *Submitter) newLogin(ctx context.Context, a *config.Account, refused credential.Secret) (*login, error) {
	if s.fetched != nil && refused.IsZero() {
		return s.fetched, nil
	}
	if byCertificate(a) {
		none := func(context.Context) (credential.Secret, error) { return credential.Secret{}, nil }
		return &login{account: a, secret: none}, nil
	}
	if a.User == "" {
		return nil, nil
	}
	refs, item, err := s.Credentials(a)
	if err != nil {
		return nil, err
	}
	if item.OAuth2 != nil {
		if err := s.rest(a); err != nil {
			return nil, err
		}
		item.OAuth2.Refused = refused
	}
	if len(refs) == 1 && refs[0].String() == "none" {
		return nil, nil
	}
	done := make(chan fetched, 1)
	l := &login{account: a}
	fetching := ctx
	if item.OAuth2 != nil {
		l.done = done
		fetching, l.cancel = context.WithCancel(ctx)
	}
	fetch := func() {
		var f fetched
		bug := status.Guarded(func() (err error) {
			f.secret, err = s.Store.Get(fetching, refs, item)
			return err
		})
		f.err = bug
		done <- f
	}
	prompts := slices.ContainsFunc(refs, credential.Ref.Prompts) || item.OAuth2 != nil && item.OAuth2.Refresh.Prompts()
	if s.Store.Interactive && prompts {
		fetch()
	} else {
		go fetch()
	}
	l.secret = func(ctx context.Context) (credential.Secret, error) {
		select {
		case f := <-done:
			done <- f // for the next server
			return f.secret, f.err
		case <-ctx.Done():
			kind := status.Credential
			if l.done != nil {
				kind = status.Connection // the provider is not on this machine
			}
			return credential.Secret{}, kind.Errorf("%w while the secret was fetched", context.Cause(ctx))
		}
	}
	return l, nil
}

// settle ends the fetching, and waits until nothing is asked for any more: an
// answer that nobody waits for may still be a refresh token that takes the place
// of another.
func (l *login) settle() {
	if l != nil && l.done != nil {
		l.cancel()
		l.done <- <-l.done
	}
}

// refused returns the access token that a server has refused with err, if that
// is what it did.
func (l *login) refused(ctx context.Context, err error) (token credential.Secret) {
	if l == nil || l.done == nil || !refusedLogin(err) {
		return token
	}
	if secret, err := l.secret(ctx); err == nil && secret.IsToken() {
		token = secret
	}
	return token
}

// traced adds to the error of a refused login who has named the user, if that was
// not the account, and where the secret was from, unless that is where --login
// would put another.
func (l *login) traced(ctx context.Context, err error) error {
	if l == nil || !refusedLogin(err) {
		return err
	}
	if from := l.account.UserFrom; from != "" {
		err = fmt.Errorf("%w; the user is from %s", err, from)
	}
	secret, none := l.secret(ctx)
	refs, _, _ := Item(l.account)
	for _, r := range refs {
		if none == nil && r.String() == secret.Source() && !r.Writable() {
			return fmt.Errorf("%w; the secret is from %s", err, r)
		}
	}
	return err
}

// refusedLogin reports whether err is a server's no to a login.
func refusedLogin(err error) bool {
	return status.KindOf(err) == status.AuthFailed && errors.As(err, new(*smtp.Refusal))
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

// passedOver says of a login that has succeeded which mechanisms the server offers
// and does not know; "" if there was none.
func (l *login) passedOver() string {
	if l == nil || len(l.tried) < 2 {
		return ""
	}
	last := len(l.tried) - 1
	return fmt.Sprintf("the server offers AUTH %s and refuses it; set auth = %q to spare that", strings.Join(l.tried[:last], ", "), l.tried[last])
}

// Values says of the settings that config leaves open what they may be.
func Values() config.Values {
	return config.Values{
		Secret: func(s string) error {
			_, err := credential.ParseRef(s)
			return err
		},
		Place: func(s string) error {
			ref, err := credential.ParseRef(s)
			if err == nil && !ref.Writable() {
				err = errors.New("it must be written to: keyring or file:PATH")
			}
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
