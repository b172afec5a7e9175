// Package auth chooses a SASL mechanism (RFC 4422) and builds its client.
//
//	server offers      account allows     connection, user, secret
//	       └──────────────┬┴─────────────────────┘
//	                   Choose          the first mechanism that is in
//	                      │            all of them
//	              Mechanism.Client     a sasl.Client, one for each login
//	                      │
//	           Start, Next, Next, …    the exchange
//	                      │
//	               Verify, Reason      asked when the final reply has come
//
// A password or token never crosses a connection that others can read: a
// mechanism that sends it in clear is chosen only when the caller says that
// the connection is protected. Neither is sent where the other belongs, unless
// the account names the mechanism.
//
// Errors: Insecure when only mechanisms that send the secret in clear match
// and the connection is not protected; AuthFailed when the server offers
// nothing that we know; Config when the account rules out all that it offers, or
// lacks what is needed for it. A
// client returns AuthFailed when the server's challenges make no sense,
// Insecure when the server's part in the exchange is too weak or does not
// prove that it knows the password, and Config when user or secret cannot be
// sent.
package auth

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"hash"
	"slices"
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// A Mechanism is one way to log in.
type Mechanism struct {
	Name string
	// Clear says that the exchange carries the secret itself, so that whoever
	// reads it can log in: it needs a protected connection.
	Clear bool

	wants   wants
	client  func(m Mechanism, user, secret string) sasl.Client
	hash    func() hash.Hash // SCRAM's; else nil
	channel channel          // what Choose knew of the connection
}

// wants are the things that a mechanism cannot do without.
type wants uint8

const (
	aUser        wants = 1 << iota
	aSecret            // of whatever sort
	aPassword          // the secret is, or may be, a password
	aToken             // the secret is, or may be, an OAuth 2.0 access token
	aCertificate       // a client certificate, and TLS to show it in
	aBinding           // something that names the TLS connection

	byPassword = aUser | aSecret | aPassword
	byToken    = aUser | aSecret | aToken
)

// mechanisms is what we know, in order of preference where nobody else can read
// the connection.
//
//   - EXTERNAL: a private key has signed this very TLS handshake; there is
//     nothing to guess, and nothing that works on another connection.
//   - OAUTHBEARER, XOAUTH2: the token is sent, but it expires. They compete
//     with nothing else: what takes a token takes no password.
//   - PLAIN, LOGIN: both send the password, inside TLS to a server whose
//     certificate has been verified, or to this machine. Every server can check
//     it, however it keeps passwords; many offer SCRAM for users of whom they
//     have no SCRAM keys, and refuse them. PLAIN takes fewer round trips.
//   - SCRAM: the password is not sent, and the server proves that it knows it.
//     With -PLUS nobody can sit between the two, whatever certificate they
//     have; that is worth more than the better hash.
//   - CRAM-MD5 is last although it sends none. Who reads the exchange can try
//     passwords on it as fast as MD5 is, and the server must keep passwords
//     readable.
//
// Where others can read the connection those that are Clear are never chosen;
// where they may read it later (Needs.Recorded), the others come first.
//
// To add a mechanism: its client in a file of its own (in once.go, if go-sasl has it
// and it sends a single response), a row here where its preference puts it, and an
// item under auth in sendoff.toml(5). TestMechanisms holds the row against the
// client, TestMechanismsInManual the manual against the rows.
var mechanisms = [...]Mechanism{
	{Name: "EXTERNAL", wants: aCertificate, client: newExternal},
	{Name: "OAUTHBEARER", Clear: true, wants: byToken, client: newOAuthBearer},
	{Name: "XOAUTH2", Clear: true, wants: byToken, client: newXOAuth2},
	{Name: "PLAIN", Clear: true, wants: byPassword, client: newPlain},
	{Name: "LOGIN", Clear: true, wants: byPassword, client: newLogin},
	{Name: "SCRAM-SHA-256-PLUS", wants: byPassword | aBinding, client: newSCRAM, hash: sha256.New},
	{Name: "SCRAM-SHA-1-PLUS", wants: byPassword | aBinding, client: newSCRAM, hash: sha1.New},
	{Name: "SCRAM-SHA-256", wants: byPassword, client: newSCRAM, hash: sha256.New},
	{Name: "SCRAM-SHA-1", wants: byPassword, client: newSCRAM, hash: sha1.New},
	{Name: "CRAM-MD5", wants: byPassword, client: newCRAMMD5},
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
	// Recorded says that who records the connection may be able to read it
	// later, when the server's key is stolen: TLS without forward secrecy.
	Recorded bool
	// State is that of the TLS connection, which a login can be bound to;
	// nil without TLS.
	State *tls.ConnectionState
	// Certificate says that the client has shown a certificate, or would
	// have if the server had asked.
	Certificate bool

	User      string
	HasSecret bool
	// Token says that the secret is known to be an OAuth 2.0 access token,
	// and not a password.
	Token bool
}

