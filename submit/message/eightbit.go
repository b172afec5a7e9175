package message

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A syntax says where encoded words may stand in the value of a header field (RFC 2047
// section 5).
type syntax struct {
	how    string // what encode does, as the text of a Change
	encode func(w *wordWriter, value string)
}

// The syntaxes. Most fields are free text, also the fields that no RFC defines.
var (
	freeText  = syntax{encoded, (*wordWriter).words}
	mailboxes = syntax{encoded, (*wordWriter).addresses}
	brackets  = syntax{encoded, (*wordWriter).brackets}
	comments  = syntax{encoded, (*wordWriter).comments}
	typed     = syntax{"its parameters encoded (RFC 2231), they were not ASCII", (*wordWriter).parameters}
)

const encoded = "encoded (RFC 2047), it was not ASCII"

// fieldSyntax are the fields that are not free text, by a name for matches. The fields in
// rewrittenFields have the syntax mailboxes, too.
var fieldSyntax = []struct {
	name   string
	syntax *syntax
}{
	{"Delivered-To", &mailboxes},
	{"Keywords", &brackets},
	{"Message-ID", &brackets},
	{"In-Reply-To", &brackets},
	{"References", &brackets},
	{"Resent-Message-ID", &brackets},
	{"Content-ID", &brackets},
	{"List-", &brackets},
	{"Received", &comments},
	{"Received-SPF", &comments},
	{"Authentication-Results", &comments},
	{"ARC-", &comments},
	{"Content-Type", &typed},
	{"Content-Disposition", &typed},
}

func (f field) syntax() *syntax {
	if slices.ContainsFunc(rewrittenFields[:], f.is) {
		return &mailboxes
	}
	for _, row := range fieldSyntax {
		if f.matches(row.name) {
			return row.syntax
		}
	}
	return &freeText
}

// EncodeHeader makes the header of unsigned mail ASCII, except for addresses, so that a
// next server without SMTPUTF8 has no reason to bounce the message (RFC 6531 section
// 3.4). It adds MIME fields if the body is 8-bit text and has none. It returns what it
// changed; for signed mail nothing.
func (m *Message) EncodeHeader() []Change {
	if m.signed {
		return nil
	}
	changes := m.labelBody()
	charset := legacyCharset(m.fields)
	count := 0
	for i, f := range m.fields {
		if !f.isSent() {
			continue
		}
		e, how := f.encoded(charset)
		if how == "" {
			continue
		}
		m.fields[i] = e
		if count++; count <= maxChanges {
			changes = append(changes, Change{string(f.raw[:f.name]), how})
		}
	}
	if count > maxChanges {
		changes = append(changes, Change{"header", fmt.Sprintf("%d more fields encoded", count-maxChanges)})
	}
	return append(changes, m.encodeParts()...)
}

// encoded returns f with its text in ASCII, and how f was changed; "": f is as it was.
// charset is the character set of text that is not UTF-8.
func (f field) encoded(charset string) (field, string) {
	if f.name == 0 || !hasEightBit(f.raw) {
		return f, ""
	}
	s, value := f.syntax(), f.value()
	if len(value) > maxStructured && s != &freeText && s != &mailboxes {
		return f, ""
	}
	w := wordWriter{charset: "utf-8"}
	if !utf8.Valid(value) {
		w.charset = charset
	}
	w.raw = append(make([]byte, 0, len(f.raw)+len(f.raw)/2), f.raw[:len(f.raw)-len(value)]...)
	s.encode(&w, string(value))
	w.flush()
	if string(w.raw) == string(f.raw) {
		return f, ""
	}
	return field{w.raw, f.name}.folded(), s.how
}

// legacyCharset returns the character set of header text that is not UTF-8: that of the
// body, because one program wrote both, or else unknownCharset.
func legacyCharset(fields []field) string {
	charset := strings.ToLower(contentType(fields, "text/plain").charset)
	token := charset != "" && len(charset) <= 20 && strings.Trim(charset, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	if !token || strings.HasPrefix(charset, "utf") || charset == "us-ascii" {
		return unknownCharset
	}
	return charset
}

// unknownCharset labels 8-bit text that is not UTF-8 (RFC 1428).
const unknownCharset = "unknown-8bit"

// Charset returns a character set for the body if the body is text: us-ascii, utf-8 or
// unknown-8bit.
func (m *Message) Charset() string {
	switch {
	case m.body.notUTF8:
		return unknownCharset
	case m.body.eight:
		return "utf-8"
	}
	return "us-ascii"
}

// labelBody adds MIME fields if the body is 8-bit text without a Content-Type.
func (m *Message) labelBody() (changes []Change) {
	if !m.body.eight || !transferEncoding(m.fields).isIdentity() || !m.lacks("Content-Type") {
		return nil
	}
	for _, f := range [...]field{
		newField("MIME-Version", "1.0"),
		newField("Content-Type", "text/plain; charset="+m.Charset()),
		newField("Content-Transfer-Encoding", "8bit"),
	} {
		name := string(f.raw[:f.name])
		if !m.lacks(name) {
			continue
		}
		m.fields = append(m.fields, f)
		changes = append(changes, Change{name, fmt.Sprintf("added %s, for the 8-bit text in the body", strings.TrimSpace(string(f.value())))})
	}
	return changes
}

// encodeParts finds out whether the header of a part of the body is 8-bit. If so, Open
// will encode the headers of all parts.
func (m *Message) encodeParts() []Change {
	name := contentType(m.fields, "text/plain").name
	if !m.body.eight || !strings.HasPrefix(name, "multipart/") {
		return nil
	}
	r := recoder{src: scanBody(m.body), ahead: scanBody(m.body), allowEight: true}
	r.content(r.plan(m.fields, name))
	if m.eightBitParts = r.found; !m.eightBitParts {
		return nil
	}
	return []Change{{"MIME parts", "their header fields encoded (RFC 2047, RFC 2231), they were not ASCII"}}
}

// needsUTF8 reports whether f has an address that is not ASCII, so that f can only be
// sent with SMTPUTF8.
func (f field) needsUTF8() bool {
	if !f.isSent() || !hasEightBit(f.raw) {
		return false
	}
	switch s := f.syntax(); {
	case s == &mailboxes:
		found := false
		eachAddress(string(f.value()), func(b Mailbox) { found = found || b.Address.UTF8() })
		return found
	case s == &comments && len(f.raw) <= maxStructured: // a trace field has addresses and domains outside its comments
		return hasEightBit([]byte(withoutComments(string(f.value()))))
	}
	return false
}

// brackets writes a value of words and comments, with message IDs or URIs of mailing
// lists between angle brackets. Encoded words are not allowed there: each octet outside
// ASCII becomes %XX, as in a URI (RFC 3986).
func (w *wordWriter) brackets(value string) {
	p := parser{text: value}
	m := memberWriter{w: w, p: &p}
	angle := false
	for {
		t, err := p.lex()
		if err != nil || t.kind == 0 {
			w.words(value[m.end:])
			return
		}
		switch {
		case t.kind == '<':
			angle = true
			m.raw(t)
		case t.kind == '>':
			angle = false
			m.raw(t)
		case angle:
			w.flush()
			w.text(m.space(t) + percent(p.textOf(t)))
			m.end = t.end
		case t.kind == '(':
			m.comment(t)
		case t.kind == 'a' || t.kind == 'q':
			m.word([]token{t}, 0)
		default:
			m.raw(t)
		}
	}
}

// percent writes the octets of s that are not ASCII as %XX.
func percent(s string) string {
	var b []byte
	for _, c := range []byte(s) {
		if c < utf8.RuneSelf {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// comments writes the value of a structured field in which only comments are text.
func (w *wordWriter) comments(value string) {
	written := 0
	for i, end := range lexemes(value) {
		if value[i] == '(' && end > i+1 {
			w.comment(value[written:i], value[i:end])
			written = end
		}
	}
	w.text(value[written:])
}
