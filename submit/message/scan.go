package message

import (
	"bytes"
	"io"
)

// blockSize is the largest size of the input buffer, in octets: a pipe of Linux holds as
// much. firstSize is the size for a message that is small, as most are.
const (
	blockSize = 64 << 10
	firstSize = 4 << 10
)

// A scanner splits its input into lines. A line ends with LF, or with any number of CRs
// and LF. If the input fits the buffer and has no LF at all, as a file of an old
// Macintosh, a line ends with CR. The scanner returns a line without its end, and a long
// line in several pieces.
type scanner struct {
	r        io.Reader
	buf      []byte
	from, to int   // buf[from:to] is unread
	total    int64 // octets that were read from r
	err      error // the error, or io.EOF, that ended r
	eol      byte  // the end of a line: LF, or CR if there is no LF
	open     bool  // the last piece did not end its line

	piece []byte // the current piece, valid until the next call of next
	first bool   // piece begins its line
	end   bool   // piece ends its line
	pos   int64  // where piece begins, in octets from the start of r
	done  bool   // there is no piece: the input has ended
}

// newScanner returns a scanner, and reads up to the first LF, but not further: a terminal
// delivers one line at a time.
func newScanner(r io.Reader) *scanner {
	s := &scanner{r: r, buf: make([]byte, firstSize), eol: '\n'}
	for s.err == nil && s.to < blockSize && bytes.IndexByte(s.buf[:s.to], '\n') < 0 {
		s.fill()
	}
	block := s.buf[:s.to]
	if s.err == io.EOF && bytes.IndexByte(block, '\n') < 0 && bytes.IndexByte(block, '\r') >= 0 {
		s.eol = '\r'
	}
	return s
}

// skipMark skips byte order marks, which editors put at the start of a file in UTF-8. It
// reports whether there was one.
func (s *scanner) skipMark() (found bool) {
	for bytes.HasPrefix(s.buf[s.from:s.to], []byte("\xef\xbb\xbf")) {
		s.from += 3
		found = true
	}
	return found
}

// fill makes room in buf and calls Read of r once. If the Read before has filled buf, more
// is to come, and buf gets larger.
func (s *scanner) fill() {
	buf := s.buf
	if s.to == len(buf) && len(buf) < blockSize {
		buf = make([]byte, min(4*len(buf), blockSize))
	}
	if s.from > 0 || len(buf) > len(s.buf) {
		s.to = copy(buf, s.buf[s.from:s.to])
		s.buf, s.from = buf, 0
	}
	var n int
	n, s.err = s.r.Read(s.buf[s.to:])
	s.to += n
	s.total += int64(n)
}

// offset returns where the next piece begins, in octets from the start of r.
func (s *scanner) offset() int64 { return s.total - int64(s.to-s.from) }

// drain reads r to its end.
func (s *scanner) drain() {
	if s.err == nil {
		io.Copy(io.Discard, s.r)
	}
}

// next moves on to the next piece: a line, or a part of a line that is longer than the
// buffer. The error is io.EOF at the end of the input.
func (s *scanner) next() (err error) {
	s.first, s.pos = !s.open, s.offset()
	s.piece, s.end, err = s.read()
	s.done = err != nil
	return err
}

// read returns the next piece, and whether it ends its line. The end of the input ends the
// last line, too. The first piece of a long line fills the buffer, except for CRs at its
// end.
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
		case len(window) == blockSize:
			// CRs at the end may belong to an LF that is not read yet. If the
			// whole buffer is CRs, the last one is enough.
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