// grants returns what there is for a mechanism; named says that the account
// names it, and so knows what sort of secret it has.
func (have Needs) grants(named bool, c channel) wants {
	var w wants
	grant := func(what wants, is bool) {
		if is {
			w |= what
		}
	}
	grant(aUser, have.User != "")
	grant(aSecret, have.HasSecret)
	grant(aPassword, named || !have.Token)
	grant(aToken, named || have.Token)
	grant(aCertificate, have.Certificate && have.State != nil)
	grant(aBinding, c.name != "")
	return w
}

// preference returns the mechanisms in the order in which to choose: that of
// allowed, if it names any, else ours.
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
	slices.SortStableFunc(list, func(a, b Mechanism) int { return rank(a) - rank(b) })
	return list
}

// Choose returns the first mechanism that the server offers, the account allows
// and connection, user and secret suffice for. allowed is in order of preference;
// no name in it means all. Names are compared without regard to case.
func Choose(offered, allowed []string, have Needs) (Mechanism, error) {
	r := refusal{offered: offered, allowed: allowed}
	r.password = have.HasSecret && !have.Token && tokensOnly(allowed) == nil
	channel := channelOf(have.State)
	channel.offered = slices.ContainsFunc(offered, isPlus)
	for _, m := range preference(allowed, have.Recorded) {
		named := contains(allowed, m.Name)
		lacks := m.wants &^ have.grants(named, channel)
		switch {
		case !contains(offered, m.Name):
		case len(allowed) > 0 && !named:
			r.notAllowed = true
		case lacks != 0:
			m.wants = lacks
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

// A refusal is why Choose chose nothing.
type refusal struct {
	offered, allowed []string
	password         bool        // the secret is one, as far as anybody knows
	notAllowed       bool        // the account rules out some that we know
	lacks            []Mechanism // each wants only what is not there
	tooOpen          []string
}

// without returns the mechanisms that lack w.
func (r *refusal) without(w wants) []string {
	var names []string
	for _, m := range r.lacks {
		if m.wants&w != 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

// err names the obstacle that is the most likely to be the person's to remove.
func (r *refusal) err() error {
	offers := list(r.offered)
	switch {
	case r.without(aUser) != nil:
		return status.Config.Errorf("login: the account has no user")
	case r.without(aSecret) != nil:
		return status.Config.Errorf("login: the account has no secret")
	case r.tooOpen != nil:
		return status.Insecure.Errorf("login: %s would send the secret in clear without TLS", list(r.tooOpen))
	case r.password && tokensOnly(r.offered) != nil:
		return status.Config.Errorf("login: the server takes only OAuth2 tokens (%s), and the secret is taken for a password", list(tokensOnly(r.offered)))
	case r.without(aToken) != nil:
		return status.Config.Errorf("login: for %s the secret must be a token; if it is one, name the mechanism in auth", list(r.without(aToken)))
	case r.without(aPassword) != nil:
		return status.Config.Errorf("login: for %s the secret must be a password, and it is a token", list(r.without(aPassword)))
	case r.without(aCertificate) != nil:
		return status.Config.Errorf("login: for %s there must be TLS and a client certificate", list(r.without(aCertificate)))
	case r.without(aBinding) != nil:
		return status.Insecure.Errorf("login: for %s there must be a TLS connection to bind it to", list(r.without(aBinding)))
	case r.notAllowed:
		return status.Config.Errorf("login: server offers %s; account allows %s", offers, list(r.allowed))
	case len(r.offered) == 0:
		return status.AuthFailed.Errorf("login: server offers no AUTH")
	case len(r.allowed) > 0:
		return status.AuthFailed.Errorf("login: server offers %s; account allows %s", offers, list(r.allowed))
	}
	return status.AuthFailed.Errorf("login: server offers %s; sendoff knows %s", offers, list(Known()))
}

// tokensOnly returns those of names that take an access token, if none takes a
// password; else nil.
func tokensOnly(names []string) []string {
	var tokens []string
	for _, m := range mechanisms {
		switch {
		case !contains(names, m.Name):
		case m.wants&aPassword != 0:
			return nil
		case m.wants&aToken != 0:
			tokens = append(tokens, m.Name)
		}
	}
	return tokens
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// list writes names for an error message.
func list(names []string) string { return shown(strings.Join(names, ", ")) }

// shown makes what may be a server's text fit for an error message: anything
// but printable ASCII is replaced, and the whole is cut.
func shown(s string) string { return status.Line(status.ASCII(s), 200) }

// saslName writes a user name so that it can stand between commas (RFC 5802
// section 5.1).
func saslName(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "=", "=3D"), ",", "=2C")
}
