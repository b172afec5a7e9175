package message

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sendoff/submit/envelope"
)

// A Mailbox is one address of a list, with its name.
type Mailbox struct {
	Name    string // display name or comment, decoded, without control characters
	Address envelope.Address

	start, end int  // the address is text[start:end] of the parsed text
	open       int  // index of the "<" before the address; -1: there is none
	after      int  // end of the marks behind the ">"; 0: there are none
	mended     bool // text[start:end] is not Address: it has marks, quotes or white space, too
	unnamed    bool // an undisclosed-recipients group, without an Address
}

// ParseAddressList reads a header value, or a command-line argument, as a list of
// addresses with names and comments (RFC 5322 section 3.4, its obsolete forms, and forms
// that are not in it but in use: bare names, ";" between addresses, dots and "@" in
// names). Empty members and empty groups, also in angle brackets, are no error. If a
// member is no address, ParseAddressList still returns the others, and the error is about
// the first such member.
func ParseAddressList(s string) ([]Mailbox, error) {
	var boxes []Mailbox
	err := eachAddress(s, func(b Mailbox) { boxes = append(boxes, b) })
	return boxes, err
}

// eachAddress is ParseAddressList without the list: a list of all addresses of a long
// header would need a hundred times the memory of the header.
func eachAddress(s string, found func(Mailbox)) error {
	var bad faults
	eachMember(s, func(b Mailbox) {
		if !b.unnamed {
			found(b)
		}
	}, bad.add)
	return bad.err()
}

// eachMember calls found for each address, the null address and undisclosed recipients
// included, and failed with the error of each member that is no address. failed may be
// nil.
func eachMember(s string, found func(Mailbox), failed func(error)) {
	p := parser{text: s, found: found, failed: failed}
	if b, ok := unnamedHost(s); ok {
		found(b)
		return
	}
	p.list()
}

// faults are the errors of the members of a list.
type faults struct {
	first []error // at most maxFaults
	more  int     // number of further errors
}

// maxFaults limits the errors that are kept of a header: an error takes more memory than
// the member that it is about.
const maxFaults = 50

func (f *faults) add(err error) {
	if len(f.first) < maxFaults {
		f.first = append(f.first, err)
	} else {
		f.more++
	}
}

// err returns the first error with the number of the others; nil: there is none.
func (f *faults) err() error {
	switch n := len(f.first) - 1 + f.more; {
	case n < 0:
		return nil
	case n > 0:
		return fmt.Errorf("%w (and %d more)", f.first[0], n)
	}
	return f.first[0]
}

// maxWords limits the tokens of a member, so that memory is bounded. No person's name has
// so many.
const maxWords = 500

// A token is a lexical token (RFC 5322 section 3.2). Its kind is 'a' for an atom, which
// may have dots here, 'q' for a quoted string, '(' for a comment, '[' for a domain
// literal, 0 for the end of the text, and otherwise the special character itself.
type token struct {
	kind       byte
	start, end int
}

// A parser reads the text of an address list.
type parser struct {
	text   string
	pos    int
	tokens []token // the first maxWords tokens of the current member
	words  int     // number of tokens of the current member
	start  int     // index in text of the current member
	found  func(Mailbox)
	failed func(error)
}

func (p *parser) fail(end int, err error) {
	if p.failed != nil {
		p.failed(fmt.Errorf("%s: %w", clip(p.text[p.start:end]), err))
	}
}

// clip returns the first 80 octets of s, quoted for an error.
func clip(s string) string {
	s = strings.Trim(s, " \t\r\n")
	if len(s) > 80 {
		return strconv.Quote(s[:80]) + "…"
	}
	return strconv.Quote(s)
}

// list reads the whole text, member by member.
func (p *parser) list() {
	for {
		end, err := p.next()
		if err != nil {
			p.fail(len(p.text), err)
			return
		}
		if end.kind != ':' {
			p.member(end.start)
		}
		if end.kind == 0 {
			return
		}
	}
}

