package message

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Change is something done to the header, told for a person.
type Change struct {
	Field string // the field's name
	What  string // what was done, and why if that is not the caller's to say
}

// String returns the change as a line of --dry-run has it.
func (c Change) String() string { return c.Field + ": " + c.What }

// Defaults are what Complete adds. What is zero is not added, but for the
// date, which is now.
type Defaults struct {
	From    Mailbox   // the author; nothing in Name can break the header
	Date    time.Time // its location is the numeric zone
	ID      string    // the Message-ID without its brackets; see NewID
	ReplyTo Mailbox   // where answers go, if the message does not say; usually nowhere else
}

// Complete adds From, Date and Message-ID where they are missing or empty
// (RFC 6409 section 8), and in resent mail the Resent- fields that must be with
// the others (RFC 5322 section 3.6.6). It adds no recipient fields and no
// Sender. It tells what it added, and which fields will not be sent.
func (m *Message) Complete(d Defaults) []Change {
	if d.Date.IsZero() {
		d.Date = time.Now()
	}
	var changes []Change
	if m.marked {
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

// Prepend puts a field before all others, as a trace field is (RFC 5321 section
// 4.4). value must not hold line ends.
func (m *Message) Prepend(name, value string) {
	m.fields = append([]field{newField(name, value)}, m.fields...)
}

// Add puts a field at the end of the header. It encodes value (RFC 2047, RFC 2231) but for
// addresses, also in signed mail, whose other fields EncodeHeader leaves as they are. value
// must not hold line ends.
func (m *Message) Add(name, value string) {
	f, _ := newField(name, value).encoded(legacyCharset(m.fields))
	m.fields = append(m.fields, f)
}

// lacks reports whether there is no field of that name. Fields that are empty
// are removed, unless mail is signed, where they count as they are.
func (m *Message) lacks(name string) bool {
	if !m.signed {
		m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f.is(name) && f.isEmpty() })
	}
	return find(m.fields, name) == nil
}

// value returns the value of a new field, "" if there is nothing to put in.
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

// NewID returns a Message-ID that nobody else has, without its brackets. Its
// right side is domain, if that is fit for one.
func NewID(domain string) string { return rand.Text() + "@" + idRight(domain) }

// idRight returns domain if it can be the right side of a Message-ID, which is
// ASCII even in a message with SMTPUTF8 addresses, so that any server takes it.
func idRight(domain string) string {
	for _, label := range strings.Split(domain, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return "localhost"
		}
	}
	return domain
}

// MessageID returns the value of Message-ID, as the message had it or as
// Complete added it; "" if there is none.
func (m *Message) MessageID() string {
	if f := find(m.fields, "Message-ID"); f != nil {
		return strings.Join(strings.Fields(string(f.value())), " ")
	}
	return ""
}
