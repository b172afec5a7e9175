package auth

import (
	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// newExternal returns a client for EXTERNAL (RFC 4422 appendix A): the
// certificate that TLS has shown says who we are. The user, if the account has
// one, is who we want to be; without one the server takes it from the
// certificate.
func newExternal(_ Mechanism, user, _ string) sasl.Client {
	return &once{Client: sasl.NewExternalClient(user)}
}

// newPlain returns a client for PLAIN (RFC 4616).
func newPlain(_ Mechanism, user, secret string) sasl.Client {
	return &once{Client: sasl.NewPlainClient("", user, secret)}
}

// once is an exchange of a single response. It adds to a client the answer to
// servers that ignore an initial response, and ask for it with an empty
// challenge after the command (RFC 4954 section 4).
type once struct {
	sasl.Client
	asked bool
}

func (o *once) Next(challenge []byte) ([]byte, error) {
	name, response, err := o.Start()
	if err == nil && (len(challenge) > 0 || o.asked) {
		return nil, status.AuthFailed.Errorf("login: server sent a challenge that %s does not have", name)
	}
	o.asked = true
	return response, err
}
