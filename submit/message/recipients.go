package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
// groups, gives none and no error. Of members of it that are no addresses bad
// has an error each, of kind Data, that names the member and its field; where
// there are very many, the last one says how many more.
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

// first returns the first mailbox in the fields of that name, if there is one,
// which ok says.
func (m *Message) first(name string) (box Mailbox, ok bool) {
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

// maxChanges is how many rewritten addresses of a field are told one by one.
const maxChanges = 50

// RewriteAddresses shows f every address of the header's sender and recipient
// fields, and puts the address that f returns in its place unless that is the
// null address, with its name where there is none; why goes into the Change.
// Names, comments, folding and everything else stay as they are; so do signed
// mail, and members that are no addresses. An error, of kind TooBig, says that
// the header has grown by more than it may be long.
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
		for _, text := range w.done {
			changes = append(changes, Change{rewrittenFields[n], text})
		}
		if more := w.changed - len(w.done); more > 0 {
			changes = append(changes, Change{rewrittenFields[n], fmt.Sprintf("%d more addresses rewritten", more)})
		}
	}
	return changes, nil
}

// A rewriting puts other addresses into a field.
type rewriting struct {
	field   field
	to      func(Mailbox) (to Mailbox, why string)
	room    int    // octets that the field may still grow by
	value   string // of field
	end     int    // of what of value is in raw
	raw     []byte
	changed int      // addresses
	done    []string // what was changed, of the first maxChanges
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
		w.put(b, undisclosed)
		w.tell(clip(w.value[b.start:b.end]), undisclosed, "it names nobody")
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
		w.put(Mailbox{start: b.open, end: b.open}, name+" ")
	}
	w.put(b, text)
	was := b.Address.String()
	if to.Address == b.Address {
		was, why = clip(w.value[b.start:b.end]), "the rest is not part of the address"
	}
	if b.after > 0 {
		w.put(Mailbox{start: b.end, end: b.after}, ">")
	}
	w.tell(was, to.Address.String(), why)
}

// undisclosed is the group that stands for recipients who are not named (RFC 5322
// appendix A.1.3); servers refuse it in angle brackets.
const undisclosed = "undisclosed-recipients:;"

func (w *rewriting) put(b Mailbox, text string) {
	if w.raw == nil {
		head := w.field.raw[:len(w.field.raw)-len(w.value)]
		w.raw = append(make([]byte, 0, len(w.field.raw)+len(w.field.raw)/4), head...)
	}
	w.room -= len(text) - (b.end - b.start)
	w.raw = append(append(w.raw, w.value[w.end:b.start]...), text...)
	w.end = b.end
}

func (w *rewriting) tell(was, is, why string) {
	if w.changed++; w.changed <= maxChanges {
		w.done = append(w.done, fmt.Sprintf("%s rewritten to %s: %s", was, is, why))
	}
}
