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

// An OAuth2 is what the source oauth2 needs beside the item (RFC 6749).
//
//	cache ─ good for a while yet? ──────────────────────── access token
//	  │
//	lock ── cache, again: has somebody else been faster? ─ access token
//	  │
//	refresh token ── could another be kept in its place?
//	  │
//	provider ── a new refresh token, if it gave one, is synced
//	               │
//	             cache ─────────────────────────────────── access token
//
// Whoever is killed before that sync leaves the old refresh token, which is
// tried again. If the provider has revoked it, a person has to consent anew.
type OAuth2 struct {
	Account   string              // for "sendoff --login ACCOUNT"
	Providers map[string]Provider // by name, those that are referred to
	Refresh   Ref                 // where the refresh token is kept: a place that can be written to
	State     *state.Folder       // has the lock, and the access tokens if there is no runtime folder of ours; may be nil
	Refused   Secret              // an access token that is good no more, whatever the cache says

	// Dial connects to a provider through the account's proxy; nil: there is none.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Provider is an authorization server, and who we are to it.
type Provider = config.OAuth2

// ClientItem returns what the client secret is for.
func ClientItem(p Provider) Item {
	u, err := url.Parse(p.TokenURL.URL)
	if err != nil {
		return Item{User: p.ClientID}
	}
	return Item{User: p.ClientID, Host: u.Hostname()}
}

// Limits of what happens under the lock.
const (
	lockLimit = 20 * time.Second // for whoever waits for it
	// early is how long before its end a token is not used any more, or a tenth
	// of its life if that is less: it has to last for a login.
	early = time.Minute
	// unknownLife is how long a token is used if the provider does not say.
	unknownLife = 5 * time.Minute
)

// A grant is one source oauth2 of one account.
type grant struct {
	place
	*OAuth2
	Provider
	cache *state.Folder // of access tokens; may be nil
	locks *state.Folder // that of all sessions of the user, if there is one; may be nil
	key   string        // what stands for the grant among files
	proof Secret        // the client secret, once it was needed
}

// grant puts together what p needs.
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

// getOAuth2 returns an access token that is good for a while.
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

// deleteOAuth2 forgets refresh and access token.
func (p place) deleteOAuth2(ctx context.Context) error {
	g, err := p.grant()
	if err != nil {
		return err
	}
	release, err := g.lock(ctx) // else what is being got now would be there afterwards
	if err != nil {
		return err
	}
	defer release()
	g.cache.Write(g.tokenName(), nil)
	g.State.Write(g.tokenName(), nil) // it may have been without a runtime folder
	if g.ByClient() {
		return nil
	}
	return sourceOf(g.Refresh.Kind()).delete(g.refreshPlace(), ctx)
}

// cachedToken is an access token as it is kept.
type cachedToken struct {
	Token string    `json:"token"`
	Until time.Time `json:"until"`
}

func (g *grant) tokenName() string { return "token-" + g.key }

// cached returns the access token of the cache, if it can still be used.
func (g *grant) cached() string {
	var c cachedToken
	if json.Unmarshal(g.cache.Read(g.tokenName()), &c) != nil || !time.Now().Before(c.Until) || c.Token == g.Refused.Reveal() {
		return ""
	}
	return c.Token
}

// keepAccess keeps an access token, and clears away those that nobody uses any
// more. Where that cannot be done, the next process gets one of its own.
func (g *grant) keepAccess(t tokens) {
	until := time.Now().Add(t.life - min(early, t.life/10))
	text, _ := json.Marshal(cachedToken{t.access, until})
	g.cache.Write(g.tokenName(), text)
	g.cache.Sweep()
}

// lock waits until no other process gets a token for g.
func (g *grant) lock(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockLimit, status.Connection.Errorf("another process has been requesting a token for %v", lockLimit))
	defer cancel()
	for {
		release, err := g.locks.Lock("lock-" + g.key)
		if err == nil {
			return release, nil
		}
		if !errors.Is(err, state.ErrBusy) {
			return func() {}, nil // better two at once than no mail
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// refresh gets an access token from the provider. The lock is held.
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
	r, refused := errors.AsType[*refusal](err)
	if refused && r.code == "invalid_grant" {
		// Whoever shares no lock with us may have been faster.
		if now, again := g.refreshToken(ctx); again == nil && now != old {
			old = now
			t, err = g.trade(ctx, old)
			r, refused = errors.AsType[*refusal](err)
		}
	}
	if err != nil {
		return "", err
	}
	return t.access, g.keep(ctx, t, old)
}

// trade gets tokens for a refresh token (RFC 6749 section 6).
func (g *grant) trade(ctx context.Context, refresh string) (tokens, error) {
	return g.tokens(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

// keep keeps what the provider has given. When it returns nil, a later process
// finds the new refresh token, even after a crash.
func (g *grant) keep(ctx context.Context, t tokens, old string) error {
	if t.refresh != "" && t.refresh != old {
		// The old one may be good no more, so no signal comes between.
		if err := g.refreshPlace().put(context.WithoutCancel(ctx), t.refresh); err != nil {
			return fmt.Errorf("the new refresh token cannot be kept: %w", err)
		}
	}
	g.keepAccess(t)
	return nil
}

// Refresh returns what the refresh token is for that goes with access tokens of a
// provider for i. It is not called what a password of the same account is: the
// provider must never get that.
func (i Item) Refresh(provider string) Item {
	return Item{User: "oauth2:" + provider + ":" + i.User, Host: i.Host}
}

// refreshPlace is that of the refresh token.
func (g *grant) refreshPlace() place {
	return place{g.store, g.OAuth2.Refresh, g.item.Refresh(g.ref.Provider())}
}

// ready says what would keep a new refresh token from being kept, as far as
// that can be known. Nothing is asked for before: the answer may make the old
// one good no more.
func (g *grant) ready() error {
	if err := g.refreshPlace().ready(); err != nil {
		return fmt.Errorf("a new refresh token could not be kept: %w", err)
	}
	return nil
}

// refreshToken returns the refresh token.
func (g *grant) refreshToken(ctx context.Context) (string, error) {
	token, err := g.refreshPlace().get(ctx)
	if isAbsent(err) {
		err = fmt.Errorf("no refresh token is stored in %s yet", g.Refresh)
	}
	return token.Reveal(), err
}

// isAbsent reports whether err only says that there is no secret.
func isAbsent(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEmpty)
}

// clientSecret adds to form what proves who the client is.
func (g *grant) clientSecret(ctx context.Context, form url.Values) error {
	form.Set("client_id", g.ClientID)
	if len(g.ClientSecret) == 0 {
		return nil
	}
	if g.proof.IsZero() {
		secret, err := g.store.Get(ctx, g.ClientSecret, ClientItem(g.Provider))
		if err != nil {
			return fmt.Errorf("client-secret: %w", err)
		}
		g.proof = secret
	}
	form.Set("client_secret", g.proof.Reveal())
	return nil
}
