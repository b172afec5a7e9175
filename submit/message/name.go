package message

import (
	"errors"
	"io"
	"mime"
	"strings"
	"unicode"
)

// String returns b for a header field: the address, or the name and the address in angle
// brackets. The name is quoted or encoded (RFC 2047) if it must be: no name can end the
// field or add an address.
func (b Mailbox) String() string {
	name := phrase(b.Name)
	switch {
	case name == "" && b.Address.IsNull():
		return "<>"
	case name == "":
		return b.Address.String()
	}
	return name + " <" + b.Address.String() + ">"
}

// phrase writes a name as an RFC 5322 phrase.
func phrase(name string) string {
	name = clean(name)
	ascii, atoms := true, true
	for _, r := range name {
		ascii = ascii && r < 0x80
		atoms = atoms && (r == ' ' || r < 0x80 && !strings.ContainsRune(`()<>[]:;@\,."`, r))
	}
	switch {
	case !ascii:
		// In a phrase, the Q encoding may not leave these characters as they are
		// (RFC 2047 section 5), but mime.QEncoding does.
		if strings.ContainsAny(name, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") {
			return mime.BEncoding.Encode("utf-8", name)
		}
		return mime.QEncoding.Encode("utf-8", name)
	case atoms && !strings.Contains(name, "=?"):
		return name
	}
	return quote(name)
}

// clean replaces control characters and line ends, and every run of white space, with one
// space, and invalid UTF-8 with U+FFFD.
func clean(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	return strings.Join(strings.Fields(name), " ")
}

// name returns the decoded text of the tokens of a phrase, without comments.
func (p *parser) name(ts []token) string {
	var b strings.Builder
	last := -1
	for _, t := range ts {
		if t.kind == '(' {
			continue
		}
		if last >= 0 && t.start > last {
			b.WriteByte(' ')
		}
		last = t.end
		b.WriteString(p.plain(t))
	}
	return decode(b.String())
}

// lastComment returns the decoded text of the last comment of the member: old programs
// write "address (name)" instead of "name <address>".
func (p *parser) lastComment() string {
	for i := len(p.tokens) - 1; i >= 0; i-- {
		if t := p.tokens[i]; t.kind == '(' {
			return decode(unescape(p.text[t.start+1 : t.end-1]))
		}
	}
	return ""
}

// decode returns s cleaned, with its encoded words decoded if all their character sets are
// known. Octets of unknownCharset, which encodeText writes, are as they were before.
func decode(s string) string {
	if s == "" {
		return ""
	}
	if strings.Contains(s, "=?") {
		d := mime.WordDecoder{CharsetReader: func(charset string, octets io.Reader) (io.Reader, error) {
			if charset != unknownCharset {
				return nil, errors.ErrUnsupported
			}
			return octets, nil
		}}
		if t, err := d.DecodeHeader(s); err == nil {
			s = t
		}
	}
	return clean(s)
}

// unquote returns the text of the quoted string s, unfolded.
func unquote(s string) string { return unescape(s[1 : len(s)-1]) }

// unescape removes line ends, and the backslashes of quoted pairs, from s.
func unescape(s string) string {
	if !strings.ContainsAny(s, "\\\r\n") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\r' || s[i] == '\n':
			continue
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
