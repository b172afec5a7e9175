// Package serve submits what SMTP clients hand over: by -bs what one client does on a
// pipe, and by --listen what many do on sockets of this machine.
//
//	serve.go      a client's message becomes a Request
//	overtime.go   the client's reply, when the smarthost takes its time
//	listen.go     sockets, who may connect, logins, and how many clients at once
//
// The package must not know how to dial, or where secrets are.
//
// Errors: those of submit, as replies; status.Temporary if serving itself fails.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/rewrite"
	"sendoff/submit/runner"
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
	Submitter *submit.Submitter
	By        config.Choice // what accounts are chosen by, beside sender and header
	Fault     error         // why there is no configuration: everything waits until it is mended
	NoAliases bool          // recipients are not looked up in the alias file
	QueueOnly bool          // the first attempt is the queue's
	Pipe      bool          // smtpd.Server.Pipe
	Timeout   time.Duration // smtpd.Server.Timeout

	// Busy is told whether a message is being submitted, rather than a command
	// or a message waited for; may be nil.
	Busy func(bool)

	passwords passwords
	guessing  sync.Mutex     // is held while whoever gave a wrong password waits
	pending   sync.WaitGroup // messages that are being submitted
	once      sync.Once
	queue     *runner.Runner // see runner
}

// runner returns the one runner of the queue.
func (v *Service) runner() *runner.Runner {
	v.once.Do(func() { v.queue = runner.New(v.Submitter) })
	return v.queue
}

// Serve holds one session on conn, for as long as the client wants. An error
// says why the session was broken off.
func (v *Service) Serve(ctx context.Context, conn io.ReadWriter) error {
	s := v.Submitter
	defer v.Wait()
	d := smtpd.Server{
		Hostname: rewrite.Hostname(s.Config, s.Identity), AllowUnqualified: true, Pipe: v.Pipe, Timeout: v.Timeout,
		MaxSize: v.maxSize(), MaxRecipients: maxPiped, MaxErrors: maxMistakes,
		Handle: func(ctx context.Context, _ smtpd.Client, e *envelope.Envelope, content io.Reader) error {
			m, err := message.Read(content, message.Options{})
			if err != nil {
				return err
			}
			if v.Busy != nil {
				v.Busy(true)
				defer v.Busy(false)
			}
			return v.handle(ctx, s, v.Fault, v.request(e, m))
		},
	}
	return status.Temporary.Wrap(d.Serve(ctx, conn))
}

// Bounds of what one client may do.
const (
	maxPiped    = 10_000 // recipients of a message
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

// request is what a client asks for that hands over the message m.
func (v *Service) request(e *envelope.Envelope, m *message.Message) *submit.Request {
	r := &submit.Request{By: v.By, Sender: &e.From, Envelope: *e, Message: m, QueueOnly: v.QueueOnly, OneReply: true}
	seen := make(map[string]bool)
	for _, to := range e.To {
		if key := to.Address.Key(); !seen[key] {
			seen[key] = true
			r.To = append(r.To, submit.Wanted{Recipient: to, Origin: "RCPT", NoAliases: v.NoAliases})
		}
	}
	return r
}

// handle submits the message of r, which it closes, and returns what the reply is to
// say. fault is why there is no configuration. A bug that one message meets must not
// end the sessions of others.
func (v *Service) handle(ctx context.Context, s *submit.Submitter, fault error, r *submit.Request) error {
	err := status.Guarded(func() error { return v.submitOrPostpone(ctx, s, fault, r) })
	if report := new(submit.Report); errors.As(err, &report) {
		return report.Unwrap()
	}
	return err
}

func (v *Service) submitOrPostpone(ctx context.Context, s *submit.Submitter, fault error, r *submit.Request) error {
	if r.Peer != (process.Peer{}) && !r.QueueOnly {
		if until, ok := s.Throttle().UserPace(r.Peer.UID, true); !ok {
			text := fmt.Sprintf("uid %d has reached user-rate, %s; the message waits until %s", r.Peer.UID, s.Config.UserRate, until.Format(time.RFC3339))
			s.Log.Line(r.ID(), true, "status", "held", "reply", text)
			r.QueueOnly = true
		}
	}
	if fault == nil {
		fault = r.Choose(s.Config)
	}
	if fault == nil && r.Login != "" && r.Account.User != r.Login {
		fault = status.NotAllowed.Errorf("you logged in as %s, and account %s is not yours", r.Login, r.Account.Name)
	}
	if fault == nil {
		return v.submit(ctx, s, r)
	}
	defer r.Message.Close()
	if s.Sendmail && status.KindOf(fault).Scope() == status.Account {
		return s.Postpone(r, fault)
	}
	return fault
}
