package program

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/rehearse"
	"sendoff/submit/runner"
	"sendoff/submit/smarthost"
	"sendoff/submit/status"
)

// send submits the message on stdin. It fills the request from the command line and the
// environment, then the message, then the message's header, then the account. Submit then
// sends the message or queues it.
//
// Faults of the command line are reported before stdin is read. The message is read to its
// end before we connect to a server: a cron job may print for an hour, and no server waits
// that long. Under the name sendmail, a configuration that cannot be used does not lose the
// message: it is queued until somebody repairs the account.
func (p *program) send(ctx context.Context) error {
	defer p.reading.Store(false)
	s, fault := p.submitter()
	if fault != nil && !p.postpones(fault) {
		return fault
	}
	r, refusal := p.request(s.Config)
	if refusal != nil && !p.leavesTrace() {
		return refusal
	}
	if err := p.beforeReading(s.Config, r); err != nil {
		return err
	}
	if err := p.read(s, r, refusal); err != nil {
		return err
	}
	defer r.Message.Close()
	if !r.Message.IsLarge() {
		runtime.GOMAXPROCS(1) // to wake a second processor takes longer than what it could do meanwhile
	}
	if err := p.addHeader(r); err != nil {
		return p.refuse(s, r, err)
	}
	if fault == nil {
		fault = p.choose(s.Config, r)
	}
	if !p.cmd.DryRun && !p.cmd.Rehearse {
		p.openQueue(s)
		defer p.wake(s)
	}
	switch {
	case fault != nil && p.postpones(fault):
		return s.Postpone(r, fault)
	case fault != nil:
		return p.refuse(s, r, fault)
	case p.cmd.DryRun:
		return rehearse.Explain(s, stdout(), r, p.cmd.Verbose)
	case p.cmd.Rehearse:
		return rehearse.Run(ctx, s, stdout(), r)
	}
	return p.submit(ctx, s, r)
}

// submit submits r. If nothing else would send the account's queued mail, this session
// sends it too.
func (p *program) submit(ctx context.Context, s *submit.Submitter, r *submit.Request) error {
	takesAlong := runner.TakesAlong(s, r)
	if takesAlong {
		s.Smarthosts.Idle = new(smarthost.Idle)
		defer s.Smarthosts.Idle.Close()
	}
	if process.IsTerminal(os.Stdin) && process.IsTerminal(os.Stderr) {
		s.Console.Done = p.say // a person who has typed a message is told that it was sent
	}
	err := s.Submit(ctx, r)
	if takesAlong {
		s.Log.Fault(runner.New(s).Along(ctx, r.Account, s.Smarthosts.Idle))
	}
	return err
}

// read reads the message of r from stdin. refusal is a reason not to submit any message;
// nil: none. If there is a reason, or if stdin is no message, read returns the result of
// refuse.
func (p *program) read(s *submit.Submitter, r *submit.Request, refusal error) (err error) {
	debug.SetMemoryLimit(memoryLimit)
	var in io.Reader = os.Stdin
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 && p.leavesTrace() || r.Typed {
		in = copied{io.TeeReader(os.Stdin, (*beginning)(&r.Unread))}
	}
	p.reading.Store(true)
	r.Message, err = p.message(in)
	p.reading.Store(false)
	if err != nil && refusal == nil {
		refusal = err
	}
	if refusal == nil {
		return nil
	}
	if err == nil {
		defer r.Message.Close()
	}
	return p.refuse(s, r, refusal)
}

// maxUnread is how many octets are copied of a text that is no message.
const maxUnread = 1 << 20

// A beginning keeps the first maxUnread octets that are written to it.
type beginning []byte

func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxUnread-len(*b))]...)
	return len(p), nil
}

// copied is stdin with a copy of what is read. Stat tells package message whether it is a
// terminal.
type copied struct{ io.Reader }

func (copied) Stat() (os.FileInfo, error) { return os.Stdin.Stat() }

