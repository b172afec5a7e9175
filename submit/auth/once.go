package auth

import (
	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// newExternal returns a client for EXTERNAL (RFC 4422 appendix A): the client certificate
// of the TLS connection is the proof. user is the authorization identity; if it is "", the
// server takes the identity from the certificate.
func newExternal(_ Mechanism, user, _ string) sasl.Client {
	return &once{Client: sasl.NewExternalClient(user)}
}

// newPlain returns a client for PLAIN (RFC 4616).
func newPlain(_ Mechanism, user, secret string) sasl.Client {
	return &once{Client: sasl.NewPlainClient("", user, secret)}
}

// once is the client of a mechanism with a single response, the initial one. If a server
// ignores this and sends an empty challenge (RFC 4954 section 4), once sends it again.
type once struct {
	sasl.Client
	asked bool // the server has sent an empty challenge
}

func (o *once) Next(challenge []byte) ([]byte, error) {
	name, response, err := o.Start()
	if err == nil && (len(challenge) > 0 || o.asked) {
		return nil, status.AuthFailed.Errorf("login: server sent a challenge that %s does not have", name)
	}
	o.asked = true
	return response, err
}
