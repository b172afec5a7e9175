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

// Secrets finds the secrets of accounts.
type Secrets struct {
	Config *config.Config    // has the providers of access tokens
	Store  *credential.Store // fetches secrets
	State  *state.Folder     // where access tokens are kept without a runtime folder; may be nil
	Dialer *dial.Dialer      // asks the providers of an account with a proxy
}

// Item returns the sources where the secret of a may be, and what it is kept under.
func Item(a *config.Account) (refs []credential.Ref, item credential.Item) {
	item = credential.Item{User: a.User}
	if len(a.Servers) > 0 {
		item.Host = a.Servers[0].Identity()
	}
	return a.Sources(), item
}

// Sources names the sources of a's secret for people.
func Sources(a *config.Account) string {
	var names []string
	for _, ref := range a.Sources() {
		names = append(names, ref.String())
	}
	return strings.Join(names, ", ")
}

// Credentials is Item with all that is needed to get access tokens, if one of the
// sources gives them.
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

// ForProxy fetches the password for the proxy of a. It is dial.Dialer.ProxySecret.
func (s *Secrets) ForProxy(ctx context.Context, a *config.Account) (string, error) {
	host, _, _ := net.SplitHostPort(a.Proxy.Address)
	secret, err := s.Store.Get(ctx, a.ProxySecret, credential.Item{User: a.Proxy.User, Host: host})
	return secret.Reveal(), err
}

// Authorise gets a person's consent to access tokens for a. If again is false, it does
// so only where no token is to be had. The configuration must have the provider; it
// need not have a.
func (s *Secrets) Authorise(ctx context.Context, a *config.Account, again bool, who credential.Person) error {
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	if !again && s.getRefresh(ctx, refs[0], item) == nil {
		if _, err := s.Store.Get(ctx, refs, item); err == nil {
			return nil
		}
	}
	return s.Store.Authorise(ctx, refs[0], item, who)
}

// getRefresh fetches what access tokens of ref are got with, if a person has to
// consent to them. An access token alone, which may be another account's, gets no
// further one.
func (s *Secrets) getRefresh(ctx context.Context, ref credential.Ref, item credential.Item) error {
	if item.OAuth2.Providers[ref.Provider()].ByClient() {
		return nil
	}
	_, err := s.Store.Get(ctx, []credential.Ref{item.OAuth2.Refresh}, item.Refresh(ref.Provider()))
	return err
}

// Withdraw forgets the tokens that Authorise has kept for a.
func (s *Secrets) Withdraw(ctx context.Context, a *config.Account) error {
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	return s.Store.Delete(ctx, refs[0], item)
}

// GetStored fetches all that has to be stored for a login of a, by one of its sources:
// the secret itself, or what access tokens are got with. Its error says why no source
// can be used. The secrets go nowhere.
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
