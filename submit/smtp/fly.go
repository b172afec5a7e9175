package smtp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A step is a command or a message to write, and what to do with the reply.
type step struct {
	phase phase
	name  string                     // for errors; "": the first word of send
	send  string                     // a command without CRLF
	body  func() error               // writes a message and its end, in place of send; nil: send is written
	size  int64                      // of the message, in octets
	mute  bool                       // nothing is written, but a reply comes: the greeting, and further replies of LMTP
	waits bool                       // the last step of its flight
	final bool                       // QUIT: nobody waits for the reply
	want  int                        // class of a reply that is no refusal; any other class is an error; 0: any
	skip  func() bool                // called just before writing; true: leave the step out; nil: never
	got   func(step, Reply) error    // handles the reply; an error ends the session
	lost  func(err error, sent bool) // called if no reply will come; sent: the step was written in full; may be nil
}

// String returns the name of the step in errors.
func (st step) String() string {
	if st.name != "" {
		return st.name
	}
	verb, _, _ := strings.Cut(st.send, " ")
	return verb
}

// fly writes steps, and handles their replies in the same order. If the server offers
// PIPELINING, a flight ends only behind a step that waits; otherwise each step is a
// flight. After an error the session is out of step, and can only be closed.
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

// maxAtOnce is the size in octets of the largest flight that is written before its replies
// are read. The kernel's buffers hold that much, even if the server reads nothing.
const maxAtOnce = 4 << 10

// fitsBuffer reports whether conn, which has unread and unacknowledged octets of no other
// flight, can be given steps without waiting for the server. A connection within a test
// may have no buffer.
func fitsBuffer(conn net.Conn, steps []step) bool {
	size := int64(0)
	for _, st := range steps {
		size += int64(len(st.send)+len("\r\n")) + st.size
	}
	_, isSocket := bottom(conn).(syscall.Conn)
	return size <= maxAtOnce && isSocket
}

// flight writes steps. It writes a large flight in a second goroutine while this one reads
// the replies, so that neither side can block on a full buffer. It returns how many steps
// had their reply handled (done) and how many were written in full (sent). After an error
// the session is out of step.
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
	write := func() {
		w.err = s.write(steps, w)
		close(w.done)
	}
	if fitsBuffer(s.conn, steps) {
		write()
	} else {
		go write()
	}
	for i, st := range steps {
		if st.final {
			break
		}
		s.await(st.phase)
		acknowledge(s.conn)
		reply, err := s.read()
		disconnected := err != nil && !errors.Is(err, errGarbage) && !errors.Is(err, os.ErrDeadlineExceeded)
		if err == nil {
			err = s.handle(st, reply, !st.mute && w.early(i))
		} else {
			err = s.outOfStep(st, err)
		}
		if err != nil {
			s.noteServerLeft(st, reply, disconnected)
			err = s.breakOff(st, w, err)
			return i, int(w.answerable.Load()), err
		}
	}
	<-w.done
	return len(steps), len(steps), w.err
}

// breakOff stops the writer after err, the error of the reply to st. It returns the
// writer's error in place of err if that is the cause.
func (s *Session) breakOff(st step, w *writer, err error) error {
	failed := s.writerFailed()
	s.stop()
	<-w.done
	switch {
	case status.KindOf(w.err) == status.Bug, errors.Is(w.err, errBody):
		return w.err // the cause is on our side
	case s.interrupted():
		return s.outOfStep(st, os.ErrDeadlineExceeded) // err may only tell whether reading or writing was interrupted
	case failed && errors.Is(w.err, os.ErrDeadlineExceeded):
		s.stalled(st)
		return s.outOfStep(st, fmt.Errorf("the server took nothing for %s", s.limit(block)))
	}
	return err
}

// A writer is the progress of writing a flight.
type writer struct {
	answerable atomic.Int32    // number of steps written in full, perhaps only to the buffer: the server may reply to them
	flushed    []chan struct{} // for each step with a message, closed when its end has left the buffer; nil for others
	done       chan struct{}   // closed when nothing more will be written
	err        error           // valid when done is closed
}

func newWriter(steps []step) *writer {
	w := &writer{flushed: make([]chan struct{}, len(steps)), done: make(chan struct{})}
	for i, st := range steps {
		if st.body != nil {
			w.flushed[i] = make(chan struct{})
		}
	}
	return w
}

// markFlushed notes that steps[from:to] have left the buffer.
func (w *writer) markFlushed(from, to int) {
	for _, flushed := range w.flushed[from:to] {
		if flushed != nil {
			close(flushed)
		}
	}
}

// shortWait is how long to wait for octets that are on their way: the end of a message
// to leave the buffer, the rest of a reply, a reply that explains a broken connection.
const shortWait = time.Second

// early reports whether the reply to steps[i] came before the step was written in full.
// A command is written when it is in the buffer, a message only when its end has left
// the buffer.
func (w *writer) early(i int) bool {
	if int(w.answerable.Load()) <= i {
		return true
	}
	if w.flushed[i] == nil {
		return false
	}
	timer := time.NewTimer(shortWait)
	defer timer.Stop()
	select {
	case <-w.flushed[i]:
		return false
	case <-w.done:
		return w.err != nil
	case <-timer.C:
		return true
	}
}

