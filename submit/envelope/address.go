package envelope

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// An Address is a mailbox as SMTP sends it, without angle brackets (RFC 5321 section
// 4.1.2). The zero Address is the null reverse-path <>; every other Address was made by
// Parse. So an Address has no control characters, and special characters, such as a space,
// bracket or comma, only in the quotes of its local part: it can be put into an SMTP
// command unchanged.
type Address struct{ local, domain string }

// maxLength limits the octets of an address. RFC 5321 section 4.5.3.1.3 allows 256, but
// some senders with encoded return paths use more.
const maxLength = 512

// Parse reads an addr-spec: local@domain, or a local part alone, to which Qualify can add a
// domain. "" and "<>" are the null reverse-path. Parse removes one pair of angle brackets,
// a source route (RFC 5321 appendix C), and what Mend removes. It accepts dots in any place
// of a local part (a..b@x, a.@x), because they are in use, although the grammar forbids
// them. It removes the quotes of a local part that needs none.
func Parse(s string) (Address, error) {
	t := trimMarks(strings.Trim(s, " \t"))
	if strings.HasPrefix(t, "<") && strings.HasSuffix(t, ">") {
		t = t[1 : len(t)-1]
	}
	if t == "" && !strings.ContainsFunc(s, IsMark) {
		return Address{}, nil
	}
	if t = Mend(t); t == "" {
		return Address{}, fmt.Errorf("address %q has no local part", s)
	}
	if len(t) > maxLength {
		return Address{}, fmt.Errorf("address %.40q… is longer than %d octets", t, maxLength)
	}
	if t[0] == '@' {
		_, after, ok := strings.Cut(t, ":")
		if !ok {
			return Address{}, fmt.Errorf("address %q has no local part", s)
		}
		t = after
	}
	a := Address{local: t}
	if at := atSign(t); at >= 0 {
		a.local, a.domain = t[:at], t[at+1:]
		if err := checkDomain(a.domain); err != nil {
			return Address{}, fmt.Errorf("address %q: %w", s, err)
		}
	}
	var err error
	if a.local, err = canonicalLocal(a.local); err != nil {
		return Address{}, fmt.Errorf("address %q: %w", s, err)
	}
	return a, nil
}

// Mend removes from both ends of s the characters of IsMark, which are often copied with
// an address from a web page or a word processor. If s has a domain, Mend removes one dot
// at its end, too, as name servers write it.
func Mend(s string) string {
	s = trimMarks(s)
	if strings.HasSuffix(s, ".") && atSign(s) >= 0 {
		s = s[:len(s)-1]
	}
	return s
}

func trimMarks(s string) string { return strings.TrimFunc(s, IsMark) }

// IsMark reports whether r is a typographic quote, white space outside ASCII, or an
// invisible character. No address begins or ends with such a character.
func IsMark(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return false
	case '\u2018' <= r && r <= '\u201f', r == '\u00ab', r == '\u00bb', r == '\u2039', r == '\u203a':
		return true
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// atSign returns the index of the "@" between local part and domain, which is the last one
// outside a quoted string; -1 if there is none.
func atSign(s string) int {
	if !strings.HasPrefix(s, `"`) {
		return strings.LastIndexByte(s, '@')
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if i+1 < len(s) && s[i+1] == '@' {
				return i + 1
			}
			return -1
		}
	}
	return -1
}

// canonicalLocal checks a local part, and returns the shortest form of a quoted one, so that
// "ann"@x and ann@x are the same recipient (RFC 5321 section 4.1.2).
func canonicalLocal(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("no local part")
	}
	if s[0] != '"' {
		for _, r := range s {
			if !isAtext(r) && r != '.' {
				return "", badCharacter(r)
			}
		}
		return s, nil
	}
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", fmt.Errorf("unfinished quoted string")
	}
	var plain strings.Builder
	inner := s[1 : len(s)-1]
	escaped := false
	for _, r := range inner {
		switch {
		case !escaped && r == '\\':
			escaped = true
			continue
		case !escaped && r == '"':
			return "", fmt.Errorf("text after the quoted string")
		case r < ' ' || r == 0x7f || r >= utf8.RuneSelf && !isPrintable(r):
			return "", badCharacter(r)
		}
		escaped = false
		plain.WriteRune(r)
	}
	if escaped {
		return "", fmt.Errorf("unfinished quoted string")
	}
	if isDotString(plain.String()) {
		return plain.String(), nil
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain.String()) + `"`, nil
}

