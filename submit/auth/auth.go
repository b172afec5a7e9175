// Package auth chooses a SASL mechanism (RFC 4422) and builds its client.
//
//	server offers      account allows     connection, user, secret
//	       └──────────────┬┴─────────────────────┘
//	                   Choose          the first row of mechanisms that is in
//	                      │            all of them
//	              Mechanism.Client     a sasl.Client, one for each login
//
// A password never crosses a connection that others can read: a mechanism that
// sends it in clear is chosen only when the caller says that the connection is
// protected.
//
// Errors: Insecure when only mechanisms that send the password in clear match
// and the connection is not protected; AuthFailed when the server offers
// nothing that we know; Config when the account rules out all that it offers,
// names a mechanism that does not exist, or lacks user or secret. A client
// returns AuthFailed when the server's challenges make no sense, and Config
// when user or secret cannot be sent.
package auth

import (
	"slices"
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// A Mechanism is one way to log in.
type Mechanism struct {
	Name string
	// Clear says that the exchange carries the secret itself, so that
	// whoever reads it can log in: it needs a protected connection, and
	// every response must be masked in a trace.
	Clear bool
	// Initial says that the client speaks first, in the AUTH command, so
	// that the command itself must be masked too.
	Initial bool

	client func(user, secret string) sasl.Client
}

// Client returns a client for one login. It has not checked its arguments: its
// Start returns an error if the mechanism cannot carry them.
func (m Mechanism) Client(user, secret string) sasl.Client { return m.client(user, secret) }

// mechanisms is what we know, the most wanted first. A password in clear is
// equally readable in both rows; PLAIN takes a round trip or two less.
var mechanisms = [...]Mechanism{
	{Name: "PLAIN", Clear: true, Initial: true, client: newPlain},
	{Name: "LOGIN", Clear: true, Initial: false, client: newLogin},
}

// Known returns the names of all mechanisms, in order of preference.
func Known() []string {
	var names []string
	for _, m := range mechanisms {
		names = append(names, m.Name)
	}
	return names
}

// Needs is what a login has at its disposal.
type Needs struct {
	// Protected says that nobody can read the connection: it has TLS, or
	// is a loopback or Unix socket.
	Protected bool
	User      string
	HasSecret bool
}

// Choose returns the most wanted mechanism that the server offers, the account
// allows and the connection suffices for. No name in allowed means all; names
// are compared without regard to case.
func Choose(offered, allowed []string, have Needs) (Mechanism, error) {
	for _, name := range allowed {
		if !contains(Known(), name) {
			return Mechanism{}, status.Config.Errorf("unknown mechanism %q in auth; known are %s", name, list(Known()))
		}
	}
	switch {
	case have.User == "":
		return Mechanism{}, status.Config.Errorf("login: the account has no user")
	case !have.HasSecret:
		return Mechanism{}, status.Config.Errorf("login: the account has no secret")
	}
	var tooOpen, notAllowed []string
	for _, m := range mechanisms {
		switch {
		case !contains(offered, m.Name):
		case len(allowed) > 0 && !contains(allowed, m.Name):
			notAllowed = append(notAllowed, m.Name)
		case m.Clear && !have.Protected:
			tooOpen = append(tooOpen, m.Name)
		default:
			return m, nil
		}
	}
	switch {
	case tooOpen != nil:
		return Mechanism{}, status.Insecure.Errorf("login: %s would send the password in clear without TLS", list(tooOpen))
	case notAllowed != nil:
		return Mechanism{}, status.Config.Errorf("login: server offers %s; account allows %s", list(offered), list(allowed))
	case len(offered) == 0:
		return Mechanism{}, status.AuthFailed.Errorf("login: server offers no AUTH")
	case len(allowed) > 0:
		return Mechanism{}, status.AuthFailed.Errorf("login: server offers %s; account allows %s", list(offered), list(allowed))
	}
	return Mechanism{}, status.AuthFailed.Errorf("login: server offers %s; sendoff knows %s", list(offered), list(Known()))
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// list writes names for an error message. They may be a server's, so anything
// but printable ASCII is replaced and the whole is cut.
func list(names []string) string {
	const limit = 200
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.Join(names, ", "))
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return s
}

// sendable reports whether user and secret can be sent. NUL ends a field in
// PLAIN (RFC 4616 section 2), and whatever is behind it would be lost or read
// as another field; no server takes it in LOGIN either.
func sendable(user, secret string) error {
	switch {
	case strings.ContainsRune(user, 0):
		return status.Config.Errorf("login: NUL in the user name")
	case strings.ContainsRune(secret, 0):
		return status.Config.Errorf("login: NUL in the secret")
	}
	return nil
}
