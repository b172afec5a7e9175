package credential

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"sendoff/submit/status"
)

// A Person is the user who has to consent that sendoff sends mail in their name.
type Person struct {
	Flow  string                              // the name of a flow; "": the first flow that suits
	There bool                                // at a terminal: asks again after a mistake
	Say   func(line string)                   // shows the person what to do
	Ask   func(prompt string) (string, error) // returns a line that the person has typed
}

// A flow is a way to get a person's consent.
type flow struct {
	name string
	// suits reports whether the flow can be used if the person has not chosen one.
	suits func(*grant) bool
	run   func(*grant, context.Context, Person) (tokens, error)
}

// flows has all flows, the most comfortable first. To add a flow, add a row, its function,
// and an item in sendoff-oauth(7).
var flows = [...]flow{
	{"browser", func(g *grant) bool {
		_, err := redirection(g.RedirectURL.URL)
		return g.AuthURL.URL != "" && err == nil && opener() != nil
	}, (*grant).byBrowser},
	{"device", func(g *grant) bool { return g.DeviceURL.URL != "" }, (*grant).byDevice},
	{"paste", func(g *grant) bool { return g.AuthURL.URL != "" }, (*grant).byPaste},
}

// Flows returns the names of the flows.
func Flows() []string {
	var names []string
	for _, f := range flows {
		names = append(names, f.name)
	}
	return names
}

// consentLimit is how long a person may take to consent.
const consentLimit = 15 * time.Minute

// Authorise asks a person for consent, and stores the refresh token. After it has returned
// nil, Get of r returns access tokens. With the client credentials grant it asks no person;
// it gets an access token to prove that the provider accepts the client.
func (s *Store) Authorise(ctx context.Context, r Ref, item Item, who Person) error {
	p := place{s, r, item}
	return status.Credential.Wrap(p.named(p.authorise(ctx, who)))
}

func (p place) authorise(ctx context.Context, who Person) error {
	g, err := p.grant()
	if err != nil {
		return err
	}
	if g.ByClient() {
		release, err := g.lock(ctx)
		if err != nil {
			return err
		}
		defer release()
		_, err = g.refresh(ctx)
		return err
	}
	// Find what is missing or cannot be used before the person does the work.
	if err := g.clientSecret(ctx, url.Values{}); err != nil {
		return err
	}
	if _, err := g.refreshPlace().get(ctx); err != nil && !isAbsent(err) {
		return err
	}
	if err := g.ready(); err != nil {
		return err
	}
	f, err := g.flow(who.Flow)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, consentLimit, fmt.Errorf("no consent within %v", consentLimit))
	defer cancel()
	t, err := f.run(g, ctx, who)
	if err != nil {
		return err
	}
	if t.refresh == "" {
		return errors.New("the provider returned no refresh token; one of the scopes must request it, often offline_access")
	}
	release, err := g.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	return g.keep(ctx, t, "")
}

// flow returns the flow with this name; for "", the first flow that suits.
func (g *grant) flow(name string) (flow, error) {
	for _, f := range flows {
		if name == f.name || name == "" && f.suits(g) {
			return f, nil
		}
	}
	return flow{}, status.Usage.Errorf("unknown flow %q; known flows: %s", name, strings.Join(Flows(), ", "))
}

// A request is an authorization request, to which the person consents on the provider's
// page (RFC 6749 section 4.1, with PKCE, RFC 7636).
type request struct {
	redirect string // where the provider sends the browser
	state    string // comes back with the answer: proves that the answer is to this request
	verifier string // is sent with the code: without it a stolen code is useless
}

func newRequest(redirect string) request {
	return request{redirect, rand.Text(), rand.Text() + rand.Text()}
}

