package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// checkFirst returns an error before the first question if the account could not be
// written.
func (c *conversation) checkFirst(context.Context) error {
	if c.isContainer() || c.For == "container" {
		return nil
	}
	switch {
	case c.Account == "":
	case !config.IsName(c.Account):
		return status.Usage.Errorf("--account: the name of an account can only contain letters, digits and -_.+@, and must not begin with a dash or a dot")
	case c.taken(c.Account) && !c.isMachine():
		return c.errExists(c.Account, "")
	}
	return c.target().Writable()
}

// meetAddress tells a person if the address already has an account.
func (c *conversation) meetAddress(ctx context.Context) error {
	if c.isMachine() {
		return c.meetMachine(ctx)
	}
	i := slices.IndexFunc(c.config.Accounts, func(a *config.Account) bool {
		own, ok := a.Address()
		return ok && a.File == c.file && own.Key() == c.who.Key()
	})
	if i < 0 {
		return nil
	}
	return c.clash(ctx, c.config.Accounts[i])
}

// meetUser tells a person if another account already logs in to this server as this user.
// If nobody can be asked, the new account is for another address.
func (c *conversation) meetUser(ctx context.Context) error {
	i := slices.IndexFunc(c.config.Accounts, func(a *config.Account) bool {
		return a.File == c.file && a.User != "" && a.User == c.user && a.Servers[0].Identity() == c.server.Identity()
	})
	if i < 0 || !c.There || c.isMachine() {
		return nil
	}
	return c.clash(ctx, c.config.Accounts[i])
}

// clash lets a person choose what to do about an existing account, unless the person has
// already chosen to add another one.
func (c *conversation) clash(ctx context.Context, a *config.Account) error {
	if c.another || c.Account != "" || c.For == "container" {
		return nil
	}
	if !c.There {
		return c.errExists(a.Name, " for "+c.who.Address.String())
	}
	address, _ := a.Address()
	c.show("Account %q exists already, in %s:\n  %s at %s", a.Name, c.shortFile(), address, a.Servers[0].Name())
	c.show("  1) give it a new password\n  2) add another account\n  3) stop, and change nothing")
	n, err := c.choose(question{text: "What do you want to do? 1-3", standard: "1"}, "password", "another", "stop")
	switch {
	case err != nil:
		return err
	case n == 0:
		if err := c.Renew(ctx, a.Name); err != nil {
			return err
		}
		return errOver
	case n == 2:
		c.show("nothing was changed")
		return errOver
	}
	c.another = true
	return nil
}

// errExists returns the error that the account name exists, with the commands that a person
// may have meant. what is added to the name.
func (c *conversation) errExists(name, what string) error {
	address := ""
	if c.Address != "" {
		address = " " + process.ShellWord(c.Address)
	}
	return status.Usage.Errorf("account %q exists already%s, in %s\nto change its password: %s --login %[1]s\nto add another account: %[4]s --setup%[5]s --account %[6]s",
		name, what, c.shortFile(), c.command(), address, c.freeName(name))
}

func (c *conversation) askUser(context.Context) (err error) {
	switch {
	case c.User != "":
	case c.anonymous:
		c.user = ""
		c.show("this server requires no login")
		return nil
	case c.user != "" && (c.sure || !c.There):
		return nil
	}
	c.user, err = c.answer(c.User, question{text: "User name", standard: c.user, needs: "a user name", give: "give --user NAME", check: visible})
	return err
}

// visible returns an error if answer has characters that cannot be seen.
func visible(answer string) error {
	if status.Printable(answer) != answer {
		return errors.New("it contains characters that cannot be seen")
	}
	return nil
}

// nameAccount sets the account's name: that of --account, or one made from the address's
// domain that no account has.
func (c *conversation) nameAccount(context.Context) error {
	if c.name = c.Account; c.name != "" {
		return nil
	}
	label, _, _ := strings.Cut(c.who.ASCII, ".")
	c.name = c.freeName(label)
	return nil
}

// freeName returns base, or base with a number, as the name of a new account.
func (c *conversation) freeName(base string) string {
	name := base
	for n := 2; c.taken(name); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// taken reports whether the file has an account with this name. An account of another file
// may have the same name: it is replaced.
func (c *conversation) taken(name string) bool {
	return slices.ContainsFunc(c.config.Accounts, func(a *config.Account) bool { return a.Name == name && a.File == c.file })
}
