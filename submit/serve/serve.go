// Package serve submits the messages of SMTP clients: with -bs those of one client on a
// pipe, with --listen those of many clients on sockets of this machine.
//
//	serve.go      a client's message becomes a Request
//	overtime.go   the reply to the client if the smarthost is slow
//	managed.go    what a service does with a configuration or a credential that is no good
//	listen.go     sockets, who may connect, logins, and how many clients at once
//
// The package must not know how to dial, or where secrets are.
//
// Errors: clients get those of submit as replies; Serve and Listen return
// status.Temporary if they cannot go on.
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
	"sendoff/submit/outcome"
	"sendoff/submit/process"
	"sendoff/submit/rewrite"
	"sendoff/submit/runner"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// A Service submits the messages of SMTP clients: one client with -bs, many with
// --listen. Each message becomes a Request:
//
//	MAIL, RCPT   sender, recipients and their parameters
//	DATA         the message; the smarthost is connected to after its end
//	the reply    250 if the message was sent to, or queued for, each recipient.
//	             If some recipients were refused for good, it is 250 too, and a
//	             notice tells the sender. Otherwise the failure that would also
//	             decide the exit code. If the smarthost is slow, see overtime.go.
type Service struct {
	Submitter *submit.Submitter
	By        config.Choice // how to choose accounts, without the message's sender and header
	Fault     error         // why there was no configuration at the start: messages wait until it is mended
	NoAliases bool          // do not look recipients up in the alias file
	QueueOnly bool          // queue each message without an attempt
	Pipe      bool          // smtpd.Server.Pipe
	Timeout   time.Duration // smtpd.Server.Timeout
	Managed   bool          // a service manager has started us: Listen goes on with faults of the configuration

	// Busy is called with true when Serve starts to submit a message, and with false
	// when it waits for the client again; may be nil.
	Busy func(bool)

	passwords passwords
	guessing  sync.Mutex     // held while a client waits for the reply to a wrong password
	pending   sync.WaitGroup // messages without an outcome
	once      sync.Once
	queue     *runner.Runner // see runner
}

// runner returns the Runner of the queue, always the same.
func (v *Service) runner() *runner.Runner {
	v.once.Do(func() { v.queue = runner.New(v.Submitter) })
	return v.queue
}

// Serve holds one SMTP session on conn, until the client ends it. An error says why the
// session was broken off.
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

// Limits for the client of Serve.
const (
	maxPiped    = 10_000 // recipients of a message
	maxMistakes = 100    // refused commands in the session
)

// maxSize returns the size that the server announces, in octets; 0: none. If only one
// account can be used, that is the account's limit, so that a client does not send a
// message that would be refused.
func (v *Service) maxSize() int64 {
	if c := v.Submitter.Config; len(c.Accounts) == 1 && v.By.CommandLine.Server == "" && v.By.Environment.Server == "" {
		return int64(c.Accounts[0].MaxSize)
	}
	return 0
}

// request returns the Request of a client that has sent the envelope e and message m.
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

// handle submits the message of r, and closes it. The reply reports the error. fault is
// why there is no configuration; nil: there is one. A bug becomes an error, so that it
// does not end the sessions of other clients.
func (v *Service) handle(ctx context.Context, s *submit.Submitter, fault error, r *submit.Request) error {
	err := status.Guarded(func() error { return v.submitOrPostpone(ctx, s, fault, r) })
	if report := new(outcome.Report); errors.As(err, &report) {
		return report.Unwrap()
	}
	return err
}

// submitOrPostpone chooses the account and submits r, or queues r if the account or
// user-rate does not allow an attempt now.
func (v *Service) submitOrPostpone(ctx context.Context, s *submit.Submitter, fault error, r *submit.Request) error {
	if r.Peer != (process.Peer{}) && !r.QueueOnly {
		if until, ok := s.Throttle().UserPace(r.Peer.UID, true); !ok {
			text := fmt.Sprintf("uid %d has reached user-rate, %s; the message is queued until %s", r.Peer.UID, s.Config.UserRate, until.Format(time.RFC3339))
			s.Log.Line(r.ID(), true, "status", "held", "reply", text)
			r.QueueOnly = true
		}
	}
	if fault == nil {
		fault = r.Choose(s.Config)
	}
	if fault == nil && r.Login != "" && r.Account.User != r.Login {
		fault = status.NotAllowed.Errorf("you are logged in as %s, and may not use account %s", r.Login, r.Account.Name)
	}
	if fault == nil {
		return v.submit(ctx, s, r)
	}
	defer r.Message.Close()
	if s.Sendmail && status.KindOf(fault).Scope() == status.Account {
		return s.Postpone(r, &throttle.Held{Err: fault, Until: time.Now()}) // due when the fault is mended
	}
	return fault
}
