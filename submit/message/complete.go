package message

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Change describes a change of the message for a person.
type Change struct {
	Field string // the name of the field, or what else was changed
	What  string // what was done, and usually why
}

// String returns the change as a line for --dry-run.
func (c Change) String() string { return c.Field + ": " + c.What }

// Defaults are the values of the fields that Complete may add. It does not add a zero
// value, except that a zero Date means now.
type Defaults struct {
	From    Mailbox   // the author; its Name may hold any characters
	Date    time.Time // its location gives the numeric zone
	ID      string    // the Message-ID without its brackets; see NewID
	ReplyTo Mailbox   // for Reply-To; usually null: no such field is added
}

// Complete adds From, Date and Message-ID if they are missing or empty (RFC 6409 section
// 8), and to resent mail the Resent- fields that are missing (RFC 5322 section 3.6.6). It
// adds no recipient fields and no Sender. It returns the fields that it added, and the
// fields that will not be sent.
func (m *Message) Complete(d Defaults) []Change {
	if d.Date.IsZero() {
		d.Date = time.Now()
	}
	var changes []Change
	if m.hadMark {
		changes = append(changes, Change{"input", "byte order mark at its start left out"})
	}
	add := func(prefix string) (added []field) {
		for _, name := range [...]string{"From", "Date", "Message-ID"} {
			if value := d.value(name); value != "" && m.lacks(prefix+name) {
				added = append(added, newField(prefix+name, value))
				changes = append(changes, Change{prefix + name, "added " + value + ", there was none"})
			}
		}
		return added
	}
	var resent []field
	if slices.ContainsFunc(m.fields, field.isResent) {
		resent = add("Resent-")
	}
	added := add("")
	if to := d.ReplyTo; !to.Address.IsNull() && m.lacks("Reply-To") {
		added = append(added, newField("Reply-To", to.String()))
		changes = append(changes, Change{"Reply-To", fmt.Sprintf("added %s, who was in From", to)})
	}
	for _, f := range m.fields {
		if !f.isSent() {
			changes = append(changes, Change{string(f.raw[:f.name]), "left out, it is never sent"})
		}
	}
	m.fields = append(resent, append(m.fields, added...)...)
	return changes
}

// Prepend puts a field before all others, where trace fields stand (RFC 5321 section
// 4.4). value must not contain line ends.
func (m *Message) Prepend(name, value string) {
	m.fields = append([]field{newField(name, value)}, m.fields...)
}

// Add puts a field at the end of the header, also in signed mail. It encodes value (RFC
// 2047, RFC 2231), except for addresses. value must not contain line ends.
func (m *Message) Add(name, value string) {
	f, _ := newField(name, value).encoded(legacyCharset(m.fields))
	m.fields = append(m.fields, f)
}

// lacks reports whether there is no field of that name. It removes empty fields of the
// name first; in signed mail an empty field stays, and counts.
func (m *Message) lacks(name string) bool {
	if !m.signed {
		m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f.is(name) && f.isEmpty() })
	}
	return find(m.fields, name) == nil
}

// value returns the default of the field name; "": there is none.
func (d *Defaults) value(name string) string {
	switch {
	case name == "From" && !d.From.Address.IsNull():
		return d.From.String()
	case name == "Date":
		return d.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700")
	case name == "Message-ID" && d.ID != "":
		return "<" + d.ID + ">"
	}
	return ""
}

// NewID returns a new, unique Message-ID without its brackets. Its right side is domain,
// or "localhost" if domain is not valid there.
func NewID(domain string) string { return rand.Text() + "@" + idRight(domain) }

// idRight returns domain if it is valid as the right side of a Message-ID, and else
// "localhost". It must be ASCII even with SMTPUTF8 addresses, so that every server
// accepts it.
func idRight(domain string) string {
	for _, label := range strings.Split(domain, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return "localhost"
		}
	}
	return domain
}

// MessageID returns the value of Message-ID in the header, with its brackets; "": there
// is none.
func (m *Message) MessageID() string {
	if f := find(m.fields, "Message-ID"); f != nil {
		return strings.Join(strings.Fields(string(f.value())), " ")
	}
	return ""
}
