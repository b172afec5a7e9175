package rewrite

import (
	"cmp"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/envelope"
)

// private are the ends of host names that mean nothing to other networks.
var private = [...]string{".local", ".localdomain", ".localhost", ".lan", ".home", ".internal", ".home.arpa", ".intranet", ".private"}

// IsPrivate reports whether no server elsewhere can know the domain of a.
func IsPrivate(a envelope.Address) bool {
	domain := strings.ToLower(a.Domain())
	return !strings.ContainsAny(domain, ".[") || isPrivateHost(domain)
}

// isPrivateHost reports whether host, in lower case, has a private end.
func isPrivateHost(host string) bool {
	return slices.ContainsFunc(private[:], func(end string) bool { return strings.HasSuffix(host, end) })
}

// isLocal reports whether a is an address that means something on this host
// only.
func (u *Rules) isLocal(a envelope.Address) bool {
	d := strings.ToLower(a.Domain())
	return !strings.ContainsAny(d, ".[") || isLoopback(d) || d == strings.ToLower(u.identity.FQDN)
}

// IsLocalSender reports whether a, as a sender, means something on this host only.
// A recipient with the same domain may be on another host.
func (u *Rules) IsLocalSender(a envelope.Address) bool {
	return u.isLocal(a) || strings.EqualFold(a.Domain(), u.identity.Mailname) || u.nameHere(a) != ""
}

// isLoopback reports whether domain, in lower case, is a name that every host
// has for itself (RFC 6761), as /etc/hosts of several systems writes it.
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

// NameFor returns the name for a sender whose address is replaced, if that says which
// host it is; sender may be nil.
func (u *Rules) NameFor(sender *envelope.Address) string {
	if sender == nil || u.config.Domain != "" {
		return ""
	}
	return u.nameHere(*sender)
}

// nameHere returns NAME@HOST for NAME@HOST.lan, where HOST is this host and .lan
// stands for any private end: it tells apart several hosts that share an account. It
// returns "" for any other address.
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

// HelloName returns our name in EHLO for mail from sender: the one that is
// configured, else this host's if it looks public, else the sender's domain or, for
// the null sender, that of the account's own address. No name server is asked.
func (u *Rules) HelloName(sender envelope.Address) string {
	host := strings.ToLower(u.identity.FQDN)
	if isPrivateHost(host) {
		host = ""
	}
	return helloOf(u.config.Hostname, host, sender.Domain(), u.own.Domain(), u.identity.Hostname)
}

// Hostname returns our name where it need not be a public one: in replies to
// clients and in fields of the header.
func Hostname(c *config.Config, id config.Identity) string {
	return helloOf(c.Hostname, id.FQDN, id.Hostname)
}

// helloOf returns the first name that may stand in EHLO, or "localhost". set is the
// configured name, which may be an address literal.
func helloOf(set string, names ...string) string {
	if strings.HasPrefix(set, "[") {
		return set // the configuration has been checked
	}
	for _, name := range append([]string{set}, names...) {
		if isHostName(name) {
			return name
		}
	}
	return "localhost"
}

// isHostName reports whether name is a host name of letters, digits and hyphens, and
// no IPv4 address (RFC 1123 section 2.1): servers refuse other names in EHLO.
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
