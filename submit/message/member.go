package message

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/envelope"
)

// member parses the tokens of the current member, which ends at end, and calls found or
// failed. A member of comments and white space only is skipped.
func (p *parser) member(end int) {
	if p.words > maxWords {
		p.fail(end, errors.New("too long for an address"))
		return
	}
	phrase, spec, angle, after, err := p.split(p.tokens)
	if err != nil {
		p.fail(end, err)
		return
	}
	box := Mailbox{Name: p.name(phrase), after: after, open: angle - 1}
	if len(phrase) == 0 {
		box.Name = p.lastComment()
	}
	spec = slices.DeleteFunc(spec, func(t token) bool { return t.kind == '(' })
	proper := p.trim(spec)
	switch {
	case len(proper) > 0 && p.isEmptyGroup(proper), len(proper) == 0 && angle > 0 && isUndisclosed(box.Name):
		p.found(Mailbox{start: p.tokens[0].start, end: p.tokens[len(p.tokens)-1].end, unnamed: true})
		return
	case len(proper) == 0:
		if angle > 0 {
			box.start, box.end = angle, angle
			p.found(box)
		}
		return
	}
	box.start, box.end = spec[0].start, spec[len(spec)-1].end
	if p.isEncodedWord(proper) {
		p.fail(end, errors.New("a name without an address"))
		return
	}
	text, err := p.spec(proper)
	if err == nil {
		quoted := p.quotedAddress(proper)
		box.mended = after > 0 || len(proper) < len(spec) || envelope.Mend(text) != text || quoted != ""
		box.Address, err = envelope.Parse(cmp.Or(quoted, text))
	}
	if err != nil {
		if reason := errors.Unwrap(err); reason != nil {
			err = reason // without the address, which fail adds
		}
		p.fail(end, err)
		return
	}
	p.found(box)
}

// trim returns ts without the marks (envelope.IsMark) at both ends.
func (p *parser) trim(ts []token) []token {
	for len(ts) > 0 && p.isMarks(ts[0]) {
		ts = ts[1:]
	}
	for len(ts) > 0 && p.isMarks(ts[len(ts)-1]) {
		ts = ts[:len(ts)-1]
	}
	return ts
}

// isMarks reports whether t consists of marks only, which are no part of an address.
func (p *parser) isMarks(t token) bool {
	return t.kind == 'a' && strings.TrimFunc(p.textOf(t), envelope.IsMark) == ""
}

// isEncodedWord reports whether ts are one encoded word, which is no local part (RFC 2047
// section 5): a name that a program has encoded, without an address.
func (p *parser) isEncodedWord(ts []token) bool {
	return len(ts) == 1 && ts[0].kind == 'a' && encodedEnd(p.text, ts[0].start) == ts[0].end
}

// quotedAddress returns the text of ts if ts is one quoted string with a whole address in
// it, and else "". Such a string is not a local part: no login has an "@" and a domain.
func (p *parser) quotedAddress(ts []token) string {
	if len(ts) != 1 || ts[0].kind != 'q' {
		return ""
	}
	text := unquote(p.textOf(ts[0]))
	if a, err := envelope.Parse(text); err != nil || a.Domain() == "" {
		return ""
	}
	return text
}

// isEmptyGroup reports whether ts are a group without members, which some programs write
// in angle brackets for undisclosed recipients, or the same in quotes, which some servers
// make of it.
func (p *parser) isEmptyGroup(ts []token) bool {
	if ts[0].kind == 'q' {
		name := strings.TrimSpace(unquote(p.textOf(ts[0])))
		return strings.HasSuffix(name, ":;") && isUndisclosed(name)
	}
	colon := slices.IndexFunc(ts, func(t token) bool { return t.kind != 'a' })
	if colon <= 0 || ts[colon].kind != ':' {
		return false
	}
	return !slices.ContainsFunc(ts[colon+1:], func(t token) bool { return t.kind != ';' })
}

// unnamedHost reports whether s is a group of undisclosed recipients with "@" and a host
// name, which a server has added as if the group were a local part.
func unnamedHost(s string) (Mailbox, bool) {
	text := strings.Trim(s, " \t\r\n")
	name, host, _ := strings.Cut(text, ":")
	host = strings.Trim(host, "; \t")
	if !isUndisclosed(name) || !strings.HasPrefix(host, "@") || strings.ContainsAny(name, "@;,<>\"") || strings.ContainsAny(host[1:], "@:;,<>\" \t\r\n") {
		return Mailbox{}, false
	}
	start := strings.Index(s, text)
	return Mailbox{start: start, end: start + len(text), unnamed: true}, true
}

