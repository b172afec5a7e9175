package message

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/envelope"
)

// uniqueFields are the fields that may stand once (RFC 5322 section 3.6, RFC
// 2045), and of which some fields of one name can be joined (section 4.5.3).
// Bcc and its like are not among them: they never leave.
var uniqueFields = [...]struct {
	name string
	join bool
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

// Tidy makes the header of unsigned mail one that every server takes: it joins
// the address fields that may stand once, keeps the first of others (of From
// the first with an address), and leaves out address fields that are empty. A
// From without an address gets that of author, with its text as the name.
// Fields of a resending stay as they are. It tells what it did.
func (m *Message) Tidy(author envelope.Address) []Change {
	if m.signed {
		return nil
	}
	changes := m.dropEmpty()
	for _, row := range uniqueFields {
		var group []int // where the fields of that name are
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
	return append(changes, m.authored(author)...)
}

// dropEmpty leaves out address fields without anything in them, and a
// Message-ID without one.
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

// isEmpty reports whether f has neither an address nor a word.
func (f field) isEmpty() bool { return len(bytes.Trim(f.value(), "<>,; \t\r\n")) == 0 }

// best returns which field of a group stays: the first that has something in
// it, and of From an address.
func (m *Message) best(name string, group []int) int {
	for _, at := range group {
		if f := m.fields[at]; !f.isBlank() && (name != "From" || f.hasAddress()) {
			return at
		}
	}
	return group[0]
}

// joined returns the fields of a group as one. What is no list of addresses
// comes last, where an unfinished comment or group cannot take others in.
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

// hasAddress reports whether f has an address. A bare name that is encoded or
// not ASCII is nobody's login, but a name; so is what stands in quotes.
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

// authored gives a From without an address one.
func (m *Message) authored(author envelope.Address) []Change {
	f := find(m.fields, "From")
	if f == nil || author.IsNull() || f.hasAddress() {
		return nil
	}
	from := Mailbox{Name: nameIn(string(f.value()), author), Address: author}
	*f = newField("From", from.String())
	return []Change{{"From", fmt.Sprintf("had no address, changed to %s", from)}}
}

// maxName is how much of a field becomes a name.
const maxName = 500

// nameIn returns the name that a From without an address stands for: its words,
// quotes, brackets and comments open, without the address that it gets.
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
		case err != nil: // it begins a string or a comment that does not end
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
