package message

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sendoff/submit/envelope"
)

// A Mailbox is one address of a list, with the name beside it.
type Mailbox struct {
	Name    string // display name or comment, decoded, without control characters
	Address envelope.Address

	start, end int  // where the address proper stands in what was parsed
	open       int  // where the bracket before it does; -1 for none
	after      int  // where marks behind the closing bracket end; 0 for none
	mended     bool // the address stands there with what is no part of it
	unnamed    bool // it stands for recipients who are not named, and is no address
}

// ParseAddressList reads one header value or one command-line argument, which
// sendmail lets hold several addresses with names and comments (RFC 5322
// section 3.4, its obsolete forms, and what the world writes: bare names, ";"
// between addresses, dots and "@" in names). Empty members and groups, in angle
// brackets too, are no error. When a member is no address, the others are still returned, and the
// error names the first such member and says what is wrong with it.
func ParseAddressList(s string) ([]Mailbox, error) {
	var boxes []Mailbox
	err := eachAddress(s, func(b Mailbox) { boxes = append(boxes, b) })
	return boxes, err
}

// eachAddress is ParseAddressList, one address after the other: all of a long
// header's together take a hundred times its memory.
func eachAddress(s string, found func(Mailbox)) error {
	var bad faults
	eachMember(s, func(b Mailbox) {
		if !b.unnamed {
			found(b)
		}
	}, bad.add)
	return bad.err()
}

// eachMember is eachAddress with each fault as it is found, and with what stands
// for nobody. failed may be nil.
func eachMember(s string, found func(Mailbox), failed func(error)) {
	p := parser{text: s, found: found, failed: failed}
	if b, ok := unnamedHost(s); ok {
		found(b)
		return
	}
	p.list()
}

// faults are why members of lists are no addresses.
type faults struct {
	first []error
	more  int // that are only counted
}

// maxFaults is how many faults of a header are kept: they take more memory than
// what they speak of.
const maxFaults = 50

func (f *faults) add(err error) {
	if len(f.first) < maxFaults {
		f.first = append(f.first, err)
	} else {
		f.more++
	}
}

// err returns the first fault, and how many others there are; nil if there is
// none.
func (f *faults) err() error {
	switch n := len(f.first) - 1 + f.more; {
	case n < 0:
		return nil
	case n > 0:
		return fmt.Errorf("%w (and %d more)", f.first[0], n)
	}
	return f.first[0]
}

// maxWords is how many tokens a member may have: no person's name has so many,
// and memory stays bounded.
const maxWords = 500

// A token is a lexical token (RFC 5322 section 3.2): 'a' for an atom, in which
// we let dots be, 'q' for a quoted string, '(' for a comment, '[' for a domain
// literal, or the special character itself.
type token struct {
	kind       byte
	start, end int
}

type parser struct {
	text   string
	pos    int
	tokens []token // of the member begun, the first maxWords
	words  int     // how many it has
	start  int     // of the member begun
	found  func(Mailbox)
	failed func(error)
}

func (p *parser) fail(end int, err error) {
	if p.failed != nil {
		p.failed(fmt.Errorf("%s: %w", clip(p.text[p.start:end]), err))
	}
}

// clip quotes s for a line of error text, cut at 80 octets.
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

// next reads the tokens of the next member, and returns the token that ends it: a
// comma or semicolon, the colon behind the name of a group, or one of kind 0. A
// colon behind an "@" or bracket is of a source route, or wrong.
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

// index returns where the first of ts of that kind is, -1 if there is none.
func index(ts []token, kind byte) int {
	return slices.IndexFunc(ts, func(t token) bool { return t.kind == kind })
}

// plain returns the text of t, out of its quotes if it is a quoted string.
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

// maxLiteral is the length of the longest domain literal.
const maxLiteral = 256

// literalEnd returns the end of the domain literal that begins at i; i if none
// does.
func literalEnd(s string, i int) int {
	if n := strings.IndexAny(s[i+1:min(len(s), i+maxLiteral)], "[]<>,; \t\r\n"); n >= 0 && s[i+1+n] == ']' {
		return i + n + 2
	}
	return i
}

// encodedEnd returns the end of the encoded word that begins at i; i if none
// does. Many a program leaves commas and the like in one (RFC 2047 section 5
// forbids it), and they separate nothing.
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

// isAtomic reports whether c goes on with an atom. We let an atom have dots
// and what is wrong in any case; envelope.Parse judges what is in an address.
func isAtomic(c byte) bool {
	return strings.IndexByte(" \t\r\n<>@,;:(\"[", c) < 0
}

// commentEnd returns the end of the comment that begins at i, -1 if it has
// none. Comments nest.
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

// quotedEnd returns the end of the quoted string that begins at i, -1 if it
// has none.
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
