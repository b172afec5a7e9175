package auth

import "github.com/emersion/go-sasl"

// newPlain returns a client for PLAIN (RFC 4616).
func newPlain(_ Mechanism, user, secret string) sasl.Client {
	return &once{Client: sasl.NewPlainClient("", user, secret)}
}
