package message

import (
	"bytes"
	"io"
	"unicode/utf8"
)

var crlfSpace = []byte("\r\n ")

// A wireHeader reads the header as it goes over the wire, with the blank line
// that ends it: without the fields that are never sent, lines over maxLine
// folded unless keepLong.
type wireHeader struct {
	fields     []field
	keepLong   bool
	unfiltered bool   // leave no field out: it is the header of a part
	noBlank    bool   // leave the blank line out
	piece      []byte // to be read now
	owed       bool   // piece lacks its line end
	broken     bool   // where there was no white space, so some must follow
	rest       []byte // of a long field, after that
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

// size returns how much there is to read, from the start.
func (h *wireHeader) size() int64 {
	count := *h
	n := int64(0)
	for count.advance() {
		n += int64(len(count.piece))
	}
	return n
}

// advance sets piece to what comes next, and reports whether there is any.
func (h *wireHeader) advance() bool {
	switch {
	case h.owed && h.broken:
		h.piece, h.owed = crlfSpace, false
		return true
	case h.owed:
		h.piece, h.owed = crlf, false
		return true
	case len(h.rest) > 0:
		h.cut(0)
		return true
	}
	for len(h.fields) > 0 {
		f := h.fields[0]
		h.fields = h.fields[1:]
		if !h.unfiltered && !f.isSent() {
			continue
		}
		if h.piece = f.raw; f.long && !h.keepLong {
			raw, colon := f.tight()
			h.rest = raw
			h.cut(colon + 1)
		}
		return true
	}
	if h.noBlank {
		return false
	}
	h.noBlank = true
	h.piece = crlf
	return true
}

// cut moves one line from rest to piece, and owes its end. A line too
// long is folded where white space begins; else behind a comma or the like,
// where an address list is not harmed by white space; else between any two
// characters; but nowhere before least, since a name without its colon would be
// no field. No line of white space alone comes of it.
func (h *wireHeader) cut(least int) {
	limit := maxLine
	if h.broken {
		limit--
	}
	h.owed, h.broken = true, false
	if end := bytes.Index(h.rest[:min(len(h.rest), limit+2)], crlf); end >= 0 {
		h.piece, h.rest = h.rest[:end], h.rest[end+2:]
		return
	}
	// Of a long indentation one octet will do.
	if indent := leadingSpace(h.rest); indent > limit/2 {
		h.rest = h.rest[indent-1:]
		if end := bytes.Index(h.rest[:min(len(h.rest), limit+2)], crlf); end >= 0 {
			h.piece, h.rest = h.rest[:end], h.rest[end+2:]
			return
		}
	}
	n := foldPoint(h.rest[:limit+1], limit, least)
	h.piece, h.rest = h.rest[:n], h.rest[n:]
	space := leadingSpace(h.rest)
	switch {
	case bytes.HasPrefix(h.rest[space:], crlf):
		h.rest = h.rest[space+2:]
	case space == 0:
		h.broken = true
	}
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
