package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/status"
)

// The fields that -t takes recipients from: the Resent- fields if there are any, or else
// the usual fields.
var (
	recipientFields       = [...]string{"To", "Cc", "Bcc", "Apparently-To"}
	resentRecipientFields = [...]string{"Resent-To", "Resent-Cc", "Resent-Bcc"}
)

// rewrittenFields are the fields whose addresses RewriteAddresses may change.
var rewrittenFields = [...]string{
	"From", "Sender", "Reply-To", "To", "Cc", "Apparently-To",
	"Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc",
	"Return-Receipt-To", "Disposition-Notification-To", "Errors-To", "Mail-Followup-To",
}

// Recipients returns the addresses that -t sends to, in the order of the header, with
// duplicates. A header without recipients, or with empty groups only, is no error. bad has
// an error of kind Data for each member that is no address, with the names of the member
// and its field; after maxFaults errors the last one gives the number of the others.
func (m *Message) Recipients() (all []Mailbox, bad []error) {
	names := recipientFields[:]
	for _, name := range resentRecipientFields {
		if find(m.fields, name) != nil {
			names = resentRecipientFields[:]
		}
	}
	var wrong faults
	for _, f := range m.fields {
		i := slices.IndexFunc(names, f.is)
		if i < 0 {
			continue
		}
		fail := func(err error) { wrong.add(status.Data.Errorf("%s: %w", names[i], err)) }
		eachMember(string(f.value()), func(b Mailbox) {
			if b.unnamed {
				return
			}
			if b.Address.IsNull() {
				fail(errors.New(`"<>": no address`))
				return
			}
			all = append(all, b)
		}, fail)
	}
	if wrong.more > 0 {
		wrong.first = append(wrong.first, status.Data.Errorf("and %d more that are not addresses", wrong.more))
	}
	return all, wrong.first
}

// From returns the first mailbox of Resent-From or, without one, of From. ok is false if
// neither field has an address that can be parsed.
func (m *Message) From() (box Mailbox, ok bool) {
	if box, ok = m.firstMailbox("Resent-From"); ok {
		return box, ok
	}
	return m.firstMailbox("From")
}

// TLSOptional reports whether the message has TLS-Required: No: its author wants it to be
// sent even if TLS is not possible (RFC 8689 section 3).
func (m *Message) TLSOptional() bool {
	f := find(m.fields, "TLS-Required")
	return f != nil && strings.EqualFold(strings.TrimSpace(string(f.value())), "no")
}

// firstMailbox returns the first mailbox in the fields of that name. ok is false if there is none.
func (m *Message) firstMailbox(name string) (box Mailbox, ok bool) {
	for _, f := range m.fields {
		if f.is(name) {
			eachAddress(string(f.value()), func(b Mailbox) {
				if !ok && !b.Address.IsNull() {
					box, ok = b, true
				}
			})
		}
	}
	return box, ok
}

// maxChanges limits the addresses of a field that have a Change of their own.
const maxChanges = 50

// RewriteAddresses calls f for every address in the sender and recipient fields of the
// header, and replaces the address with the address that f returns, unless that is the
// null address. It adds the name that f returns if there was no name. why is the reason
// for the Change. Names, comments, folding and members that are no addresses stay as they
// are. It does not change signed mail. The error, of kind TooBig, says that the header
// has grown by more than Options.MaxHeader.
func (m *Message) RewriteAddresses(f func(field string, b Mailbox) (to Mailbox, why string)) ([]Change, error) {
	if m.signed {
		return nil, nil
	}
	var changes []Change
	room := m.maxHeader
	for i, before := range m.fields {
		n := slices.IndexFunc(rewrittenFields[:], before.is)
		if n < 0 {
			continue
		}
		w := rewriting{field: before, room: room, to: func(b Mailbox) (Mailbox, string) { return f(rewrittenFields[n], b) }}
		w.run()
		if room = w.room; room < 0 {
			return nil, status.TooBig.Errorf("the header grows by more than %d KiB with the addresses that it needs", m.maxHeader>>10)
		}
		if w.changed == 0 {
			continue
		}
		m.fields[i] = field{w.raw, before.name}.folded()
		for _, text := range w.texts {
			changes = append(changes, Change{rewrittenFields[n], text})
		}
		if more := w.changed - len(w.texts); more > 0 {
			changes = append(changes, Change{rewrittenFields[n], fmt.Sprintf("%d more addresses rewritten", more)})
		}
	}
	return changes, nil
}

// A rewriting replaces addresses of a field.
type rewriting struct {
	field   field
	to      func(Mailbox) (to Mailbox, why string)
	room    int      // octets by which the header may still grow
	value   string   // the value of field
	raw     []byte   // the new field, as far as it is written; nil: nothing has changed yet
	end     int      // value[:end] has been written to raw, with the changes
	changed int      // number of changed addresses
	texts   []string // texts for the first maxChanges of them
}

func (w *rewriting) run() {
	w.value = string(w.field.value())
	eachMember(w.value, w.next, nil)
	w.raw = append(w.raw, w.value[w.end:]...)
}

func (w *rewriting) next(b Mailbox) {
	switch {
	case w.room < 0:
		return
	case b.unnamed:
		w.replace(b, undisclosed)
		w.record(clip(w.value[b.start:b.end]), undisclosed, "it names nobody")
		return
	case b.Address.IsNull():
		return
	}
	to, why := w.to(b)
	if to.Address.IsNull() || to.Address == b.Address && !b.mended {
		return
	}
	text := to.Address.String()
	switch name := phrase(to.Name); {
	case b.Name != "" || name == "":
	case b.open < 0:
		text = name + " <" + text + ">"
	default:
		w.replace(Mailbox{start: b.open, end: b.open}, name+" ")
	}
	w.replace(b, text)
	was := b.Address.String()
	if to.Address == b.Address {
		was, why = clip(w.value[b.start:b.end]), "the rest is not part of the address"
	}
	if b.after > 0 {
		w.replace(Mailbox{start: b.end, end: b.after}, ">")
	}
	w.record(was, to.Address.String(), why)
}

// undisclosed is the group for recipients who are not named (RFC 5322 appendix A.1.3). It
// replaces forms that servers refuse, such as the same in angle brackets.
const undisclosed = "undisclosed-recipients:;"

// replace replaces the text from b.start to b.end with text.
func (w *rewriting) replace(b Mailbox, text string) {
	if w.raw == nil {
		head := w.field.raw[:len(w.field.raw)-len(w.value)]
		w.raw = append(make([]byte, 0, len(w.field.raw)+len(w.field.raw)/4), head...)
	}
	w.room -= len(text) - (b.end - b.start)
	w.raw = append(append(w.raw, w.value[w.end:b.start]...), text...)
	w.end = b.end
}

func (w *rewriting) record(was, is, why string) {
	if w.changed++; w.changed <= maxChanges {
		w.texts = append(w.texts, fmt.Sprintf("%s rewritten to %s: %s", was, is, why))
	}
}
