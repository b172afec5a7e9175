package config

import (
	"errors"
	"strings"

	"sendoff/submit/envelope"
)

// A Pattern is a sender's address, or a pattern for addresses: * stands for any characters,
// in the local part or in the domain.
type Pattern struct{ local, domain string }

// UnmarshalText reads an address with a domain, and with any number of *.
func (p *Pattern) UnmarshalText(text []byte) error {
	// A * in the local part is allowed in an address as well; replace only those in the
	// domain.
	s := strings.TrimSuffix(string(text), ".")
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return errors.New("an address or pattern needs an @, as in *@example.org")
	}
	domain := strings.ReplaceAll(s[at+1:], "*", "x")
	a, err := envelope.Parse(s[:at+1] + domain)
	if err != nil || domain == "" || a.Domain() != domain {
		return errors.New("not an address, nor a pattern of one")
	}
	p.local, p.domain = a.Local(), s[at+1:]
	return nil
}

// Matches reports whether addr matches p. Domains are compared without regard to case,
// local parts exactly.
func (p Pattern) Matches(addr envelope.Address) bool {
	return addr.Domain() != "" && glob(p.local, addr.Local()) && glob(strings.ToLower(p.domain), strings.ToLower(addr.Domain()))
}

// Address returns p as an address; ok is false if p is a pattern.
func (p Pattern) Address() (addr envelope.Address, ok bool) {
	if p.domain == "" || strings.Contains(p.local+p.domain, "*") {
		return envelope.Address{}, false
	}
	addr, err := envelope.Parse(p.String())
	return addr, err == nil
}

// String returns the pattern in the form of the configuration.
func (p Pattern) String() string { return p.local + "@" + p.domain }

// glob reports whether s matches pattern, in which * stands for any characters.
func glob(pattern, s string) bool {
	head, rest, ok := strings.Cut(pattern, "*")
	if !ok {
		return s == pattern
	}
	s, ok = strings.CutPrefix(s, head)
	if !ok {
		return false
	}
	for {
		part, next, ok := strings.Cut(rest, "*")
		if !ok {
			return strings.HasSuffix(s, rest)
		}
		i := strings.Index(s, part) // the first match leaves the longest rest for the other parts
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], next
	}
}

// HasDomain reports whether p can match an address in domain.
func (p Pattern) HasDomain(domain string) bool {
	return glob(strings.ToLower(p.domain), strings.ToLower(domain))
}
