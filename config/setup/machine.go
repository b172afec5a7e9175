package setup

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/config/machine"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// The use machine: the conversation finds and tests an account as for the other uses, but
// then package machine makes a service that has the account (see there).

// isMachine reports whether a service sends with the account, for all users.
func (c *conversation) isMachine() bool { return c.use != nil && c.use.name == "machine" }

// isForEverybody reports whether root changes the configuration that everybody reads.
func (c *conversation) isForEverybody() bool {
	return c.Identity.UID == 0 && c.file == machine.UsersFile()
}

// onlyForRoot reports whether everybody reads the account, but only root can read its
// password.
func (c *conversation) onlyForRoot() bool {
	return c.isForEverybody() && !c.isMachine() && c.ref.Kind() == secret.File && c.Secret == ""
}

// isOwnOfRoot reports whether root, at a terminal, keeps an account in root's own
// configuration: with sudo, a person may have meant an account for everybody.
func (c *conversation) isOwnOfRoot() bool {
	return c.There && c.Identity.UID == 0 && c.file == c.Paths.User && c.ref.Kind() == secret.File && c.Secret == ""
}

// checkMachine returns an error if the service cannot be set up, before the first question.
func (c *conversation) checkMachine() error {
	switch {
	case c.Identity.UID != 0:
		return status.Usage.Errorf("--for machine: only root can set up a service: %s", strings.Join(strings.Fields("sudo sendoff --setup "+c.Address+" --for machine"), " "))
	case c.Secret != "":
		return status.Usage.Errorf("--secret cannot be used with --for machine: the service has a place of its own; give the password with --password-file FILE (- is standard input)")
	case c.Paths.Explicit != "" && c.Paths.Explicit != machine.UsersFile():
		return status.Usage.Errorf("--config cannot be used with --for machine, which writes %s", machine.UsersFile())
	}
	c.Paths.Explicit = machine.UsersFile()
	return nil
}

var offer = question{text: "Set up a service that sends for all users instead (--for machine)?"}

// Offer offers the service to root, who has imported the account of s for everybody. If
// nobody can be asked, it shows the command.
func (s *Setup) Offer(ctx context.Context) error {
	if !s.There {
		s.show("To set up a service that sends for all users:\n  sudo sendoff --setup %s --for machine --server %s --user %s --password-file %s", process.ShellWord(s.Address), process.ShellWord(s.Server), process.ShellWord(s.User), process.ShellWord(s.PasswordFile))
		return nil
	}
	ok, err := s.yesOrElse(offer)
	if err != nil || !ok {
		return err
	}
	s.For = "machine"
	return s.Run(ctx)
}

// offerMachine meets the service if a person has chosen that. Otherwise it offers the
// service to root, who has chosen a password that only root can read, in the configuration
// that everybody reads.
func (c *conversation) offerMachine(ctx context.Context) error {
	if c.isMachine() && c.machine == nil { // the person has chosen it from the list
		return c.meetMachine(ctx)
	}
	isOffer := c.isForEverybody() && c.For == "cron" && c.Secret == "" && !c.ref.IsOAuth2() && c.There && !c.anonymous
	if !isOffer {
		return nil
	}
	c.show("Only root can read this password, so only root's mail will leave.")
	ok, err := c.yesOrElse(offer)
	if err != nil || !ok {
		return err
	}
	c.For = "machine"
	if err := c.takeUse(c.For); err != nil {
		return err
	}
	return c.meetMachine(ctx)
}