// expired is a deadline in the past: a read returns only octets that are here already.
var expired = time.Unix(1, 0)

// handle acts on the reply to st, and returns an error if the session cannot go on.
// early says that st was not written in full when the reply came: such a reply is only
// accepted if it refuses a message that is still being sent.
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
	if err == nil && (early || reply.Code == 421) { // the server refuses the rest of the message, or ends the session
		err = s.refusal(st, reply)
	}
	return err
}

func errUnasked(r Reply) error {
	return fmt.Errorf("the server answered %q before it was asked", r)
}

// silent returns an error if the server has sent something before the step next: it
// would be read as the reply to next.
func (s *Session) silent(next step) error {
	if next.mute {
		return nil
	}
	s.conn.SetReadDeadline(expired)
	b, err := s.r.Peek(1)
	if len(b) == 0 && pending(s.conn) {
		s.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // the octets are a TLS session ticket, or a reply
		b, err = s.r.Peek(1)
	}
	switch {
	case len(b) > 0:
		s.conn.SetReadDeadline(time.Now().Add(shortWait)) // for the rest of a reply that has begun
		reply, err := s.read()
		switch {
		case err != nil:
			return errors.New("the server spoke before it was asked")
		case reply.Code == 421:
			s.noteServerLeft(next, reply, false)
			return errors.New(reply.String())
		}
		return errUnasked(reply)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		s.noteServerLeft(next, Reply{}, true)
		return err
	}
	return nil
}

// noteServerLeft notes whether the server has ended the session, by 421 or by closing
// the connection, in place of beginning with another mail.
func (s *Session) noteServerLeft(st step, r Reply, disconnected bool) {
	if st.phase == mail || st.phase == reset {
		s.leftBy421 = r.Code == 421
		s.serverLeft = s.leftBy421 || disconnected
	}
}

func (s *Session) write(steps []step, w *writer) (err error) {
	if bug := process.Guarded(func() { err = s.writeSteps(steps, w) }); bug != nil { // a panic must not end the other sessions of this process
		err = status.Bug.Wrap(bug)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.failed = false, err != nil
	s.bodyWritten = err == nil && slices.ContainsFunc(steps, func(st step) bool { return st.body != nil })
	s.setReadDeadline()
	return err
}

// writeSteps writes the steps, and flushes at the end. It also flushes before each
// message but the first: the message before must have left the buffer, or its reply
// would count as early.
func (s *Session) writeSteps(steps []step, w *writer) error {
	flushed := 0 // number of steps that have left the buffer
	flush := func(written int) error {
		err := s.w.Flush()
		if err == nil {
			w.markFlushed(flushed, written)
			flushed = written
		}
		return err
	}
	bodies := 0 // number of messages so far
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
		w.answerable.Add(1) // before the flush: the reply can only come when the end of the step has left the buffer
	}
	return flush(len(steps))
}

// writeCommand writes a command to the buffer. It is the one place that checks that a
// command is a single line.
func (s *Session) writeCommand(command string) error {
	if strings.ContainsAny(command, "\r\n\x00") {
		return status.Bug.Errorf("a command with a line break: %q", command)
	}
	s.trace('C', s.mask(command))
	s.w.WriteString(command)
	_, err := s.w.WriteString("\r\n")
	return err
}

// read reads one reply. It hides the challenges of a login from the trace: with a SCRAM
// challenge, anybody could test guesses of the password offline.
func (s *Session) read() (Reply, error) {
	return readReply(s.r, s.mask, func(line string) {
		if len(line) > 4 && strings.HasPrefix(line, "334") {
			line = line[:4] + hiddenMark
		}
		s.trace('S', line)
	})
}

// outOfStep returns the error of a step that got no acceptable reply because of err.
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
	if errors.As(err, &op) && op.Op == "remote error" && st.phase < mail { // with TLS 1.3 an alert may come after our side of the handshake
		return tlsFailure(err, s.o.Host)
	}
	if op != nil {
		err = op.Err // without the addresses: the error names the server already
	}
	return kind.Errorf("%s: %w (%s)", st, err, s.o.Host)
}

// stalled calls Options.Stalled if st is a step between MAIL and the end of a message.
func (s *Session) stalled(st step) {
	if st.phase >= mail && st.phase <= dot && s.o.Stalled != nil {
		s.o.Stalled()
	}
}

// timedOut reports whether r says that the server got no more data from us in time.
func (r Reply) timedOut() bool {
	return r.Code == 421 && (r.Status == status.Code{Class: 4, Subject: 4, Detail: 2} || r.says("timeout", "timed out"))
}

// refusal returns the error of a step that the server refused. A refusal before MAIL is
// always temporary, whatever the reply says: it is about the account or the connection,
// never about a message.
func (s *Session) refusal(st step, r Reply) error {
	err := &Refusal{st.String(), r, s.o.Host, st.phase}
	if s.o.LMTP && st.phase == dot && r.Code != 421 { // the reply is about one recipient
		return r.failure(r.ownKind(dot), err)
	}
	if st.phase < mail {
		c := r.Status
		c.Class = 4
		return status.Connection.With(c, err)
	}
	return r.failure(r.kind(st.phase), err)
}
