package auth

import (
	"encoding/json"
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// oauth is OAUTHBEARER (RFC 7628) and XOAUTH2, which Google and Microsoft had
// before it. They differ in how they frame the same two things.
//
//	initial response   user and token
//	challenge          only if the token is refused: why, in JSON
//	answer             a text without meaning; the refusal itself follows
type oauth struct {
	name         string
	user, secret string
	message      string // the initial response
	answer       string
	asked        bool
}

func newOAuthBearer(m Mechanism, user, secret string) sasl.Client {
	message := "n,a=" + saslName(user) + ",\x01auth=Bearer " + secret + "\x01\x01"
	return &oauth{name: m.Name, user: user, secret: secret, message: message, answer: "\x01"}
}

func newXOAuth2(m Mechanism, user, secret string) sasl.Client {
	message := "user=" + user + "\x01auth=Bearer " + secret + "\x01\x01"
	return &oauth{name: m.Name, user: user, secret: secret, message: message}
}

// Start refuses what would end a field early, and a secret that cannot be a
// token (RFC 6750 section 2.1), most likely a password of the same account.
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

// Next answers a server that ignored the initial response, once, and one that
// says why it refuses the token.
func (o *oauth) Next(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 && !o.asked {
		o.asked = true
		_, message, err := o.Start()
		return message, err
	}
	return []byte(o.answer), status.AuthFailed.Errorf("login: server refuses the token%s", complaint(challenge))
}

// complaint is what a server says in the error challenge (RFC 7628 section
// 3.2.2), as the end of a sentence.
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
