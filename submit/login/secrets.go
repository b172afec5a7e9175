package login

import (
	"context"
	"net"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/state"
	"sendoff/submit/status"
)

// Secrets fetches the secrets of accounts, and stores refresh tokens and access tokens.
type Secrets struct {
	Config *config.Config    // has the providers of access tokens
	Store  *credential.Store // reads and writes the sources of secrets
	State  *state.Folder     // keeps access tokens if there is no runtime folder; may be nil
	Dialer *dial.Dialer      // connects to the providers of an account with a proxy
}

// Item returns the sources of a's secret, in the order in which to ask them, and the
// item that names the secret in them.
func Item(a *config.Account) (refs []credential.Ref, item credential.Item) {
	item = credential.Item{User: a.User}
	if len(a.Servers) > 0 {
		item.Host = a.Servers[0].Identity()
	}
	return a.Sources(), item
}

// Sources lists the sources of a's secret, separated by commas, for people.
func Sources(a *config.Account) string {
	var names []string
	for _, ref := range a.Sources() {
		names = append(names, ref.String())
	}
	return strings.Join(names, ", ")
}

// Credentials is Item, with what is needed to get access tokens in the item if one of
// the sources is a provider of them.
func (s *Secrets) Credentials(a *config.Account) (refs []credential.Ref, item credential.Item, err error) {
	refs, item = Item(a)
	if !slices.ContainsFunc(refs, credential.Ref.IsOAuth2) {
		return refs, item, nil
	}
	o := &credential.OAuth2{Account: a.Name, Providers: make(map[string]credential.Provider), State: s.State}
	for _, r := range refs {
		if !r.IsOAuth2() {
			continue
		}
		p, err := s.Config.Provider(r.Provider())
		if err != nil {
			return nil, item, status.Config.Errorf("secret: oauth2:%s: %w", r.Provider(), err)
		}
		o.Providers[r.Provider()] = *p
	}
	if dial.Proxied(a) {
		o.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
			return s.Dialer.DialProxy(ctx, a, address)
		}
	}
	item.OAuth2, o.Refresh = o, a.Refresh()
	return refs, item, nil
}

// ForProxy fetches the password for the proxy of a, for dial.Dialer.ProxySecret.
func (s *Secrets) ForProxy(ctx context.Context, a *config.Account) (string, error) {
	host, _, _ := net.SplitHostPort(a.Proxy.Address)
	secret, err := s.Store.Get(ctx, a.ProxySecret, credential.Item{User: a.Proxy.User, Host: host})
	return secret.Reveal(), err
}

// Authorise asks a person to consent to access tokens for a, and stores the tokens. If
// always is false, it asks only if no access token can be got without the person. The
// configuration must have the provider, but need not have a.
func (s *Secrets) Authorise(ctx context.Context, a *config.Account, always bool, who credential.Person) error {
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	if !always && s.getRefresh(ctx, refs[0], item) == nil {
		if _, err := s.Store.Get(ctx, refs, item); err == nil {
			return nil
		}
	}
	return s.Store.Authorise(ctx, refs[0], item, who)
}

// getRefresh checks that the refresh token for ref is stored. A cached access token is
// not enough: it may be another account's, and cannot be renewed. getRefresh returns nil
// if the provider of ref needs no refresh token.
func (s *Secrets) getRefresh(ctx context.Context, ref credential.Ref, item credential.Item) error {
	if item.OAuth2.Providers[ref.Provider()].ByClient() {
		return nil
	}
	_, err := s.Store.Get(ctx, []credential.Ref{item.OAuth2.Refresh}, item.Refresh(ref.Provider()))
	return err
}

// Withdraw deletes the tokens that Authorise has stored for a.
func (s *Secrets) Withdraw(ctx context.Context, a *config.Account) error {
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	return s.Store.Delete(ctx, refs[0], item)
}

// GetStored checks that one of the sources of a has everything that must be stored for
// a login: the secret, or the refresh token and the provider's client secret. Its error
// says why no source can be used. The secrets are fetched and dropped.
func (s *Secrets) GetStored(ctx context.Context, a *config.Account) error {
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	var faults []string
	for _, ref := range refs {
		err := s.getStored(ctx, ref, item)
		if err == nil {
			return nil
		}
		faults = append(faults, status.OneLine(err))
	}
	return status.Credential.Errorf("%s", strings.Join(faults, "; "))
}

// getStored is GetStored for one source.
func (s *Secrets) getStored(ctx context.Context, ref credential.Ref, item credential.Item) error {
	if !ref.IsOAuth2() {
		_, err := s.Store.Get(ctx, []credential.Ref{ref}, item)
		return err
	}
	err := s.getRefresh(ctx, ref, item)
	if p := item.OAuth2.Providers[ref.Provider()]; err == nil && len(p.ClientSecret) > 0 {
		_, err = s.Store.Get(ctx, p.ClientSecret, credential.ClientItem(p))
	}
	return err
}
