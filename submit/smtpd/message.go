package smtpd

import (
	"io"

	"sendoff/submit/status"
)

// A message reads what follows DATA: CRLF lines without dot-stuffing (RFC 5321
// section 4.5.2).
//
//	after CRLF, or at the start    '.'  →  dot
//	dot    CR  →  dot CR  LF       the end
//	dot    any                     the dot is dropped
//	CR     LF                      a line ending
//	CR     any;  LF                bare: bad on a socket, else a line ending,
//	                               but never one before an end
//
// In a session of LF lines, LF is the line ending and dot LF the end.
type message struct {
	*session
	state  state
	begin  bool   // at the start of a line, where a dot counts
	buffer []byte // what fill has decoded
	out    []byte // its part that has not been given to the reader
	size   int64
	ended  bool
	bad    error // why the message is refused when it has ended
	broken error // why its end will never come
}

// A state is a place within a line.
type state uint8

const (
	inside state = iota
	cr
	dot
	dotCR
)

// Read implements io.Reader. It returns io.EOF only after the end of the
// message has been read, and never after an error.
func (m *message) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		switch {
		case len(p) == 0:
			return 0, nil
		case m.bad != nil:
			return 0, m.bad
		case m.broken != nil:
			return 0, status.Lost.Errorf("connection broke before the end of the message: %v", m.broken) // not %w: an EOF would look like a good end
		case m.ended:
			return 0, io.EOF
		}
		m.fill()
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// skip reads on to the end and keeps nothing.
func (m *message) skip() {
	for !m.ended && m.broken == nil {
		m.fill()
	}
}

// fill decodes what has arrived, after waiting until something has.
func (m *message) fill() {
	m.allow()
	if _, err := m.in.Peek(1); err != nil {
		m.broken = err
		return
	}
	raw, _ := m.in.Peek(m.in.Buffered())
	m.out = m.buffer[:0]
	used := 0
	for used < len(raw) && !m.ended {
		m.next(raw[used])
		used++
	}
	_, _ = m.in.Discard(used) // cannot fail: they are buffered
	m.buffer = m.out
	m.size += int64(len(m.out))
	if m.MaxSize > 0 && m.size > m.MaxSize && m.bad == nil {
		m.bad = status.TooBig.Errorf("message is larger than %d octets", m.MaxSize)
	}
	if m.bad != nil {
		m.out = m.out[:0]
	}
}

// next decodes one octet.
func (m *message) next(c byte) {
	lf := m.ending == "\n"
	was, begin := m.state, m.begin
	m.state, m.begin = inside, false
	switch {
	case was == dotCR && c == '\n' && !lf, was == dot && c == '\n' && lf:
		m.ended = true
		return
	case was == dot && c == '\r':
		m.state = dotCR
		return
	case was == dotCR && c == '\n': // of LF lines, one that reads ".\r"
		m.out, m.begin = append(m.out, ".\r\n"...), true
		return
	case was == cr && c == '\n':
		m.out, m.begin = append(m.out, "\r\n"...), true
		return
	case was == cr, was == dotCR:
		m.bare()
	case begin && c == '.':
		m.state = dot
		return
	}
	switch {
	case c == '\r':
		m.state = cr
	case c == '\n' && lf:
		m.out, m.begin = append(m.out, "\r\n"...), true
	case c == '\n':
		m.bare()
	default:
		m.out = append(m.out, c)
	}
}

// bare deals with a CR or LF that is no line ending of this session.
func (m *message) bare() {
	if m.Pipe {
		m.out = append(m.out, "\r\n"...)
	} else if m.bad == nil {
		m.bad = status.Data.Errorf("message has a bare CR or LF")
	}
}
