package smtp

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// A phase is a stage of the dialogue with a time limit of its own.
type phase uint8

const (
	greeting phase = iota
	hello
	startTLS
	handshake
	auth
	mail // from here on a failure may be about the message
	rcpt
	data
	block // a block of the message is written
	dot   // the message is written in full, by DATA or BDAT
	reset
)

// phases are the time limits (RFC 5321 section 4.5.3.2), and the words that follow "no
// answer within … while".
var phases = [...]struct {
	limit time.Duration
	doing string
}{
	greeting:  {5 * time.Minute, "waiting for the greeting"},
	hello:     {5 * time.Minute, "saying EHLO"},
	startTLS:  {5 * time.Minute, "starting TLS"},
	handshake: {5 * time.Minute, "shaking hands for TLS"},
	auth:      {5 * time.Minute, "logging in"},
	mail:      {5 * time.Minute, "giving the sender"},
	rcpt:      {5 * time.Minute, "giving the recipients"},
	data:      {2 * time.Minute, "asking to send the message"},
	block:     {3 * time.Minute, "sending the message"},
	dot:       {10 * time.Minute, "waiting for the server to take the message"}, // RFC 1047
	reset:     {5 * time.Minute, "resetting the session"},
}

// patience is the default of Options.Patience.
const patience = 5 * time.Second

// limit returns the time limit of phase p.
func (s *Session) limit(p phase) time.Duration {
	d := phases[p].limit
	if s.o.Timeout > 0 && p != dot {
		d = min(d, s.o.Timeout)
	}
	if s.o.GreetingTime > 0 && p == greeting {
		d = min(d, s.o.GreetingTime)
	}
	return d
}

// await sets the deadline of the next reply to the limit of phase p. MAIL starts the
// clock for all commands of a mail together.
func (s *Session) await(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = p
	if p == mail {
		s.mailDeadline = time.Now().Add(mailLimits * s.limit(mail))
	}
	s.setReadDeadline()
}

// beginWriting notes that the writer is at work. Meanwhile a read may take longer than
// the limit of its phase, because each write has a limit.
func (s *Session) beginWriting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.bodyWritten = true, false
	s.setReadDeadline()
}

func (s *Session) setReadDeadline() {
	switch {
	case s.stopped:
	case s.failed:
		s.conn.SetReadDeadline(time.Now().Add(shortWait)) // the server's reply may explain the failure
	case s.writing && s.waiting >= dot:
		s.conn.SetReadDeadline(time.Time{})
	case s.waiting >= dot:
		s.conn.SetReadDeadline(time.Now().Add(s.limit(s.waiting)))
	default:
		deadline := time.Now().Add(s.limit(s.waiting))
		if s.writing || deadline.After(s.mailDeadline) && !s.mailDeadline.IsZero() {
			deadline = s.mailDeadline
		}
		s.conn.SetReadDeadline(deadline)
	}
}

func (s *Session) writerFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// mailLimits times the limit of MAIL is the limit for all commands of a mail together: a
// server that is slow with each of them is given up like a silent one.
const mailLimits = 6

// stop ends all reading and writing at once.
func (s *Session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.conn.SetDeadline(expired)
}

// canWrite sets the deadline of the next write to the limit of a block.
func (s *Session) canWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.conn.SetWriteDeadline(time.Now().Add(s.limit(block)))
	}
}

// watch makes reading and writing fail when ctx ends: at once, or after Options.Patience
// if a message was written in full and its reply has not come. The caller calls unwatch
// when the session no longer depends on ctx.
func (s *Session) watch(ctx context.Context) (unwatch func()) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.cause = context.Cause(ctx)
		replyIsDue := !s.writing && (s.waiting == dot || s.bodyWritten)
		if replyIsDue {
			s.stopped = true
			s.conn.SetReadDeadline(time.Now().Add(cmp.Or(s.o.Patience, patience)))
		}
		s.mu.Unlock()
		if !replyIsDue {
			s.stop()
		}
	})
	return func() { stop() }
}

func (s *Session) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause != nil
}

// overdue returns why a wait in phase p ended: the cause of the context, or the time
// limit of the phase.
func (s *Session) overdue(p phase) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return fmt.Errorf("%w while %s", s.cause, phases[p].doing)
	}
	return fmt.Errorf("no answer within %s while %s", s.limit(p), phases[p].doing)
}