// address returns the address of the provider's page for r.
func (r request) address(g *grant) (string, error) {
	if g.AuthURL.URL == "" {
		return "", status.Config.Errorf("the provider has no auth-url; try --flow device")
	}
	u, err := url.Parse(g.AuthURL.URL)
	if err != nil {
		return "", status.Config.Errorf("auth-url is not a URL")
	}
	challenge := sha256.Sum256([]byte(r.verifier))
	q := u.Query()
	for key, value := range map[string]string{
		"response_type": "code", "client_id": g.ClientID, "redirect_uri": r.redirect, "scope": strings.Join(g.Scopes, " "),
		"state": r.state, "code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
		"login_hint": g.item.User,
	} {
		q.Set(key, value)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// errOther is the error of an answer that does not belong to our request.
var errOther = errors.New("the address belongs to another request: its state differs")

// code returns the code from q, the query of the address to which the provider has
// redirected the browser.
func (r request) code(q url.Values) (string, error) {
	switch {
	case q.Get("state") != r.state:
		return "", errOther
	case q.Get("error") != "":
		return "", status.AuthFailed.Wrap(&refusal{q.Get("error"), q.Get("error_description")})
	case q.Get("code") == "":
		return "", errors.New("the address has no code in it")
	}
	return q.Get("code"), nil
}

// exchange gets tokens for a code.
func (r request) exchange(ctx context.Context, g *grant, code string) (tokens, error) {
	return g.tokens(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.redirect}, "code_verifier": {r.verifier},
	})
}

// redirection returns the address on this machine to which the provider redirects the
// browser. address is redirect-url; "" stands for http://localhost.
func redirection(address string) (*url.URL, error) {
	u, err := url.Parse(cmp.Or(address, "http://localhost"))
	if err == nil && u.Scheme == "http" {
		if ip, no := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || no == nil && ip.IsLoopback() {
			return u, nil
		}
	}
	return nil, status.Config.Errorf("redirect-url is not on this machine; try --flow paste")
}

// byBrowser opens the provider's page in a browser, and waits until it is redirected to
// this machine.
func (g *grant) byBrowser(ctx context.Context, who Person) (tokens, error) {
	back, err := redirection(g.RedirectURL.URL)
	if err != nil {
		return tokens{}, err
	}
	l, err := listenLoopback(back)
	if err != nil {
		return tokens{}, err
	}
	defer l.Close()
	r := newRequest(l.url)
	address, err := r.address(g)
	if err != nil {
		return tokens{}, err
	}
	l.page = address
	text := "open this address in a browser on this machine: "
	if browser := opener(); browser != nil {
		if done, err := l.open(browser); err == nil {
			defer done()
			text = "a browser opens; if it does not, or cannot read its page, open this address on this machine: "
		}
	}
	who.Say(text + address)
	code, err := l.await(ctx, r)
	if err != nil {
		return tokens{}, err
	}
	return r.exchange(ctx, g, code)
}

// byPaste asks the person to paste the address to which the browser was redirected. The
// browser may run on another machine, where nobody listens at that address.
func (g *grant) byPaste(ctx context.Context, who Person) (tokens, error) {
	r := newRequest(cmp.Or(g.RedirectURL.URL, "http://localhost"))
	address, err := r.address(g)
	if err != nil {
		return tokens{}, err
	}
	who.Say("open this address in any browser: " + address)
	who.Say("in the end the browser goes to an address that begins with " + r.redirect + ", which may fail; copy that address from it, and paste it here")
	for n := 1; ; n++ {
		line, err := who.Ask("address: ")
		if err != nil {
			return tokens{}, status.NoInput.Errorf("reading the address: %w", err)
		}
		code, err := r.pasted(line)
		if err == nil {
			return r.exchange(ctx, g, code)
		}
		if !who.There || n == tries || errors.As(err, new(*refusal)) {
			return tokens{}, err
		}
		who.Say(err.Error())
	}
}

// tries is how often a person may paste an address.
const tries = 3

// errCut is the error of an address whose end is missing.
var errCut = errors.New("the address is cut off: its end is missing; copy all of it")

