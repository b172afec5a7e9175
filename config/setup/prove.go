package setup

import (
	"context"
	"fmt"
	"slices"

	"sendoff/config"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// tries is how often a person may type a wrong secret.
const tries = 3

// prove logs in, and sends the test mail. If a person has mistyped user name or password,
// it asks for both again.
func (c *conversation) prove(ctx context.Context) error {
	for n := 1; ; n++ {
		if c.user != "" {
			row := logins[c.login]
			if err := row.get(c, ctx, row.what); err != nil {
				return err
			}
			if err := c.ready(); err != nil {
				return err
			}
		}
		typed := c.There && c.PasswordFile == "" && !c.secret.IsZero()
		done := func() {}
		if typed { // otherwise a command may prompt, and the dots would disturb its prompt
			done = c.waiting("Logging in")
		}
		_, err := c.Try(ctx, Trial{Account: c.account(), Secret: c.secret, To: c.who.Address, Mail: c.mail()})
		done()
		if status.KindOf(err) == status.AuthFailed && typed && n < tries && !c.Force {
			c.showError(err)
			if err := c.askUser(ctx); err != nil {
				return err
			}
			continue
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return c.forced(err)
		case c.mail() != "":
			c.show("a test mail is on its way to %s", c.who.Address)
		}
		if err == nil {
			c.bind(ctx)
		}
		return nil
	}
}

// bound are the mechanisms that bind a login to its TLS connection: with them, an attacker
// with a false certificate cannot use the login. Many servers that offer them lack the keys
// for most users.
var bound = [...]string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"}

// bind tries a bound mechanism once, with the password that has worked. If the login
// succeeds, the account names this mechanism.
func (c *conversation) bind(ctx context.Context) {
	i := slices.IndexFunc(bound[:], func(m string) bool { return slices.Contains(c.offered, m) })
	if i < 0 || c.user == "" || c.ref.IsOAuth2() || c.isContainer() {
		return
	}
	a := c.account()
	a.Auth = config.List[string]{bound[i]}
	if _, err := c.Try(ctx, Trial{Account: a, Secret: c.secret, To: c.who.Address}); err == nil {
		c.auth = bound[i]
		c.show("%s works as well, which protects the login against a false server: auth is set to it", c.auth)
	}
}

// ready returns why the secret could not be stored at the place that the user has named,
// before anything is sent. Other places have been checked already.
func (c *conversation) ready() error {
	if c.Secret == "" || c.secret.IsZero() || c.isContainer() {
		return nil
	}
	return c.Store.Ready(c.ref, c.item())
}

func (c *conversation) mail() string {
	if c.NoTest || c.isMachine() { // the service sends the test mail
		return ""
	}
	return c.testMail()
}

func (c *conversation) testMail() string {
	return fmt.Sprintf("From: <%s>\nTo: <%[1]s>\nSubject: sendoff works\n\nThis is the test mail of sendoff --setup. It went through %s.\n", c.who.Address, c.server)
}

// forced returns err; with Force, it shows err and returns nil.
func (c *conversation) forced(err error) error {
	if !c.Force {
		return err
	}
	c.show("%v", err)
	return nil
}

// keepSecret makes sure that no other secret is replaced. If a file of another account
// already has this password for this server, the new account uses that file.
func (c *conversation) keepSecret(ctx context.Context) error {
	if c.secret.IsZero() || !c.ref.Writable() || c.isContainer() {
		return nil
	}
	if c.Secret == "" && c.ref.Kind() == secret.File {
		for _, a := range c.config.Accounts {
			isSame := a.User == c.user && a.Servers[0].Identity() == c.server.Identity()
			for _, ref := range a.Secret {
				if isSame && ref.Kind() == secret.File && holds(ctx, c.Store, ref, c.item(), c.secret) {
					c.show("%s has this password already; both accounts use it", placeName(ref))
					c.ref = ref
					return nil
				}
			}
		}
	}
	return c.guard(ctx, c.ref, c.secret)
}