// isUndisclosed reports whether name is that of undisclosed recipients, so that empty
// angle brackets after it are no missing address.
func isUndisclosed(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "undisclosed") || strings.Contains(name, "recipient")
}

// split returns the tokens before the angle brackets (phrase) and in them (spec). angle is
// the index after "<", and after is the end of the marks behind ">"; each is 0 if there is
// none. Without brackets all tokens are spec.
func (p *parser) split(ts []token) (phrase, spec []token, angle, after int, err error) {
	open, end := index(ts, '<'), index(ts, '>')
	switch {
	case open < 0 && end < 0:
		return nil, ts, 0, 0, nil
	case open < 0 || 0 <= end && end < open:
		return nil, nil, 0, 0, errors.New(`">" without "<"`)
	case end < 0:
		return nil, nil, 0, 0, errors.New(`"<" without ">"`)
	}
	behind := ts[end+1:]
	for _, t := range behind {
		if p.isMarks(t) {
			after = t.end
		}
	}
	switch {
	case slices.ContainsFunc(behind, func(t token) bool { return t.kind == '<' || t.kind == '@' }):
		return nil, nil, 0, 0, errors.New("two addresses without a comma between them")
	case slices.ContainsFunc(behind, func(t token) bool { return t.kind != '(' && !p.isMarks(t) }):
		return nil, nil, 0, 0, errors.New("text behind the angle brackets")
	}
	return ts[:open], ts[open+1 : end], ts[open].end, after, nil
}

// spec returns the address of the tokens ts: a local part, and a domain if there is one,
// without a source route before them. ts are not empty and have no comments. White space
// may stand only around "@" and the dots of a domain (RFC 5322 section 4.4): two words
// must not become one address.
func (p *parser) spec(ts []token) (string, error) {
	if ts[0].kind == '@' {
		ts = ts[index(ts, ':')+1:]
		if len(ts) == 0 || ts[0].kind == '@' {
			return "", errors.New("no local part")
		}
	}
	at := index(ts, '@')
	if at < 0 {
		at = len(ts)
	}
	simple := true
	for i, t := range ts {
		switch t.kind {
		case 'a', '[':
		case 'q':
			simple = false
		case '@':
			if i != at {
				return "", errors.New(`more than one "@"`)
			}
		default:
			return "", fmt.Errorf("misplaced %q", t.kind)
		}
		if i == 0 || t.start == ts[i-1].end {
			continue
		}
		simple = false
		if i != at && i-1 != at && !p.isDotted(ts[i-1], t, i > at) {
			return "", errors.New("white space inside the address")
		}
	}
	if simple {
		return p.text[ts[0].start:ts[len(ts)-1].end], nil
	}
	local, err := p.local(ts[:at])
	address := []byte(local)
	for _, t := range ts[at:] {
		address = append(address, p.textOf(t)...)
	}
	return string(address), err
}

func (p *parser) textOf(t token) string { return p.text[t.start:t.end] }

// isDotted reports whether a dot joins a and b, which have white space between them. In a
// local part the dot must be a token of its own, so that "Mr. Smith@x" does not become
// Mr.Smith@x.
func (p *parser) isDotted(a, b token, domain bool) bool {
	if domain {
		return strings.HasSuffix(p.textOf(a), ".") || strings.HasPrefix(p.textOf(b), ".")
	}
	return p.textOf(a) == "." || p.textOf(b) == "."
}

// local returns the local part of the tokens words. If one of them is quoted, the whole
// local part is quoted: obsolete local parts of RFC 5322 may quote single words, those of
// RFC 5321 may not.
func (p *parser) local(words []token) (string, error) {
	var plain strings.Builder
	quoted := false
	for i, w := range words {
		plain.WriteString(p.plain(w))
		if w.kind != 'q' {
			continue
		}
		before := i == 0 || strings.HasSuffix(p.textOf(words[i-1]), ".")
		after := i == len(words)-1 || strings.HasPrefix(p.textOf(words[i+1]), ".")
		if !before || !after {
			return "", errors.New("text beside a quoted string")
		}
		quoted = true
	}
	if !quoted {
		return plain.String(), nil
	}
	return quote(plain.String()), nil
}
