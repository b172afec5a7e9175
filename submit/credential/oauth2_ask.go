package credential

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sendoff/submit/status"
)

// Limits of an answer of a provider.
const (
	askLimit  = 15 * time.Second
	maxAnswer = 4 * maxSecret
	maxHeader = 64 << 10
	maxLife   = 24 * time.Hour
)

// tokens is what a provider gives.
type tokens struct {
	access, refresh string // no refresh token: the old one stays good
	life            time.Duration
}

// A refusal is what a provider says instead (RFC 6749 section 5.2).
type refusal struct{ code, description string }

func (r *refusal) Error() string {
	text := "the provider refused: "
	if r.code == "access_denied" {
		text = "the consent was refused: "
	}
	text += status.Line(r.code, 100)
	if r.description != "" {
		text += " (" + status.Line(r.description, 200) + ")"
	}
	return text
}

// tokens asks the token endpoint. A refusal is a login that failed; any other
// error is one of the way to the provider.
func (g *grant) tokens(ctx context.Context, form url.Values) (t tokens, err error) {
	if err := g.clientSecret(ctx, form); err != nil {
		return tokens{}, err
	}
	err = g.ask(ctx, g.TokenURL.URL, form, func(body []byte) (err error) {
		t, err = parseTokens(body)
		return err
	})
	return t, err
}

// ask sends form to an endpoint. The error of parse is that of the answer: a refusal,
// or what is wrong with it.
func (g *grant) ask(ctx context.Context, endpoint string, form url.Values, parse func(body []byte) error) error {
	code, body, err := g.post(ctx, endpoint, form)
	if err != nil {
		return err
	}
	err = parse(body)
	if r, ok := errors.AsType[*refusal](err); ok {
		return refused(r, code, form)
	}
	if code/100 != 2 {
		return status.Connection.Errorf("%s answers with HTTP status %d", hostOf(endpoint), code)
	}
	if err != nil {
		return status.Connection.Errorf("%s: %w", hostOf(endpoint), err)
	}
	return nil
}

// hideSent hides in text the secrets of form: some providers repeat what they were
// sent.
func hideSent(text string, form url.Values) string {
	for _, key := range []string{"refresh_token", "client_secret", "code", "device_code", "code_verifier"} {
		for _, secret := range []string{form.Get(key), url.QueryEscape(form.Get(key))} {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, hidden)
			}
		}
	}
	return text
}

// refused returns r, the answer to form with the HTTP status code, without our secrets:
// of kind Connection if another attempt may succeed, else AuthFailed.
func refused(r *refusal, code int, form url.Values) error {
	r.code, r.description = hideSent(r.code, form), hideSent(r.description, form)
	if r.code == "temporarily_unavailable" || r.code == "server_error" || code == http.StatusTooManyRequests || code/100 == 5 {
		return status.Connection.Wrap(r)
	}
	return status.AuthFailed.Wrap(r)
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "the provider"
	}
	return u.Host
}

// parseTokens reads the answer of a token endpoint: tokens, or a refusal.
func parseTokens(body []byte) (tokens, error) {
	var a struct {
		Access      string          `json:"access_token"`
		Type        string          `json:"token_type"`
		Life        json.RawMessage `json:"expires_in"`
		Refresh     string          `json:"refresh_token"`
		Code        string          `json:"error"`
		Description string          `json:"error_description"`
	}
	err := json.Unmarshal(body, &a)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && a.Access+a.Code != "" {
		err = nil // one of the others makes no sense, which is worth no token
	}
	if err != nil {
		return tokens{}, errors.New("the answer is not the expected JSON")
	}
	if a.Code != "" {
		return tokens{}, &refusal{a.Code, a.Description}
	}
	switch {
	case !isToken(a.Access):
		return tokens{}, errors.New("the answer has no access token")
	case a.Type != "" && !strings.EqualFold(a.Type, "Bearer"):
		return tokens{}, errors.New("the token in the answer is not of the type Bearer")
	case a.Refresh != "" && !isToken(a.Refresh):
		return tokens{}, errors.New("the refresh token in the answer is malformed")
	}
	return tokens{a.Access, a.Refresh, seconds(a.Life, unknownLife, maxLife)}, nil
}

// seconds reads a number of seconds, which some write as a string: at least 0, at most
// most. What makes no sense is what is usual.
func seconds(text json.RawMessage, usual, most time.Duration) time.Duration {
	n, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	if err != nil || math.IsNaN(n) {
		return usual
	}
	return time.Duration(min(max(n, 0), most.Seconds()) * float64(time.Second))
}

// isToken reports whether s is of the characters of a token (RFC 6749 appendix
// A) and no longer than a secret is.
func isToken(s string) bool {
	return s != "" && len(s) <= maxSecret && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// post sends a form to an endpoint and returns the answer. It is not broken off
// when ctx ends, since the answer may hold a refresh token that takes the place
// of the one that was sent.
func (g *grant) post(ctx context.Context, endpoint string, form url.Values) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, status.Config.Errorf("%s is not a URL", hostOf(endpoint))
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "sendoff")
	dial, proxy := g.store.dial, http.ProxyFromEnvironment
	if g.Dial != nil {
		dial, proxy = g.Dial, nil
	}
	// The transport itself follows no redirection.
	transport := &http.Transport{
		Proxy: proxy, DialContext: dial,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return &proxyRefusal{proxy.Host, r.StatusCode}
			}
			return nil
		},
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, nil, unreached(ctx, endpoint, form, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, unreached(ctx, endpoint, form, err)
	case len(body) > maxAnswer:
		return 0, nil, status.Connection.Errorf("%s: the answer is longer than %d KiB", hostOf(endpoint), maxAnswer>>10)
	}
	return response.StatusCode, body, nil
}

// unreached is why there is no answer from an endpoint.
func unreached(ctx context.Context, endpoint string, form url.Values, err error) error {
	text := fmt.Sprintf("no answer within %v", askLimit)
	if ctx.Err() == nil {
		text = status.Line(hideSent(wayError(err), form), 200)
	}
	return status.Connection.Errorf("%s: %s", hostOf(endpoint), text)
}

// A proxyRefusal is what a proxy says that does not lead to the provider.
type proxyRefusal struct {
	proxy string
	code  int
}

func (r *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy %s answers with HTTP status %d", r.proxy, r.code)
}

// wayError returns the words of an error of the network or of TLS. Those of
// HTTP's may be the provider's, which may be what it was sent.
func wayError(err error) string {
	if r, ok := errors.AsType[*proxyRefusal](err); ok {
		return r.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return status.LookUp(dns.Name, dns).Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
		return "the proxy: " + op.Err.Error()
	} else if ok {
		return op.Err.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection ended before the answer did"
	}
	_, isNet := errors.AsType[net.Error](err)
	_, isCert := errors.AsType[*tls.CertificateVerificationError](err)
	if isNet || isCert || strings.HasPrefix(err.Error(), "tls: ") {
		return err.Error()
	}
	return "the answer is not HTTP"
}
