package message

import (
	"slices"
	"strings"
)

// addresses writes the value of an address field: it encodes names, quoted strings and
// comments, and leaves addresses as they are.
func (w *wordWriter) addresses(value string) {
	p := parser{text: value}
	member := memberWriter{w: w, p: &p}
	for {
		end, err := p.next()
		member.write(err != nil || end.kind == ':')
		if err != nil {
			w.words(value[member.end:])
			return
		}
		if p.words > maxWords { // the tokens are incomplete: the rest is written as text
			member.words(end.start)
		}
		member.raw(end)
		if end.kind == 0 {
			return
		}
	}
}

// A memberWriter writes the members of an address list to w.
type memberWriter struct {
	w   *wordWriter
	p   *parser // holds the tokens of the member
	end int     // end of the text of p that was written
}

// write writes the tokens of p. named says that they have no address: they are the name of
// a group, or a member that does not end. 8-bit text in the place of an address that
// cannot be parsed is encoded as text.
func (m *memberWriter) write(named bool) {
	ts := slices.Clone(m.p.tokens) // isAddress removes comments from m.p.tokens
	open, end := index(ts, '<'), index(ts, '>')
	start := open // index of the first token of the address; end is the index after the last
	switch {
	case open < 0 && !named && index(ts, '@') >= 0:
		start, end = 0, len(ts)
	case end < open:
		end = len(ts)
	default:
		end++
	}
	parsed := !named && m.isAddress()
	for i := 0; i < len(ts); {
		switch {
		case i == start:
			m.address(ts[start:end], parsed)
			i = end
		case ts[i].kind == '(':
			m.comment(ts[i])
			i++
		default:
			i = m.word(ts, i)
		}
	}
	m.w.flush()
}

// words writes the text up to end, with encoded words.
func (m *memberWriter) words(end int) {
	m.w.words(m.p.text[m.end:end])
	m.w.flush()
	m.end = end
}

// isAddress reports whether the tokens of p have a valid address.
func (m *memberWriter) isAddress() (found bool) {
	m.p.found = func(Mailbox) { found = true }
	m.p.member(m.p.pos)
	return found
}

// address writes the tokens of an address with its comments and brackets. If the address
// could not be parsed, and is not ASCII, address writes the tokens as text.
func (m *memberWriter) address(ts []token, parsed bool) {
	last := ts[len(ts)-1].end
	if !parsed && hasEightBit([]byte(m.p.text[ts[0].start:last])) {
		m.words(last)
		return
	}
	for _, t := range ts {
		if t.kind == '(' {
			m.comment(t)
		} else {
			m.raw(t)
		}
	}
}

func (m *memberWriter) comment(t token) {
	m.w.comment(m.space(t), m.p.textOf(t))
	m.end = t.end
}

// word writes the word of a name that begins with ts[i], and returns the index of the next
// token. Tokens without white space between them are one word.
func (m *memberWriter) word(ts []token, i int) int {
	start := ts[i]
	n := i + 1
	for n < len(ts) && ts[n].start == ts[n-1].end && (ts[n].kind == 'a' || ts[n].kind == 'q') {
		n++
	}
	raw := m.p.text[start.start:ts[n-1].end]
	var text strings.Builder
	for _, t := range ts[i:n] {
		text.WriteString(m.p.plain(t))
	}
	m.w.word(m.space(start), raw, text.String())
	m.end = ts[n-1].end
	return n
}

func (m *memberWriter) space(t token) string { return m.p.text[m.end:t.start] }

func (m *memberWriter) raw(t token) {
	m.w.flush()
	m.w.text(m.p.text[m.end:t.end])
	m.end = t.end
}
