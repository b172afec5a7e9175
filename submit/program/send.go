package program

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/status"
)

// send submits the message on stdin. It is read to its end before anything
// is connected to: a cron job may print for an hour, and no server waits that
// long. What is wrong with the command line is said before. In the sendmail
// face a configuration that cannot be used is no reason to lose the message.
func (p *program) send(ctx context.Context) error {
	s, fault := p.submitter()
	if fault != nil && !p.postpones(fault) {
		return fault
	}
	r, by, wrong := p.request(s.Config)
	if wrong != nil && !p.leavesTrace() {
		return wrong
	}
	if err := p.read(s, r, wrong); err != nil {
		return err
	}
	defer r.Message.Close()
	if err := p.addHeader(r, &by); err != nil {
		return p.refuse(s, r, err)
	}
	if fault == nil {
		fault = p.choose(s.Config, r, by)
	}
	r.By = by
	if !p.cmd.DryRun && !p.cmd.Rehearse {
		p.openQueue(s)
		defer s.Wake()
	}
	switch {
	case fault != nil && p.postpones(fault):
		return s.Postpone(r, fault)
	case fault != nil:
		return fault
	case p.cmd.DryRun:
		return s.Explain(stdout(), r)
	case p.cmd.Rehearse:
		return s.Rehearse(ctx, stdout(), r)
	}
	return s.Submit(ctx, r)
}

// request puts together what the command line and the environment ask for. In
// the sendmail face recipients that are no addresses stop nobody else's mail.
// After an error, too, there is a request, for a trace of what was refused.
func (p *program) request(c *config.Config) (*submit.Request, config.Choice, error) {
	r := &submit.Request{FullName: p.cmd.FullName, UserName: os.Getenv("NAME")}
	r.Envelope = envelope.Envelope{Body: p.cmd.Body, Return: p.cmd.Return, ID: p.cmd.EnvID, RequireTLS: p.cmd.RequireTLS}
	by := config.Choice{CommandLine: p.overrides(), Environment: config.Environment(os.Getenv)}
	r.QueueOnly = p.cmd.QueueOnly
	r.By = by
	var bad error
	for _, word := range p.cmd.Recipients {
		list, err := recipients(word)
		if err != nil {
			bad = cmp.Or(bad, status.Usage.Errorf("recipient: %w", err))
			r.Bad = append(r.Bad, status.Data.Errorf("recipient: %w", err))
		}
		p.add(r, list, "argument")
	}
	if bad != nil && (p.cmd.Face == cmdline.Sendoff || len(r.To) == 0 && !p.cmd.Extract) {
		r.Bad = r.Bad[1:]
		return r, by, p.mend(bad)
	}
	if p.cmd.From != nil {
		sender, err := oneAddress(*p.cmd.From)
		if err != nil {
			return r, by, status.Usage.Errorf("-f: %w", err)
		}
		r.Sender, by.Sender = &sender, sender
	}
	if len(r.To)+len(r.Bad) == 0 && !p.cmd.Extract {
		return r, by, status.Usage.Errorf("no recipients; name them, or use -t to take them from the header")
	}
	if by.CommandLine.Account != "" { // a name that is wrong whatever the message says
		if _, _, err := c.Choose(by); err != nil {
			return r, by, err
		}
	}
	return r, by, nil
}

// add adds recipients to r.
func (p *program) add(r *submit.Request, list []message.Mailbox, origin string) {
	for _, b := range list {
		to := envelope.Recipient{Address: b.Address, Notify: p.cmd.Notify}
		r.To = append(r.To, submit.Wanted{Recipient: to, Origin: origin, NoAliases: p.cmd.NoAliases})
	}
}

// addHeader adds what the message's header has to say.
func (p *program) addHeader(r *submit.Request, by *config.Choice) error {
	if from, ok := r.Message.From(); ok {
		by.Header = from.Address
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

// mend asks a person to mend the address that err is about.
func (p *program) mend(err error) error {
	if p.cmd.Face == cmdline.Sendoff {
		err = fmt.Errorf("%w; nothing was sent: mend the address, and send the message again", err)
	}
	return err
}

// choose finds the account. A rehearsal can do without one.
func (p *program) choose(c *config.Config, r *submit.Request, by config.Choice) (err error) {
	r.Account, r.Why, err = c.Choose(by)
	if err != nil && p.cmd.Rehearse && len(c.Accounts) == 0 {
		by.CommandLine.Server = config.SchemeTLS + "://localhost"
		r.Account, r.Why, err = c.Choose(by)
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
