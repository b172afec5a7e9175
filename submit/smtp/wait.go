package smtp

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// A phase is a step of a session, as far as waiting for its reply differs.
type phase uint8

const (
	greeting phase = iota
	hello
	startTLS
	handshake
	auth
	mail // from here on the failure may be the message's
	rcpt
	data
	block
	dot
	reset
)

// phases gives each phase its time limit (RFC 5321 section 4.5.3.2) and the
// words for "no answer within … while".
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

// patience is Options.Patience, where nothing else was said.
const patience = 5 * time.Second

// limit is how long phase p may take.
func (s *Session) limit(p phase) time.Duration {
	d := phases[p].limit
	if s.o.Timeout > 0 && p != dot {
		d = min(d, s.o.Timeout)
	}
	return d
}

// await gives the next reply the time of phase p. With MAIL begins the time
// that the commands of a mail may take.
func (s *Session) await(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = p
	if p == mail {
		s.until = time.Now().Add(patienceOverAll * s.limit(mail))
	}
	s.setReadDeadline()
}

// beginWriting says that a writer is at work. While it is, a read may take as
// long as the writer, which has limits of its own, makes progress.
func (s *Session) beginWriting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.whole = true, false
	s.setReadDeadline()
}

func (s *Session) setReadDeadline() {
	switch {
	case s.stopped:
	case s.failed:
		s.conn.SetReadDeadline(time.Now().Add(moment)) // a reply that explains it may be waiting
	case s.writing && s.waiting >= dot:
		s.conn.SetReadDeadline(time.Time{})
	case s.waiting >= dot:
		s.conn.SetReadDeadline(time.Now().Add(s.limit(s.waiting)))
	default:
		limit := time.Now().Add(s.limit(s.waiting))
		if s.writing || limit.After(s.until) && !s.until.IsZero() {
			limit = s.until
		}
		s.conn.SetReadDeadline(limit)
	}
}

func (s *Session) writerFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// patienceOverAll is how many times the limit of one command the commands of a
// mail may take together: a server that is slow with every one is no better
// than one that is silent.
const patienceOverAll = 6

func (s *Session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.conn.SetDeadline(past)
}

// canWrite gives what is written next the time of a block.
func (s *Session) canWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.conn.SetWriteDeadline(time.Now().Add(s.limit(block)))
	}
}

// watch ends the waiting on the connection when ctx ends, in the window
// between the end of a message and its reply after some patience. The returned
// function ends the watch.
func (s *Session) watch(ctx context.Context) (unwatch func()) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.cause = context.Cause(ctx)
		inWindow := !s.writing && (s.waiting == dot || s.whole)
		if inWindow {
			s.stopped = true
			s.conn.SetReadDeadline(time.Now().Add(cmp.Or(s.o.Patience, patience)))
		}
		s.mu.Unlock()
		if !inWindow {
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

// overdue is why a wait in phase p came to its end: the context's, or the
// phase's own limit.
func (s *Session) overdue(p phase) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return fmt.Errorf("%w while %s", s.cause, phases[p].doing)
	}
	return fmt.Errorf("no answer within %s while %s", s.limit(p), phases[p].doing)
}
