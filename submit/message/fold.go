package message

import (
	"bytes"
	"net"
	"slices"
	"unicode/utf8"
)

var crlfSpace = []byte("\r\n ")

// wireHeader returns a header in the form in which it is sent, and its size: without the
// fields that are never sent, and with the blank line at the end.
func wireHeader(fields []field) (pieces net.Buffers, size int64) {
	for _, f := range fields {
		if f.isSent() {
			pieces = append(pieces, f.raw)
			size += int64(len(f.raw))
		}
	}
	return append(pieces, crlf), size + int64(len(crlf))
}

// folded returns f with its lines over maxLine folded.
func (f field) folded() field {
	if !hasLongLine(f.raw) {
		return f
	}
	raw, least := f.raw, 0
	if f.name > 0 { // without white space before the colon, which could be too long for a line
		raw, least = slices.Concat(f.raw[:f.name], []byte(":"), f.value()), f.name+1
	}
	folded := make([]byte, 0, len(raw)+len(raw)/256)
	for line := range bytes.Lines(raw) {
		folded = appendFolded(folded, line[:len(line)-len(crlf)], least)
		least = 0
	}
	return field{folded, f.name}
}

// appendFolded appends line, folded into lines of at most maxLine octets. It breaks line
// before white space, or else after a comma, semicolon or ">", or else between any two
// characters, but never before the index least. It makes no line of white space only.
func appendFolded(b, line []byte, least int) []byte {
	limit := maxLine
	for len(line) > limit {
		// A long indentation is reduced to one octet.
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

func leadingSpace(b []byte) int { return len(b) - len(bytes.TrimLeft(b, " \t")) }

// foldPoint returns the index, not before least, at which to break a line over limit.
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
