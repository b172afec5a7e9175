// Package auth chooses a SASL mechanism (RFC 4422) and builds its client.
//
//	server offers      account allows     connection, user, secret
//	       └──────────────┬┴─────────────────────┘
//	                   Choose          the first mechanism that all three
//	                      │            permit
//	              Mechanism.Client     a Client, one for each login
//	                      │
//	           Start, Next, Next, …    the exchange
//	                      │
//	               Verify, Reason      called after the final reply
//
// A password or token is never sent in clear on a connection that others can read: a
// mechanism that does so is chosen only if the caller says that the connection is
// protected. A password is not sent in the place of a token, nor a token in the place of a
// password, unless the account names the mechanism.
//
// Errors of Choose: Insecure if the only possible mechanisms would send the secret in clear
// and the connection is not protected; AuthFailed if the server offers no known mechanism;
// Config if the account allows none of the offered mechanisms, or lacks a user, a secret
// or a certificate for them. Errors of a Client: AuthFailed if a challenge makes no sense;
// Insecure if the server asks for too weak a proof, or does not prove that it knows the
// password; Config if user or secret cannot be sent.
package auth

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"hash"
	"slices"
	"sort"
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// A Mechanism is a SASL mechanism.
type Mechanism struct {
	Name string
	// Clear says that the client sends the secret in clear. Everybody who can read the
	// connection could log in, so it must be protected.
	Clear bool

	needs   needs
	client  func(m Mechanism, user, secret string) sasl.Client
	hash    func() hash.Hash // of SCRAM; nil for other mechanisms
	channel channel          // the binding that Choose found for the connection
}

// needs is a set of things that a mechanism needs.
type needs uint8

const (
	aUser        needs = 1 << iota
	aSecret            // a password or a token
	aPassword          // the secret is, or may be, a password
	aToken             // the secret is, or may be, an OAuth 2.0 access token
	aCertificate       // TLS with a client certificate
	aBinding           // a channel binding for the TLS connection

	byPassword = aUser | aSecret | aPassword
	byToken    = aUser | aSecret | aToken
)

// mechanisms are the known mechanisms, in order of preference for a protected connection.
//
//   - EXTERNAL: a private key has signed this TLS handshake. There is no secret to
//     guess, and the signature is useless on another connection.
//   - OAUTHBEARER, XOAUTH2: the client sends the token, but a token expires. Their
//     order relative to the others does not matter: a mechanism for a token takes no
//     password.
//   - PLAIN, LOGIN: the client sends the password, but only inside TLS to a server
//     with a verified certificate, or on this machine. They work however the server
//     stores passwords; many servers offer SCRAM, and then refuse users for whom they
//     have no SCRAM keys. PLAIN takes fewer round trips than LOGIN.
//   - SCRAM: the client does not send the password, and the server proves that it
//     knows the password. -PLUS comes before the better hash, because it shows a
//     man in the middle even if he has a valid certificate.
//   - CRAM-MD5 is last, although it does not send the password. MD5 is fast, so
//     everybody who reads the exchange can try many passwords on it; and the server
//     must store passwords in clear.
//
// If others can read the connection, mechanisms with Clear are never chosen. If others may
// be able to read it later (Facts.Recorded), the mechanisms without Clear come first.
//
// To add a mechanism: write its client in a new file (or in once.go, if go-sasl has a
// client with a single response), add a row here in the order of preference, and an item
// under auth in sendoff.toml(5). TestMechanisms compares the row with the client, and
// TestMechanismsInManual the manual with the rows.
var mechanisms = [...]Mechanism{
	{Name: "EXTERNAL", needs: aCertificate, client: newExternal},
	{Name: "OAUTHBEARER", Clear: true, needs: byToken, client: newOAuthBearer},
	{Name: "XOAUTH2", Clear: true, needs: byToken, client: newXOAuth2},
	{Name: "PLAIN", Clear: true, needs: byPassword, client: newPlain},
	{Name: "LOGIN", Clear: true, needs: byPassword, client: newLogin},
	{Name: "SCRAM-SHA-256-PLUS", needs: byPassword | aBinding, client: newSCRAM, hash: sha256.New},
	{Name: "SCRAM-SHA-1-PLUS", needs: byPassword | aBinding, client: newSCRAM, hash: sha1.New},
	{Name: "SCRAM-SHA-256", needs: byPassword, client: newSCRAM, hash: sha256.New},
	{Name: "SCRAM-SHA-1", needs: byPassword, client: newSCRAM, hash: sha1.New},
	{Name: "CRAM-MD5", needs: byPassword, client: newCRAMMD5},
}

// Known returns the names of all mechanisms, in order of preference.
func Known() []string {
	var names []string
	for _, m := range mechanisms {
		names = append(names, m.Name)
	}
	return names
}

// Facts are the facts about the connection and the account by which Choose chooses.
type Facts struct {
	// Protected says that no other user can read the connection: it has TLS, or is
	// a loopback or Unix socket.
	Protected bool
	// Recorded says that TLS has no forward secrecy: whoever records the connection
	// can read it if he steals the key of the server later.
	Recorded bool
	// State is the state of the TLS connection, for channel binding; nil: no TLS.
	State *tls.ConnectionState
	// Certificate says that the client has shown a certificate, or would have if the
	// server had asked.
	Certificate bool

	User      string // "": the account has none
	HasSecret bool
	// Token says that the secret is an OAuth 2.0 access token, not a password.
	Token bool
}

