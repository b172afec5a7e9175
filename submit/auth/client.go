package auth

import (
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// A Client is the client of one login. Beside the exchange it has two functions that
// sasl.Client lacks, to be called after the final reply:
//
//	final reply   call
//	2yz           Verify: the login has succeeded only if it returns nil
//	4yz, 5yz      Reason: an explanation beside the reply, usually nil
//
// After an error from Next, the caller must cancel the exchange; every later Next returns
// the same error.
type Client struct {
	exchange sasl.Client
	reason   error // what Reason returns
}

// Client returns a client for one login. Its Start returns an error if the mechanism cannot
// send user and secret. A NUL is not allowed: in PLAIN it ends a field (RFC 4616 section
// 2), so that the rest would be lost or taken for another field, and no server accepts it
// in another mechanism.
func (m Mechanism) Client(user, secret string) *Client {
	c := &Client{exchange: m.client(m, user, secret)}
	if strings.Contains(user+secret, "\x00") {
		c.reason = status.Config.Errorf("login: NUL in the user name or the secret")
	}
	return c
}

// Start returns the name of the mechanism, and the initial response; nil: there is none.
func (c *Client) Start() (mechanism string, initial []byte, err error) {
	if c.reason != nil {
		return "", nil, c.reason
	}
	return c.exchange.Start()
}

// Next returns the answer to a challenge. A server may explain in a challenge why it
// refuses the login, and wait for an answer before it sends the reply. Then Next returns
// the answer without an error, and Reason returns the explanation.
func (c *Client) Next(challenge []byte) ([]byte, error) {
	if c.reason != nil {
		return nil, c.reason
	}
	response, err := c.exchange.Next(challenge)
	c.reason = err
	if response != nil {
		return response, nil
	}
	return nil, err
}

// Verify must be called after a positive reply. It returns an error if the exchange went
// wrong before, or if the mechanism requires a proof from the server that has not come.
func (c *Client) Verify() error {
	if c.reason != nil {
		return c.reason
	}
	if e, ok := c.exchange.(interface{ proven() bool }); ok && !e.proven() {
		return status.Insecure.Errorf("login: server says yes without proof that it knows the password")
	}
	return nil
}

// Reason returns what went wrong in the exchange before the final reply: a refusal of the
// server in a challenge, or an error in a challenge. It returns nil if nothing went wrong.
func (c *Client) Reason() error { return c.reason }
