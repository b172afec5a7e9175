package smtpd

import (
	"io"

	"sendoff/submit/status"
)

// A message reads the message after DATA: CRLF lines without dot-stuffing (RFC 5321
// section 4.5.2).
//
//	after CRLF, or at the start    '.'  →  dot
//	dot    CR  →  dot CR  LF       the end of the message
//	dot    any                     the dot is removed
//	CR     LF                      a line ending
//	CR     any;  LF                a bare CR or LF: on a socket the message is
//	                               refused, on a pipe it is a line ending; a
//	                               dot after it never ends the message
//
// In a session of LF lines, LF is the line ending, and dot LF the end of the message.
type message struct {
	*session
	state  state
	begin  bool   // the next octet begins a line: a dot would be special
	buffer []byte // memory for out
	out    []byte // decoded, and not yet returned by Read
	size   int64  // octets decoded so far
	ended  bool   // the end of the message was read
	bad    error  // why the message will be refused after its end; nil: it is good so far
	broken error  // why reading failed; nil: it has not
}

// A state is the octets just read, which may be part of a line ending or of the end of the
// message.
type state uint8

const (
	inside state = iota
	cr
	dot
	dotCR
)

// Read implements io.Reader. It returns io.EOF only after the end of a good message, and
// never after an error.
func (m *message) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		switch {
		case len(p) == 0:
			return 0, nil
		case m.bad != nil:
			return 0, m.bad
		case m.broken != nil:
			return 0, status.Lost.Errorf("connection broke before the end of the message: %v", m.broken) // not %w: an io.EOF in the error could be taken for the end of the message
		case m.ended:
			return 0, io.EOF
		}
		m.fill()
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// skip reads to the end of the message, and discards what it reads.
func (m *message) skip() {
	for !m.ended && m.broken == nil {
		m.fill()
	}
}

// fill waits for input, and decodes what has arrived.
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
	_, _ = m.in.Discard(used) // cannot fail: the octets are buffered
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
	case was == dotCR && c == '\n': // in a session of LF lines: the line ".\r"
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

// bare handles a CR or LF that is no line ending of this session: a line ending on a pipe,
// an error on a socket.
func (m *message) bare() {
	if m.Pipe {
		m.out = append(m.out, "\r\n"...)
	} else if m.bad == nil {
		m.bad = status.Data.Errorf("message has a bare CR or LF")
	}
}
