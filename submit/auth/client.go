package auth

import (
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// A Client is one login. Beside the exchange itself it answers two questions
// that sasl.Client has no words for:
//
//	final reply   ask
//	2yz           Verify: is it to be believed? Only if it returns nil.
//	4yz, 5yz      Reason: what else is known of it? Mostly nothing.
//
// After an error from Next, the exchange is to be cancelled; every further
// Next returns the same error.
type Client struct {
	exchange sasl.Client
	reason   error
}

// Client returns a client for one login, whose Start returns an error if the
// mechanism cannot carry user and secret. NUL ends a field in PLAIN (RFC 4616
// section 2), and whatever is behind it would be lost or read as another field; no
// server takes it in the other mechanisms either.
func (m Mechanism) Client(user, secret string) *Client {
	c := &Client{exchange: m.client(m, user, secret)}
	if strings.Contains(user+secret, "\x00") {
		c.reason = status.Config.Errorf("login: NUL in the user name or the secret")
	}
	return c
}

// Start returns the mechanism's name and the initial response, nil if there is
// none.
func (c *Client) Start() (mechanism string, initial []byte, err error) {
	if c.reason != nil {
		return "", nil, c.reason
	}
	return c.exchange.Start()
}

// Next returns the answer to a challenge. An exchange may return an answer
// together with an error, when the server tells in a challenge that it refuses
// and waits for the answer before it says so in a reply: the answer is passed
// on, and the error is the Reason.
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

// Verify returns nil if a server that has said yes is to be believed. It is
// not if the exchange had gone wrong before, nor if the mechanism lets the
// server prove itself and the server has not.
func (c *Client) Verify() error {
	if c.reason != nil {
		return c.reason
	}
	if e, ok := c.exchange.(interface{ proven() bool }); ok && !e.proven() {
		return status.Insecure.Errorf("login: server says yes without proof that it knows the password")
	}
	return nil
}

// Reason returns what went wrong in the exchange before the final reply: the
// server's complaint in a challenge, or ours about a challenge. It is nil if
// nothing did.
func (c *Client) Reason() error { return c.reason }