// request returns a request from the command line and the environment. Under the name
// sendmail, a malformed recipient does not stop the mail to the others. The request is
// never nil: after an error it is used to log the refusal.
func (p *program) request(c *config.Config) (*submit.Request, error) {
	r := &submit.Request{By: p.choice(), FullName: p.cmd.FullName, UserName: os.Getenv("NAME"), QueueOnly: p.cmd.QueueOnly, Typed: p.isTyped()}
	r.Envelope = envelope.Envelope{Body: p.cmd.Body, Return: p.cmd.Return, ID: p.cmd.EnvID, RequireTLS: p.cmd.RequireTLS}
	var bad error
	var to []message.Mailbox
	for _, word := range p.cmd.Recipients {
		list, err := recipients(word)
		if len(p.cmd.Attach) > 0 && isFile(word) {
			return r, status.Usage.Errorf("%q is the name of a file, not a recipient; repeat --attach for each file", word)
		}
		if err != nil {
			bad = cmp.Or(bad, status.Usage.Errorf("recipient: %w", err))
			r.Bad = append(r.Bad, status.Data.Errorf("recipient: %w", err))
		}
		p.add(r, list, "argument")
		to = append(to, list...)
	}
	if bad != nil && (p.cmd.Face == cmdline.Sendoff || len(r.To) == 0 && !p.cmd.Extract) {
		r.Bad = r.Bad[1:]
		return r, p.advise(bad)
	}
	if p.cmd.From != nil {
		sender, err := oneAddress(*p.cmd.From)
		if err != nil {
			return r, status.Usage.Errorf("-f: %w", err)
		}
		r.Sender = &sender
	}
	if err := p.compose(r, to); err != nil {
		return r, err
	}
	switch {
	case len(r.To)+len(r.Bad) > 0 || p.cmd.Extract:
	case p.cmd.Composed != "":
		return r, status.Usage.Errorf("no recipients; give addresses after the options")
	default:
		return r, status.Usage.Errorf("no recipients; give addresses, or use -t to read them from the header")
	}
	if p.cmd.Account != "" { // report a missing account before the message is read
		if _, _, err := c.Choose(r.By); err != nil {
			if _, none := os.Stat(p.cmd.Account); none == nil { // with mail(1), -a attaches a file
				err = fmt.Errorf("%w; to attach a file use --attach FILE", err)
			}
			return r, err
		}
	}
	return r, nil
}

// isFile reports whether word, which is a recipient, names a file too, and has no domain.
func isFile(word string) bool {
	info, err := os.Stat(word)
	return err == nil && info.Mode().IsRegular() && !strings.Contains(word, "@")
}

// add adds recipients to r. origin says in words where they were named.
func (p *program) add(r *submit.Request, list []message.Mailbox, origin string) {
	r.To = slices.Grow(r.To, len(list))
	for _, b := range list {
		to := envelope.Recipient{Address: b.Address, Notify: p.cmd.Notify}
		r.To = append(r.To, submit.Wanted{Recipient: to, Origin: origin, NoAliases: p.cmd.NoAliases})
	}
}

// addHeader adds what the options take from the message's header: -t the recipients,
// --read-envelope-from the sender.
func (p *program) addHeader(r *submit.Request) error {
	if from, ok := r.Message.From(); ok && p.cmd.FromHeader {
		r.Sender, r.SenderBy = &from.Address, "header, by --read-envelope-from"
	}
	if !p.cmd.Extract {
		return nil
	}
	list, bad := r.Message.Recipients()
	if p.cmd.Face == cmdline.Sendoff && len(bad) > 0 {
		r.To = nil // those of the corrected header will count
		if more := len(bad) - 1; more > 0 {
			return p.advise(fmt.Errorf("%w (and %d more)", bad[0], more))
		}
		return p.advise(bad[0])
	}
	r.Bad = append(r.Bad, bad...)
	p.add(r, list, "header, by -t")
	if len(r.To)+len(r.Bad) == 0 {
		return status.Usage.Errorf("no recipients in To, Cc or Bcc")
	}
	return nil
}

// advise adds to err what a person should do. Under the name sendmail it returns err
// unchanged.
func (p *program) advise(err error) error {
	if p.cmd.Face == cmdline.Sendoff {
		err = fmt.Errorf("%w; nothing was sent: correct the address and send the message again", err)
	}
	return err
}

// choose chooses the account of r. A rehearsal works without a configured account.
func (p *program) choose(c *config.Config, r *submit.Request) (err error) {
	if err = r.Choose(c); err != nil && p.cmd.Rehearse && len(c.Accounts) == 0 {
		r.By.CommandLine.Server = config.SchemeTLS + "://localhost"
		err = r.Choose(c)
	}
	if err != nil {
		return err
	}
	p.account, p.host = r.Account.Name, r.Account.Servers[0].Host
	return nil
}

// addresses reads an argument with one or more addresses, which may have names and
// comments. It refuses line breaks: only a header can be folded, so somebody has injected
// them.
func addresses(s string) ([]message.Mailbox, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
		return nil, fmt.Errorf("%q contains a control character", s)
	}
	return message.ParseAddressList(s)
}

// recipients reads an argument that names recipients. After an error it returns the valid
// addresses.
func recipients(word string) ([]message.Mailbox, error) {
	list, err := addresses(word)
	good := slices.DeleteFunc(list, func(b message.Mailbox) bool { return b.Address.IsNull() })
	if err == nil && len(good) < len(list) {
		err = fmt.Errorf("%q: no address", word)
	}
	return good, err
}

// oneAddress reads the argument of -f, which may have a display name. "" and "<>" stand for
// the null sender.
func oneAddress(s string) (envelope.Address, error) {
	if t := strings.TrimSpace(s); t == "" || t == "<>" {
		return envelope.Address{}, nil
	}
	list, err := addresses(s)
	if err != nil {
		return envelope.Address{}, err
	}
	if len(list) != 1 {
		return envelope.Address{}, fmt.Errorf("%q is not one address", s)
	}
	return list[0].Address, nil
}
