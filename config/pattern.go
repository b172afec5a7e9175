package config

import (
	"errors"
	"strings"

	"sendoff/submit/envelope"
)

// A Pattern is a sender's address, or many: * stands for any characters, in
// the local part or in the domain.
type Pattern struct{ local, domain string }

// UnmarshalText reads an address that has a domain, with any number of *.
func (p *Pattern) UnmarshalText(text []byte) error {
	// An address may hold a * as it is, in its local part only.
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

// Matches reports whether addr is p or one of those p stands for. Domains are
// compared without regard to case, local parts exactly.
func (p Pattern) Matches(addr envelope.Address) bool {
	return addr.Domain() != "" && glob(p.local, addr.Local()) && glob(strings.ToLower(p.domain), strings.ToLower(addr.Domain()))
}

// Address returns the address that p is, unless it is a pattern.
func (p Pattern) Address() (addr envelope.Address, ok bool) {
	if p.domain == "" || strings.Contains(p.local+p.domain, "*") {
		return envelope.Address{}, false
	}
	addr, err := envelope.Parse(p.String())
	return addr, err == nil
}

// String returns the pattern as it is written.
func (p Pattern) String() string { return p.local + "@" + p.domain }

// glob reports whether s is pattern with something in place of each *.
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
		part, more, ok := strings.Cut(rest, "*")
		if !ok {
			return strings.HasSuffix(s, rest)
		}
		i := strings.Index(s, part) // the first place leaves most to the rest
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], more
	}
}

// HasDomain reports whether some address that p matches is in domain.
func (p Pattern) HasDomain(domain string) bool {
	return glob(strings.ToLower(p.domain), strings.ToLower(domain))
}
