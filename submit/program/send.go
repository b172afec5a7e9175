package program

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
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

// send submits the message on stdin: here a mail's path begins. The request takes up
// what the command line and the environment say, then the message, then what its
// header says, then the account; with that, Submit sends it or queues it.
//
// Faults of the command line are said before stdin is read. The message is read to
// its end before anything is connected to: a cron job may print for an hour, and no
// server waits that long. In the sendmail face a configuration that cannot be used
// is no reason to lose the message: it is queued until somebody mends the account.
func (p *program) send(ctx context.Context) error {
	defer p.reading.Store(false)
	s, fault := p.submitter()
	if fault != nil && !p.postpones(fault) {
		return fault
	}
	r, wrong := p.request(s.Config)
	if wrong != nil && !p.leavesTrace() {
		return wrong
	}
	if err := p.ready(s.Config, r); err != nil {
		return err
	}
	if err := p.read(s, r, wrong); err != nil {
		return err
	}
	defer r.Message.Close()
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
		return fault
	case p.cmd.DryRun:
		return rehearse.Explain(s, stdout(), r)
	case p.cmd.Rehearse:
		return rehearse.Run(ctx, s, stdout(), r)
	}
	return p.submit(ctx, s, r)
}

// submit submits r. Where nothing else would send what waits for the account, that
// goes along in the same session.
func (p *program) submit(ctx context.Context, s *submit.Submitter, r *submit.Request) error {
	along := runner.TakesAlong(s)
	if along {
		s.Smarthosts.Idle = new(smarthost.Idle)
		defer s.Smarthosts.Idle.Close()
	}
	if process.IsTerminal(os.Stdin) && process.IsTerminal(os.Stderr) {
		s.Console.Done = p.say // who types a message wants to know what became of it
	}
	err := s.Submit(ctx, r)
	if along {
		s.Log.Fault(runner.New(s).Along(ctx, r.Account, s.Smarthosts.Idle))
	}
	return err
}

// read reads the message of r from stdin. wrong is why it cannot be submitted whatever
// it is; then, or if it is no message, read returns what refuse returns.
func (p *program) read(s *submit.Submitter, r *submit.Request, wrong error) (err error) {
	debug.SetMemoryLimit(memoryLimit)
	var in io.Reader = os.Stdin
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 && p.leavesTrace() {
		in = io.TeeReader(os.Stdin, (*beginning)(&r.Unread))
	}
	p.reading.Store(true)
	r.Message, err = p.message(in)
	p.reading.Store(false)
	if err != nil && wrong == nil {
		wrong = err
	}
	if wrong == nil {
		return nil
	}
	if err == nil {
		defer r.Message.Close()
	}
	return p.refuse(s, r, wrong)
}

// maxUnread is how much of a text that is no message is copied, in octets.
const maxUnread = 1 << 20

// A beginning keeps the beginning of what is written to it.
type beginning []byte

func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxUnread-len(*b))]...)
	return len(p), nil
}

// request returns what the command line and the environment ask for. In the sendmail
// face recipients that are no addresses do not stop the mail to the others. The
// request is never nil: after an error it serves for a trace of what was refused.
func (p *program) request(c *config.Config) (*submit.Request, error) {
	r := &submit.Request{By: p.choice(), FullName: p.cmd.FullName, UserName: os.Getenv("NAME"), QueueOnly: p.cmd.QueueOnly}
	r.Envelope = envelope.Envelope{Body: p.cmd.Body, Return: p.cmd.Return, ID: p.cmd.EnvID, RequireTLS: p.cmd.RequireTLS}
	var bad error
	var to []message.Mailbox
	for _, word := range p.cmd.Recipients {
		list, err := recipients(word)
		if err != nil {
			bad = cmp.Or(bad, status.Usage.Errorf("recipient: %w", err))
			r.Bad = append(r.Bad, status.Data.Errorf("recipient: %w", err))
		}
		p.add(r, list, "argument")
		to = append(to, list...)
	}
	if bad != nil && (p.cmd.Face == cmdline.Sendoff || len(r.To) == 0 && !p.cmd.Extract) {
		r.Bad = r.Bad[1:]
		return r, p.mend(bad)
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
	if len(r.To)+len(r.Bad) == 0 && !p.cmd.Extract {
		return r, status.Usage.Errorf("no recipients; give addresses, or use -t to read them from the header")
	}
	if p.cmd.Account != "" { // if there is no such account, the message need not be read
		if _, _, err := c.Choose(r.By); err != nil {
			return r, err
		}
	}
	return r, nil
}

// add adds recipients to r, with where they were named, in words.
func (p *program) add(r *submit.Request, list []message.Mailbox, origin string) {
	for _, b := range list {
		to := envelope.Recipient{Address: b.Address, Notify: p.cmd.Notify}
		r.To = append(r.To, submit.Wanted{Recipient: to, Origin: origin, NoAliases: p.cmd.NoAliases})
	}
}

// addHeader adds what the message's header has to say.
func (p *program) addHeader(r *submit.Request) error {
	if from, ok := r.Message.From(); ok && p.cmd.FromHeader {
		r.Sender, r.SenderBy = &from.Address, "header, by --read-envelope-from"
	}
	if !p.cmd.Extract {
		return nil
	}
	list, bad := r.Message.Recipients()
	switch sendoff := p.cmd.Face == cmdline.Sendoff; {
	case sendoff && len(bad) > 1:
		return p.mend(fmt.Errorf("%w (and %d more)", bad[0], len(bad)-1))
	case sendoff && len(bad) > 0:
		return p.mend(bad[0])
	}
	r.Bad = append(r.Bad, bad...)
	p.add(r, list, "header, by -t")
	if len(r.To)+len(r.Bad) == 0 {
		return status.Usage.Errorf("no recipients in To, Cc or Bcc")
	}
	return nil
}

// mend adds to err, in the sendoff face, that a person is to mend the address.
func (p *program) mend(err error) error {
	if p.cmd.Face == cmdline.Sendoff {
		err = fmt.Errorf("%w; nothing was sent: correct the address and send the message again", err)
	}
	return err
}

// choose finds the account. A rehearsal can do without one.
func (p *program) choose(c *config.Config, r *submit.Request) (err error) {
	if err = r.Choose(c); err != nil && p.cmd.Rehearse && len(c.Accounts) == 0 {
		r.By.CommandLine.Server = config.SchemeTLS + "://localhost"
		err = r.Choose(c)
	}
	if err != nil {
		return err
	}
	p.account = r.Account.Name
	return nil
}

// addresses reads an argument, which may hold several addresses with names and
// comments. Folding belongs to a header: a line break here was put in by
// somebody.
func addresses(s string) ([]message.Mailbox, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
		return nil, fmt.Errorf("%q holds a control character", s)
	}
	return message.ParseAddressList(s)
}

// recipients reads an argument that names recipients. After an error it returns
// those that are addresses.
func recipients(word string) ([]message.Mailbox, error) {
	list, err := addresses(word)
	good := slices.DeleteFunc(list, func(b message.Mailbox) bool { return b.Address.IsNull() })
	if err == nil && len(good) < len(list) {
		err = fmt.Errorf("%q: no address", word)
	}
	return good, err
}

// oneAddress reads the argument of -f, which may have a display form; nothing
// and <> are the null sender.
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
