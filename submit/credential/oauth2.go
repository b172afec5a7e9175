package credential

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/state"
	"sendoff/submit/status"
)

// An OAuth2 is what the source oauth2 needs in addition to the item (RFC 6749).
//
//	cache ─ is an access token there and still valid? ───── access token
//	  │
//	lock ── cache again: was another process faster? ────── access token
//	  │
//	refresh token ── could a new refresh token be stored?
//	  │
//	provider ── a new refresh token, if it sends one, is stored and synced
//	               │
//	             cache ─────────────────────────────────── access token
//
// If the process is killed before that sync, the old refresh token stays and is tried
// again. If the provider has revoked it, a person has to consent again.
type OAuth2 struct {
	Account   string              // the account's name, for "sendoff --login ACCOUNT"
	Providers map[string]Provider // by name; those that the sources of the account refer to
	Refresh   Ref                 // where the refresh token is stored; Refresh.Writable() is true
	State     *state.Folder       // has the lock, and also the access tokens if there is no runtime folder; may be nil
	Refused   Secret              // an access token that the server has refused: the cache must not return it

	// Dial connects to a provider through the account's proxy; nil: the account has no
	// proxy.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Provider is an authorization server, with our client ID and client secret there.
type Provider = config.OAuth2

// ClientItem returns the Item under which the client secret is stored: the client ID and
// the host of the token endpoint.
func ClientItem(p Provider) Item {
	u, err := url.Parse(p.TokenURL.URL)
	if err != nil {
		return Item{User: p.ClientID}
	}
	return Item{User: p.ClientID, Host: u.Hostname()}
}

// Limits of what happens under the lock.
const (
	lockLimit = 20 * time.Second // how long a process waits for the lock
	// early is how long before its end an access token is not used any more (or a tenth of
	// its lifetime, if that is less): the token must still be valid when the login comes.
	early = time.Minute
	// unknownLife is how long a token is used if the provider does not say its lifetime.
	unknownLife = 5 * time.Minute
)

// A grant is a source oauth2 of an account, with its provider, cache and lock.
type grant struct {
	place
	*OAuth2
	Provider
	cache  *state.Folder // the folder of the access tokens; may be nil
	locks  *state.Folder // the folder of the lock: State, because all sessions of the user share it, otherwise the runtime folder; may be nil
	key    string        // identifies the grant in the names of its files
	secret Secret        // the client secret after its first use
}

// grant returns the grant of p. The error says what the account lacks.
func (p place) grant() (*grant, error) {
	o := p.item.OAuth2
	if o == nil || !o.Refresh.Writable() {
		return nil, errors.New("access tokens require an account in the configuration")
	}
	provider := o.Providers[p.ref.Provider()]
	if _, err := p.item.username(); err != nil {
		return nil, err
	}
	g := &grant{place: p, OAuth2: o, Provider: provider}
	var runtime *state.Folder
	if root, err := os.OpenRoot(privateFolder()); err == nil {
		runtime = state.In(root, ".")
	}
	g.cache, g.locks = cmp.Or(runtime, o.State), cmp.Or(o.State, runtime)
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %t %q %q", p.ref.Provider(), provider.TokenURL.URL, provider.ClientID, provider.Scopes, provider.ByClient(), p.item.User, p.item.Host)
	g.key = hex.EncodeToString(h.Sum(nil)[:8])
	return g, nil
}

// getOAuth2 returns an access token of the cache, or a new one from the provider.
func (p place) getOAuth2(ctx context.Context) (string, error) {
	g, err := p.grant()
	if err != nil {
		return "", err
	}
	if token := g.cached(); token != "" {
		return token, nil
	}
	release, err := g.lock(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	if token := g.cached(); token != "" {
		return token, nil
	}
	return g.refresh(ctx)
}

// deleteOAuth2 removes the refresh token and the access token.
func (p place) deleteOAuth2(ctx context.Context) error {
	g, err := p.grant()
	if err != nil {
		return err
	}
	release, err := g.lock(ctx) // otherwise a process that is getting a token now would store it afterwards
	if err != nil {
		return err
	}
	defer release()
	g.cache.Write(g.tokenName(), nil)
	g.State.Write(g.tokenName(), nil) // the token may have been stored while there was no runtime folder
	if g.ByClient() {
		return nil
	}
	return sourceOf(g.Refresh.Kind()).delete(g.refreshPlace(), ctx)
}

// cachedToken is the file of an access token in the cache.
type cachedToken struct {
	Token string    `json:"token"`
	Until time.Time `json:"until"`
}

func (g *grant) tokenName() string { return "token-" + g.key }

// cached returns the access token of the cache; "": there is none, or it must not be used.
func (g *grant) cached() string {
	var c cachedToken
	if json.Unmarshal(g.cache.Read(g.tokenName()), &c) != nil || !time.Now().Before(c.Until) || c.Token == g.Refused.Reveal() {
		return ""
	}
	return c.Token
}

// keepAccess stores an access token in the cache, and removes files that are no longer used
// from the cache. If it fails, the next process gets its own access token.
func (g *grant) keepAccess(t tokens) {
	until := time.Now().Add(t.life - min(early, t.life/10))
	text, _ := json.Marshal(cachedToken{t.access, until})
	g.cache.Write(g.tokenName(), text)
	g.cache.Sweep()
}

// lock waits until no other process is getting a token for g, at most lockLimit.
func (g *grant) lock(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockLimit, status.Connection.Errorf("another process has been requesting a token for %v", lockLimit))
	defer cancel()
	for {
		release, err := g.locks.Lock("lock-" + g.key)
		if err == nil {
			return release, nil
		}
		if !errors.Is(err, state.ErrBusy) {
			return func() {}, nil // there can be no lock: two processes may ask at once, but the mail is sent
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// refresh gets an access token from the provider. The caller holds the lock.
func (g *grant) refresh(ctx context.Context) (string, error) {
	if g.ByClient() {
		t, err := g.tokens(ctx, url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(g.Scopes, " ")}})
		if err == nil {
			g.keepAccess(t)
		}
		return t.access, err
	}
	old, err := g.refreshToken(ctx)
	if err != nil {
		return "", err
	}
	if err := g.ready(); err != nil {
		return "", err
	}
	t, err := g.trade(ctx, old)
	if r, refused := errors.AsType[*refusal](err); refused && r.code == "invalid_grant" {
		// A process that does not share our lock may have used the refresh token and stored
		// a new one.
		if stored, storedErr := g.refreshToken(ctx); storedErr == nil && stored != old {
			old = stored
			t, err = g.trade(ctx, old)
		}
	}
	if err != nil {
		return "", err
	}
	return t.access, g.keep(ctx, t, old)
}

// trade asks for new tokens with a refresh token (RFC 6749 section 6).
func (g *grant) trade(ctx context.Context, refresh string) (tokens, error) {
	return g.tokens(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

// keep stores the tokens of t; old is the refresh token that is stored now. After keep has
// returned nil, a later process finds the new refresh token, even after a crash.
func (g *grant) keep(ctx context.Context, t tokens, old string) error {
	if t.refresh != "" && t.refresh != old {
		// The old refresh token may be invalid already, so a signal must not prevent the
		// write.
		if err := g.refreshPlace().put(context.WithoutCancel(ctx), t.refresh); err != nil {
			return fmt.Errorf("the new refresh token cannot be kept: %w", err)
		}
	}
	g.keepAccess(t)
	return nil
}

// Refresh returns the Item for the refresh token of a provider for i. Its user name differs
// from that of a password of the same account: the provider must never get the password.
func (i Item) Refresh(provider string) Item {
	return Item{User: "oauth2:" + provider + ":" + i.User, Host: i.Host}
}

// refreshPlace returns the place of the refresh token.
func (g *grant) refreshPlace() place {
	return place{g.store, g.OAuth2.Refresh, g.item.Refresh(g.ref.Provider())}
}

// ready returns why a new refresh token could not be stored, as far as that can be checked.
// It is called before the provider is asked, because the answer may make the old refresh
// token invalid.
func (g *grant) ready() error {
	if err := g.refreshPlace().ready(); err != nil {
		return fmt.Errorf("a new refresh token could not be kept: %w", err)
	}
	return nil
}

// refreshToken returns the refresh token that is stored.
func (g *grant) refreshToken(ctx context.Context) (string, error) {
	token, err := g.refreshPlace().get(ctx)
	if isAbsent(err) {
		err = fmt.Errorf("no refresh token is stored in %s yet", g.Refresh)
	}
	return token.Reveal(), err
}

// isAbsent reports whether err only says that no secret is stored.
func isAbsent(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEmpty)
}

// clientSecret adds the client ID and, if the client has a secret, the client secret to
// form.
func (g *grant) clientSecret(ctx context.Context, form url.Values) error {
	form.Set("client_id", g.ClientID)
	if len(g.ClientSecret) == 0 {
		return nil
	}
	if g.secret.IsZero() {
		secret, err := g.store.Get(ctx, g.ClientSecret, ClientItem(g.Provider))
		if err != nil {
			return fmt.Errorf("client-secret: %w", err)
		}
		g.secret = secret
	}
	form.Set("client_secret", g.secret.Reveal())
	return nil
}
