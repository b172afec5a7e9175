package auth

import "github.com/emersion/go-sasl"

// newExternal returns a client for EXTERNAL (RFC 4422 appendix A): the
// certificate that TLS has shown says who we are. The user, if the account has
// one, is who we want to be; without one the server takes it from the
// certificate.
func newExternal(_ Mechanism, user, _ string) sasl.Client {
	return &once{Client: sasl.NewExternalClient(user)}
}
