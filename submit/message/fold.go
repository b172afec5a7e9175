package message

import (
	"bytes"
	"io"
	"slices"
	"unicode/utf8"
)

var crlfSpace = []byte("\r\n ")

// A wireHeader reads the header as it goes over the wire: without the fields that
// are never sent, and with the blank line that ends it.
type wireHeader struct {
	fields []field
	piece  []byte // to be read now
	ended  bool   // piece is the blank line, or what is left of it
}

func (h *wireHeader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(h.piece) == 0 && !h.advance() {
			break
		}
		c := copy(p[n:], h.piece)
		h.piece = h.piece[c:]
		n += c
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// advance sets piece to what comes next, and reports whether there is any.
func (h *wireHeader) advance() bool {
	for len(h.fields) > 0 {
		f := h.fields[0]
		h.fields = h.fields[1:]
		if f.isSent() {
			h.piece = f.raw
			return true
		}
	}
	if h.ended {
		return false
	}
	h.piece, h.ended = crlf, true
	return true
}

// wireSize returns how many octets a wireHeader of fields reads.
func wireSize(fields []field) int64 {
	n := int64(len(crlf))
	for _, f := range fields {
		if f.isSent() {
			n += int64(len(f.raw))
		}
	}
	return n
}

// folded returns f with its lines over maxLine folded.
func (f field) folded() field {
	if !hasLongLine(f.raw) {
		return f
	}
	raw, least := f.raw, 0
	if f.name > 0 { // white space before the colon could be too long for a line
		raw, least = slices.Concat(f.raw[:f.name], []byte(":"), f.value()), f.name+1
	}
	folded := make([]byte, 0, len(raw)+len(raw)/256)
	for line := range bytes.Lines(raw) {
		folded = appendFolded(folded, line[:len(line)-len(crlf)], least)
		least = 0
	}
	return field{folded, f.name}
}

// appendFolded appends line in as many lines as it takes, broken where white space
// is, else behind a comma or the like, else between any two characters; but nowhere
// before least. No line of white space alone comes of it.
func appendFolded(b, line []byte, least int) []byte {
	limit := maxLine
	for len(line) > limit {
		// Of a long indentation one octet will do.
		if indent := leadingSpace(line); indent > limit/2 {
			line = line[indent-1:]
			continue
		}
		n := foldPoint(line[:limit+1], limit, least)
		b = append(append(b, line[:n]...), crlf...)
		line = line[n:]
		limit, least = maxLine, 0
		switch leadingSpace(line) {
		case len(line):
			return b
		case 0:
			b = append(b, ' ')
			limit--
		}
	}
	return append(append(b, line...), crlf...)
}

func leadingSpace(b []byte) int {
	n := 0
	for n < len(b) && isSpace(b[n]) {
		n++
	}
	return n
}

// foldPoint returns where to break a line that is over limit, not before least.
func foldPoint(line []byte, limit, least int) int {
	indent := leadingSpace(line)
	head := line[:limit]
	if i := bytes.LastIndexAny(head, " \t"); i > indent && i >= least {
		return len(bytes.TrimRight(head[:i], " \t"))
	}
	if i := bytes.LastIndexAny(head, ",;>"); i > indent && i >= least {
		return i + 1
	}
	n := limit
	for n > limit-utf8.UTFMax && !utf8.RuneStart(line[n]) {
		n--
	}
	return n
}
