package smtp

import (
	"fmt"
	"io"
	"slices"

	"sendoff/submit/envelope"
)

// A transaction sends one mail (RFC 5321 section 3.3) to its recipients, or to as many
// of them as the server accepts at once. It has one of three forms, which depends on
// the server's extensions and on Options. Two columns are two flights:
//
//	usual           MAIL RCPT… DATA        message .
//	large, chunked  MAIL RCPT…             BDAT message
//	one flight      MAIL RCPT… BDAT message
//
// If the mail has a Fallback, MAIL is a flight of its own.
type transaction struct {
	d         *delivery
	s         *Session
	mail      *Mail
	to        []int  // indexes in mail.Envelope.To
	done      []bool // parallel to to: the recipient has its Result, or goes to another transaction
	message   io.Reader
	size      int64 // of message, in octets
	chunked   bool  // BDAT (RFC 3030) instead of DATA
	oneFlight bool  // the message is in the flight of MAIL
	open      bool  // MAIL was accepted
	accepted  []int // indexes in to: the server accepted the recipient
	full      bool  // the server accepts no more recipients
	ready     bool  // the reply to DATA was 3yz
	answered  bool  // there was a reply to the message
}

// begin returns the steps MAIL and RCPT, and the steps after them in the same flight;
// none if the mail cannot be sent to this server.
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
	t.oneFlight = t.chunked && t.size <= maxOneFlight
	var steps []step
	if t.chunked && s.transactions > 0 {
		// The reply to the BDAT of the last transaction may still be on its way. If it
		// is a refusal, the server accepts only RSET (RFC 3030 section 2).
		steps = append(steps, s.rset())
	}
	s.transactions++
	steps = append(steps, step{
		phase: mail, send: command, name: "MAIL FROM:<" + e.From.String() + ">", want: 2, got: t.gotMail,
		waits: t.mail.Fallback != nil, // the sender may be refused, and some servers would then still accept RCPT and DATA
	})
	steps = append(steps, recipients...)
	switch {
	case t.oneFlight:
		message := t.messageStep(t.send)
		message.skip = t.settled
		steps = append(steps, message)
	case !t.chunked:
		steps = append(steps, step{
			phase: data, send: "DATA", want: 3, got: t.gotData,
			skip: t.settled,
		})
	}
	return steps
}