// isDotString reports whether s is a Dot-string (RFC 5321 section 4.1.2), which needs no
// quotes.
func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtext(r) }) {
			return false
		}
	}
	return true
}

// isAtext reports whether r is allowed in an atom (RFC 5322 section 3.2.3, RFC 6531 section
// 3.3).
func isAtext(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	case r < utf8.RuneSelf:
		return strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	}
	return isPrintable(r)
}

// isPrintable reports whether r, which is not ASCII, is allowed in an address: it is no
// control or format character, no white space, and no invalid encoding.
func isPrintable(r rune) bool {
	return r != utf8.RuneError && !unicode.IsSpace(r) && !unicode.Is(unicode.C, r)
}

func badCharacter(r rune) error {
	if r == utf8.RuneError {
		return fmt.Errorf("invalid UTF-8")
	}
	return fmt.Errorf("%q is not allowed", r)
}

// checkDomain returns an error if d is neither a host name, which may have underscores and
// UTF-8 labels, nor an address literal (RFC 5321 section 4.1.3).
func checkDomain(d string) error {
	if strings.HasPrefix(d, "[") {
		return checkLiteral(d)
	}
	if d == "" {
		return fmt.Errorf("no domain after the \"@\"")
	}
	for _, label := range strings.Split(d, ".") {
		if label == "" {
			return fmt.Errorf("the domain %q has an extra dot", d)
		}
		for _, r := range label {
			ok := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
				r == '-' || r == '_' || r >= utf8.RuneSelf && isPrintable(r)
			if !ok {
				return badCharacter(r)
			}
		}
	}
	return nil
}

func checkLiteral(d string) error {
	inner, ok := strings.CutSuffix(d[1:], "]")
	if !ok {
		return fmt.Errorf("unfinished address literal")
	}
	inner, six := strings.CutPrefix(inner, "IPv6:")
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Zone() != "" || ip.Is4() == six {
		return fmt.Errorf("[%s] is not an IP address", inner)
	}
	return nil
}

// String returns the address as SMTP sends it, without angle brackets; "" for the null
// reverse-path.
//
//go:noinline
func (a Address) String() string {
	if a.domain == "" {
		return a.local
	}
	return a.local + "@" + a.domain
}

// Local returns the local part as SMTP sends it, quoted if it must be.
func (a Address) Local() string { return a.local }

// Domain returns the domain; "": there is none.
func (a Address) Domain() string { return a.domain }

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a == Address{} }

// UTF8 reports whether a is not ASCII, and so needs SMTPUTF8 (RFC 6531).
func (a Address) UTF8() bool {
	outside := func(r rune) bool { return r >= utf8.RuneSelf }
	return strings.ContainsFunc(a.local, outside) || strings.ContainsFunc(a.domain, outside)
}

// ASCII returns a with its domain in A-labels (RFC 5890). ok is false if the local part is
// not ASCII, or if the domain cannot be written in A-labels.
func (a Address) ASCII() (ascii Address, ok bool) {
	if !a.UTF8() {
		return a, true
	}
	domain, err := idna.Lookup.ToASCII(a.domain)
	if err != nil {
		return Address{}, false
	}
	ascii, err = Parse(a.local + "@" + domain)
	if err != nil || ascii.UTF8() {
		return Address{}, false
	}
	return ascii, true
}

// Qualify returns a with domain if a has no domain; a null a stays null, and a domain of ""
// changes nothing. The error says that Parse refuses the domain.
func (a Address) Qualify(domain string) (Address, error) {
	if a.IsNull() || a.domain != "" || domain == "" {
		return a, nil
	}
	return Parse(a.local + "@" + domain)
}

// Key returns a form of a for comparisons: two addresses are the same if their keys are
// equal. The domain is in lower case, the local part as it is (RFC 5321 section 2.4).
func (a Address) Key() string {
	return a.local + "@" + strings.ToLower(a.domain)
}
