// Package submit takes a message to the smarthost of an account, now or from
// the queue, and says for each recipient what became of it.
//
//	Request                   what a command line or an SMTP client asks for
//	   │ Prepare (prepare.go)   aliases and the account's rules
//	Job                       what is sent, to which recipients (job.go)
//	   │ Deliver                one session with the smarthost: each recipient has an outcome
//	   │ Keep (keep.go)         the policy (settle.go): sent, waits, refused, or returned to the caller
//	outcome.Report            what the caller has to know
//
// Recipients that wait are in an entry of the queue (entry.go), of which package runner
// makes a Request for the next attempt. Postpone and Refuse are for a Request that cannot
// be delivered, Later is for a Job without an attempt, Enqueue for one that takes too long.
//
// Errors: those of the packages below, with their kinds; before the first MAIL their
// scope is always Account. An outcome.Report is the error of a submission where some recipient's
// mail was neither taken by the server nor queued.
package submit

import (
	"context"
	"io"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/maillog"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/spool"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// A Request is what a caller asks for, before the account's rules.
type Request struct {
	By       config.Choice     // what the caller says of the account; the queue keeps it
	Account  *config.Account   // the account that By led to; nil: there is none, and only Postpone takes the Request
	Why      string            // the reason for the Account, in words
	Sender   *envelope.Address // the reverse-path; nil: nobody named one
	SenderBy string            // where Sender was named, in words; "": by -f
	FullName string            // -F: the name in a From field that has to be added
	UserName string            // the name for that field if neither -F nor the account gives one; "": the system's name of the user
	To       []Wanted
	Bad      []error           // one for each word of the caller's that is no address; To get the message nevertheless
	Envelope envelope.Envelope // the parameters of MAIL; From and To are not used
	Message  *message.Message  // nil: the input could not be read as a message
	Unread   []byte            // without a Message: the beginning of the input

	QueueOnly bool // make no attempt now: queue the message
	Typed     bool // a person has typed the message: keep a copy if it is neither sent nor queued

	OneReply bool         // the caller gets one reply for all recipients; a notice tells the sender if only some are refused
	Peer     process.Peer // the client that has connected to us; zero: the message came on standard input
	Login    string       // the name under which the client has logged in to us; "": it has not

	date    time.Time // for a Date field that has to be added
	id      string    // for a Message-ID field that has to be added, without brackets
	queueID queue.ID  // see ID
}

// Choose sets the account of r to the one that c has for r.By, the sender and the
// author of the message.
func (r *Request) Choose(c *config.Config) (err error) {
	if r.Sender != nil {
		r.By.Sender = *r.Sender
	}
	if r.Message != nil {
		if from, ok := r.Message.From(); ok {
			r.By.Header = from.Address
		}
	}
	r.Account, r.Why, err = c.Choose(r.By)
	return err
}

// IsForLater reports whether r is queued without an attempt: the caller or the account
// wants that. Without a queue, or if the queue is full, r is attempted nevertheless.
func (r *Request) IsForLater() bool {
	if r.QueueOnly || r.Account == nil {
		return r.QueueOnly
	}
	return r.Account.Deliver == config.DeliverBackground || r.Account.Deliver == config.DeliverQueue
}

// ID returns the ID of the message in the log, which is also that of its queue
// entry if there is one.
func (r *Request) ID() queue.ID {
	if r.queueID == "" {
		r.queueID = queue.NewID(time.Now())
	}
	return r.queueID
}

// Wanted is a recipient as the caller named it.
type Wanted struct {
	envelope.Recipient
	Origin    string // where it was named, in words
	NoAliases bool   // do not look the recipient up in the alias file; true also if an alias has led to it
}

// A Submitter submits messages. Its fields are the outside world.
type Submitter struct {
	Config     *config.Config
	Identity   config.Identity
	Smarthosts *smarthost.Pool // opens sessions; Pool sets what depends on configuration and queue

	spool.Spool
	Sendmail bool                                                // we are called as sendmail: our callers cannot mend an account
	Load     func(place config.Override) (*config.Config, error) // the configuration of an entry; nil: Config
	Log      *maillog.Log                                        // may be nil
	Console  *status.Console                                     // may be nil

	Unwritten *throttle.Unwritten // see throttle.New; may be nil
}

// Throttle holds accounts back, for all processes that use the queue.
func (s *Submitter) Throttle() *throttle.Throttle {
	return throttle.New(s.Queue, s.Config, s.Unwritten)
}

// Schedule is when things are tried again, as the configuration has it.
func (s *Submitter) Schedule() queue.Schedule { return throttle.Schedule(s.Config) }

// Pool returns Smarthosts with the configuration, the queue and the log of s.
func (s *Submitter) Pool() *smarthost.Pool {
	p := s.Smarthosts.Clone()
	if p.Secrets.Config = s.Config; s.Queue != nil {
		p.Secrets.State, p.Dialer.State = s.Queue.State, s.Queue.State
	}
	p.Throttle, p.Log, p.Console, p.Quiet = s.Throttle(), s.Log, s.Console, s.Sendmail
	return p
}

// Apart returns a new Submitter with the configuration and the outside world of s, but
// without queue and log: it sends a message now, or not at all.
func (s *Submitter) Apart() *Submitter {
	pool := s.Smarthosts.Clone()
	pool.Idle, pool.Patience = nil, 0
	return &Submitter{Config: s.Config, Identity: s.Identity, Smarthosts: pool, Sendmail: s.Sendmail, Console: s.Console}
}

// Submit sends the message of r, or queues it. When it returns nil, every
// recipient's mail was taken by the smarthost or is in the queue; otherwise the
// error is a Report.
func (s *Submitter) Submit(ctx context.Context, r *Request) error {
	if len(r.To) == 0 && len(r.Bad) > 0 {
		return s.Refuse(r, nil)
	}
	j := s.Prepare(r)
	defer j.Close()
	if !s.Later(j) {
		s.Deliver(ctx, j)
	}
	err := s.Keep(j)
	s.confirm(j)
	return err
}

// Deliver sends j over a session with the account, and gives each recipient its
// outcome. If the server has ended a session that was kept from an earlier message,
// or takes no further message in a session, Deliver opens another session.
func (s *Submitter) Deliver(ctx context.Context, j *Job) {
	if j.IsOver() {
		return
	}
	mails := []smtp.Mail{s.Mail(j, func(smtp.Result) {})}
	session, done, err := s.admitted(ctx, j)
	if err == nil {
		defer done()
	}
	for err == nil && len(mails) > 0 {
		var end error
		reused := session.Reused // read now: after Put another goroutine may have the session
		mails, end = session.Send(ctx, mails, nil)
		s.Smarthosts.Put(session, end)
		if reused && j.isUntouched() && ctx.Err() == nil {
			done()
			j.reset()
			s.Deliver(ctx, j)
			return
		}
		if len(mails) > 0 {
			session, err = s.Pool().Get(ctx, j.account, j.Hello, throttle.SlotTime, false)
		}
	}
	Fail(mails, err)
}

// admitted returns a session for j. The error is a *throttle.Held if a limit of the
// server's or the account's rate forbids another message now. The caller calls done
// when j has its outcome.
func (s *Submitter) admitted(ctx context.Context, j *Job) (session *smarthost.Session, done func(), err error) {
	if err := s.Throttle().Pace(j.account, false); err != nil {
		return nil, nil, err
	}
	if done, err = s.Throttle().Admit(j.account); err != nil {
		return nil, nil, err
	}
	if session, err = s.Pool().Get(ctx, j.account, j.Hello, throttle.SlotTime, false); err == nil {
		if err = s.Throttle().Pace(j.account, true); err != nil {
			s.Smarthosts.Put(session, nil)
		}
	}
	if err != nil {
		done()
	}
	return session, done, err
}

// Fail gives all mails the same outcome.
func Fail(mails []smtp.Mail, err error) {
	for _, m := range mails {
		m.Fail(err)
	}
}

// Mail returns the job in the form that a session takes. The session calls done with
// each result.
func (s *Submitter) Mail(j *Job, done func(smtp.Result)) smtp.Mail {
	e := j.Envelope
	e.To = j.recipients()
	m := s.mailOf(j, &e, j.Message, done)
	if in := j.fallback; in != nil {
		other := s.mailOf(j, &in.envelope, in.message, done)
		other.To = in.to
		m.Fallback = &other
	}
	return m
}

func (s *Submitter) mailOf(j *Job, e *envelope.Envelope, m *message.Message, done func(smtp.Result)) smtp.Mail {
	var begun time.Time // when the last transaction began
	var clears []func() // removes the progress from the terminal; one for each transaction
	return smtp.Mail{
		Envelope: e,
		Open: func(f envelope.Form) (io.Reader, int64, error) {
			begun = time.Now()
			if why := m.AsIs(f); why != "" {
				s.Smarthosts.Remark("the message is signed, so it goes as it is: " + why)
			}
			message, size, err := m.Open(f)
			if err != nil {
				return nil, 0, err
			}
			shown, clear := s.Console.Progress(message, size)
			clears = append(clears, clear)
			return shown, size, nil
		},
		Done: func(r smtp.Result) {
			for _, clear := range clears {
				clear()
			}
			j.add(e.From, r)
			done(r)
			if r.Err == nil {
				s.Throttle().Taken(j.account, begun)
			}
		},
	}
}
