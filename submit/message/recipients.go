package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// The fields that -t takes recipients from: those of the last resending if
// there are any, else the message's own.
var (
	recipientFields       = [...]string{"To", "Cc", "Bcc", "Apparently-To"}
	resentRecipientFields = [...]string{"Resent-To", "Resent-Cc", "Resent-Bcc"}
)

// rewrittenFields are the fields whose addresses RewriteAddresses shows.
var rewrittenFields = [...]string{
	"From", "Sender", "Reply-To", "To", "Cc", "Apparently-To",
	"Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc",
	"Return-Receipt-To", "Disposition-Notification-To", "Errors-To", "Mail-Followup-To",
}

// Recipients returns the addresses that -t sends to, in the order of the
// header, repeated ones included. A header that names nobody, or only empty
// groups, gives none and no error; an address that cannot be parsed is an error
// of kind Data that names it and its field.
func (m *Message) Recipients() ([]Mailbox, error) {
	names := recipientFields[:]
	for _, name := range resentRecipientFields {
		if find(m.fields, name) != nil {
			names = resentRecipientFields[:]
		}
	}
	var all []Mailbox
	for _, f := range m.fields {
		i := slices.IndexFunc(names, f.is)
		if i < 0 {
			continue
		}
		boxes, err := ParseAddressList(string(f.value()))
		if err == nil && slices.ContainsFunc(boxes, func(b Mailbox) bool { return b.Address.IsNull() }) {
			err = errors.New(`"<>": no address`)
		}
		if err != nil {
			return nil, status.Data.Errorf("%s: %w", names[i], err)
		}
		all = append(all, boxes...)
	}
	return all, nil
}

// From returns the author's mailbox: the first of Resent-From if the message
// is resent, else of From. ok is false if there is none that can be parsed.
func (m *Message) From() (box Mailbox, ok bool) {
	if box, ok = m.first("Resent-From"); ok {
		return box, ok
	}
	return m.first("From")
}

// TLSOptional reports whether the message says by TLS-Required: No that it is
// better sent without TLS than not at all (RFC 8689 section 3).
func (m *Message) TLSOptional() bool {
	f := find(m.fields, "TLS-Required")
	return f != nil && strings.EqualFold(strings.TrimSpace(string(f.value())), "no")
}

// first returns the first mailbox in the fields of that name.
func (m *Message) first(name string) (Mailbox, bool) {
	for _, f := range m.fields {
		if !f.is(name) {
			continue
		}
		boxes, _ := ParseAddressList(string(f.value()))
		for _, b := range boxes {
			if !b.Address.IsNull() {
				return b, true
			}
		}
	}
	return Mailbox{}, false
}

// maxChanges is how many rewritten addresses of a field are told one by one.
const maxChanges = 50

// RewriteAddresses shows f every address of the header's sender and recipient
// fields, and puts the address that f returns in its place unless that is the
// null address; why goes into the Change.
// Names, comments, folding and everything else stay as they are; so do signed
// mail, and members that are no addresses.
func (m *Message) RewriteAddresses(f func(field string, b Mailbox) (a envelope.Address, why string)) []Change {
	if m.signed {
		return nil
	}
	var changes []Change
	for i, old := range m.fields {
		n := slices.IndexFunc(rewrittenFields[:], old.is)
		if n < 0 {
			continue
		}
		name := rewrittenFields[n]
		rewritten, done := old.rewrite(func(b Mailbox) (envelope.Address, string) { return f(name, b) })
		if len(done) == 0 {
			continue
		}
		m.fields[i] = rewritten
		more := len(done) - maxChanges
		if more > 0 {
			done = done[:maxChanges]
		}
		for _, d := range done {
			changes = append(changes, Change{name, d})
		}
		if more > 0 {
			changes = append(changes, Change{name, fmt.Sprintf("%d more addresses rewritten", more)})
		}
	}
	return changes
}

// rewrite returns f with its addresses replaced, and what was replaced.
func (f field) rewrite(to func(Mailbox) (a envelope.Address, why string)) (field, []string) {
	value := string(f.value())
	boxes, _ := ParseAddressList(value)
	raw := f.raw[:len(f.raw)-len(value)]
	var done []string
	end := 0
	for _, b := range boxes {
		if b.Address.IsNull() {
			continue
		}
		a, why := to(b)
		if a.IsNull() || a == b.Address {
			continue
		}
		if done == nil {
			raw = append(make([]byte, 0, len(f.raw)+len(f.raw)/4), raw...)
		}
		raw = append(raw, value[end:b.start]...)
		raw = append(raw, a.String()...)
		end = b.end
		if len(done) <= maxChanges {
			done = append(done, fmt.Sprintf("%s rewritten to %s: %s", b.Address, a, why))
		} else {
			done = append(done, "")
		}
	}
	if done == nil {
		return f, nil
	}
	raw = append(raw, value[end:]...)
	return field{raw, f.name, hasLongLine(raw)}, done
}
