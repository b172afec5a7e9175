package smtp

import (
	"context"
	"io"
	"iter"
	"slices"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Mail is one envelope and message, and where its outcome goes.
type Mail struct {
	Envelope *envelope.Envelope
	// To are those of Envelope.To who are to get it, by index; nil: all.
	To []int
	// Open gives the message from its start, in CRLF lines without
	// dot-stuffing, in a form that the server can take, and its size. It is
	// called once for each transaction that the mail takes.
	Open func(envelope.Form) (io.Reader, int64, error)
	// Done is called with each Result as soon as it is certain; nothing that
	// happens later changes it.
	Done func(Result)
	// Fallback, if not nil, is sent, in a transaction of its own in the same
	// session, to the recipients for whom the server refuses the sender of this
	// mail for good. The Envelope of Fallback has the recipients of this one at
	// the same indexes; its To are those for whom there is a fallback.
	Fallback *Mail
}

// recipients are the indexes in Envelope.To of who is to get m.
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

// Fail gives m, which was sent to no server, err as its outcome.
func (m *Mail) Fail(err error) { m.Done(Result{To: m.recipients(), Err: err}) }

// with returns m for some of its recipients.
func (m *Mail) with(to []int) Mail {
	mail := *m
	mail.To = to
	return mail
}

// A Result says what the server did for some recipients of a Mail. Each
// recipient is in exactly one.
type Result struct {
	To    []int // indexes in Envelope.To of the Mail, or of its Fallback
	Reply Reply // to the end of the message; zero if there was none
	// Unknown says that the connection broke after the whole message was
	// sent: the server may have it, and another try may deliver it twice (RFC
	// 1047).
	Unknown bool
	// Err is why To did not get the message; nil: the server has taken it.
	Err error
}

// maxInFlight is how many whole messages are sent before the reply to the
// first must be in. As many have an unknown outcome if the connection breaks.
const maxInFlight = 16

// maxWhole is how large a message may be, in octets, to be sent before the
// replies to its recipients are in. With a larger one more would be wasted by
// a refusal than is won.
const maxWhole = 64 << 10

// Deliver sends mails until there are no more. It asks for the next one before
// it ends the last one, so that the next MAIL, or QUIT, rides in the flight of
// the final dot. A mail with more recipients than the server takes at once is
// sent again to those left. Each recipient of a mail that was asked for gets
// its Result, or is in untried; an error is why the session could go no further.
//
// In untried are mails, with those of their recipients, that the server was not
// asked to take, because it has taken others before: it may have as many of a
// session as it announced (LIMITS MAILMAX, RFC 9422), or it answered their MAIL
// with 421, or by closing the connection. A new session may take them.
//
// After Deliver only Close may follow, or with Options.KeepOpen and without an error
// another one, if More says so, whose first mail rides in no flight.
func (s *Session) Deliver(ctx context.Context, mails iter.Seq[Mail]) (untried []Mail, err error) {
	defer s.watch(ctx)()
	next, stop := iter.Pull(mails)
	defer stop()
	d := &delivery{s: s, next: next}
	for !d.ended || len(d.left) > 0 && s.More() {
		if err := s.fly(d.flight()...); err != nil {
			return d.abandon(err), err
		}
		if d.ended {
			d.forget(len(d.open))
		}
	}
	return d.left, nil
}

// More reports whether the server may take another mail in this session.
func (s *Session) More() bool { return s.transactions < s.announced("MAILMAX") }

// A delivery is what a session has to do.
type delivery struct {
	s     *Session
	next  func() (Mail, bool)
	left  []Mail         // that were asked for, each for the recipients that the server has not been told of
	open  []*transaction // whose steps are in the flight; the message of the last is perhaps still to be sent
	ended bool           // the last flight is on its way
}

// flight makes the steps that end the last transaction and begin the next one;
// or several, if their messages need not wait for replies.
func (d *delivery) flight() []step {
	t := d.take()
	d.ended = t == nil
	var steps []step
	if n := len(d.open); n > 0 {
		steps = d.open[n-1].end(!d.ended)
		d.forget(n - 1)
	}
	for whole := 0; t != nil; t = d.take() {
		d.open = append(d.open, t)
		steps = append(steps, t.begin()...)
		if whole++; !t.whole || whole == maxInFlight {
			break
		}
	}
	return steps
}

// take makes a transaction of what is left of a mail, or of the next mail; nil
// if there is none, or the server takes no more.
func (d *delivery) take() *transaction {
	if !d.s.More() {
		return nil
	}
	if len(d.left) == 0 {
		m, ok := d.next()
		if !ok {
			return nil
		}
		d.left = d.s.split(m)
	}
	m := d.left[0]
	to := m.recipients()
	n := min(len(to), d.s.maxRecipients())
	if n == len(to) {
		d.left = d.left[1:]
	} else {
		d.left[0].To = to[n:]
	}
	return &transaction{d: d, s: d.s, mail: &m, to: to[:n], done: make([]bool, n)}
}

// split returns m, or what its recipients get where the server has refused the
// sender of m in this session, which is not asked again: m for those who have no
// Fallback, and Fallback for the others.
func (s *Session) split(m Mail) (mails []Mail) {
	if m.Fallback == nil || !slices.Contains(s.senders, m.Envelope.From) {
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

// senderRefused takes note that the server refuses the sender of m, also for the
// recipients that it has not been told of.
func (d *delivery) senderRefused(m *Mail) {
	d.s.senders = append(d.s.senders, m.Envelope.From)
	var left []Mail
	for _, m := range d.left {
		left = append(left, d.s.split(m)...)
	}
	d.left = left
}

// add makes a recipient of m one of those that are left.
func (d *delivery) add(m *Mail, to int) {
	for i := range d.left {
		if other := &d.left[i]; other.Envelope == m.Envelope {
			other.To = append(slices.Clip(other.recipients()), to)
			return
		}
	}
	d.left = append(d.left, m.with([]int{to}))
}

// forget drops the first n transactions. They had their outcome; that nothing
// counts as sent which had none is seen to here.
func (d *delivery) forget(n int) {
	for _, t := range d.open[:n] {
		t.settle(status.Bug.Errorf("a transaction without an outcome"))
	}
	d.open = slices.Clone(d.open[n:])
}

// abandon settles everything with err, which ended the session, but for what a new
// session may take, which it returns.
func (d *delivery) abandon(err error) (untried []Mail) {
	resume := d.s.served && d.s.left && !d.s.interrupted()
	for _, t := range d.open {
		to := t.undone()
		if resume = resume && (len(to) == 0 || !t.open); resume && len(to) > 0 {
			untried = append(untried, t.mail.with(to))
		} else {
			t.settle(err)
		}
	}
	if resume {
		return append(untried, d.left...)
	}
	for _, m := range d.left {
		m.Fail(err)
	}
	return untried
}
