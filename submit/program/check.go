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

// warnUnread says which variables SENDOFF_* nobody reads. That is said where
// somebody looks at the configuration, and beside a fault of an account; whoever
// can send may have reasons for them, and cron would mail each such line.
func (p *program) warnUnread() {
	for _, text := range config.Unread(os.Environ()) {
		p.say("warning: " + text)
	}
}

// checkAliases says what is wrong with the alias file, if anything is. It makes
// nothing of the file: it is read when it is needed.
func (p *program) checkAliases(context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	kind := status.Config
	if p.cmd.Face == cmdline.Sendmail {
		kind = status.Data // for whoever installs, as sendmail's own
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

// verify says for each address of the command line, in sendmail's words, where
// its mail would go.
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
	return failure
}

// verifyOne prints a line for each address that one recipient stands for.
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
		if err := p.print(line); err != nil {
			return err
		}
	}
	return nil
}

// doctor looks for what keeps mail from leaving.
func (p *program) doctor(ctx context.Context) error {
	s, fault := p.submitter()
	unread := append(config.Unread(os.Environ()), p.unprotected()...)
	return doctor.Run(ctx, s, lists(), doctor.Checkup{By: p.choice(), Fault: fault, Unread: unread, JSON: p.cmd.JSON})
}

// secretAsCron is what the doctor runs as cron would. It prints why the secret of an
// account cannot be had, or nothing.
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
