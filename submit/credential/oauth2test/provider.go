// Package oauth2test is a provider of access tokens for tests: an authorization server
// (RFC 6749) with PKCE (RFC 7636), the device flow (RFC 8628), refresh tokens that can be
// used once, and introspection (RFC 7662).
//
//	GET  /authorize      consents at once, in the name of login_hint, and redirects
//	POST /device         returns a device code, to which Enter consents
//	POST /token          supports every grant
//	     /introspect     tells a mail server whose token it has received
//
// It accepts nothing that the RFCs forbid: a code is valid once, and only with the verifier
// and the redirection of its request.
//
// Errors: none; Trouble lists what a client did wrong.
package oauth2test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// CodeLife is the lifetime of a device code, and Interval the shortest pause between two
// requests for its tokens.
const (
	CodeLife = 5 * time.Minute
	Interval = time.Second
)

// A Provider is the server. Set its exported fields before it serves.
type Provider struct {
	ClientID, ClientSecret string        // ClientSecret "": a public client
	Life                   time.Duration // of an access token; 0: the answer has no expires_in
	Once                   bool          // a refresh token is valid once, and each use returns a new one
	User                   string        // whose tokens the device flow and the client credentials grant return

	// Intercept is called first for each request to the token endpoint. If it returns true,
	// it has answered, or nobody shall answer. After is called when the answer is sent.
	Intercept func(w http.ResponseWriter, grant string) bool
	After     func(grant string)

	mu      sync.Mutex
	codes   map[string]url.Values // by code: the query of its authorization request
	devices map[string]*device
	refresh map[string]string // by refresh token: its user
	access  map[string]string // by access token: its user
	counts  map[string]int
	trouble []string
}

type device struct {
	entered, slow, refused bool
	asked                  time.Time
	userCode               string
}

// ServeHTTP answers a request.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/authorize":
		p.authorize(w, r)
	case "/device":
		p.device(w, r)
	case "/token":
		p.token(w, r)
	case "/introspect":
		p.introspect(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) wrong(format string, args ...any) {
	p.trouble = append(p.trouble, fmt.Sprintf(format, args...))
}

// Trouble returns a line for each thing that clients did wrong.
func (p *Provider) Trouble() []string {
	defer p.lock()()
	return slices.Clone(p.trouble)
}

// Count returns how many requests with this grant_type the token endpoint has received.
func (p *Provider) Count(grant string) int {
	defer p.lock()()
	return p.counts[grant]
}

// lock makes the maps of p if they are nil, and locks p.
func (p *Provider) lock() (unlock func()) {
	p.mu.Lock()
	if p.codes == nil {
		p.codes, p.devices, p.counts = make(map[string]url.Values), make(map[string]*device), make(map[string]int)
		p.refresh, p.access = make(map[string]string), make(map[string]string)
	}
	return p.mu.Unlock
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	defer p.lock()()
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || back.Hostname() != "localhost" || q.Get("client_id") != p.ClientID {
		p.wrong("authorize: redirect_uri %q, client_id %q", q.Get("redirect_uri"), q.Get("client_id"))
		http.Error(w, "no such client", http.StatusBadRequest)
		return
	}
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("state") == "" {
		p.wrong("authorize: %v", q)
	}
	answer := url.Values{"state": {q.Get("state")}}
	if q.Get("login_hint") == "nobody@example.org" {
		answer.Set("error", "access_denied")
	} else {
		code := "code-" + rand.Text()
		p.codes[code] = q
		answer.Set("code", code)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *Provider) device(w http.ResponseWriter, r *http.Request) {
	defer p.lock()()
	if r.PostForm.Get("client_id") != p.ClientID {
		p.wrong("device: client_id %q", r.PostForm.Get("client_id"))
	}
	code, user := "device-"+rand.Text(), rand.Text()[:8]
	p.devices[code] = &device{userCode: user, asked: time.Now()}
	answer(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": user, "verification_uri": "https://provider.example/device",
		"expires_in": CodeLife.Seconds(), "interval": int(Interval.Seconds()),
	})
}

// Enter is the person who enters a user code and consents, or refuses. It returns false if
// there is no such code.
func (p *Provider) Enter(userCode string, consent bool) bool {
	return p.each(userCode, func(d *device) { d.entered, d.refused = consent, !consent })
}

// Slow makes the provider answer slow_down to the next request with this user code.
func (p *Provider) Slow(userCode string) bool {
	return p.each(userCode, func(d *device) { d.slow = true })
}

