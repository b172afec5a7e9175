// Package submit takes a message to the smarthost of an account, now or from
// the queue, and says for each recipient what became of it.
//
//	program, serve.go, listen.go   who asks: a command line, one SMTP client, many
//	   │
//	Request <───────────────┐    what the caller asked for: message, envelope, account
//	   │ prepare.go         │    aliases and the account's rules: qualify, replace local addresses, complete
//	job                     │
//	   │ account.go         │    may it log in now, with one more session?
//	   │ transport.go       │    the ways to the next hop; roots.go whom to trust there
//	   │ login.go           │    secret and mechanism
//	   │ smtp               │    one session, one or more transactions
//	Report                  │    accepted, or why not, for each recipient
//	   │ keep.go            │    what is worth another try; overtime.go what takes too long
//	queue ── runner.go, run.go, attempt.go   the entries of an account in few sessions
//	   │ bounce.go               what is given up: a notice, or failed/
//	list.go, users.go            what waits, for people
//
// Explain stops after job, and Rehearse puts a smarthost of its own at the end
// of the same way. Doctor goes it step by step, as far as MAIL (doctor.go).
//
// Errors: everything that can go wrong below, with its kind; before the first
// MAIL always of scope Account. A Report is the error of a submission that
// neither reached everyone nor is queued.
package submit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/login"
	"sendoff/submit/maillog"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/queue"
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

	date time.Time // of a Date field that has to be added
	id   string    // likewise of a Message-ID, without brackets

	queueID queue.ID
	kept    func() // is called if all of it is in the queue before it is known what becomes of it; nil: it is put there only then
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
	Store    *credential.Store
	Lookup   func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: net.DefaultResolver
	// LookupSRV returns records in the order in which to try them; nil: net.DefaultResolver.
	LookupSRV func(ctx context.Context, name string) ([]*net.SRV, error)
	Dial      func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer
	Trace     func(smtp.Line)                                                      // sees the dialogue; may be nil

	spool.Spool
	Patience time.Duration                                       // smtp.Options.Patience
	Sendmail bool                                                // the sendmail face: its callers cannot mend an account
	Load     func(place config.Override) (*config.Config, error) // the configuration of an entry; nil: Config
	Kept     *Kept                                               // sessions that wait for the next mail; nil: none does
	Tally    *Tally                                              // counts what runs of the queue do; may be nil
	Log      *maillog.Log                                        // may be nil
	Console  *status.Console                                     // may be nil

	fetched *login.Login   // the secret is there already; nil: each session fetches it
	memory  *memory        // of a run; nil outside
	own     []net.Listener // whose clients we serve: no mail may go to them
	stay    bool           // a session is to take more than the mail it is opened for
}

// alone returns a new Submitter with the configuration and the outside world of s,
// but with one secret for every account, and without queue and log: what it is given
// is sent now, or not at all. Without a secret it has those of s.
func (s *Submitter) alone(c *config.Config, secret credential.Secret) *Submitter {
	store := s.Store
	if !secret.IsZero() {
		store = &credential.Store{Keyring: oneSecret{secret}}
	}
	return &Submitter{
		Config: c, Identity: s.Identity, Store: store, Sendmail: s.Sendmail,
		Lookup: s.Lookup, LookupSRV: s.LookupSRV, Dial: s.Dial, Trace: s.Trace, Console: s.Console,
	}
}

// oneSecret is a keyring that has one secret, whatever it is asked for.
type oneSecret struct{ secret credential.Secret }

func (o oneSecret) Get(string, string) (string, error) { return o.secret.Reveal(), nil }
func (oneSecret) Set(string, string, string) error     { return credential.ErrUnsupported }
func (oneSecret) Delete(string, string) error          { return credential.ErrUnsupported }

// Submit sends the message of r, or queues it. When it returns nil, every
// recipient's mail was taken by the smarthost or is in the queue; otherwise the
// error is a Report, or that of a Request that cannot be sent.
func (s *Submitter) Submit(ctx context.Context, r *Request) error {
	if len(r.To) == 0 && len(r.Bad) > 0 {
		return s.Refuse(r, nil)
	}
	j, err := s.prepare(r)
	s.logSubmission(r)
	if err != nil {
		return s.keep(r, &Report{Failures: []Failure{{Err: err}}}, everyone(r))
	}
	defer j.close()
	s.logDiscarded(r.logID(), j)
	if len(j.envelope.To) == 0 {
		s.Console.Tell("nothing was sent: "+j.discarded[0].Why+": the mail is thrown away", nil)
		return s.keep(r, new(Report), everyone(r))
	}
	if id, later := s.submitLater(r, j); later {
		return s.keep(r, &Report{id: id}, everyone(r))
	}
	return s.deliverOrKeep(ctx, r, j)
}

