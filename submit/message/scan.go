package message

import (
	"bytes"
	"io"
)

// blockSize is the size of the input buffer: what a pipe holds.
const blockSize = 64 << 10

// A scanner splits its input into lines. LF ends a line, and so does a run of
// CRs directly before it; in an input that fits the buffer and has no LF at
// all, an old Macintosh's, every CR does. Lines come without their ends, in
// pieces when they are long.
type scanner struct {
	r        io.Reader
	buf      []byte
	from, to int   // buf[from:to] is unread
	total    int64 // octets that r has given
	err      error // why r ended
	eol      byte  // what ends a line: LF, or CR of a Macintosh
	open     bool  // the last piece did not end its line

	piece []byte // of a line, valid until the next one is read
	first bool   // piece begins its line
	end   bool   // piece ends its line
	pos   int64  // of piece, in octets from the start of r
	done  bool   // there is no piece
}

// newScanner reads no further than the first LF: a terminal gives a line at a
// time.
func newScanner(r io.Reader) *scanner {
	s := &scanner{r: r, buf: make([]byte, blockSize), eol: '\n'}
	for s.err == nil && s.to < len(s.buf) && bytes.IndexByte(s.buf[:s.to], '\n') < 0 {
		s.fill()
	}
	block := s.buf[:s.to]
	if s.err == io.EOF && bytes.IndexByte(block, '\n') < 0 && bytes.IndexByte(block, '\r') >= 0 {
		s.eol = '\r'
	}
	return s
}

// skipMark leaves out the byte order mark that editors put at the start of a
// file in UTF-8, and reports whether there was one.
func (s *scanner) skipMark() (found bool) {
	for bytes.HasPrefix(s.buf[s.from:s.to], []byte("\xef\xbb\xbf")) {
		s.from += 3
		found = true
	}
	return found
}

// fill makes room and reads once.
func (s *scanner) fill() {
	if s.from > 0 {
		s.to = copy(s.buf, s.buf[s.from:s.to])
		s.from = 0
	}
	var n int
	n, s.err = s.r.Read(s.buf[s.to:])
	s.to += n
	s.total += int64(n)
}

// offset returns where the next piece begins, in octets from the start of r.
func (s *scanner) offset() int64 { return s.total - int64(s.to-s.from) }

func (s *scanner) drain() {
	for s.err == nil {
		s.from, s.to = 0, 0
		s.fill()
	}
}

// next moves on to the next piece: a line, or a part of one that is longer than
// the buffer. Its error is io.EOF at the end of the input.
func (s *scanner) next() (err error) {
	s.first, s.pos = !s.open, s.offset()
	s.piece, s.end, err = s.read()
	s.done = err != nil
	return err
}

// read returns the next piece, and whether it ends its line. The last line need
// not have a line end. The first piece of a line that has several is as long as
// the buffer but for CRs.
func (s *scanner) read() (piece []byte, end bool, err error) {
	searched := 0
	for {
		window := s.buf[s.from:s.to]
		if i := bytes.IndexByte(window[searched:], s.eol); i >= 0 {
			i += searched
			s.from += i + 1
			s.open = false
			return bytes.TrimRight(window[:i], "\r"), true, nil
		}
		switch {
		case s.err != nil && len(window) == 0 && !s.open:
			return nil, false, s.err
		case s.err != nil:
			s.from, s.open = s.to, false
			return bytes.TrimRight(window, "\r"), true, nil
		case len(window) == len(s.buf):
			// CRs at the end may stand before an LF that is still to come;
			// a buffer full of them is as good as one.
			n := len(bytes.TrimRight(window, "\r"))
			if n == 0 {
				s.from, searched = s.to-1, 0
				s.fill()
				continue
			}
			s.from += n
			s.open = true
			return window[:n], false, nil
		}
		searched = len(window)
		s.fill()
	}
}
