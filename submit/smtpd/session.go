package smtpd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

const (
	maxCommand  = 4096  // octets of a command line; RFC 5321 section 4.5.3.1.4 and the extensions need 1,500
	maxResponse = 12288 // octets of an AUTH response (RFC 4954 section 4)
)

// A session is the connection of a client, and the state of its dialogue.
type session struct {
	*Server
	ctx      context.Context
	conn     io.ReadWriter
	in       *bufio.Reader
	out      *bufio.Writer
	began    time.Time
	until    time.Time // the deadline of the current command; zero: none
	client   Client
	hello    bool               // the client said EHLO or HELO
	loggedIn func()             // called when the client has logged in
	ending   string             // CRLF or LF, the line ending of the session; "": not known yet
	mail     *envelope.Envelope // of the current transaction; nil: there is none
	octets   int                // of the arguments of all RCPTs of the transaction
	errors   int                // number of replies to wrong commands
	junk     bool               // the last command was DATA, and was refused
	over     bool               // the session must end
	err      error              // why it must end; nil: the client has ended it
}

func newSession(ctx context.Context, server *Server, conn io.ReadWriter) *session {
	s := &session{Server: server, ctx: ctx, began: time.Now(), loggedIn: func() {}}
	if !server.Pipe {
		s.ending = "\r\n"
	}
	s.conn = conn
	s.in = bufio.NewReaderSize(wire{s}, maxResponse+len("\r\n"))
	s.out = bufio.NewWriterSize(conn, 1<<13)
	return s
}

// wire reads from the connection, after it has sent the buffered replies. So the replies to
// pipelined commands are sent in one write, after the last of these commands, and no
// client waits for a reply that is still in a buffer.
type wire struct{ *session }

func (w wire) Read(p []byte) (int, error) {
	w.arm()
	if err := w.out.Flush(); err != nil {
		return 0, err
	}
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.conn.Read(p)
}

type deadliner interface{ SetDeadline(time.Time) error }

// arm sets the deadline of the connection to that of the current command.
func (s *session) arm() {
	if c, ok := s.conn.(deadliner); ok {
		_ = c.SetDeadline(s.until) // a file may not support deadlines: then there are no limits
	}
}

// allow sets the deadline for another command, or for a piece of a message.
func (s *session) allow() {
	s.until = time.Time{}
	if limit := cmp.Or(s.Timeout, defaultTimeout); limit > 0 {
		s.until = time.Now().Add(limit)
	}
	s.endBy(s.Lifetime)
	if s.RequireAuth && s.client.User == "" {
		s.endBy(s.LoginTime)
	}
}

// endBy lets the current command end when the session is as old as limit, if that is
// earlier than its deadline; 0: no limit.
func (s *session) endBy(limit time.Duration) {
	if end := s.began.Add(limit); limit > 0 && (s.until.IsZero() || end.Before(s.until)) {
		s.until = end
	}
}

// run runs the session from the greeting to its end, and returns err.
func (s *session) run() error {
	if c, ok := s.conn.(deadliner); ok {
		// If wire.Read sets a later deadline after this one, it sees that ctx has ended.
		defer context.AfterFunc(s.ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	}
	s.reply(220, "", s.hostname()+" ESMTP")
	for !s.over {
		s.allow()
		line, err := s.line(maxCommand)
		var bad *badLine
		switch {
		case errors.As(err, &bad):
			s.fault(500, "5.5.2", bad.why)
		case err != nil:
			s.broke(err)
		default:
			s.obey(line)
		}
	}
	s.until = time.Now().Add(10 * time.Second) // for the last replies
	s.arm()
	err := s.out.Flush()
	if c, ok := s.conn.(*tls.Conn); ok && err == nil {
		_ = c.CloseWrite() // the client may be gone
	}
	return s.err
}

// turnAway sends err instead of a greeting.
func (s *session) turnAway(err error) {
	s.allow()
	s.arm()
	code := 554
	if status.Of(err).Temporary() {
		code = 421
	}
	s.reply(code, status.Of(err).String(), printable(err.Error()))
	_ = s.out.Flush() // the client may be gone
}

func (s *session) hostname() string { return cmp.Or(s.Hostname, "localhost") }

// broke ends the session after a failed read.
func (s *session) broke(err error) {
	switch {
	case errors.Is(err, io.EOF):
		s.over = true
	case s.ctx.Err() != nil:
		s.end(421, "4.3.2", "shutting down", s.ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.end(421, "4.4.2", "nothing heard for too long", errors.New("client said nothing for too long"))
	default:
		s.over, s.err = true, fmt.Errorf("connection broke: %w", err)
	}
}

// end sends a last reply and ends the session; err is what Serve returns.
func (s *session) end(code int, enhanced, text string, err error) {
	s.reply(code, enhanced, text)
	s.over, s.err = true, err
}

// A badLine is the error of a line that was read to its end, but cannot be used.
type badLine struct{ why string }

func (b *badLine) Error() string { return b.why }

// line reads a line of at most limit octets, and returns it without its ending. It reads a
// longer line to its end, but keeps no more of it than the buffer, and returns a badLine.
func (s *session) line(limit int) (string, error) {
	raw, err := s.in.ReadSlice('\n')
	long := errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		raw, err = s.in.ReadSlice('\n')
	}
	if err != nil {
		return "", err
	}
	if s.ending == "" {
		s.ending = "\n"
		if bytes.HasSuffix(raw, []byte("\r\n")) {
			s.ending = "\r\n"
		}
	}
	text, crlf := bytes.CutSuffix(raw, []byte("\r\n"))
	if !crlf {
		text = raw[:len(raw)-1]
	}
	switch {
	case long || len(raw) > limit:
		return "", &badLine{"line too long"}
	case !crlf && s.ending == "\r\n":
		return "", &badLine{"lines must end with CRLF"}
	case bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "", &badLine{"control character in a command"}
	}
	return string(text), nil
}

// reply writes a reply to the buffer. If text has several lines, so has the reply. enhanced
// is "" for a reply without an enhanced code.
func (s *session) reply(code int, enhanced, text string) {
	if enhanced != "" {
		enhanced += " "
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		fmt.Fprintf(s.out, "%d%s%s%s\r\n", code, separator, enhanced, l)
	}
}

// fault replies to a wrong command, and ends the session if there were too many.
func (s *session) fault(code int, enhanced, text string) {
	s.reply(code, enhanced, text)
	s.errors++
	if s.errors >= cmp.Or(s.MaxErrors, defaultErrors) && !s.over {
		s.end(421, "4.7.0", "too many errors", errors.New("client made too many errors"))
	}
}