// grants returns the things that are there for a mechanism. named says that the account
// names the mechanism: then its secret is believed to be of the right kind.
func (have Facts) grants(named bool, c channel) needs {
	var all needs
	grant := func(thing needs, isThere bool) {
		if isThere {
			all |= thing
		}
	}
	grant(aUser, have.User != "")
	grant(aSecret, have.HasSecret)
	grant(aPassword, named || !have.Token)
	grant(aToken, named || have.Token)
	grant(aCertificate, have.Certificate && have.State != nil)
	grant(aBinding, c.name != "")
	return all
}

// preference returns the mechanisms in the order in which Choose tries them: the order of
// allowed, or, if allowed is empty, that of mechanisms.
func preference(allowed []string, recorded bool) []Mechanism {
	list := slices.Clone(mechanisms[:])
	rank := func(m Mechanism) int {
		switch {
		case len(allowed) > 0:
			return slices.IndexFunc(allowed, func(name string) bool { return strings.EqualFold(name, m.Name) })
		case recorded && m.Clear:
			return 1
		}
		return 0
	}
	// An instance of slices.SortStableFunc would add 8 KB to the program.
	sort.SliceStable(list, func(i, j int) bool { return rank(list[i]) < rank(list[j]) })
	return list
}

// Choose returns the first mechanism that the server offers, that the account allows, and
// whose needs are met by have. offered and allowed are names, in upper or lower case.
// allowed is in order of preference; if it is empty, all mechanisms are allowed.
func Choose(offered, allowed []string, have Facts) (Mechanism, error) {
	r := refusal{offered: offered, allowed: allowed}
	r.password = have.HasSecret && !have.Token && tokensOnly(allowed) == nil
	channel := channelOf(have.State)
	channel.offered = slices.ContainsFunc(offered, isPlus)
	for _, m := range preference(allowed, have.Recorded) {
		named := contains(allowed, m.Name)
		lacks := m.needs &^ have.grants(named, channel)
		switch {
		case !contains(offered, m.Name):
		case len(allowed) > 0 && !named:
			r.notAllowed = true
		case lacks != 0:
			m.needs = lacks
			r.lacks = append(r.lacks, m)
		case m.Clear && !have.Protected:
			r.tooOpen = append(r.tooOpen, m.Name)
		default:
			m.channel = channel
			return m, nil
		}
	}
	return Mechanism{}, r.err()
}

// A refusal collects the reasons why Choose can choose no mechanism.
type refusal struct {
	offered, allowed []string
	password         bool        // the secret is probably a password
	notAllowed       bool        // the account does not allow an offered mechanism
	lacks            []Mechanism // mechanisms of which needs is reduced to the missing things
	tooOpen          []string    // mechanisms that would send the secret in clear
}

// lacking returns the names of the mechanisms that lack a thing of things.
func (r *refusal) lacking(things needs) []string {
	var names []string
	for _, m := range r.lacks {
		if m.needs&things != 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

// err returns the error for the reason that the person can most likely remove.
func (r *refusal) err() error {
	offers := list(r.offered)
	switch {
	case r.lacking(aUser) != nil:
		return status.Config.Errorf("login: the account has no user")
	case r.lacking(aSecret) != nil:
		return status.Config.Errorf("login: the account has no secret")
	case r.tooOpen != nil:
		return status.Insecure.Errorf("login: %s would send the secret in clear without TLS", list(r.tooOpen))
	case r.password && tokensOnly(r.offered) != nil:
		return status.Config.Errorf("login: the server takes only OAuth2 tokens (%s), and the secret is taken for a password", list(tokensOnly(r.offered)))
	case r.lacking(aToken) != nil:
		return status.Config.Errorf("login: for %s the secret must be a token; if it is one, name the mechanism in auth", list(r.lacking(aToken)))
	case r.lacking(aPassword) != nil:
		return status.Config.Errorf("login: for %s the secret must be a password, and it is a token", list(r.lacking(aPassword)))
	case r.lacking(aCertificate) != nil:
		return status.Config.Errorf("login: for %s there must be TLS and a client certificate", list(r.lacking(aCertificate)))
	case r.lacking(aBinding) != nil:
		return status.Insecure.Errorf("login: for %s there must be a TLS connection to bind it to", list(r.lacking(aBinding)))
	case r.notAllowed:
		return status.Config.Errorf("login: server offers %s; account allows %s", offers, list(r.allowed))
	case len(r.offered) == 0:
		return status.AuthFailed.Errorf("login: server offers no AUTH")
	case len(r.allowed) > 0:
		return status.AuthFailed.Errorf("login: server offers %s; account allows %s", offers, list(r.allowed))
	}
	return status.AuthFailed.Errorf("login: server offers %s; sendoff knows %s", offers, list(Known()))
}

// tokensOnly returns the mechanisms in names that take an access token; nil if a mechanism
// in names takes a password.
func tokensOnly(names []string) []string {
	var tokens []string
	for _, m := range mechanisms {
		switch {
		case !contains(names, m.Name):
		case m.needs&aPassword != 0:
			return nil
		case m.needs&aToken != 0:
			tokens = append(tokens, m.Name)
		}
	}
	return tokens
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// list returns names, with commas between them, for an error message.
func list(names []string) string { return shown(strings.Join(names, ", ")) }

// shown returns s, which may come from the server, for an error message: it replaces all
// characters except printable ASCII, and cuts a long s.
func shown(s string) string { return status.Line(status.ASCII(s), 200) }

// saslName returns the user name s as a saslname, in which "," and "=" are escaped (RFC
// 5802 section 5.1).
func saslName(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "=", "=3D"), ",", "=2C")
}
