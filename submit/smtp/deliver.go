package smtp

import (
	"context"
	"fmt"
	"io"
	"iter"

	"sendoff/submit/envelope"
)

// A Mail is one envelope and message, and where its outcome goes.
type Mail struct {
	Envelope *envelope.Envelope
	// Open gives the message from its start, in CRLF lines without
	// dot-stuffing, in a form that the server can take, and its size.
	Open func(envelope.Form) (io.Reader, int64, error)
	// Done is called once, as soon as the outcome is certain; nothing that
	// happens later changes it.
	Done func(Result)
}

// A Result says for each recipient what the server did.
type Result struct {
	Refused []error // for each of Envelope.To; nil: not refused
	Reply   Reply   // to the final dot; zero if there was none
	// Unknown says that the connection broke after the whole message was
	// sent: the server may have it, and another try may deliver it twice (RFC
	// 1047).
	Unknown bool
	// Err is why the recipients that were not refused did not get the
	// message; nil: the server has taken it for them.
	Err error
}

// Deliver sends mails until there are no more. It asks for the next one before
// it ends the last one, so that the next MAIL, or QUIT, rides in the flight of
// the final dot. Each mail that was asked for gets its Result; an error is why
// the session could go no further. After Deliver only Close may follow.
func (s *Session) Deliver(ctx context.Context, mails iter.Seq[Mail]) error {
	defer s.watch(ctx)()
	next, stop := iter.Pull(mails)
	defer stop()
	last := &transaction{s: s, settled: true} // the one whose message is still to be sent
	for {
		m, more := next()
		steps := last.end(more)
		if more {
			last = &transaction{s: s, mail: m}
			steps = append(steps, last.begin()...)
		}
		if err := s.fly(steps...); err != nil {
			last.settle(err)
			return err
		}
		if !more {
			return nil
		}
	}
}

// A transaction is one mail on its way (RFC 5321 section 3.3).
type transaction struct {
	s        *Session
	mail     Mail
	result   Result
	message  io.Reader
	size     int64
	accepted int  // recipients
	open     bool // MAIL was accepted
	ready    bool // DATA was answered with 3yz
	settled  bool
}

// begin makes the steps MAIL, RCPT… and DATA; none if the mail cannot be sent
// to this server at all.
func (t *transaction) begin() []step {
	s, e := t.s, *t.mail.Envelope
	t.result.Refused = make([]error, len(e.To))
	var err error
	t.message, t.size, err = t.mail.Open(envelope.Form{EightBit: s.offers("8BITMIME"), UTF8: s.offers("SMTPUTF8")})
	if err != nil {
		t.settle(err)
		return nil
	}
	e.Size = t.size
	command, err := s.mailCommand(&e)
	if err != nil {
		t.settle(err)
		return nil
	}
	steps := []step{{
		phase: mail, send: command, name: "MAIL FROM:<" + e.From.String() + ">",
		want: 2, got: t.gotMail, lost: t.lost,
	}}
	for i := range e.To {
		command, err := s.rcptCommand(&e.To[i])
		if err != nil {
			t.result.Refused[i] = err
			continue
		}
		steps = append(steps, step{
			phase: rcpt, send: command, name: "RCPT TO:<" + e.To[i].Address.String() + ">",
			skip: func() bool { return t.settled },
			want: 2, got: func(st step, r Reply) error { return t.gotRcpt(i, st, r) },
		})
	}
	if len(steps) == 1 {
		t.settle(nil) // every recipient is refused already
		return nil
	}
	return append(steps, step{
		phase: data, send: "DATA",
		skip: func() bool { return t.settled || t.open && t.accepted == 0 },
		want: 3, got: t.gotData, lost: t.lost,
	})
}

// end makes the step that sends the message, or the one that leaves a
// transaction without one. QUIT rides along if there is no further mail and
// the server pipelines.
func (t *transaction) end(more bool) []step {
	st := step{phase: dot, name: "end of message", want: 2, got: t.gotDot, lost: t.lost}
	switch {
	case t.ready && t.accepted > 0:
		st.body = t.send
	case t.ready:
		st.send = "." // all were refused (RFC 2920 section 3.1)
	case t.open && more:
		st = step{phase: reset, send: "RSET", want: 2, got: func(step, Reply) error { return nil }}
	default:
		t.settle(nil)
		return nil
	}
	if !t.ready || t.accepted == 0 {
		t.settle(nil)
	}
	if !more && t.s.offers("PIPELINING") {
		st.body = t.s.withQuit(st)
	}
	return []step{st}
}

// withQuit makes the body of a step that writes QUIT behind st. No reply to it
// will be read.
func (s *Session) withQuit(st step) func() error {
	return func() error {
		var err error
		if st.body != nil {
			err = st.body()
		} else {
			err = s.writeCommand(st.send)
		}
		if err != nil {
			return err
		}
		s.quit = true
		return s.writeCommand("QUIT")
	}
}

func (t *transaction) gotMail(st step, r Reply) error {
	if t.open = r.Class() == 2; !t.open {
		t.settle(t.s.refusal(st, r))
	}
	return nil
}

func (t *transaction) gotRcpt(i int, st step, r Reply) error {
	if r.Class() != 2 {
		t.result.Refused[i] = t.s.refusal(st, r)
		return nil
	}
	t.accepted++
	return nil
}

// gotData ends the session if the server wants a message after it refused the
// sender: whatever came, it would take for one.
func (t *transaction) gotData(st step, r Reply) error {
	switch {
	case r.Class() == 3 && !t.open:
		return t.s.outOfStep(st, fmt.Errorf("the server refused MAIL, and now says %q", r))
	case r.Class() == 3:
		t.ready = true
	case t.accepted > 0:
		t.settle(t.s.refusal(st, r))
	}
	return nil
}

func (t *transaction) gotDot(st step, r Reply) error {
	t.result.Reply = r
	if r.Class() != 2 {
		t.settle(t.s.refusal(st, r))
		return nil
	}
	t.settle(nil)
	return nil
}

// lost is told that the session broke before a reply came.
func (t *transaction) lost(err error, sent bool) {
	t.result.Unknown = sent && t.ready
	t.settle(err)
}

// settle reports the outcome, once.
func (t *transaction) settle(err error) {
	if t.settled {
		return
	}
	t.settled = true
	t.result.Err = err
	t.mail.Done(t.result)
}

// send writes the message and its final dot.
func (t *transaction) send() error {
	t.s.trace('C', fmt.Sprintf("(the message, %d octets)", t.size))
	d := dotWriter{w: t.s.w, lineStart: true}
	buf := make([]byte, 32<<10)
	for {
		n, err := t.message.Read(buf)
		t.s.canWrite()
		if werr := d.write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return d.end(t.s)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBody, err)
		}
	}
}
