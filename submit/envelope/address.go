package envelope

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// An Address is a mailbox in the form SMTP sends it, without angle brackets
// (RFC 5321 section 4.1.2). The zero Address is the null reverse-path <>. Only
// Parse makes any other, so an Address never holds a control character, and holds a
// space, bracket, comma or other special character only inside the quotes of its local
// part: it may be put into an SMTP command as it is.
type Address struct{ local, domain string }

// maxLength is the longest address that Parse takes, in octets. RFC 5321
// section 4.5.3.1.3 says 256; senders with encoded return paths exceed it.
const maxLength = 512

// Parse reads an addr-spec: local@domain, or a bare local name, which still
// has to be qualified. The empty string and "<>" are the null reverse-path;
// one pair of angle brackets and a source route (RFC 5321 appendix C) are
// dropped, and so is what Mend drops. Local parts that the world uses against
// the grammar (a..b@x, a.@x) are kept as they are; a quoted local part stays
// quoted unless it need not be.
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

// Mend returns an address without the characters at its ends that are no part of it:
// typographic quotes, white space outside ASCII and invisible characters, which are
// copied along from a page or a word processor, and one dot behind its domain, which
// name servers write.
func Mend(s string) string {
	s = trimMarks(s)
	if strings.HasSuffix(s, ".") && atSign(s) >= 0 {
		s = s[:len(s)-1]
	}
	return s
}

func trimMarks(s string) string { return strings.TrimFunc(s, IsMark) }

// IsMark reports whether r is a typographic quote, white space outside ASCII or
// an invisible character, which no address begins or ends with.
func IsMark(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return false
	case '\u2018' <= r && r <= '\u201f', r == '\u00ab', r == '\u00bb', r == '\u2039', r == '\u203a':
		return true
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// atSign returns the index of the @ between local part and domain: the last @ outside
// a quoted string; -1 if there is none.
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

// canonicalLocal checks a local part and writes a quoted one in its shortest
// form, so that "ann"@x and ann@x are one recipient (RFC 5321 section 4.1.2).
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

// isDotString reports whether s is an RFC 5321 Dot-string, which needs no
// quotes.
func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtext(r) }) {
			return false
		}
	}
	return true
}

// isAtext reports whether r may stand in an atom (RFC 5322 section 3.2.3, RFC
// 6531 section 3.3).
func isAtext(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	case r < utf8.RuneSelf:
		return strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	}
	return isPrintable(r)
}

// isPrintable reports whether a rune outside ASCII may stand in an address:
// no control or format character, no white space, no invalid encoding.
func isPrintable(r rune) bool {
	return r != utf8.RuneError && !unicode.IsSpace(r) && !unicode.Is(unicode.C, r)
}

func badCharacter(r rune) error {
	if r == utf8.RuneError {
		return fmt.Errorf("invalid UTF-8")
	}
	return fmt.Errorf("%q is not allowed", r)
}

// checkDomain takes a host name as the world writes it (underscores, UTF-8
// labels), or an address literal (RFC 5321 section 4.1.3).
func checkDomain(d string) error {
	if strings.HasPrefix(d, "[") {
		return checkLiteral(d)
	}
	for _, label := range strings.Split(d, ".") {
		if label == "" {
			return fmt.Errorf("domain %q has an empty label", d)
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

// String returns the address as SMTP sends it, without angle brackets; "" for
// the null reverse-path.
func (a Address) String() string {
	if a.domain == "" {
		return a.local
	}
	return a.local + "@" + a.domain
}

// Local returns the local part as SMTP sends it, quoted if it must be.
func (a Address) Local() string { return a.local }

// Domain returns the domain, or "" for a bare name.
func (a Address) Domain() string { return a.domain }

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a == Address{} }

// UTF8 reports whether a holds a character outside ASCII, and so needs
// SMTPUTF8 (RFC 6531).
func (a Address) UTF8() bool {
	outside := func(r rune) bool { return r >= utf8.RuneSelf }
	return strings.ContainsFunc(a.local, outside) || strings.ContainsFunc(a.domain, outside)
}

// ASCII returns a with its domain in A-labels (RFC 5890). ok is false if the local part
// is not ASCII or the domain has no such form.
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

// Qualify returns a with the given domain, if a has none and is not null. The error is
// that of a domain that Parse would not take.
func (a Address) Qualify(domain string) (Address, error) {
	if a.IsNull() || a.domain != "" || domain == "" {
		return a, nil
	}
	return Parse(a.local + "@" + domain)
}

// Key returns the form in which two addresses are compared: the domain in
// lower case, the local part as it is (RFC 5321 section 2.4).
func (a Address) Key() string {
	return a.local + "@" + strings.ToLower(a.domain)
}
