package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"sendoff/submit/auth"
	"sendoff/submit/envelope"
	"sendoff/submit/secret"
)

// defaultRecipients is the value of max-recipients if an account does not set it.
const defaultRecipients = 100

// The values of deliver.
const (
	DeliverNow        = "now"        // waits for the server's answer
	DeliverBackground = "background" // queues the message, and starts to send it at once
	DeliverQueue      = "queue"      // queues the message until the next run of the queue
)

// An Account is a way to send mail: a smarthost, our user there, and the senders that
// select the account.
//
// To add a setting, add a field here with its three tags, and an item in sendoff.toml(5).
// The tag bound says what the setting belongs to (TestBound):
//
//	host   the host: removed if --server names another host
//	way    the way to the host: kept for another host, removed for a rehearsal
//	no     the account's mail: always kept
//	no     the account's mail: always kept
type Account struct {
	Name string `toml:"-"`
	File string `toml:"-"` // absolute; "" if no file defines the account

	Servers        List[Server]     `toml:"server" bound:"host" doc:"The server that mail is sent to, or several that are tried in order."`
	User           string           `toml:"user" bound:"host" doc:"The name to log in with; without it there is no login."`
	From           List[Pattern]    `toml:"from" bound:"no" doc:"The addresses that select this account, as senders; the first that is not a pattern is the account's own address."`
	FullName       string           `toml:"full-name" bound:"no" doc:"The name put before the address when a message has no From field."`
	Secret         List[secret.Ref] `toml:"secret" bound:"host" doc:"Where the password is kept: one source, or several that are tried in order."`
	RefreshToken   secret.Ref       `toml:"refresh-token" bound:"host" doc:"Where the OAuth refresh token is kept: keyring or file:PATH."`
	Auth           List[string]     `toml:"auth" bound:"way" doc:"The login mechanisms that may be used."`
	Deliver        string           `toml:"deliver" bound:"no" doc:"When a message is sent: now, background or queue."`
	ForceSender    bool             `toml:"force-sender" bound:"no" doc:"Whether every sender is replaced by the account's own address."`
	MaxSize        Size             `toml:"max-size" bound:"no" doc:"The largest message that is sent, in octets."`
	MaxRecipients  int              `toml:"max-recipients" bound:"no" doc:"The most recipients of one transaction."`
	Rate           Rate             `toml:"rate" bound:"no" doc:"How many messages are sent per interval, by all processes of a user together."`
	ServerUser     string           `toml:"server-user" bound:"host" doc:"The user whose program listens on a port of this machine, if a password may be sent to it without TLS."`
	TLSCA          string           `toml:"tls-ca" bound:"way" doc:"A PEM file of the certificate authorities to trust, instead of the system's."`
	TLSFingerprint Fingerprints     `toml:"tls-fingerprint" bound:"host" doc:"The SHA-256 fingerprint of the certificate to trust, or of its public key, whoever signed it: one, or several of which one must match."`
	TLSCert        string           `toml:"tls-cert" bound:"host" doc:"A PEM file with the client certificate."`
	TLSKey         string           `toml:"tls-key" bound:"host" doc:"A PEM file with the key of that certificate."`
	TLSName        string           `toml:"tls-name" bound:"host" doc:"The name that must be in the server's certificate, instead of its host name."`
	TLSLegacy      bool             `toml:"tls-legacy" bound:"host" doc:"Whether a server may use RSA key exchange, which gives no forward secrecy."`
	Proxy          Proxy            `toml:"proxy" bound:"way" doc:"A SOCKS5 proxy to connect through."`
	ProxySecret    List[secret.Ref] `toml:"proxy-secret" bound:"way" doc:"Where the password for the proxy is kept: one source, or several that are tried in order."`
	SourceAddress  Source           `toml:"source-address" bound:"way" doc:"The IP address to connect from."`
	AddressFamily  Family           `toml:"address-family" bound:"way" doc:"Which addresses of the server to use."`
	Timeout        Duration         `toml:"timeout" bound:"no" doc:"How long connecting and logging in may take together, and after that each answer except the last."`
	OneFlight      bool             `toml:"one-flight" bound:"host" doc:"Whether a small message is sent before the server has answered about its recipients."`

	UserFrom string `toml:"-"` // the option or variable that has replaced User; "": none

	secretAt string // FILE:LINE:COLUMN of the setting secret
}

