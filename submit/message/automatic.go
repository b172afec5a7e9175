package message

import (
	"slices"
	"strings"
)

const autoSubmitted = "Auto-Submitted" // RFC 3834

// Automatic reports whether the message is a notice (RFC 3464), the answer of a vacation
// program, or bulk mail, so that no program should answer it.
func (m *Message) Automatic() bool {
	return m.IsReport() || m.says(autoSubmitted, "auto-replied") || m.says("Precedence", "bulk", "junk", "list")
}

// IsReport reports whether the message is a notice about another message (RFC 3464).
func (m *Message) IsReport() bool {
	return contentType(m.fields, "text/plain").name == "multipart/report"
}

// says reports whether a field of that name has one of values, without comments and
// parameters. values are in lower case.
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

// MarkAutomatic sets Auto-Submitted to auto-generated, so that no vacation program answers
// the message. It changes a value "no", which asks for answers, but no other value. It
// does not change signed mail.
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
