package submit

import (
	"cmp"
	"strings"

	"sendoff/submit/envelope"
)

// isLocal reports whether a is an address that means something on this host
// only.
func (s *Submitter) isLocal(a envelope.Address) bool {
	d := strings.ToLower(a.Domain())
	return !strings.ContainsAny(d, ".[") || isLoopback(d) || d == strings.ToLower(s.Identity.FQDN)
}

// isLocalSender reports whether a, which sends, means something on this host
// only. Mail for such a name may be meant for another host.
func (s *Submitter) isLocalSender(a envelope.Address) bool {
	return s.isLocal(a) || strings.EqualFold(a.Domain(), s.Identity.Mailname) || s.nameHere(a) != ""
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

// private are the ends of host names that mean nothing to others.
var private = [...]string{".local", ".localdomain", ".localhost", ".lan", ".home", ".internal", ".home.arpa", ".intranet", ".private"}

// nameHere returns NAME@HOST for NAME@HOST.lan, where HOST is this host and .lan
// any private end: several hosts that share an account are told apart by it. It
// returns "" for any other address.
func (s *Submitter) nameHere(a envelope.Address) string {
	domain := strings.ToLower(a.Domain())
	first, _, _ := strings.Cut(domain, ".")
	host, _, _ := strings.Cut(cmp.Or(s.Identity.FQDN, s.Identity.Hostname), ".")
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

// helloName is our name in EHLO: the one that is set, else this host's if it
// looks public, else the sender's domain or, for the null sender, that of the
// account's own address. No name server is asked.
func (s *Submitter) helloName(sender, own envelope.Address) string {
	host := strings.ToLower(s.Identity.FQDN)
	for _, end := range private {
		if strings.HasSuffix(host, end) {
			host = ""
		}
	}
	return helloOf(s.Config.Hostname, host, sender.Domain(), own.Domain(), s.Identity.Hostname)
}

// hostname is our name where it need not be a public one.
func (s *Submitter) hostname() string {
	return helloOf(s.Config.Hostname, s.Identity.FQDN, s.Identity.Hostname)
}

// helloOf returns the first of names that may stand in EHLO, which for set, the
// one that is configured, is also an address literal.
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

// isHostName reports whether name is one of letters, digits and hyphens that is
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
