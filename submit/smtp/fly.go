package smtp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A step is something to write, and the reply to it.
type step struct {
	phase phase
	name  string                     // for errors; "" means the first word of send
	send  string                     // a command without CRLF
	body  func() error               // writes a message and its final dot, instead of send
	mute  bool                       // nothing is written; a reply comes all the same
	waits bool                       // nothing follows in its flight
	final bool                       // it ends the session; its reply is not waited for
	want  int                        // the reply's class, unless it is a refusal; 0: any
	skip  func() bool                // asked just before writing; nil means never
	got   func(step, Reply) error    // handles the reply; an error ends the session
	lost  func(err error, sent bool) // no reply will come; sent: it was written in full
}

// String returns what an error calls the step.
func (st step) String() string {
	if st.name != "" {
		return st.name
	}
	verb, _, _ := strings.Cut(st.send, " ")
	return verb
}

// fly writes steps and handles the reply to each, in order. When the server
// pipelines, all of them are one flight; otherwise each is one. An error means
// that the session is out of step and can only be closed.
func (s *Session) fly(steps ...step) error {
	for len(steps) > 0 {
		n := 1
		if s.offers("PIPELINING") {
			for n < len(steps) && !steps[n-1].waits {
				n++
			}
		}
		flight := make([]step, 0, n)
		for _, st := range steps[:n] {
			if st.skip == nil || !st.skip() {
				flight = append(flight, st)
			}
		}
		steps = steps[n:]
		if done, sent, err := s.flight(flight); err != nil {
			for i, st := range append(flight[done:], steps...) {
				if st.lost != nil {
					st.lost(err, done+i < sent)
				}
			}
			return err
		}
	}
	return nil
}

// flight writes steps in a second goroutine while this one reads their replies,
// so that neither side can block on a full buffer. done steps were handled, sent
// ones written in full; err means that the session is out of step.
func (s *Session) flight(steps []step) (done, sent int, err error) {
	if len(steps) == 0 {
		return 0, 0, nil
	}
	defer func() { s.broken = s.broken || err != nil }()
	if err := s.silent(steps[0]); err != nil {
		return 0, 0, s.outOfStep(steps[0], err)
	}
	w := newWriter(steps)
	s.beginWriting()
	go func() {
		w.err = s.write(steps, w)
		close(w.done)
	}()
	for i, st := range steps {
		if st.final {
			break
		}
		s.await(st.phase)
		acknowledge(s.conn)
		reply, err := s.read()
		ended := err != nil && !errors.Is(err, errGarbage) && !errors.Is(err, os.ErrDeadlineExceeded) // there is no connection any more
		if err == nil {
			err = s.handle(st, reply, !st.mute && w.early(i))
		} else {
			err = s.outOfStep(st, err)
		}
		if err != nil {
			s.leave(st, reply, ended)
			failed := s.writerFailed()
			s.stop() // the writer too
			<-w.done
			switch {
			case status.KindOf(w.err) == status.Bug, errors.Is(w.err, errBody):
				err = w.err // the cause is on our side
			case s.interrupted():
				err = s.outOfStep(st, os.ErrDeadlineExceeded) // which writing or reading was stopped says nothing
			case failed && errors.Is(w.err, os.ErrDeadlineExceeded):
				s.stalled(st)
				err = s.outOfStep(st, fmt.Errorf("the server took nothing for %s", s.limit(block)))
			}
			return i, int(w.answerable.Load()), err
		}
	}
	<-w.done
	return len(steps), len(steps), w.err
}

// A writer is the state of what is written, while replies are read.
type writer struct {
	answerable atomic.Int32    // steps that were written, perhaps only into the buffer
	left       []chan struct{} // of each step with a message: closed when all of it is out of the buffer
	done       chan struct{}
	err        error // once done is closed
}

func newWriter(steps []step) *writer {
	w := &writer{left: make([]chan struct{}, len(steps)), done: make(chan struct{})}
	for i, st := range steps {
		if st.body != nil {
			w.left[i] = make(chan struct{})
		}
	}
	return w
}

// flushed notes that all of steps[from:to] is out of the buffer.
func (w *writer) flushed(from, to int) {
	for _, left := range w.left[from:to] {
		if left != nil {
			close(left)
		}
	}
}

// moment is how long octets that were written may take to leave, and what
// explains a failure to arrive.
const moment = time.Second

// early reports whether a reply to steps[i] came before the step was written
// in full. Of a message it is not enough that its end is in a buffer: it must
// have left.
func (w *writer) early(i int) bool {
	if int(w.answerable.Load()) <= i {
		return true
	}
	if w.left[i] == nil {
		return false
	}
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-w.left[i]:
		return false
	case <-w.done:
		return w.err != nil
	case <-timer.C:
		return true
	}
}

// past is a deadline that has passed: a read takes only what is already here.
var past = time.Unix(1, 0)

// handle acts on the reply to st, and returns an error if the session cannot go
// on. A reply is early when st was not yet written in full: it may refuse a
// message that is still being sent, but nothing else.
func (s *Session) handle(st step, reply Reply, early bool) error {
	switch {
	case early && (st.body == nil || reply.Class() < 4):
		return s.outOfStep(st, errUnasked(reply))
	case reply.Class() >= 4:
	case st.want != 0 && st.want != reply.Class():
		return s.outOfStep(st, fmt.Errorf("%w: %s", errGarbage, reply))
	}
	if st.phase > rcpt && reply.timedOut() {
		s.stalled(st)
	}
	err := st.got(st, reply)
	if err == nil && (early || reply.Code == 421) { // it wants no more of it, or is going away
		err = s.refusal(st, reply)
	}
	return err
}