// next reads the tokens of the next member, and returns the token that ends it: a comma or
// semicolon, the colon after the name of a group, or the end of the text. A colon after an
// "@" or a bracket does not end the member: it is part of a source route, or an error.
func (p *parser) next() (token, error) {
	p.tokens, p.words, p.start = p.tokens[:0], 0, p.pos
	special, angle := false, false
	for {
		t, err := p.lex()
		switch {
		case err != nil || t.kind == 0:
			return t, err
		case t.kind == '<', t.kind == '>':
			special, angle = true, t.kind == '<'
		case t.kind == '@':
			special = true
		case angle:
		case t.kind == ',', t.kind == ';', t.kind == ':' && !special:
			return t, nil
		}
		if p.words++; p.words <= maxWords {
			p.tokens = append(p.tokens, t)
		}
	}
}

// index returns the index of the first token of that kind, -1 if there is none.
func index(ts []token, kind byte) int {
	return slices.IndexFunc(ts, func(t token) bool { return t.kind == kind })
}

// plain returns the text of t; the text of a quoted string is without its quotes.
func (p *parser) plain(t token) string {
	if t.kind == 'q' {
		return unquote(p.textOf(t))
	}
	return p.textOf(t)
}

// lex returns the next token; its kind is 0 at the end, where it is empty.
func (p *parser) lex() (token, error) {
	s := p.text
	for p.pos < len(s) && isFolding(s[p.pos]) {
		p.pos++
	}
	if p.pos == len(s) {
		return token{start: p.pos, end: p.pos}, nil
	}
	t := token{kind: s[p.pos], start: p.pos}
	p.pos++
	switch t.kind {
	case '<', '>', '@', ',', ';', ':':
	case '(':
		if p.pos = commentEnd(s, t.start); p.pos < 0 {
			p.pos = len(s)
			return t, errors.New("unfinished comment")
		}
	case '"':
		t.kind = 'q'
		if p.pos = quotedEnd(s, t.start); p.pos < 0 {
			p.pos = len(s)
			return t, errors.New("unfinished quoted string")
		}
	default:
		if t.kind == '[' {
			if p.pos = literalEnd(s, t.start); p.pos > t.start {
				break
			}
		}
		t.kind = 'a'
		p.pos = max(encodedEnd(s, t.start), t.start+1)
		for p.pos < len(s) && isAtomic(s[p.pos]) {
			p.pos++
		}
	}
	t.end = p.pos
	return t, nil
}

// maxLiteral limits the length of a domain literal, in octets.
const maxLiteral = 256

// literalEnd returns the end of the domain literal that begins at i; i if there is none.
func literalEnd(s string, i int) int {
	if n := strings.IndexAny(s[i+1:min(len(s), i+maxLiteral)], "[]<>,; \t\r\n"); n >= 0 && s[i+1+n] == ']' {
		return i + n + 2
	}
	return i
}

// encodedEnd returns the end of the encoded word that begins at i; i if there is none. Some
// programs leave commas and other specials in an encoded word, although RFC 2047 section 5
// forbids them: there they do not separate addresses.
func encodedEnd(s string, i int) int {
	if !strings.HasPrefix(s[i:], "=?") {
		return i
	}
	word := s[i:min(len(s), i+100)]
	if n := strings.IndexAny(word, "<> \t\r\n\""); n >= 0 {
		word = word[:n]
	}
	parts := strings.SplitN(word, "?", 5)
	if len(parts) < 5 || len(parts[2]) != 1 || !strings.HasPrefix(parts[4], "=") {
		return i
	}
	return i + len(word) - len(parts[4]) + 1
}

func isFolding(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// isAtomic reports whether c may be in an atom. Here an atom may have dots, and octets
// that no address may have: envelope.Parse refuses these.
func isAtomic(c byte) bool {
	return strings.IndexByte(" \t\r\n<>@,;:(\"[", c) < 0
}

// commentEnd returns the end of the comment that begins at i, -1 if the comment does not
// end. Comments nest.
func commentEnd(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// quotedEnd returns the end of the quoted string that begins at i, -1 if the string does
// not end.
func quotedEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}