// deliver sends j over one session, in which what else waits for the account
// may follow. A session that was kept, and that the server has left since, is
// replaced by a new one; and so is one whose server takes no more mails in it.
func (s *Submitter) deliver(ctx context.Context, j *job) (*Report, error) {
	report := &Report{job: j}
	if s.takesAlong() {
		host := *s
		host.stay = true
		s = &host
	}
	mails := []smtp.Mail{s.mail(j, report.add)}
	v, done, err := s.admitted(ctx, j)
	if err != nil {
		fail(mails, err)
		return report, nil
	}
	defer done()
	for {
		mails, err = v.send(ctx, mails, nil)
		if err == nil && len(mails) == 0 && s.stay {
			s.along(ctx, v.Session, j.account)
		}
		again := v.again // v may be another's from here on
		s.part(v, err)
		if again && report.untouched() && ctx.Err() == nil {
			done()
			return s.deliver(ctx, j)
		}
		if len(mails) == 0 {
			break
		}
		if v, err = s.enter(ctx, j.account, j.hello, throttle.SlotTime); err != nil {
			fail(mails, err)
			return report, nil
		}
	}
	if err == nil && report.total() != len(j.envelope.To) {
		return nil, status.Bug.Errorf("%d recipients have %d outcomes", len(j.envelope.To), report.total())
	}
	return report, nil
}

