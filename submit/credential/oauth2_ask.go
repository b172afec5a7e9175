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

// Limits of a provider's answer: time for the whole exchange, octets of the body and of the
// header, and lifetime of a token.
const (
	askLimit  = 15 * time.Second
	maxAnswer = 4 * maxSecret
	maxHeader = 64 << 10
	maxLife   = 24 * time.Hour
)

// tokens is the answer of a token endpoint.
type tokens struct {
	access, refresh string // refresh "": the old refresh token stays valid
	life            time.Duration
}

// A refusal is an error answer of a provider (RFC 6749 section 5.2).
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

// tokens asks the token endpoint. A refusal is of kind AuthFailed, unless refused says
// otherwise; any other failure is of kind Connection.
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

// ask sends form to an endpoint, and calls parse with the body of the answer. parse returns
// a refusal if the body is one, or says what is wrong with the body.
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

// hideSent replaces the secrets of form in text: some providers repeat in an error what
// they were sent.
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

// refused returns r, the answer to form with the HTTP status code, without our secrets. Its
// kind is Connection if another attempt may succeed, otherwise AuthFailed.
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

// parseTokens reads the answer of a token endpoint. The error is a refusal if the answer is
// one.
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
		err = nil // another field has the wrong type: that is no reason to reject the token
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

// seconds reads a number of seconds, which some providers write as a string. The result is
// at least 0 and at most most. If text is no number, the result is usual.
func seconds(text json.RawMessage, usual, most time.Duration) time.Duration {
	n, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	if err != nil || math.IsNaN(n) {
		return usual
	}
	return time.Duration(min(max(n, 0), most.Seconds()) * float64(time.Second))
}

// isToken reports whether s has only the characters of a token (RFC 6749 appendix A), and
// is no longer than maxSecret.
func isToken(s string) bool {
	return s != "" && len(s) <= maxSecret && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// post sends a form to an endpoint, and returns the HTTP status code and the body. It
// continues after the end of ctx, because the answer may have a refresh token that replaces
// the one we sent.
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
	// RoundTrip follows no redirection.
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

// unreached returns the error if there is no answer from an endpoint, without the secrets
// of form.
func unreached(ctx context.Context, endpoint string, form url.Values, err error) error {
	text := fmt.Sprintf("no answer within %v", askLimit)
	if ctx.Err() == nil {
		text = status.Line(hideSent(wayError(err), form), 200)
	}
	return status.Connection.Errorf("%s: %s", hostOf(endpoint), text)
}

// A proxyRefusal is the error if a proxy does not connect us to the provider.
type proxyRefusal struct {
	proxy string
	code  int
}

func (r *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy %s answers with HTTP status %d", r.proxy, r.code)
}

// wayError returns the text of an error of the network or of TLS. It does not return the
// text of an HTTP error, which may quote the provider's answer, and with it what we sent.
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
