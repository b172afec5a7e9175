package message

import (
	"slices"
	"strings"
)

const autoSubmitted = "Auto-Submitted" // RFC 3834

// Automatic reports whether no person waits for an answer to the message, so that
// a program must not get one either: a notice (RFC 3464), the answer of a
// vacation program, or bulk mail.
func (m *Message) Automatic() bool {
	return m.IsReport() || m.says(autoSubmitted, "auto-replied") || m.says("Precedence", "bulk", "junk", "list")
}

// IsReport reports whether the message is a notice of what became of another.
func (m *Message) IsReport() bool {
	return contentType(m.fields, "text/plain").name == "multipart/report"
}

// says reports whether a field of that name has one of the values, in lower case,
// before any parameter.
func (m *Message) says(name string, values ...string) bool {
	for _, f := range m.fields {
		if !f.is(name) {
			continue
		}
		value, _, _ := strings.Cut(withoutComments(string(f.value())), ";")
		if slices.Contains(values, strings.ToLower(strings.TrimSpace(value))) {
			return true
		}
	}
	return false
}

// MarkAutomatic says in the header of a message, unless that says so already or is
// signed, that a program has made it, so that no vacation program answers: what
// says "no", that a person has made it, would get an answer.
func (m *Message) MarkAutomatic() []Change {
	const value = "auto-generated"
	if m.signed {
		return nil
	}
	how := "added " + value + ", there was none"
	if m.says(autoSubmitted, "no") {
		how = "changed from no to " + value
		m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f.is(autoSubmitted) })
	} else if !m.lacks(autoSubmitted) {
		return nil
	}
	m.fields = append(m.fields, newField(autoSubmitted, value))
	return []Change{{autoSubmitted, how}}
}
