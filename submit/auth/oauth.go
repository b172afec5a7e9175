package auth

import (
	"encoding/json"
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// oauth is OAUTHBEARER (RFC 7628), or XOAUTH2, the older mechanism of Google and
// Microsoft. Only the format of their messages differs.
//
//	initial response   user and token
//	challenge          only if the token is refused: the reason, in JSON
//	answer             a text without meaning; then the server sends its reply
type oauth struct {
	name         string
	user, secret string
	message      string // the initial response
	answer       string // to a challenge with a reason
	asked        bool   // the server has asked for the initial response again
}

func newOAuthBearer(m Mechanism, user, secret string) sasl.Client {
	message := "n,a=" + saslName(user) + ",\x01auth=Bearer " + secret + "\x01\x01"
	return &oauth{name: m.Name, user: user, secret: secret, message: message, answer: "\x01"}
}

func newXOAuth2(m Mechanism, user, secret string) sasl.Client {
	message := "user=" + user + "\x01auth=Bearer " + secret + "\x01\x01"
	return &oauth{name: m.Name, user: user, secret: secret, message: message}
}

// Start returns an error if the user contains the character that ends a field, or if the
// secret cannot be a token (RFC 6750 section 2.1): it is probably a password.
func (o *oauth) Start() (string, []byte, error) {
	notToken := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == ',' || r == '\\' }
	switch {
	case strings.ContainsRune(o.user, '\x01'):
		return "", nil, status.Config.Errorf("login: control character in the user name")
	case strings.ContainsFunc(o.secret, notToken):
		return "", nil, status.Config.Errorf("login: the secret is not a token, which %s needs", o.name)
	}
	return o.name, []byte(o.message), nil
}

// Next answers an empty challenge, which a server sends that has ignored the initial
// response, once, and a challenge with the reason why the server refuses the token.
func (o *oauth) Next(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 && !o.asked {
		o.asked = true
		_, message, err := o.Start()
		return message, err
	}
	return []byte(o.answer), status.AuthFailed.Errorf("login: server refuses the token%s", complaint(challenge))
}

// complaint returns ": REASON" for the reason in an error challenge (RFC 7628 section
// 3.2.2); "" if it gives none.
func complaint(challenge []byte) string {
	var c struct {
		Status string `json:"status"`
		Scope  string `json:"scope"`
	}
	if err := json.Unmarshal(challenge, &c); err != nil {
		c.Status = string(challenge)
	}
	if c.Scope != "" {
		c.Status += "; it must be good for scope " + c.Scope
	}
	if said := strings.TrimPrefix(shown(c.Status), "; "); said != "" {
		return ": " + said
	}
	return ""
}
