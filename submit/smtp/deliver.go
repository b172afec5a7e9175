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
	// Open gives the message from its start, in CRLF lines without
	// dot-stuffing, in a form that the server can take, and its size. It is
	// called once for each transaction that the mail takes.
	Open func(envelope.Form) (io.Reader, int64, error)
	// Done is called with each Result as soon as it is certain; nothing that
	// happens later changes it.
	Done func(Result)
}

// A Result says what the server did for some recipients of a Mail. Each
// recipient is in exactly one.
type Result struct {
	To    []envelope.Recipient
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
// its Result; an error is why the session could go no further. After Deliver
// only Close may follow, or with Options.Stay and without an error another one,
// whose first mail rides in no flight.
func (s *Session) Deliver(ctx context.Context, mails iter.Seq[Mail]) error {
	defer s.watch(ctx)()
	next, stop := iter.Pull(mails)
	defer stop()
	d := &delivery{s: s, next: next}
	for !d.ended {
		if err := s.fly(d.flight()...); err != nil {
			d.abandon(err)
			return err
		}
	}
	d.forget(len(d.open))
	return nil
}

// A delivery is what a session has to do.
type delivery struct {
	s     *Session
	next  func() (Mail, bool)
	left  []part         // of mails that were asked for
	open  []*transaction // whose steps are in the flight; the message of the last is perhaps still to be sent
	ended bool           // the last flight is on its way
}

// A part is a mail with those of its recipients that were not yet named to the
// server.
type part struct {
	mail *Mail
	to   []envelope.Recipient
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
// if there is none.
func (d *delivery) take() *transaction {
	if len(d.left) == 0 {
		m, ok := d.next()
		if !ok {
			return nil
		}
		d.left = []part{{&m, m.Envelope.To}}
	}
	p := &d.left[0]
	n := min(len(p.to), d.s.maxRecipients())
	t := &transaction{d: d, s: d.s, mail: p.mail, to: p.to[:n], done: make([]bool, n)}
	if p.to = p.to[n:]; len(p.to) == 0 {
		d.left = d.left[1:]
	}
	return t
}

// putBack leaves a recipient for another transaction.
func (d *delivery) putBack(m *Mail, to envelope.Recipient) {
	if n := len(d.left); n > 0 && d.left[n-1].mail == m {
		d.left[n-1].to = append(slices.Clip(d.left[n-1].to), to)
		return
	}
	d.left = append(d.left, part{m, []envelope.Recipient{to}})
}

// forget drops the first n transactions. They had their outcome; that nothing
// counts as sent which had none is seen to here.
func (d *delivery) forget(n int) {
	for _, t := range d.open[:n] {
		t.settle(status.Bug.Errorf("a transaction without an outcome"))
	}
	d.open = slices.Clone(d.open[n:])
}

// abandon settles everything with err, which ended the session.
func (d *delivery) abandon(err error) {
	for _, t := range d.open {
		t.settle(err)
	}
	for _, p := range d.left {
		p.mail.Done(Result{To: p.to, Err: err})
	}
}
