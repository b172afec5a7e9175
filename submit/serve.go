package submit

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/rewrite"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// A Service submits what SMTP clients hand over, by -bs to one and by --listen to
// many. Each message becomes a Request:
//
//	MAIL, RCPT   sender, recipients and their parameters
//	DATA         the message, to its end; only then anything is connected to
//	the reply    250: each recipient is sent to, or queued for, or, beside one
//	             that is, refused for good, which a notice tells the sender;
//	             otherwise the failure that decides, as for an exit code; a
//	             smarthost that takes its time is not waited for (overtime.go)
type Service struct {
	Submitter *Submitter
	By        config.Choice // what accounts are chosen by, beside sender and header
	Fault     error         // why there is no configuration: everything waits until it is mended
	NoAliases bool          // recipients are not looked up in the alias file
	QueueOnly bool          // the first attempt is the queue's
	Pipe      bool          // smtpd.Server.Pipe
	Timeout   time.Duration // smtpd.Server.Timeout

	// Busy is told whether a message is being submitted, rather than a command
	// or a message waited for; may be nil.
	Busy func(bool)

	secrets  keyhole        // what clients on a TCP port log in with
	guessing sync.Mutex     // is held while whoever gave a wrong password waits
	pending  sync.WaitGroup // messages that are being submitted
}

// Serve holds one session on conn, for as long as the client wants. An error
// says why the session was broken off.
func (v *Service) Serve(ctx context.Context, conn io.ReadWriter) error {
	s := *v.Submitter
	s.Kept = new(Kept)
	defer s.Kept.Close()
	defer v.Wait()
	d := smtpd.Server{
		Hostname: rewrite.Hostname(s.Config, s.Identity), AllowUnqualified: true, Pipe: v.Pipe, Timeout: v.Timeout,
		MaxSize: v.maxSize(), MaxRecipients: maxServed, MaxErrors: maxMistakes,
		Handle: func(ctx context.Context, _ smtpd.Client, e *envelope.Envelope, content io.Reader) error {
			m, err := message.Read(content, message.Options{})
			if err != nil {
				return err
			}
			if v.Busy != nil {
				v.Busy(true)
				defer v.Busy(false)
			}
			r := &Request{Message: m}
			return v.reply(r, func() error { return v.handle(ctx, &s, e, r) })
		},
	}
	return status.Temporary.Wrap(d.Serve(ctx, conn))
}

// Bounds of what one client may do.
const (
	maxServed   = 10_000 // recipients of a message
	maxMistakes = 100    // of the program that has started us
)

// maxSize is what the server announces: the account's limit where there can be
// only one account, so that a client need not send what is refused.
func (v *Service) maxSize() int64 {
	if c := v.Submitter.Config; len(c.Accounts) == 1 && v.By.CommandLine.Server == "" && v.By.Environment.Server == "" {
		return int64(c.Accounts[0].MaxSize)
	}
	return 0
}

// handle submits the message of r, and returns what the reply is to say.
func (v *Service) handle(ctx context.Context, s *Submitter, e *envelope.Envelope, r *Request) error {
	defer r.Message.Close()
	r.Sender, r.Envelope, r.By, r.OneReply = &e.From, *e, v.By, true
	r.QueueOnly = v.QueueOnly
	seen := make(map[string]bool)
	for _, to := range e.To {
		if key := to.Address.Key(); !seen[key] {
			seen[key] = true
			r.To = append(r.To, Wanted{to, "RCPT", v.NoAliases})
		}
	}
	r.By.Sender = e.From
	if from, ok := r.Message.From(); ok {
		r.By.Header = from.Address
	}
	if r.Peer != (process.Peer{}) && !r.QueueOnly {
		if until, ok := s.throttle().UserPace(r.Peer.UID, true); !ok {
			s.logUserRate(r, until)
			r.QueueOnly = true
		}
	}
	err := v.Fault
	if err == nil {
		r.Account, r.Why, err = s.Config.Choose(r.By)
	}
	if err == nil && r.Login != "" && r.Account.User != r.Login {
		err = status.NotAllowed.Errorf("you logged in as %s, and account %s is not yours", r.Login, r.Account.Name)
	}
	switch {
	case err == nil:
		err = s.Submit(ctx, r)
	case s.Sendmail && status.KindOf(err).Scope() == status.Account:
		err = s.Postpone(r, err)
	}
	if report := new(Report); errors.As(err, &report) {
		return report.Unwrap()
	}
	return err
}
