package setup

import (
	"cmp"
	"context"
	"path/filepath"

	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// A login is a way to prove who one is.
type login int

// The ways, which are the rows of logins.
const (
	password login = iota
	appPassword
	oauth2
)

// logins says what a person is asked for, and how the secret comes to its
// place.
var logins = [...]struct {
	what string // that is asked for
	get  func(c *conversation, ctx context.Context, what string) error
}{
	password:    {"password", (*conversation).askPassword},
	appPassword: {"app password, token or key", (*conversation).askPassword},
	oauth2:      {"token", (*conversation).askToken},
}

// askPassword gets the password: from the file that --password-file names, from
// the source that --secret names, if it is there, or from the person. Of access
// tokens that source is a provider, who wants the person's consent instead.
func (c *conversation) askPassword(ctx context.Context, what string) error {
	prompt := what + " for " + c.user + " at " + c.server.Name() + ": "
	switch {
	case c.ref.IsOAuth2():
		return c.consent(ctx)
	case c.PasswordFile == "-":
		return c.typed(prompt)
	case c.PasswordFile != "":
		return c.readPassword(ctx)
	case c.Secret != "":
		_, err := c.Store.Get(ctx, []credential.Ref{c.ref}, c.item())
		if err == nil {
			return nil
		}
		if _, fixed := credential.Writable([]credential.Ref{c.ref}); fixed != nil {
			return err
		}
	}
	if !c.There {
		return status.Usage.Errorf("the password is not known; give --password-file FILE, or - for standard input, or --secret SOURCE that has it")
	}
	return c.typed(prompt)
}

// consent gets access tokens, and notes whether that keeps a refresh token where
// there was none.
func (c *conversation) consent(ctx context.Context) error {
	ref, err := credential.ParseRef(cmp.Or(c.refresh, "keyring"))
	if err != nil {
		return err
	}
	_, none := c.Store.Get(ctx, []credential.Ref{ref}, c.ref.RefreshItem(c.item()))
	err = c.Authorise(ctx, c.account())
	c.consented = err == nil && none != nil
	return err
}

// withdraw takes away what consent has kept, although the person may have gone.
func (c *conversation) withdraw(ctx context.Context) error {
	if !c.consented {
		return nil
	}
	return c.Withdraw(context.WithoutCancel(ctx), c.account())
}

func (c *conversation) typed(prompt string) error {
	text, err := c.Person.Secret(prompt)
	if err != nil {
		return status.NoInput.Errorf("reading the password: %w", err)
	}
	c.secret, err = credential.NewSecret(text)
	return status.Usage.Wrap(err)
}

// readPassword reads --password-file, by the rules for every file that holds a
// secret.
func (c *conversation) readPassword(ctx context.Context) error {
	path, err := filepath.Abs(c.PasswordFile)
	if err != nil {
		return status.Usage.Errorf("--password-file: %w", err)
	}
	ref, err := credential.ParseRef("file:" + path)
	if err == nil {
		c.secret, err = c.Store.Get(ctx, []credential.Ref{ref}, c.item())
	}
	return err
}

// askToken gets a token for OAuth2, which a program has to make, so that
// --secret says where it comes from. Who has a password that is taken all the
// same may give it.
func (c *conversation) askToken(ctx context.Context, what string) error {
	switch {
	case c.Secret != "" || c.PasswordFile != "":
		return c.askPassword(ctx, what)
	case c.There:
		ok, err := c.yes("try a password all the same?", false, "--password-file FILE")
		if err != nil {
			return err
		}
		if ok {
			return c.askPassword(ctx, "password")
		}
	}
	return status.Usage.Errorf("%s takes no password; give --secret SOURCE where a token for OAuth2 comes from, such as oauth2:PROVIDER or command:WORDS", c.server.Name())
}
