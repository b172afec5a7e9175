package smtp

import (
	"fmt"
	"io"
	"slices"

	"sendoff/submit/envelope"
)

// A transaction is one mail on its way (RFC 5321 section 3.3), to all of its
// recipients or as many as there is room for. By what the server offers and
// Options allow it takes one of three forms; a line is a flight:
//
//	usual           MAIL RCPT… DATA        message .
//	large, chunked  MAIL RCPT…             BDAT message
//	whole           MAIL RCPT… BDAT message
//
// Where there is Fallback, MAIL is a flight of its own.
type transaction struct {
	d        *delivery
	s        *Session
	mail     *Mail
	to       []int  // indexes in mail.Envelope.To
	done     []bool // which of to have their Result, or go to another transaction
	message  io.Reader
	size     int64
	chunked  bool  // BDAT (RFC 3030) instead of DATA
	whole    bool  // the message is in the flight of MAIL
	open     bool  // MAIL was accepted
	accepted []int // of to
	full     bool  // the server wants no more recipients
	ready    bool  // DATA was answered with 3yz
	answered bool  // there was a reply to the message
}

// begin makes the steps MAIL, RCPT… and what follows them in their flight;
// none if the mail cannot be sent to this server at all.
func (t *transaction) begin() []step {
	s, e := t.s, *t.mail.Envelope
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
	recipients := t.recipients()
	if len(recipients) == 0 {
		return nil
	}
	t.chunked = s.o.OneFlight && !s.o.LMTP && s.offers("CHUNKING") && s.offers("PIPELINING")
	t.whole = t.chunked && t.size <= maxWhole
	var steps []step
	if t.chunked && s.transactions > 0 {
		// How the one before ended may not be known yet, and after a refused
		// BDAT nothing else is taken (RFC 3030 section 2).
		steps = append(steps, s.rset())
	}
	s.transactions++
	steps = append(steps, step{
		phase: mail, send: command, name: "MAIL FROM:<" + e.From.String() + ">", want: 2, got: t.gotMail,
		waits: t.mail.Fallback != nil, // the sender is likely to be refused, and not every server then refuses what follows
	})
	steps = append(steps, recipients...)
	switch {
	case t.whole:
		contents := t.contents(t.send)
		contents.skip = t.settled
		steps = append(steps, contents)
	case !t.chunked:
		steps = append(steps, step{
			phase: data, send: "DATA", want: 3, got: t.gotData,
			skip: t.settled,
		})
	}
	return steps
}

// recipients makes a step for each recipient that this server could take.
func (t *transaction) recipients() []step {
	var steps []step
	for i, of := range t.to {
		to := &t.mail.Envelope.To[of]
		command, err := t.s.rcptCommand(to)
		if err != nil {
			t.report(i, Result{Err: err})
			continue
		}
		steps = append(steps, step{
			phase: rcpt, send: command, name: "RCPT TO:<" + to.Address.String() + ">",
			skip: func() bool { return t.done[i] || t.full && t.putBack(t.mail, i) },
			want: 2, got: func(st step, r Reply) error { return t.gotRcpt(i, st, r) },
		})
	}
	return steps
}

// end makes the steps that send the message, if it is not sent yet, or leave
// the transaction without one. QUIT rides along if there is no further mail
// and the server pipelines.
func (t *transaction) end(more bool) []step {
	var st step
	switch taken := len(t.accepted) > 0; {
	case t.whole || !t.open:
		return nil
	case taken && (t.ready || t.chunked):
		st = t.contents(t.send)
	case t.ready:
		st = t.contents(func() error { return t.s.writeCommand(".") }) // all were refused (RFC 2920 section 3.1)
	case (more || t.s.o.KeepOpen) && !t.chunked:
		return []step{t.s.rset()}
	default:
		return nil
	}
	steps := []step{st}
	if t.s.o.LMTP {
		for i := 1; i < len(t.accepted); i++ { // one reply for each of them (RFC 2033 section 4.2)
			steps = append(steps, step{phase: dot, name: st.name, mute: true, want: 2, got: t.gotEnd, lost: t.lost})
		}
	}
	last := !more && (t.mail.Fallback == nil || !t.s.More())
	if last && !t.s.o.KeepOpen && t.s.offers("PIPELINING") {
		steps = append(steps, step{send: "QUIT", final: true})
	}
	return steps
}

// contents is the step of the message, or of what stands in its place.
func (t *transaction) contents(body func() error) step {
	return step{phase: dot, name: "end of message", body: body, want: 2, got: t.gotEnd, lost: t.lost}
}

// rset makes the step that leaves a transaction without a message.
func (s *Session) rset() step {
	return step{phase: reset, send: "RSET", want: 2, got: func(step, Reply) error { return nil }}
}

func (t *transaction) gotMail(st step, r Reply) error {
	if r.Code == 421 { // which ends the session: see abandon
		return nil
	}
	if t.open = r.Class() == 2; !t.open {
		if t.mail.Fallback != nil && r.refusesSender(mail) {
			t.d.senderRefused(t.mail)
		}
		t.refused(st, r, Result{})
	}
	t.s.served = t.s.served || t.open
	return nil
}

// refused finishes the recipients that are not done with a refusal of the whole
// mail, unless it is the sender that is refused, and Fallback has another.
func (t *transaction) refused(st step, r Reply, result Result) {
	for i := range t.to {
		if !t.done[i] {
			t.replaced(i, st, r)
		}
	}
	result.Err = t.s.refusal(st, r)
	t.finish(result)
}

