package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// cramMD5 is CRAM-MD5 (RFC 2195): the server sends a text that is different in each login,
// and the client answers with the user name and a keyed hash of the text.
type cramMD5 struct {
	user, secret string
	done         bool
}

func newCRAMMD5(_ Mechanism, user, secret string) sasl.Client {
	return &cramMD5{user: user, secret: secret}
}

func (c *cramMD5) Start() (string, []byte, error) { return "CRAM-MD5", nil, nil }

// Next answers the only challenge. It refuses an empty challenge, because the hash would be
// the same in each login. A challenge that is not base64 arrives here as an empty one.
func (c *cramMD5) Next(challenge []byte) ([]byte, error) {
	switch {
	case c.done:
		return nil, status.AuthFailed.Errorf("login: the server asks for more after the CRAM-MD5 response")
	case len(challenge) == 0:
		return nil, status.AuthFailed.Errorf("login: server sent an empty CRAM-MD5 challenge")
	}
	c.done = true
	mac := hmac.New(md5.New, []byte(c.secret))
	mac.Write(challenge)
	return []byte(c.user + " " + hex.EncodeToString(mac.Sum(nil))), nil
}
