package program

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/doctor"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/rewrite"
	"sendoff/submit/status"
)

func (p *program) checkConfig(context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, f := range s.Config.Files {
		fmt.Fprintf(&b, "%s is good\n", f)
	}
	add := func(a *config.Account, from string) {
		fmt.Fprintf(&b, "account %s, %s (%s)\n", a.Name, a.Servers[0], from)
		for _, server := range a.Servers {
			if odd := server.Way().Odd(server.Port); odd != "" {
				p.say(fmt.Sprintf("warning: account %s: %s: %s", a.Name, server, odd))
			}
		}
	}
	for _, a := range s.Config.Accounts {
		add(a, a.File)
	}
	if env := config.Environment(os.Getenv); env.Account != "" || env.Server != "" {
		a, why, err := s.Config.Choose(config.Choice{Environment: env})
		if err != nil {
			return err
		}
		add(a, why)
	}
	if b.Len() == 0 {
		return status.Config.Errorf("no account configured")
	}
	p.warnUnread()
	return p.print(b.String())
}

// warnUnread warns of variables SENDOFF_* that sendoff does not know. It is called if
// somebody checks the configuration, and after a fault of an account. An ordinary
// submission does not warn: cron would mail the warning each time.
func (p *program) warnUnread() {
	for _, text := range config.Unread(os.Environ()) {
		p.say("warning: " + text)
	}
}

// checkAliases reports faults in the alias file. Unlike sendmail's newaliases it builds no
// database: sendoff reads the file whenever it needs it.
func (p *program) checkAliases(context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	kind := status.Config
	if p.cmd.Face == cmdline.Sendmail {
		kind = status.Data // the exit code of sendmail's newaliases, for installation scripts
	}
	aliases, err := s.Config.LocalAliases()
	if aliases != nil {
		for _, text := range aliases.Notes {
			p.say("note: " + text)
		}
	}
	switch {
	case err != nil:
		return kind.Errorf("%s", err)
	case aliases != nil && len(aliases.Faults) > 0:
		return kind.Errorf("%s", strings.Join(aliases.Faults, "\n"))
	case process.IsTerminal(os.Stderr) && aliases == nil:
		p.say("there is no alias file")
	case process.IsTerminal(os.Stderr):
		p.say(aliases.File + ": no errors")
	}
	return nil
}

// verify prints, in sendmail's words, where mail to each address of the command line would
// go, and why.
func (p *program) verify(context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	r := &submit.Request{By: p.choice()}
	if err := p.choose(s.Config, r); err != nil {
		return err
	}
	rules := rewrite.New(s.Config, s.Identity, r.Account)
	var failure error
	for _, word := range p.cmd.Recipients {
		list, err := addresses(word)
		why := ""
		list = slices.DeleteFunc(list, func(b message.Mailbox) bool { return b.Address.IsNull() })
		switch {
		case err != nil:
			why = err.Error()
			failure = cmp.Or(failure, status.Data.Wrap(err))
		case len(list) == 0:
			why = "User unknown"
			failure = cmp.Or(failure, status.NoUser.Errorf("%q is nobody's address", word))
		}
		if why != "" {
			if err := p.print(status.Printable(word+"... "+why) + "\n"); err != nil {
				return err
			}
		}
		r.To = nil
		p.add(r, list, "argument")
		for _, to := range r.To {
			if err := p.verifyOne(s, r.Account, rules, to); err != nil {
				return err
			}
		}
	}
	return cmp.Or(p.print(p.way(s, r, rules)), failure)
}

// way returns lines about the account of r, and about the account that the machine's service
// uses for it.
func (p *program) way(s *submit.Submitter, r *submit.Request, rules *rewrite.Rules) string {
	text := fmt.Sprintf("account %s: %s\n", r.Account.Name, r.Why)
	service, err := config.LoadService(s.Identity)
	sender, _, _ := rules.DefaultSender()
	switch {
	case service == nil && err == nil, !r.Account.LeadsTo(service):
		return text
	case err == nil:
		var a *config.Account
		var why string
		if a, why, err = service.Choose(config.Choice{Sender: sender}); err == nil {
			return text + fmt.Sprintf("then account %s of the service: %s; %s, user %s\n", a.Name, why, a.Servers[0], cmp.Or(a.User, "none"))
		}
	}
	return text + "then the service: " + status.OneLine(err) + "\n"
}

// verifyOne prints a line for each address to which mail for the recipient to would go.
func (p *program) verifyOne(s *submit.Submitter, a *config.Account, rules *rewrite.Rules, to submit.Wanted) error {
	resolved, err := s.Resolve(to, rules)
	if err != nil {
		return err
	}
	for _, text := range resolved.Faults {
		s.Console.TellOnce("warning: " + text)
	}
	mailer := "smtp"
	if a.Servers[0].Way().LMTP {
		mailer = "lmtp"
	}
	for _, r := range resolved.To {
		line := fmt.Sprintf("%s... deliverable: mailer %s, host %s, user %s\n", to.Address, mailer, a.Servers[0].Name(), r.Address)
		if r.Discard {
			line = fmt.Sprintf("%s... deliverable: mailer *file*, user /dev/null (discarded)\n", to.Address)
		}
		if r.Why != "" {
			line += "    " + status.Printable(strings.TrimPrefix(r.Why, "; ")) + "\n"
		}
		if err := p.print(line); err != nil {
			return err
		}
	}
	return nil
}

// doctor runs the checks of package doctor.
func (p *program) doctor(ctx context.Context) error {
	s, fault := p.submitter()
	unread := append(config.Unread(os.Environ()), p.unprotected()...)
	return doctor.Run(ctx, s, p.lists(), doctor.Checkup{By: p.choice(), Fault: fault, Unread: unread, JSON: p.cmd.JSON})
}

// secretAsCron is the process that the doctor runs with cron's environment. It prints why
// the account's secret cannot be read; if it can be read, it prints nothing.
func (p *program) secretAsCron(ctx context.Context) error {
	s, err := p.submitter()
	if err == nil {
		var a *config.Account
		if a, _, err = s.Config.Choose(p.choice()); err == nil {
			err = s.Pool().Secrets.GetStored(ctx, a)
		}
	}
	if err == nil {
		return nil
	}
	return p.print(status.OneLine(err) + "\n")
}
