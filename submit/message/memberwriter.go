package message

import (
	"slices"
	"strings"

	"sendoff/submit/envelope"
)

// addresses takes the value of an address field: names, quoted strings and
// comments are text, addresses are not.
func (w *wordWriter) addresses(value string) {
	p := parser{text: value}
	member := memberWriter{w: w, p: &p}
	angle := false
	for {
		t, err := p.lex()
		if err != nil {
			member.write(false)
			w.words(value[member.end:])
			return
		}
		switch {
		case t.kind == 0:
			member.write(false)
			w.flush()
			w.text(value[member.end:])
			return
		case t.kind == '<':
			angle = true
		case t.kind == '>':
			angle = false
		case angle:
		case t.kind == ',' || t.kind == ';' || t.kind == ':' && p.isGroupName():
			member.write(t.kind == ':')
			member.raw(t)
			continue
		}
		if len(p.tokens) == maxWords { // no address: a name that goes on and on
			member.write(true)
		}
		p.push(t)
	}
}

// A memberWriter writes the members of an address list to w.
type memberWriter struct {
	w   *wordWriter
	p   *parser // holds the tokens of the member
	end int     // of what was written
}

// write writes the tokens of p and forgets them. group says that they name a
// group. What is not ASCII where an address should be, and is none, is text.
func (m *memberWriter) write(group bool) {
	ts := m.p.tokens
	isKind := func(k byte) func(token) bool { return func(t token) bool { return t.kind == k } }
	open, end := slices.IndexFunc(ts, isKind('<')), slices.IndexFunc(ts, isKind('>'))
	if end < 0 {
		end = len(ts) - 1
	}
	bare := open < 0 && !group // an address without brackets, or what is none
	addressed := bare && slices.ContainsFunc(ts, isKind('@'))
	for i := 0; i < len(ts); {
		switch {
		case addressed:
			i = m.address(ts, 0, len(ts))
		case open >= 0 && i == open && open <= end:
			i = m.address(ts, open, end+1)
		case ts[i].kind == '(':
			m.comment(ts[i])
			i++
		case bare && ts[i].kind != 'a' && ts[i].kind != 'q':
			m.raw(ts[i])
			i++
		default:
			i = m.word(ts, i)
		}
	}
	m.w.flush()
	m.p.restart()
}

// address writes the tokens from start up to end, which are an address with its
// comments, or with brackets around it; if they are none, as text if they are
// not ASCII. It returns end.
func (m *memberWriter) address(ts []token, start, end int) int {
	inner := ts[start:end]
	if inner[0].kind == '<' {
		inner = inner[1:]
		if n := len(inner); n > 0 && inner[n-1].kind == '>' {
			inner = inner[:n-1]
		}
	}
	if all := m.p.text[ts[start].start:ts[end-1].end]; hasEightBitText(all) && !m.isAddress(inner) {
		m.w.words(m.p.text[m.end:ts[end-1].end])
		m.w.flush()
		m.end = ts[end-1].end
		return end
	}
	for i := start; i < end; {
		n := i + 1
		if ts[i].kind == '(' {
			m.comment(ts[i])
		} else {
			for n < end && ts[n].start == ts[n-1].end && ts[n].kind != '(' {
				n++
			}
			m.raw(token{start: ts[i].start, end: ts[n-1].end})
		}
		i = n
	}
	return end
}

// comment writes a comment.
func (m *memberWriter) comment(t token) {
	m.w.comment(m.space(t), m.p.of(t))
	m.end = t.end
}

// isAddress reports whether tokens without brackets are an address.
func (m *memberWriter) isAddress(ts []token) bool {
	spec := m.p.trim(slices.DeleteFunc(slices.Clone(ts), func(t token) bool { return t.kind == '(' }))
	if len(spec) == 0 {
		return false
	}
	text, err := m.p.spec(spec)
	if err == nil {
		_, err = envelope.Parse(text)
	}
	return err == nil
}

// word writes the word of a name that begins at ts[i], and returns where the
// next token is. Tokens without white space between them are one word.
func (m *memberWriter) word(ts []token, i int) int {
	start := ts[i]
	n := i + 1
	for n < len(ts) && ts[n].start == ts[n-1].end && (ts[n].kind == 'a' || ts[n].kind == 'q') {
		n++
	}
	raw := m.p.text[start.start:ts[n-1].end]
	text := raw
	if hasEightBitText(raw) {
		var b strings.Builder
		for _, t := range ts[i:n] {
			if t.kind == 'q' {
				b.WriteString(unquote(m.p.of(t)))
			} else {
				b.WriteString(m.p.of(t))
			}
		}
		text = b.String()
	}
	m.w.word(m.space(start), raw, text)
	m.end = ts[n-1].end
	return n
}

// space is the white space before t.
func (m *memberWriter) space(t token) string { return m.p.text[m.end:t.start] }

// raw writes t as it is.
func (m *memberWriter) raw(t token) {
	m.w.flush()
	m.w.text(m.p.text[m.end:t.end])
	m.end = t.end
}