// replaced reports whether r refuses the sender for good, and the recipient gets
// the mail that is there instead.
func (t *transaction) replaced(i int, st step, r Reply) bool {
	m := t.mail.Fallback
	if m == nil || !r.refusesSender(st.phase) || !m.isFor(t.to[i]) {
		return false
	}
	t.s.remark("the server refuses <" + t.mail.Envelope.From.String() + "> as the sender; trying again with <" + m.Envelope.From.String() + ">")
	t.s.served = true // so a server that hangs up on the sender is asked again
	return t.putBack(m, i)
}

func (t *transaction) gotRcpt(i int, st step, r Reply) error {
	switch {
	case r.Class() == 2:
		t.accepted = append(t.accepted, i)
	case t.done[i]: // MAIL was refused, which says it all
	case len(t.accepted) > 0 && r.tooMany():
		t.full = true
		t.s.mostRecipients = len(t.accepted)
		t.putBack(t.mail, i)
	case !t.replaced(i, st, r):
		t.report(i, Result{Err: t.s.refusal(st, r)})
	}
	return nil
}

// putBack leaves a recipient to another transaction, which sends it m.
func (t *transaction) putBack(m *Mail, i int) bool {
	t.done[i] = true
	t.d.add(m, t.to[i])
	return true
}

// gotData ends the session if the server wants a message after it refused the
// sender: whatever came, it would take for one.
func (t *transaction) gotData(st step, r Reply) error {
	switch {
	case r.Class() == 3 && !t.open:
		return t.s.outOfStep(st, fmt.Errorf("the server refused MAIL, and now says %q", r))
	case r.Class() == 3 && len(t.accepted) == 0 && t.s.o.LMTP: // nothing says how many replies an empty message would have
		return t.s.outOfStep(st, fmt.Errorf("the server refused all recipients, and now says %q", r))
	case r.Class() == 3:
		t.ready = true
	case len(t.accepted) > 0:
		t.refused(st, r, Result{})
	}
	return nil
}

// gotEnd takes the reply to the message: with LMTP that of one accepted
// recipient after the other, otherwise that of all.
func (t *transaction) gotEnd(st step, r Reply) error {
	t.answered = true
	result := Result{Reply: r}
	switch {
	case !t.open && r.Class() == 2:
		return t.s.outOfStep(st, fmt.Errorf("the server refused MAIL, and now says %q", r))
	case t.s.o.LMTP && len(t.accepted) > 0:
		i := t.accepted[0]
		t.accepted = t.accepted[1:]
		if r.Class() != 2 {
			result.Err = t.s.refusal(st, r)
		}
		if !t.replaced(i, st, r) {
			t.report(i, result)
		}
	case r.Class() != 2:
		t.refused(st, r, result)
	default:
		t.finish(result)
	}
	return nil
}

// lost is told that the session broke before a reply to the message came. If the
// server may have the message, that is the outcome; else see abandon.
func (t *transaction) lost(err error, sent bool) {
	if (sent || t.answered) && !t.s.dismissed {
		t.finish(Result{Err: err, Unknown: true})
	}
}

// undone are the recipients that have no Result yet.
func (t *transaction) undone() (to []int) {
	for i := range t.to {
		if !t.done[i] {
			to = append(to, t.to[i])
		}
	}
	return to
}

func (t *transaction) settled() bool { return !slices.Contains(t.done, false) }

// settle gives the recipients that are not done a failure.
func (t *transaction) settle(err error) { t.finish(Result{Err: err}) }

// finish reports r for the recipients that are not done.
func (t *transaction) finish(r Result) {
	r.To = t.undone()
	for i := range t.done {
		t.done[i] = true
	}
	if len(r.To) > 0 {
		t.mail.Done(r)
	}
}

func (t *transaction) report(i int, r Result) {
	t.done[i] = true
	r.To = t.to[i : i+1]
	t.mail.Done(r)
}

// blockSize is how much of a message is read and written at once, in octets.
const blockSize = 128 << 10

// send writes the message, by DATA with its final dot, by BDAT in one chunk.
func (t *transaction) send() error {
	w := contentWriter{w: t.s.w, stuffing: !t.chunked, lineStart: true}
	if t.chunked {
		if err := t.s.writeCommand(fmt.Sprintf("BDAT %d LAST", t.size)); err != nil {
			return err
		}
	}
	t.s.trace('C', fmt.Sprintf("(the message, %d octets)", t.size))
	if t.size > blockSize {
		cork(t.s.conn, 1)
		defer cork(t.s.conn, 0)
	}
	buf := make([]byte, min(blockSize, max(t.size+1, 512)))
	for total := int64(0); ; {
		n, err := t.message.Read(buf)
		if total += int64(n); t.chunked && (total > t.size || err == io.EOF && total < t.size) {
			return fmt.Errorf("%w: it has not the %d octets it had", errBody, t.size)
		}
		t.s.canWrite()
		held := 0
		if t.chunked && total == t.size {
			held = min(n, 1) // stays in the buffer: the step is not answerable yet
		}
		for _, part := range [...][]byte{buf[:n-held], buf[n-held : n]} {
			if werr := w.write(part); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return w.end(t.s)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBody, err)
		}
	}
}
