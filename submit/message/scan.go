package message

import (
	"bytes"
	"io"
)

// blockSize is the size of the input buffer: what a pipe holds, and how far
// Read looks ahead to tell an old Macintosh's line ends.
const blockSize = 64 << 10

// A scanner splits its input into lines. LF ends a line, and so does a run of
// CRs directly before it; where the first block has CRs and no LF, every CR
// does. Lines come without their ends, in pieces when they are long.
type scanner struct {
	r        io.Reader
	buf      []byte
	from, to int   // buf[from:to] is unread
	err      error // why r ended
	mac      bool
	skipLF   bool // mac: an LF here belongs to the CR before it
	open     bool // the last piece did not end its line
	first    bool // the last piece began its line
}

func newScanner(r io.Reader) *scanner {
	s := &scanner{r: r, buf: make([]byte, blockSize)}
	for s.err == nil && s.to < len(s.buf) {
		s.fill()
	}
	block := s.buf[:s.to]
	s.mac = bytes.IndexByte(block, '\n') < 0 && bytes.IndexByte(block, '\r') >= 0
	return s
}

// fill makes room and reads once.
func (s *scanner) fill() {
	if s.from > 0 {
		s.to = copy(s.buf, s.buf[s.from:s.to])
		s.from = 0
	}
	for range 100 {
		var n int
		n, s.err = s.r.Read(s.buf[s.to:])
		s.to += n
		if n > 0 || s.err != nil {
			return
		}
	}
	s.err = io.ErrNoProgress
}

// drain reads the rest of the input and forgets it.
func (s *scanner) drain() {
	for s.err == nil {
		s.from, s.to = 0, 0
		s.fill()
	}
}

// next returns a line, or a piece of one that is longer than the buffer; end
// says that the line ends with this piece. The last line need not have a line
// end. A piece is valid until the next call, and the first piece of a line
// that has several is as long as the buffer but for CRs. Unless the input is at
// its end, err is nil.
func (s *scanner) next() (piece []byte, end bool, err error) {
	s.first = !s.open
	searched := 0
	for {
		window := s.buf[s.from:s.to]
		if s.skipLF && len(window) > 0 {
			s.skipLF = false
			if window[0] == '\n' {
				s.from++
				continue
			}
		}
		if i := s.lineEnd(window[searched:]); i >= 0 {
			i += searched
			s.from += i + 1
			s.open = false
			s.skipLF = window[i] == '\r'
			return trimCRs(window[:i]), true, nil
		}
		switch {
		case s.err != nil && len(window) == 0 && !s.open:
			return nil, false, s.err
		case s.err != nil:
			s.from, s.open = s.to, false
			return trimCRs(window), true, nil
		case len(window) == len(s.buf):
			// CRs at the end may stand before an LF that is still to come.
			n := len(trimCRs(window))
			if n == 0 {
				n = len(window) - 1
			}
			s.from += n
			s.open = true
			return window[:n], false, nil
		}
		searched = len(window)
		s.fill()
	}
}

// lineEnd returns the place of the first line end in b, or -1.
func (s *scanner) lineEnd(b []byte) int {
	if !s.mac {
		return bytes.IndexByte(b, '\n')
	}
	cr := bytes.IndexByte(b, '\r')
	if cr < 0 {
		return bytes.IndexByte(b, '\n')
	}
	if lf := bytes.IndexByte(b[:cr], '\n'); lf >= 0 {
		return lf
	}
	return cr
}

func trimCRs(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\r' {
		b = b[:len(b)-1]
	}
	return b
}