// admitted returns a session for j, if the account takes another message now: no
// limit of the server's stands against that, and no rate. done is to be called
// when j has had its outcome.
func (s *Submitter) admitted(ctx context.Context, j *job) (v *visit, done func(), err error) {
	if err := s.throttle().Pace(j.account, false); err != nil {
		return nil, nil, err
	}
	if done, err = s.throttle().Admit(j.account); err != nil {
		return nil, nil, err
	}
	if v, err = s.enter(ctx, j.account, j.hello, throttle.SlotTime); err == nil {
		if err = s.throttle().Pace(j.account, true); err != nil {
			s.part(v, nil)
		}
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return v, done, nil
}

// fail gives all mails the same outcome.
func fail(mails []smtp.Mail, err error) {
	for _, m := range mails {
		m.Fail(err)
	}
}

// mail is the job as a session takes it. done gets each result, and from whom the
// mail was.
func (s *Submitter) mail(j *job, done func(from envelope.Address, r smtp.Result)) smtp.Mail {
	var begun time.Time // the last transaction
	noted := func(from envelope.Address, r smtp.Result) {
		done(from, r)
		if r.Err == nil {
			s.throttle().Taken(j.account, begun)
		}
	}
	begins := func(m smtp.Mail) smtp.Mail {
		open := m.Open
		m.Open = func(f envelope.Form) (io.Reader, int64, error) {
			begun = time.Now()
			return open(f)
		}
		return m
	}
	m := begins(s.mailOf(&j.envelope, j.message, noted))
	if in := j.instead; in != nil {
		other := begins(s.mailOf(&in.envelope, in.message, noted))
		other.To = in.to
		m.Fallback = &other
	}
	return m
}

func (s *Submitter) mailOf(e *envelope.Envelope, m *message.Message, done func(envelope.Address, smtp.Result)) smtp.Mail {
	var clears []func() // one for each transaction
	return smtp.Mail{
		Envelope: e,
		Open: func(f envelope.Form) (io.Reader, int64, error) {
			if why := m.AsIs(f); why != "" {
				s.remark("the message is signed, so it goes as it is: " + why)
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
			done(e.From, r)
		},
	}
}

// A Report says what became of each recipient. As an error it is that of the
// submission as a whole, and its status is that of the failure that decides.
type Report struct {
	Accepted []envelope.Address
	Failures []Failure
	// NotQueued is why mail that is worth another try is not in the queue; ""
	// if it is, or is not worth one.
	NotQueued string

	job   *job
	taken []smtp.Result // for Accepted, with the server's words
	id    queue.ID      // of the entry for what was queued
	copy  string        // the file with a copy of what was refused for good
}

// A Failure is why some recipients did not get the message.
type Failure struct {
	To      []envelope.Address
	Err     error
	Unknown bool // they may have got it (RFC 1047)
	queued  bool // they will be tried again
	told    bool // a notice tells the sender
	bad     bool // it is about what the caller named as a recipient, and is no address
}

func (r *Report) total() int {
	n := len(r.Accepted)
	for _, f := range r.Failures {
		n += len(f.To)
	}
	return n
}

// untouched reports whether the server has said nothing about any recipient but
// that it leaves, and has no whole message.
func (r *Report) untouched() bool {
	for _, f := range r.Failures {
		if f.Unknown || status.KindOf(f.Err) != status.Lost && !leaves(f.Err) {
			return false
		}
	}
	return len(r.Accepted) == 0 && len(r.Failures) > 0
}

// leaves reports whether err is a server's word that it ends the session.
func leaves(err error) bool {
	refusal := new(smtp.Refusal)
	return errors.As(err, &refusal) && refusal.Reply.Code == 421
}

// add enters a result of a mail from that sender. Failures of several transactions
// for one reason are one failure.
func (r *Report) add(from envelope.Address, result smtp.Result) {
	var to []envelope.Address
	for _, i := range result.To {
		to = append(to, r.job.envelope.To[i].Address)
	}
	if result.Err == nil {
		r.Accepted = append(r.Accepted, to...)
		r.taken = append(r.taken, result)
		return
	}
	f := Failure{To: to, Err: r.job.blame(from, result.Err), Unknown: result.Unknown}
	if n := len(r.Failures); n > 0 {
		if last := &r.Failures[n-1]; last.Unknown == f.Unknown && last.Err.Error() == f.Err.Error() {
			last.To = append(last.To, to...)
			return
		}
	}
	r.Failures = append(r.Failures, f)
}

// blame puts the refusal of a sender that is the account's own on the account:
// the fault is not the message's, and no recipient's.
func (j *job) blame(from envelope.Address, err error) error {
	var refusal *smtp.Refusal
	if status.KindOf(err) == status.Limited || !errors.As(err, &refusal) || !j.account.Matches(from) && !j.isOwn(from) {
		return err
	}
	c := status.Of(err)
	badSender := c.Subject == 1 && (c.Detail == 7 || c.Detail == 8)
	named := c.Subject == 7 && strings.Contains(refusal.Reply.String(), from.String())
	if !badSender && !named {
		return err
	}
	c.Class = 4
	return status.Config.With(c, err)
}

// isOwn reports whether a is the account's own address.
func (j *job) isOwn(a envelope.Address) bool {
	own, ok := j.account.Address()
	return ok && own.Key() == a.Key()
}

// err returns r as an error, or nil if nothing failed that the caller has to
// know.
func (r *Report) err() error {
	for _, f := range r.Failures {
		if !f.queued && !f.told {
			return r
		}
	}
	return nil
}

// Error returns the lines of a report, one for each failure.
func (r *Report) Error() string {
	var lines []string
	for _, f := range r.Failures {
		line := smtp.Brief(f.Err)
		if f.Unknown {
			line += "; it may have been delivered to " + addresses(f.To)
		} else if len(f.To) > 0 && len(r.Accepted)+len(r.Failures) > 1 && !strings.Contains(line, f.To[0].String()) {
			line += "; not sent to " + addresses(f.To)
		}
		if f.queued {
			line += "; queued as " + string(r.id)
		}
		lines = append(lines, line)
	}
	if len(r.Accepted) > 0 {
		lines = append(lines, "sent to "+addresses(r.Accepted)+" all the same; do not send it to them again")
	}
	if r.id != "" && r.NotQueued == "" && r.Failures[0].bad && !slices.ContainsFunc(r.Failures, func(f Failure) bool { return f.queued }) {
		lines = append(lines, "the other recipients' mail is queued as "+string(r.id))
	}
	if r.copy != "" {
		lines = append(lines, "a copy is in "+r.copy)
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the failure that decides the exit code: the first one that is
// temporary and not queued, so that the caller tries again, else the first
// that is not queued.
func (r *Report) Unwrap() error {
	var first error
	for _, f := range r.Failures {
		if f.told {
			continue
		}
		if !f.queued && status.Of(f.Err).Temporary() {
			return f.Err
		}
		if !f.queued && first == nil {
			first = f.Err
		}
	}
	if first == nil {
		first = r.Failures[0].Err
	}
	return first
}

// shown is how many addresses a line of a report names.
const shown = 10

func addresses(to []envelope.Address) string {
	var words []string
	for _, a := range to[:min(len(to), shown)] {
		words = append(words, "<"+a.String()+">")
	}
	if more := len(to) - shown; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