func errUnasked(r Reply) error {
	return fmt.Errorf("the server answered %q before it was asked", r)
}

// silent makes sure that the server has said nothing that was not asked for:
// it would be taken for the reply to the next step.
func (s *Session) silent(next step) error {
	if next.mute {
		return nil
	}
	s.conn.SetReadDeadline(past)
	b, err := s.r.Peek(1)
	if len(b) == 0 && pending(s.conn) {
		s.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // a TLS ticket, or a reply
		b, err = s.r.Peek(1)
	}
	switch {
	case len(b) > 0:
		s.conn.SetReadDeadline(time.Now().Add(moment)) // for the rest of a reply that has begun
		reply, err := s.read()
		switch {
		case err != nil:
			return errors.New("the server spoke before it was asked")
		case reply.Code == 421:
			s.leave(next, reply, false)
			return errors.New(reply.String())
		}
		return errUnasked(reply)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		s.leave(next, Reply{}, true)
		return err
	}
	return nil
}

// leave takes note of a server that ended the session instead of beginning with
// another mail.
func (s *Session) leave(st step, r Reply, ended bool) {
	if st.phase == mail || st.phase == reset {
		s.dismissed = r.Code == 421
		s.left = s.dismissed || ended
	}
}

func (s *Session) write(steps []step, w *writer) (err error) {
	if bug := process.Guarded(func() { err = s.writeSteps(steps, w) }); bug != nil { // one message's must not end other sessions
		err = status.Bug.Wrap(bug)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.failed = false, err != nil
	s.whole = err == nil && slices.ContainsFunc(steps, func(st step) bool { return st.body != nil })
	s.setReadDeadline()
	return err
}

// writeSteps writes the steps and flushes once; or before each message but the
// first, so that the reply to the one before is not taken for an early one.
func (s *Session) writeSteps(steps []step, w *writer) error {
	flushed := 0
	flush := func(end int) error {
		err := s.w.Flush()
		if err == nil {
			w.flushed(flushed, end)
			flushed = end
		}
		return err
	}
	bodies := 0
	for i, st := range steps {
		s.canWrite()
		if st.body != nil {
			if bodies++; bodies > 1 {
				if err := flush(i); err != nil {
					return err
				}
			}
			if err := st.body(); err != nil {
				return err
			}
		} else if !st.mute {
			if err := s.writeCommand(st.send); err != nil {
				return err
			}
		}
		s.quit = s.quit || st.final
		w.answerable.Add(1) // before the flush: the end of the step is still in the buffer, and the reply cannot come sooner
	}
	return flush(len(steps))
}

// writeCommand puts a command into the buffer. That it is one line is checked
// here, at the last moment.
func (s *Session) writeCommand(command string) error {
	if strings.ContainsAny(command, "\r\n\x00") {
		return status.Bug.Errorf("a command with a line break: %q", command)
	}
	s.trace('C', s.mask(command))
	s.w.WriteString(command)
	_, err := s.w.WriteString("\r\n")
	return err
}

// read reads one reply. Challenges of a login are not shown: with one of SCRAM,
// a password can be guessed at leisure.
func (s *Session) read() (Reply, error) {
	return readReply(s.r, s.mask, func(line string) {
		if len(line) > 4 && strings.HasPrefix(line, "334") {
			line = line[:4] + hiddenMark
		}
		s.trace('S', line)
	})
}

// outOfStep is the error of a step that got no reply that could be believed.
func (s *Session) outOfStep(st step, err error) error {
	kind := status.Lost
	if st.phase < mail {
		kind = status.Connection
	}
	if network := net.Error(nil); errors.As(err, &network) && network.Timeout() && !s.interrupted() && !s.writerFailed() {
		s.stalled(st)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return kind.Errorf("%w (%s)", s.overdue(st.phase), s.o.Host)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" && st.phase < mail { // with TLS 1.3 an alert may come when we are done
		return tlsFailure(err, s.o.Host)
	}
	if op != nil {
		err = op.Err // the addresses are said elsewhere
	}
	return kind.Errorf("%s: %w (%s)", st, err, s.o.Host)
}

// stalled tells that nothing more went one way or the other at st.
func (s *Session) stalled(st step) {
	if st.phase >= mail && st.phase <= dot && s.o.Stalled != nil {
		s.o.Stalled()
	}
}

// timedOut reports whether r says that nothing more has come from us.
func (r Reply) timedOut() bool {
	return r.Code == 421 && (r.Status == status.Code{Class: 4, Subject: 4, Detail: 2} || r.says("timeout", "timed out"))
}

// refusal is the error of a step that the server refused. Before MAIL it is a
// fault of the account or the way to its server, never of a message, and so
// temporary whatever the reply says.
func (s *Session) refusal(st step, r Reply) error {
	err := &Refusal{st.String(), r, s.o.Host, st.phase}
	if s.o.LMTP && st.phase == dot && r.Code != 421 { // it is about one recipient
		return r.failure(r.ownKind(dot), err)
	}
	if st.phase < mail {
		c := r.Status
		c.Class = 4
		return status.Connection.With(c, err)
	}
	return r.failure(r.kind(st.phase), err)
}