// resolvePaths makes the paths of a's settings absolute.
func (a *Account) resolvePaths(folder, home string) {
	for _, p := range []*string{&a.TLSCA, &a.TLSCert, &a.TLSKey} {
		*p = resolve(*p, folder, home)
	}
	resolveRefs(folder, a.Secret)
	resolveRefs(folder, a.ProxySecret)
	a.RefreshToken = a.RefreshToken.In(folder)
}

// check checks what the types of the fields cannot check, and sets defaults. An error names
// the place in the file of o.
func (a *Account) check(o *outline) error {
	if len(a.Servers) == 0 {
		return o.errorf(o.find(accountsTable, a.Name), "account %s has no server", a.Name)
	}
	if err := o.firstOf([]mistake{
		{"max-recipients", a.MaxRecipients < 1, "must be 1 or more"},
		{"max-size", a.MaxSize < 0, "must not be negative"},
		{"deliver", a.Deliver != DeliverNow && a.Deliver != DeliverBackground && a.Deliver != DeliverQueue, `is "now", "background" or "queue"`},
		{"address-family", !a.AddressFamily.valid(), familyWords},
		{"tls-name", !isDomain(a.TLSName), "is not a host name"},
		{"tls-fingerprint", len(a.TLSFingerprint) == 0, "has none"},
		{"proxy-secret", a.Proxy.User == "", "has no effect without a user in proxy"},
		{"tls-key", a.TLSKey != "" && a.TLSCert == "", "has no effect without tls-cert"},
	}, accountsTable, a.Name); err != nil {
		return err
	}
	names := []string{accountsTable, a.Name, "auth"}
	for i, m := range a.Auth {
		a.Auth[i] = strings.ToUpper(m)
		if known := auth.Known(); !slices.Contains(known, a.Auth[i]) {
			return o.errorf(o.values(names...)[i], "%s: unknown mechanism %.20q; known are %s%s", dotted(names), a.Auth[i], strings.Join(known, ", "), advice("auth"))
		}
	}
	refresh := []string{accountsTable, a.Name, "refresh-token"}
	if o.has(refresh...) && !a.RefreshToken.Writable() {
		return o.errorf(o.values(refresh...)[0], "%s: it must be writable: use keyring or file:PATH", dotted(refresh))
	}
	a.secretAt = o.place(o.find(accountsTable, a.Name, "secret"))
	a.setDefaults()
	return nil
}

// setDefaults replaces the values that stand for "not set" and "any".
func (a *Account) setDefaults() {
	if a.AddressFamily == anyFamily {
		a.AddressFamily = 0
	}
	a.Deliver = cmp.Or(a.Deliver, DeliverNow)
	a.MaxRecipients = cmp.Or(a.MaxRecipients, defaultRecipients)
}

// Bare returns a copy of a without the settings bound to the host or to the way there, for
// a server that has nothing to do with the account's own.
func (a *Account) Bare() *Account {
	bare := *a
	bare.unset("host", "way")
	return &bare
}

// unset clears the settings whose tag bound is one of bindings.
func (a *Account) unset(bindings ...string) {
	v := reflect.ValueOf(a).Elem()
	for _, f := range fields(v.Type()) {
		if slices.Contains(bindings, f.Tag.Get("bound")) {
			v.FieldByIndex(f.Index).SetZero()
		}
	}
}

// Matches reports whether the sender addr selects the account.
func (a *Account) Matches(addr envelope.Address) bool {
	return slices.ContainsFunc(a.From, func(p Pattern) bool { return p.Matches(addr) })
}

// Sources returns the references to the secret; without any, the keyring.
func (a *Account) Sources() []secret.Ref {
	if len(a.Secret) == 0 {
		return []secret.Ref{secret.OfKeyring}
	}
	return slices.Clone(a.Secret)
}

// Refresh returns the reference to the refresh token; without one, the keyring.
func (a *Account) Refresh() secret.Ref { return cmp.Or(a.RefreshToken, secret.OfKeyring) }

// Address returns the account's own address: the first of From that is not a pattern;
// otherwise User, if that is an address. ok is false if there is neither.
func (a *Account) Address() (addr envelope.Address, ok bool) {
	for _, p := range a.From {
		if addr, ok := p.Address(); ok {
			return addr, true
		}
	}
	addr, err := envelope.Parse(a.User)
	if err != nil || addr.Domain() == "" {
		return envelope.Address{}, false
	}
	return addr, true
}

// isDomain reports whether s can be the domain of an address.
func isDomain(s string) bool {
	a, err := envelope.Parse("x@" + s)
	return err == nil && a.Domain() == s && s != ""
}
