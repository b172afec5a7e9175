package rewrite

import (
	"cmp"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/envelope"
)

// private are the last labels of host names that exist in one network only.
var private = [...]string{".local", ".localdomain", ".localhost", ".lan", ".home", ".internal", ".home.arpa", ".intranet", ".private"}

// IsPrivate reports whether the domain of a is unknown outside this host's network.
func IsPrivate(a envelope.Address) bool {
	domain := strings.ToLower(a.Domain())
	return !strings.ContainsAny(domain, ".[") || isPrivateHost(domain)
}

// isPrivateHost reports whether host, in lower case, ends with a suffix in private.
func isPrivateHost(host string) bool {
	return slices.ContainsFunc(private[:], func(end string) bool { return strings.HasSuffix(host, end) })
}

// isLocal reports whether a is an address of this host: without a domain, at localhost,
// or at the host's full name.
func (u *Rules) isLocal(a envelope.Address) bool {
	d := strings.ToLower(a.Domain())
	return !strings.ContainsAny(d, ".[") || isLoopback(d) || d == strings.ToLower(u.identity.FQDN)
}

// IsLocalSender reports whether a, as a sender, is an address of this host. It knows
// more of these than IsLocal: recipients at the mail name, or at HOST.lan, may be on
// another host.
func (u *Rules) IsLocalSender(a envelope.Address) bool {
	return u.isLocal(a) || strings.EqualFold(a.Domain(), u.identity.Mailname) || u.nameHere(a) != ""
}

// isLoopback reports whether domain, in lower case, is a name of the loopback interface
// (RFC 6761), also as /etc/hosts of several systems writes it.
func isLoopback(domain string) bool {
	first, rest, _ := strings.Cut(domain, ".")
	switch first {
	case "localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback":
		switch rest {
		case "", "localdomain", "localdomain4", "localdomain6":
			return true
		}
	}
	return strings.HasSuffix(domain, ".localhost")
}

// NameFor returns a display name for a sender whose address is replaced, if the address
// says which host sends (NAME@HOST); else "". sender may be nil.
func (u *Rules) NameFor(sender *envelope.Address) string {
	if sender == nil || u.config.Domain != "" {
		return ""
	}
	return u.nameHere(*sender)
}

// nameHere returns NAME@HOST for NAME@HOST.lan, where HOST is this host and .lan stands
// for any suffix in private; else "". The name tells apart hosts that share an account.
func (u *Rules) nameHere(a envelope.Address) string {
	domain := strings.ToLower(a.Domain())
	first, _, _ := strings.Cut(domain, ".")
	host, _, _ := strings.Cut(cmp.Or(u.identity.FQDN, u.identity.Hostname), ".")
	if first == "" || !strings.EqualFold(first, host) || isLoopback(domain) {
		return ""
	}
	for _, end := range private {
		if name, ok := strings.CutSuffix(domain, end); ok {
			return a.Local() + "@" + name
		}
	}
	return ""
}

// HelloName returns our name in EHLO for mail from sender: the setting hostname, else
// this host's full name if it is not private, else the sender's domain, else the domain
// of the account's own address. It asks no name server.
func (u *Rules) HelloName(sender envelope.Address) string {
	host := strings.ToLower(u.identity.FQDN)
	if isPrivateHost(host) {
		host = ""
	}
	return helloOf(u.config.Hostname, host, sender.Domain(), u.own.Domain(), u.identity.Hostname)
}

// Hostname returns our name for places where it need not be public: replies to clients,
// and header fields.
func Hostname(c *config.Config, id config.Identity) string {
	return helloOf(c.Hostname, id.FQDN, id.Hostname)
}

// helloOf returns the first name that is valid in EHLO, or "localhost". configured is
// the setting hostname, which may be an address literal.
func helloOf(configured string, names ...string) string {
	if strings.HasPrefix(configured, "[") {
		return configured // config has checked the literal
	}
	for _, name := range append([]string{configured}, names...) {
		if isHostName(name) {
			return name
		}
	}
	return "localhost"
}

// isHostName reports whether name consists of labels of letters, digits and hyphens, and
// is no IPv4 address (RFC 1123 section 2.1). Servers refuse other names in EHLO.
func isHostName(name string) bool {
	const lettersAndDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, lettersAndDigits+"-") != "" ||
			strings.Trim(label, "-") != label {
			return false
		}
	}
	return len(name) <= 253 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}
