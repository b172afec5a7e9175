// Package submit takes a message to the smarthost of an account, now or from
// the queue, and says for each recipient what became of it.
//
//	Request                   what a command line or an SMTP client asks for
//	   │ Prepare (prepare.go)   aliases and the account's rules
//	Job                       what is sent, to which recipients (job.go)
//	   │ Deliver                one session with the smarthost: each recipient has an outcome
//	   │ Keep (keep.go)         the policy (settle.go): sent, waits, refused, or the caller's again
//	Report                    what the caller has to know (report.go)
//
// What waits is an entry of the queue (entry.go), of which package runner makes a Request
// again. Postpone and Refuse are for what cannot be delivered, Later for what is queued
// without an attempt, Enqueue for what takes too long.
//
// Errors: everything that can go wrong below, with its kind; before the first
// MAIL always of scope Account. A Report is the error of a submission that
// neither reached everyone nor is queued.
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
	By       config.Choice     // what Account was chosen by; it is kept in the queue
	Account  *config.Account   // nil if there is none, which only Postpone takes
	Why      string            // the reason for the Account, in words
	Sender   *envelope.Address // the reverse-path; nil if nobody named one
	FullName string            // -F, for a From field that has to be added
	UserName string            // likewise, if neither -F nor the account has one; before the system's
	To       []Wanted
	Bad      []error           // why others that the caller named are no addresses; To get the message all the same
	Envelope envelope.Envelope // the parameters; From and To play no part
	Message  *message.Message
	Unread   []byte // the beginning of what could not be read as Message; plays no part beside that

	QueueOnly bool // the first attempt is the queue's

	// OneReply says that the caller hears of one outcome for all recipients: of
	// a failure beside others that did well a notice tells the sender.
	OneReply bool
	Peer     process.Peer // who has connected to us and submits; zero: whoever runs us
	Login    string       // as whom it has logged in to us, if it has

	date    time.Time // of a Date field that has to be added
	id      string    // likewise of a Message-ID, without brackets
	queueID queue.ID  // see ID
}

// Choose finds the account for r in c, by what r says of its sender and its author,
// beside By.
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
	Origin string // where it was named, in words
	// NoAliases says that it is not looked up in the alias file: the caller
	// wants it so, or it is what an alias has led to.
	NoAliases bool
}

// A Submitter submits messages. Its fields are the outside world.
type Submitter struct {
	Config   *config.Config
	Identity config.Identity
	// Smarthosts opens sessions; what it takes from a configuration or a queue is set
	// for each use.
	Smarthosts *smarthost.Pool

	spool.Spool
	Sendmail bool                                                // the sendmail face: its callers cannot mend an account
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
// without queue and log: what it is given is sent now, or not at all.
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
	return s.Keep(j)
}

// Deliver sends j over one session, in which other mail that waits for the account
// may follow, and gives each recipient its outcome. A session that was kept, and
// that the server has left since, is replaced by a new one; and so is one whose
// server takes no more mails in it.
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
		reused := session.Reused // somebody else may have the session after Put
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

// admitted returns a session for j, if the account takes another message now: no
// limit of the server's stands against that, and no rate. done is to be called
// when j has had its outcome.
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

// Mail is the job as a session takes it. done is called after each result.
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
	var begun time.Time // the last transaction
	var clears []func() // one for each
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
