package smtp

import (
	"context"
	"io"
	"iter"
	"slices"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Mail is an envelope and a message to send, and a function that gets the outcome.
type Mail struct {
	Envelope *envelope.Envelope
	// To are the indexes in Envelope.To of the recipients that get the mail; nil: all.
	To []int
	// Open returns the message from its start, and its size in octets: lines end with
	// CRLF, dots are not stuffed, and the text has the Form that the server accepts.
	// Open is called once for each transaction.
	Open func(envelope.Form) (io.Reader, int64, error)
	// Done is called with each Result as soon as the Result is final.
	Done func(Result)
	// Fallback, if not nil, is sent to the recipients for whom the server refuses the
	// sender of this mail for good, in another transaction. The Envelope of Fallback
	// has the same recipients at the same indexes; its To are the recipients that may
	// get Fallback.
	Fallback *Mail
}

// recipients returns the indexes in Envelope.To of the recipients of m.
func (m *Mail) recipients() []int {
	if m.To != nil {
		return m.To
	}
	all := make([]int, len(m.Envelope.To))
	for i := range all {
		all[i] = i
	}
	return all
}

// Fail makes err the Result of all recipients of m, which no server was asked about.
func (m *Mail) Fail(err error) { m.Done(Result{To: m.recipients(), Err: err}) }

// with returns a copy of m for the recipients to.
func (m *Mail) with(to []int) Mail {
	mail := *m
	mail.To = to
	return mail
}

// A Result is the outcome for some recipients of a Mail. Each recipient has exactly
// one Result.
type Result struct {
	To    []int // indexes in Envelope.To of the Mail, or of its Fallback
	Reply Reply // the reply to the end of the message; zero: there was none
	// Unknown says that the connection broke after the whole message was sent: the
	// server may have the message, and another attempt may send it twice (RFC 1047).
	Unknown bool
	// Err is why To did not get the message; nil: the server has accepted it.
	Err error
}

// maxInFlight is the number of messages that may be sent before the reply to the first
// of them has come. If the connection breaks, so many outcomes are unknown at most.
const maxInFlight = 16

// maxOneFlight is the largest size, in octets, of a message that may be sent before the
// replies to its recipients have come. Sending a larger one in vain, because the
// recipients are refused, would cost more than a round trip.
const maxOneFlight = 64 << 10

// Deliver sends mails, one after the other, until mails has no more. It takes the next
// mail from mails before it ends the message of the last one, so that the next MAIL, or
// QUIT, is in the same flight as the final dot. If a mail has more recipients than the
// server accepts in one transaction, Deliver sends it again to the others. Each recipient
// of a mail that was taken from mails gets a Result, or is in untried. An error says why
// the session broke off.
//
// untried are mails for a new session, each with the recipients that have no Result: the
// server accepted mail before, but then it had as many mails as it allows in a session
// (LIMITS MAILMAX, RFC 9422), or it answered MAIL with 421 or by closing the connection.
//
// After Deliver the session must be closed. Only with Options.KeepOpen, without an error,
// and if More reports true, Deliver may be called again.
func (s *Session) Deliver(ctx context.Context, mails iter.Seq[Mail]) (untried []Mail, err error) {
	defer s.watch(ctx)()
	next, stop := iter.Pull(mails)
	defer stop()
	d := &delivery{s: s, next: next}
	for !d.ended || len(d.pending) > 0 && s.More() {
		if err := s.fly(d.flight()...); err != nil {
			return d.abandon(err), err
		}
		if d.ended {
			d.forget(len(d.inFlight))
		}
	}
	return d.pending, nil
}

// More reports whether the server may take another mail in this session.
func (s *Session) More() bool { return s.transactions < s.serverLimit("MAILMAX") }

// A delivery is the state of one call of Deliver.
type delivery struct {
	s        *Session
	next     func() (Mail, bool)
	pending  []Mail         // taken from next, each with the recipients that are in no transaction yet
	inFlight []*transaction // begun, but not known to be over; only the last may still have its message to send
	ended    bool           // there is no further mail, and the last flight was made
}

// flight returns the steps that end the last transaction and begin the next one. It
// begins several transactions if their messages go in one flight with their MAIL.
func (d *delivery) flight() []step {
	t := d.take()
	d.ended = t == nil
	var steps []step
	if n := len(d.inFlight); n > 0 {
		steps = d.inFlight[n-1].end(!d.ended)
		d.forget(n - 1)
	}
	for count := 0; t != nil; t = d.take() {
		d.inFlight = append(d.inFlight, t)
		steps = append(steps, t.begin()...)
		if count++; !t.oneFlight || count == maxInFlight {
			break
		}
	}
	return steps
}

// take returns a transaction for the first pending mail, or else for the next mail. It
// returns nil if there is no mail, or the server accepts no more in this session.
func (d *delivery) take() *transaction {
	if !d.s.More() {
		return nil
	}
	if len(d.pending) == 0 {
		m, ok := d.next()
		if !ok {
			return nil
		}
		d.pending = d.s.split(m)
	}
	m := d.pending[0]
	to := m.recipients()
	n := min(len(to), d.s.maxRecipients())
	if n == len(to) {
		d.pending = d.pending[1:]
	} else {
		d.pending[0].To = to[n:]
	}
	return &transaction{d: d, s: d.s, mail: &m, to: to[:n], done: make([]bool, n)}
}

// split returns m alone, unless the server has refused the sender of m in this session
// and m has a Fallback. Then it returns Fallback for the recipients that may get it, and
// m for the others.
func (s *Session) split(m Mail) (mails []Mail) {
	if m.Fallback == nil || !slices.Contains(s.refusedSenders, m.Envelope.From) {
		return []Mail{m}
	}
	var usual, fallback []int
	for _, i := range m.recipients() {
		if m.Fallback.isFor(i) {
			fallback = append(fallback, i)
		} else {
			usual = append(usual, i)
		}
	}
	if len(usual) > 0 {
		mails = append(mails, m.with(usual))
	}
	if len(fallback) > 0 {
		mails = append(mails, m.Fallback.with(fallback))
	}
	return mails
}

// isFor reports whether recipient i is to get m.
func (m *Mail) isFor(i int) bool { return m.To == nil || slices.Contains(m.To, i) }

// senderRefused notes that the server refuses the sender of m, and splits the pending
// mails accordingly.
func (d *delivery) senderRefused(m *Mail) {
	d.s.refusedSenders = append(d.s.refusedSenders, m.Envelope.From)
	var pending []Mail
	for _, m := range d.pending {
		pending = append(pending, d.s.split(m)...)
	}
	d.pending = pending
}

// add puts m back among the pending mails for the recipient to, an index in Envelope.To.
func (d *delivery) add(m *Mail, to int) {
	for i := range d.pending {
		if other := &d.pending[i]; other.Envelope == m.Envelope {
			other.To = append(slices.Clip(other.recipients()), to)
			return
		}
	}
	d.pending = append(d.pending, m.with([]int{to}))
}

// forget drops the first n transactions, which are over. A recipient without a Result,
// which only a bug can leave, fails here: otherwise it would count as sent.
func (d *delivery) forget(n int) {
	for _, t := range d.inFlight[:n] {
		t.settle(status.Bug.Errorf("a transaction without an outcome"))
	}
	d.inFlight = slices.Clone(d.inFlight[n:])
}

// abandon makes err, which ended the session, the Result of all recipients that have
// none. If the server itself left between two mails, abandon returns their mails
// instead, because a new session may send them.
func (d *delivery) abandon(err error) (untried []Mail) {
	resume := d.s.served && d.s.serverLeft && !d.s.interrupted()
	for _, t := range d.inFlight {
		to := t.undone()
		if resume = resume && (len(to) == 0 || !t.open); resume && len(to) > 0 {
			untried = append(untried, t.mail.with(to))
		} else {
			t.settle(err)
		}
	}
	if resume {
		return append(untried, d.pending...)
	}
	for _, m := range d.pending {
		m.Fail(err)
	}
	return untried
}