// pasted returns the code of an address that a person has pasted.
func (r request) pasted(line string) (string, error) {
	line = strings.Trim(line, " \t\"'`<>“”‘’")
	u, err := url.Parse(line)
	if err != nil || u.RawQuery == "" {
		return "", errors.New("the pasted text is not an address with a code")
	}
	q := u.Query()
	if state := q.Get("state"); len(state) < len(r.state) && strings.HasPrefix(r.state, state) {
		switch {
		case q.Get("error") != "":
			q.Set("state", r.state) // a refusal counts even if the state is cut off: nobody could gain by forging it
		case q.Has("code") || q.Has("state"):
			return "", errCut
		}
	}
	return r.code(q)
}

// A device is the answer of the device endpoint (RFC 8628 section 3.2).
type device struct {
	Code     string          `json:"device_code"`
	UserCode string          `json:"user_code"`
	Page     string          `json:"verification_uri"`
	OldPage  string          `json:"verification_url"` // Google's
	Life     json.RawMessage `json:"expires_in"`
	Interval json.RawMessage `json:"interval"`

	Refused     string `json:"error"`
	Description string `json:"error_description"`
}

func parseDevice(body []byte) (*device, error) {
	d := &device{}
	if err := json.Unmarshal(body, d); err != nil {
		return nil, errors.New("the answer is not the expected JSON")
	}
	d.Page = cmp.Or(d.Page, d.OldPage)
	switch {
	case d.Refused != "":
		return nil, &refusal{d.Refused, d.Description}
	case !isToken(d.Code) || d.UserCode == "" || d.Page == "":
		return nil, errors.New("the answer has no device code")
	}
	return d, nil
}

// byDevice shows a code that the person enters in a browser on any device, and asks the
// provider until that is done (RFC 8628).
func (g *grant) byDevice(ctx context.Context, who Person) (tokens, error) {
	if g.DeviceURL.URL == "" {
		return tokens{}, status.Config.Errorf("the provider has no device-url; try --flow paste")
	}
	form := url.Values{"client_id": {g.ClientID}, "scope": {strings.Join(g.Scopes, " ")}}
	var d *device
	err := g.ask(ctx, g.DeviceURL.URL, form, func(body []byte) (err error) {
		d, err = parseDevice(body)
		return err
	})
	if err != nil {
		return tokens{}, err
	}
	who.Say(fmt.Sprintf("open %s in any browser, and enter the code %s", status.Line(d.Page, 1000), status.Line(d.UserCode, 100)))
	return g.poll(ctx, d)
}

// minInterval is the shortest pause between two requests, even if the provider wants a
// shorter one.
const minInterval = time.Second

// slower is added to the pause when the provider answers slow_down (RFC 8628 section 3.5).
const slower = 5 * time.Second

// poll asks the provider for the tokens until the person has consented or refused, or the
// code has expired.
func (g *grant) poll(ctx context.Context, d *device) (tokens, error) {
	life := cmp.Or(seconds(d.Life, 0, consentLimit), consentLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, life, fmt.Errorf("the code was not entered within %v", life))
	defer cancel()
	wait := max(cmp.Or(seconds(d.Interval, 0, consentLimit), 5*time.Second), minInterval)
	for {
		select {
		case <-ctx.Done():
			return tokens{}, context.Cause(ctx)
		case <-time.After(wait):
		}
		t, err := g.tokens(ctx, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {d.Code},
		})
		r, refused := errors.AsType[*refusal](err)
		switch {
		case err == nil:
			return t, nil
		case refused && r.code == "authorization_pending":
		case refused && r.code == "slow_down":
			wait += slower
		case !refused && status.KindOf(err) == status.Connection && ctx.Err() == nil:
			wait *= 2 // RFC 8628 section 3.5: wait longer after each connection timeout
		default:
			return tokens{}, err
		}
	}
}