// meetMachine looks at the service that is there. If it sends for this address already, its
// settings are used, and a complete service is only checked.
func (c *conversation) meetMachine(ctx context.Context) (err error) {
	if c.machine, err = machine.New(c.Identity); err != nil {
		return err
	}
	m := c.machine
	if m.Account == nil {
		return c.checkName()
	}
	switch own, _ := m.Account.Address(); {
	case own.Key() != c.who.Key(), c.Account != "" && c.Account != m.Name:
		return status.Usage.Errorf("a service sends for this machine already, with account %q as %s; to replace it, remove it first: sudo sendoff --remove --for machine", m.Name, m.From)
	case c.Server != "" && !c.isServer(c.Server), c.User != "" && c.User != m.User:
		return status.Usage.Errorf("the service of this machine uses %s as %s; to change that, edit %s", m.Server, m.User, config.ServiceFile())
	}
	c.Account, c.Server, c.User = m.Name, m.Server, m.User
	if !m.HasPassword() {
		return nil
	}
	return c.repeat(ctx)
}

// isServer reports whether word names the server of the service.
func (c *conversation) isServer(word string) bool {
	m := c.machine
	return word == m.Server || word == m.Account.Servers[0].String() || word == m.Account.Servers[0].Name()
}

// checkName returns an error if another account has the name that --account gives. An
// account with the same address is replaced, and its name is used.
func (c *conversation) checkName() error {
	for _, a := range c.config.Accounts {
		own, _ := a.Address()
		switch isSame := own.Key() == c.who.Key(); {
		case !isSame && a.Name == c.Account:
			return status.Usage.Errorf("account %q exists already, in %s, for %s: give another name", a.Name, c.file, own)
		case isSame:
			c.Account = cmp.Or(c.Account, a.Name)
			c.replaced = append(c.replaced, a.Secret...)
		}
	}
	return nil
}

// repeat makes what a service lacks that was set up before.
func (c *conversation) repeat(ctx context.Context) error {
	m := c.machine
	c.server, c.user = m.Account.Servers[0], m.User
	if c.PasswordFile != "" && c.user != "" {
		if err := c.askPassword(ctx, "Password"); err != nil {
			return err
		}
		if m.Holds(ctx, c.secret) {
			c.secret = credential.Secret{}
		} else if _, err := c.Try(ctx, Trial{Account: m.Account, Secret: c.secret, To: c.who.Address}); err != nil {
			if err := c.forced(err); err != nil {
				return err
			}
		}
	}
	changed, err := m.Make(ctx, c.secret)
	switch {
	case err != nil:
		return err
	case changed:
		c.printf("%s", m.Describe())
		c.Wake(ctx)
	default:
		c.printf("Nothing to change: all users of this machine send as %s\nTo change the password: sudo sendoff --login %s\n", m.From, m.Name)
	}
	return errOver
}

// planMachine decides what the service will be, and returns an error if it cannot be made.
func (c *conversation) planMachine() error {
	if m := c.machine; m.Account == nil {
		m.Name, m.Server, m.User, m.From = c.name, edit.URL(c.server), c.user, c.who.Address.String()
	}
	return c.machine.Check()
}

// makeMachine makes the service, and sends the test mail through it.
func (c *conversation) makeMachine(ctx context.Context) error {
	m := c.machine
	m.Auth = c.auth
	if _, err := m.Make(ctx, c.secret); err != nil {
		return err
	}
	c.Wake(ctx)
	c.printf("%s", m.Describe())
	c.printf("To change the password: sudo sendoff --login %s\nTo remove all this: sudo sendoff --remove --for machine\n", m.Name)
	if all, err := c.load(); err == nil && all.Standard() != nil && all.Standard().Name != m.Name {
		c.printf("The default account stays %q: mail without an account's address does not use the service\n", all.Standard().Name)
	}
	for _, ref := range c.replaced {
		if ref.Writable() {
			c.printf("%s is no longer used; delete it if nothing else needs it\n", unusedName(ref))
		}
	}
	if c.NoTest {
		return nil
	}
	done := c.waiting("Sending a test mail as the user nobody")
	err := m.Test(c.who.Address.String(), c.testMail())
	done()
	if err == nil {
		c.show("a test mail from the user nobody is on its way to %s", c.who.Address)
		return nil
	}
	return c.forced(fmt.Errorf("the service is set up, but %w", err))
}