func (p *Provider) each(userCode string, do func(*device)) bool {
	defer p.lock()()
	for d := range maps.Values(p.devices) {
		if d.userCode == userCode {
			do(d)
			return true
		}
	}
	return false
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	grant := r.PostForm.Get("grant_type")
	unlock := p.lock()
	p.counts[grant]++
	intercept, after := p.Intercept, p.After // the test may change them after its program has the answer
	unlock()
	if intercept != nil && intercept(w, grant) {
		return
	}
	code, body := p.grant(grant, r)
	answer(w, code, body)
	http.NewResponseController(w).Flush()
	if after != nil {
		after(grant)
	}
}

func answer(w http.ResponseWriter, code int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

// refusal returns an error that repeats the secrets of the request, as some providers do.
func refusal(code string, r *http.Request) (int, map[string]any) {
	said := fmt.Sprintf("no: %s %s %s", r.PostForm.Get("refresh_token"), r.PostForm.Get("client_secret"), r.PostForm.Get("code"))
	return http.StatusBadRequest, map[string]any{"error": code, "error_description": said}
}

func (p *Provider) grant(grant string, r *http.Request) (int, map[string]any) {
	defer p.lock()()
	f := r.PostForm
	if r.Method != http.MethodPost || r.URL.RawQuery != "" {
		p.wrong("token: %s %s", r.Method, r.URL)
	}
	if f.Get("client_id") != p.ClientID || f.Get("client_secret") != p.ClientSecret {
		return refusal("invalid_client", r)
	}
	switch grant {
	case "authorization_code":
		q := p.codes[f.Get("code")]
		delete(p.codes, f.Get("code"))
		challenge := sha256.Sum256([]byte(f.Get("code_verifier")))
		if q == nil || q.Get("redirect_uri") != f.Get("redirect_uri") || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
			p.wrong("token: the code is not good")
			return refusal("invalid_grant", r)
		}
		return http.StatusOK, p.issue(q.Get("login_hint"), true)
	case "urn:ietf:params:oauth:grant-type:device_code":
		d := p.devices[f.Get("device_code")]
		switch {
		case d == nil:
			return refusal("expired_token", r)
		case d.refused:
			return refusal("access_denied", r)
		case time.Since(d.asked) < Interval-50*time.Millisecond:
			p.wrong("token: the device asks after %v", time.Since(d.asked))
			return refusal("slow_down", r)
		}
		d.asked = time.Now()
		switch {
		case d.slow:
			d.slow = false
			return refusal("slow_down", r)
		case !d.entered:
			return refusal("authorization_pending", r)
		}
		delete(p.devices, f.Get("device_code"))
		return http.StatusOK, p.issue(p.User, true)
	case "refresh_token":
		user, ok := p.refresh[f.Get("refresh_token")]
		if !ok {
			return refusal("invalid_grant", r)
		}
		if p.Once {
			delete(p.refresh, f.Get("refresh_token"))
		}
		return http.StatusOK, p.issue(user, p.Once)
	case "client_credentials":
		return http.StatusOK, p.issue(p.User, false)
	}
	p.wrong("token: grant_type %q", grant)
	return refusal("unsupported_grant_type", r)
}

// issue returns new tokens.
func (p *Provider) issue(user string, refresh bool) map[string]any {
	token := "access-" + rand.Text()
	p.access[token] = user
	body := map[string]any{"token_type": "Bearer", "access_token": token}
	if p.Life > 0 {
		body["expires_in"] = p.Life.Seconds()
	}
	if refresh {
		token := "refresh-" + rand.Text()
		p.refresh[token] = user
		body["refresh_token"] = token
	}
	return body
}

// Refresh returns a new refresh token for a user.
func (p *Provider) Refresh(user string) string {
	defer p.lock()()
	return p.issue(user, true)["refresh_token"].(string)
}

// Good reports whether token is a valid access token of the user.
func (p *Provider) Good(user, token string) bool {
	defer p.lock()()
	return token != "" && p.access[token] == user
}

// Revoke makes all access tokens invalid; with consent, all refresh tokens as well.
func (p *Provider) Revoke(consent bool) {
	defer p.lock()()
	clear(p.access)
	if consent {
		clear(p.refresh)
	}
}

// introspect says whose access token a request has, in its form or in its header.
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	defer p.lock()()
	token := r.Form.Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	user, ok := p.access[token]
	if !ok {
		answer(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	answer(w, http.StatusOK, map[string]any{"active": true, "username": user, "scope": "mail"})
}
