package message

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/envelope"
)

// uniqueFields are the fields that a header may have once only (RFC 5322 section 3.6, RFC
// 2045). Bcc is not one of them, because it is never sent.
var uniqueFields = [...]struct {
	name string
	join bool // several fields are joined into one (RFC 5322 section 4.5.3)
}{
	{"From", false},
	{"Sender", false},
	{"Reply-To", true},
	{"To", true},
	{"Cc", true},
	{"Date", false},
	{"Subject", false},
	{"Message-ID", false},
	{"In-Reply-To", false},
	{"References", false},
	{"MIME-Version", false},
	{"Content-Type", false},
	{"Content-Transfer-Encoding", false},
}

// Tidy corrects the header of unsigned mail so that every server accepts it. Of fields
// that may be there once only, it joins Reply-To, To and Cc, keeps the first From that has
// an address, and the first of each other field. It removes empty address fields. A From
// without an address gets the address author, with the text of the field as the name.
// Resent- fields stay as they are. Tidy returns its changes.
func (m *Message) Tidy(author envelope.Address) []Change {
	if m.signed {
		return nil
	}
	changes := m.dropEmpty()
	for _, row := range uniqueFields {
		var group []int // indexes of the fields of that name
		for at, f := range m.fields {
			if f.is(row.name) {
				group = append(group, at)
			}
		}
		if len(group) < 2 {
			continue
		}
		if row.join {
			m.fields[group[0]] = m.joined(group)
			changes = append(changes, Change{row.name, fmt.Sprintf("%d fields joined, since RFC 5322 allows one", len(group))})
		} else {
			best := m.best(row.name, group)
			m.fields[group[0]] = m.fields[best]
			changes = append(changes, Change{row.name, fmt.Sprintf("the first of %d fields kept, since RFC 5322 allows one", len(group))})
		}
		for _, at := range group[1:] {
			m.fields[at] = field{}
		}
	}
	m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f.raw == nil })
	return append(changes, m.addAuthor(author)...)
}

// dropEmpty removes empty address fields, and an empty Message-ID.
func (m *Message) dropEmpty() (changes []Change) {
	told := make(map[string]bool)
	m.fields = slices.DeleteFunc(m.fields, func(f field) bool {
		name := ""
		switch i := slices.IndexFunc(rewrittenFields[:], f.is); {
		case f.is("Message-ID"):
			name = "Message-ID"
		case i >= 0 && !f.isResent():
			name = rewrittenFields[i]
		}
		if name == "" || !f.isEmpty() {
			return false
		}
		if !told[name] {
			told[name] = true
			changes = append(changes, Change{name, "left out, it was empty"})
		}
		return true
	})
	return changes
}

// isEmpty reports whether the value of f has only white space and punctuation of address
// lists.
func (f field) isEmpty() bool { return len(bytes.Trim(f.value(), "<>,; \t\r\n")) == 0 }

// best returns the index of the field of a group that is kept: the first that is not
// blank, or for From the first with an address; without one, the first of the group.
func (m *Message) best(name string, group []int) int {
	for _, at := range group {
		if f := m.fields[at]; !f.isBlank() && (name != "From" || f.hasAddress()) {
			return at
		}
	}
	return group[0]
}

// joined returns one field with the values of a group. Values that are no valid address
// lists come last, so that an unfinished comment or group cannot swallow other values.
func (m *Message) joined(group []int) field {
	var good, bad [][]byte
	for _, at := range group {
		value := bytes.Trim(m.fields[at].value(), ", \t\r\n")
		if eachAddress(string(value), func(Mailbox) {}) == nil {
			good = append(good, value)
		} else {
			bad = append(bad, value)
		}
	}
	f := m.fields[group[0]]
	name := f.raw[:len(f.raw)-len(f.value())]
	values := bytes.Join(append(good, bad...), []byte(",\r\n "))
	return field{slices.Concat(name, []byte(" "), values, crlf), f.name}.folded()
}

// hasAddress reports whether f has an address. A word without a domain counts as a login
// name, except if it is encoded or not ASCII. A quoted string is never an address.
func (f field) hasAddress() bool {
	found := false
	value := string(f.value())
	eachAddress(value, func(b Mailbox) {
		a := b.Address
		if a.IsNull() || value[b.start] == '"' && value[b.end-1] == '"' {
			return
		}
		found = found || a.Domain() != "" || !a.UTF8() && encodedEnd(value, b.start) == b.start
	})
	return found
}

// addAuthor adds the address author to a From that has no address.
func (m *Message) addAuthor(author envelope.Address) []Change {
	f := find(m.fields, "From")
	if f == nil || author.IsNull() || f.hasAddress() {
		return nil
	}
	from := Mailbox{Name: nameIn(string(f.value()), author), Address: author}
	*f = newField("From", from.String())
	return []Change{{"From", fmt.Sprintf("had no address, changed to %s", from)}}
}

// maxName limits the octets of a From field from which nameIn makes a name.
const maxName = 500

// nameIn returns value, a From without an address, as a name: without the quotes, the
// parentheses of comments and the angle brackets, and without the address author.
func nameIn(value string, author envelope.Address) string {
	p := parser{text: value[:min(len(value), maxName)]}
	var b strings.Builder
	for end := 0; ; end = p.pos {
		t, err := p.lex()
		if t.kind == 0 {
			break
		}
		text := p.text[t.start:p.pos]
		switch {
		case err != nil: // t is a quoted string or comment that does not end
			text = text[1:]
		case t.kind == 'q':
			text = unquote(text)
		case t.kind == '(':
			text = unescape(text[1 : len(text)-1])
		case t.kind == '<' || t.kind == '>':
			text = " "
		}
		if t.start > end {
			b.WriteByte(' ')
		}
		b.WriteString(text)
	}
	return decode(strings.ReplaceAll(b.String(), author.String(), ""))
}
