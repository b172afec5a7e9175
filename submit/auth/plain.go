package auth

import (
	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// plain is PLAIN (RFC 4616). It adds to go-sasl's client a check of what is
// sent, and an answer to servers that ignore the initial response.
type plain struct {
	sasl.Client
	user, secret string
	asked        bool
}

func newPlain(user, secret string) sasl.Client {
	return &plain{Client: sasl.NewPlainClient("", user, secret), user: user, secret: secret}
}

func (p *plain) Start() (string, []byte, error) {
	if err := sendable(p.user, p.secret); err != nil {
		return "", nil, err
	}
	return p.Client.Start()
}

// Next answers the empty challenge of a server that wants the response after
// the command (RFC 4954 section 4), once. PLAIN has no other challenge.
func (p *plain) Next(challenge []byte) ([]byte, error) {
	if len(challenge) > 0 || p.asked {
		return nil, status.AuthFailed.Errorf("login: server sent a challenge that PLAIN does not have")
	}
	p.asked = true
	_, response, err := p.Start()
	return response, err
}