// recipients returns a RCPT step for each recipient. A recipient whose address the
// server cannot be given has its Result at once, and no step.
func (t *transaction) recipients() []step {
	var steps []step
	for i, index := range t.to {
		to := &t.mail.Envelope.To[index]
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

// end returns the steps that send the message, if it is not sent yet, or that abandon
// the transaction. more says that another mail follows; otherwise QUIT is in the same
// flight if the server offers PIPELINING.
func (t *transaction) end(more bool) []step {
	var st step
	switch hasRecipients := len(t.accepted) > 0; {
	case t.oneFlight || !t.open:
		return nil
	case hasRecipients && (t.ready || t.chunked):
		st = t.messageStep(t.send)
	case t.ready: // an empty message ends the transaction: all recipients were refused (RFC 2920 section 3.1)
		st = t.messageStep(func() error { return t.s.writeCommand(".") })
	case (more || t.s.o.KeepOpen) && !t.chunked:
		return []step{t.s.rset()}
	default:
		return nil
	}
	steps := []step{st}
	if t.s.o.LMTP {
		for i := 1; i < len(t.accepted); i++ { // one reply for each accepted recipient (RFC 2033 section 4.2)
			steps = append(steps, step{phase: dot, name: st.name, mute: true, want: 2, got: t.gotEnd, lost: t.lost})
		}
	}
	last := !more && (t.mail.Fallback == nil || !t.s.More())
	if last && !t.s.o.KeepOpen && t.s.offers("PIPELINING") {
		steps = append(steps, step{send: "QUIT", final: true})
	}
	return steps
}

// messageStep returns the step in which body writes the message and its end.
func (t *transaction) messageStep(body func() error) step {
	return step{phase: dot, name: "end of message", body: body, size: t.size, want: 2, got: t.gotEnd, lost: t.lost}
}

// rset returns a step that sends RSET, which ends a transaction without a message.
func (s *Session) rset() step {
	return step{phase: reset, send: "RSET", want: 2, got: func(step, Reply) error { return nil }}
}

func (t *transaction) gotMail(st step, r Reply) error {
	if r.Code == 421 { // handle ends the session, and abandon decides about the recipients
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

// refused handles a reply that refuses the whole mail: a recipient gets Fallback if r
// refuses the sender, and otherwise the refusal as its Result.
func (t *transaction) refused(st step, r Reply, result Result) {
	for i := range t.to {
		if !t.done[i] {
			t.useFallback(i, st, r)
		}
	}
	result.Err = t.s.refusal(st, r)
	t.finish(result)
}

// useFallback reports whether r refuses the sender for good and Fallback is for the
// recipient i: then Fallback is sent to the recipient in place of the mail.
func (t *transaction) useFallback(i int, st step, r Reply) bool {
	m := t.mail.Fallback
	if m == nil || !r.refusesSender(st.phase) || !m.isFor(t.to[i]) {
		return false
	}
	t.s.remark("the server refuses <" + t.mail.Envelope.From.String() + "> as the sender; trying again with <" + m.Envelope.From.String() + ">")
	t.s.served = true // if the server now ends the connection, Fallback goes to a new session
	return t.putBack(m, i)
}

func (t *transaction) gotRcpt(i int, st step, r Reply) error {
	switch {
	case r.Class() == 2:
		t.accepted = append(t.accepted, i)
	case t.done[i]: // MAIL was refused, and this recipient has that result already
	case len(t.accepted) > 0 && r.tooMany():
		t.full = true
		t.s.mostRecipients = len(t.accepted)
		t.putBack(t.mail, i)
	case !t.useFallback(i, st, r):
		t.report(i, Result{Err: t.s.refusal(st, r)})
	}
	return nil
}

// putBack leaves the recipient i to a later transaction, which sends m. It returns true.
func (t *transaction) putBack(m *Mail, i int) bool {
	t.done[i] = true
	t.d.add(m, t.to[i])
	return true
}

// gotData handles the reply to DATA. If the server asks for a message although it
// refused the sender, the session ends: the server would read commands as the message.
func (t *transaction) gotData(st step, r Reply) error {
	switch {
	case r.Class() == 3 && !t.open:
		return t.s.outOfStep(st, fmt.Errorf("the server refused MAIL, and now says %q", r))
	case r.Class() == 3 && len(t.accepted) == 0 && t.s.o.LMTP: // RFC 2033 does not say how many replies an empty message has
		return t.s.outOfStep(st, fmt.Errorf("the server refused all recipients, and now says %q", r))
	case r.Class() == 3:
		t.ready = true
	case len(t.accepted) > 0:
		t.refused(st, r, Result{})
	}
	return nil
}

// gotEnd handles a reply to the message. With LMTP it is about the next accepted
// recipient, otherwise about all of them.
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
		if !t.useFallback(i, st, r) {
			t.report(i, result)
		}
	case r.Class() != 2:
		t.refused(st, r, result)
	default:
		t.finish(result)
	}
	return nil
}

// lost is called if the session broke before the reply to the message came. If the
// server may have the message, its recipients get an unknown Result; otherwise abandon
// decides about them.
func (t *transaction) lost(err error, sent bool) {
	if (sent || t.answered) && !t.s.leftBy421 {
		t.finish(Result{Err: err, Unknown: true})
	}
}

// undone returns the recipients that are not done, as indexes in mail.Envelope.To.
func (t *transaction) undone() (to []int) {
	for i := range t.to {
		if !t.done[i] {
			to = append(to, t.to[i])
		}
	}
	return to
}

// settled reports whether all recipients are done.
func (t *transaction) settled() bool { return !slices.Contains(t.done, false) }

// settle makes err the Result of the recipients that are not done.
func (t *transaction) settle(err error) { t.finish(Result{Err: err}) }

// finish makes r the Result of the recipients that are not done.
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

// blockSize is the size of the pieces in which a message is read and written, in octets.
const blockSize = 128 << 10

// send writes the message: with a final dot after DATA, or as one BDAT chunk.
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
			held = min(n, 1) // the last octet waits in the buffer for the flush: the reply must not come before the step is answerable
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
