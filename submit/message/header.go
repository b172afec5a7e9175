package message

import (
	"bytes"
	"slices"
)

// A field is one header field as it was read, with CRLF line ends.
type field struct {
	raw  []byte // ends with CRLF; every line but the first begins with white space
	name int    // length of the name at the start of raw; 0: the line is no field
}

// fieldCost is about how much memory a field takes in addition to its octets.
const fieldCost = 64

// neverSent are the fields that are removed from a message: Bcc is for the sender only,
// the final server adds Return-Path, and Content-Length is wrong after any change.
var neverSent = [...]string{"Bcc", "Resent-Bcc", "Return-Path", "Content-Length"}

// newField returns a field, folded. value must not contain line ends.
func newField(name, value string) field {
	raw := []byte(name + ": " + value + "\r\n")
	return field{raw, len(name)}.folded()
}

func (f field) is(name string) bool {
	return f.name == len(name) && bytes.EqualFold(f.raw[:f.name], []byte(name))
}

// matches reports whether the name of f is name, or begins with name if name ends with "-".
func (f field) matches(name string) bool {
	n := len(name)
	return f.is(name) || name[n-1] == '-' && f.name > n && bytes.EqualFold(f.raw[:n], []byte(name))
}

// isResent reports whether f is a Resent- field (RFC 5322 section 3.6.6).
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

// value returns the octets after the colon, with their folds.
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

// nameLength returns the length of the field name at the start of line, or 0 if line does
// not begin a field. White space may stand between name and colon (RFC 5322 section 4.5).
// A name of maxLine octets or more is none (section 2.1.1).
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

// isMboxLine reports whether line is the "From " line, or the quoted ">From " line, that
// begins a message in an mbox file.
func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) && nameLength(line) == 0
}

// A fieldBuilder builds a field from the pieces of its lines. A CR in a line becomes a
// fold, so that the text after it stays in this field (Exim does the same). A continuation
// line of white space only is left out, because many programs take it for the end of the
// header.
type fieldBuilder struct {
	raw  []byte
	line int  // index in raw of the last line
	fold bool // the next octet needs a space before it
}

func (b *fieldBuilder) isEmpty() bool { return len(b.raw) == 0 }

func (b *fieldBuilder) add(piece []byte, end bool) {
	for cr := true; cr; {
		var line []byte
		line, piece, cr = bytes.Cut(piece, []byte("\r"))
		b.append(line)
		if cr || end {
			b.endLine()
			b.fold = cr
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
