package message

import (
	"bytes"
	"slices"
)

// A field is one header field as it was read, its line ends made CRLF.
type field struct {
	raw  []byte // ends in CRLF; every line but the first begins with white space
	name int    // length of the name raw begins with; 0 for a line that is no field
}

// fieldCost is about what a field takes in memory beside its octets.
const fieldCost = 64

// neverSent are the fields that do not leave with a message: they are for the
// sender's eyes, the final delivery's to add, or wrong after any change.
var neverSent = [...]string{"Bcc", "Resent-Bcc", "Return-Path", "Content-Length"}

// newField returns the field of the given name and value, which must not hold
// line ends.
func newField(name, value string) field {
	raw := []byte(name + ": " + value + "\r\n")
	return field{raw, len(name)}.folded()
}

func (f field) is(name string) bool {
	return f.name == len(name) && bytes.EqualFold(f.raw[:f.name], []byte(name))
}

// matches reports whether f has the given name, or, if that ends in "-", one that
// begins with it.
func (f field) matches(name string) bool {
	n := len(name)
	return f.is(name) || name[n-1] == '-' && f.name > n && bytes.EqualFold(f.raw[:n], []byte(name))
}

// isResent reports whether f is of a block of Resent- fields (RFC 5322 section
// 3.6.6).
func (f field) isResent() bool { return f.matches("Resent-") }

func (f field) isSent() bool {
	return !slices.ContainsFunc(neverSent[:], f.is)
}

func hasLongLine(raw []byte) bool {
	for line := range bytes.Lines(raw) {
		if len(line) > maxLine+2 {
			return true
		}
	}
	return false
}

// value returns what stands behind the colon, folded as it is.
func (f field) value() []byte {
	return f.raw[bytes.IndexByte(f.raw[f.name:], ':')+f.name+1:]
}

func (f field) isBlank() bool { return isBlank(f.value()) }

func isBlank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n")) == 0 }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func find(fields []field, name string) *field {
	for i := range fields {
		if fields[i].is(name) {
			return &fields[i]
		}
	}
	return nil
}

// nameLength returns the length of the field name that line begins with, or 0
// if it is not the first line of a field. White space may stand between name
// and colon (RFC 5322 section 4.5). A name that fits no line with its colon is
// none (section 2.1.1).
func nameLength(line []byte) int {
	n := 0
	for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
		n++
	}
	colon := n
	for colon < len(line) && isSpace(line[colon]) {
		colon++
	}
	if colon == len(line) || line[colon] != ':' || n >= maxLine {
		return 0
	}
	return n
}

// isMboxLine reports whether line is the "From " that begins a message in an
// mbox file, perhaps quoted.
func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) && nameLength(line) == 0
}

// A fieldBuilder puts a field together from the pieces of its lines. A CR
// inside makes a fold, so that what follows it stays in this field (Exim does
// the same); a continuation line of white space alone, which many take for the
// end of the header, is left out.
type fieldBuilder struct {
	raw  []byte
	line int  // where the last line begins
	fold bool // the next octet needs a space before it
}

func (b *fieldBuilder) isEmpty() bool { return len(b.raw) == 0 }

func (b *fieldBuilder) add(piece []byte, end bool) {
	for more := true; more; {
		var line []byte
		line, piece, more = bytes.Cut(piece, []byte("\r"))
		b.append(line)
		if more || end {
			b.endLine()
			b.fold = more
		}
	}
}

func (b *fieldBuilder) append(p []byte) {
	if len(p) == 0 {
		return
	}
	if b.fold {
		b.raw = append(b.raw, ' ')
		b.fold = false
	}
	b.raw = append(b.raw, p...)
}

func (b *fieldBuilder) endLine() {
	if b.line == len(b.raw) {
		return
	}
	if b.line > 0 && isBlank(b.raw[b.line:]) {
		b.raw = b.raw[:b.line]
		return
	}
	b.raw = append(b.raw, '\r', '\n')
	b.line = len(b.raw)
}

// field returns the field and makes b ready for the next one.
func (b *fieldBuilder) field() field {
	f := field{raw: b.raw, name: nameLength(b.raw)}
	if len(b.raw) <= chunkSize {
		f.raw = bytes.Clone(b.raw)
		*b = fieldBuilder{raw: b.raw[:0]}
	} else {
		*b = fieldBuilder{}
	}
	return f
}
