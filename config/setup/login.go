package setup

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"sendoff/config/discover"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// logins says what a person is asked for, and how the secret comes to its
// place.
var logins = [...]struct {
	what     string // that is asked for
	get      func(c *conversation, ctx context.Context, what string) error
	tokens   string // the source of access tokens, for who wants them; "" is not known
	standard string // the answer that is offered where there is a choice
}{
	discover.Password:    {"password", (*conversation).askPassword, "", ""},
	discover.AppPassword: {"app password, token or key", (*conversation).askPassword, "", ""},
	discover.OAuth2:      {"token", (*conversation).askToken, "", ""},
	discover.Google:      {"app password", (*conversation).askPassword, "oauth2:google", byPassword},
	discover.Microsoft:   {"token", (*conversation).askToken, "oauth2:microsoft", byTokens},
}

// The answers of a person who may choose.
const (
	byPassword = "password"
	byTokens   = "oauth2"
)

// chooseLogin lets a person choose between a password and access tokens, where
// the provider gives those.
func (c *conversation) chooseLogin(context.Context) (err error) {
	row := logins[c.login]
	if row.tokens == "" || c.Secret != "" || c.PasswordFile != "" || c.anonymous || !c.There {
		return nil
	}
	answer := row.standard
	if !c.Yes {
		check := func(answer string) error {
			if answer != byPassword && answer != byTokens {
				return fmt.Errorf("please answer %s or %s", byPassword, byTokens)
			}
			return nil
		}
		answer, err = c.ask(question{text: "log in by " + byPassword + ", or by access tokens (" + byTokens + ")", standard: row.standard, check: check,
			flag: "--secret " + row.tokens})
		if err != nil {
			return err
		}
	}
	switch {
	case answer == byTokens:
		c.ref, err = credential.ParseRef(row.tokens)
	case row.standard == byTokens:
		c.login = discover.Password
	}
	return err
}

// askPassword gets the password: from the file that --password-file names, from
// the source that --secret names, if it is there, or from the person. Of access
// tokens that source is a provider, who wants the person's consent instead.
func (c *conversation) askPassword(ctx context.Context, what string) (err error) {
	switch {
	case c.ref.IsOAuth2():
		return c.consent(ctx)
	case c.PasswordFile != "" && c.PasswordFile != "-":
		c.secret, err = c.readSecret(ctx, "--password-file", c.PasswordFile)
		return err
	case c.PasswordFile == "-":
	case c.Secret != "":
		_, err := c.Store.Get(ctx, []credential.Ref{c.ref}, c.item())
		if err == nil {
			return nil
		}
		if _, fixed := credential.Writable([]credential.Ref{c.ref}); fixed != nil {
			return err
		}
	}
	if !c.There && c.PasswordFile == "" {
		return status.Usage.Errorf("the password is not known; give --password-file FILE, or - for standard input, or --secret SOURCE that has it")
	}
	c.secret, err = c.typeSecret(what + " for " + c.user + " at " + c.server.Name() + ": ")
	return err
}

// consent gets access tokens. A refresh token that was not there before goes again if
// the account is not written in the end.
func (c *conversation) consent(ctx context.Context) error {
	ref := []credential.Ref{c.account().Refresh()}
	_, none := c.Store.Get(ctx, ref, c.item().Refresh(c.ref.Provider()))
	err := c.authorise(ctx)
	if err == nil && none != nil {
		c.undo = append(c.undo, func(ctx context.Context) error { return c.Withdraw(ctx, c.account()) })
	}
	return err
}

// typeSecret asks for a secret. A person who has typed none is asked again.
func (c *conversation) typeSecret(prompt string) (credential.Secret, error) {
	for n := 1; ; n++ {
		text, err := c.Person.Secret(prompt)
		if err != nil {
			return credential.Secret{}, status.NoInput.Errorf("reading the password: %w", err)
		}
		secret, err := credential.NewSecret(text)
		if err == nil || !c.There || n == tries {
			return secret, status.Usage.Wrap(err)
		}
		c.show("%v", err)
	}
}

// readSecret reads the file that an option names, by the rules for every file
// that holds a secret.
func (c *conversation) readSecret(ctx context.Context, flag, path string) (credential.Secret, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return credential.Secret{}, status.Usage.Errorf("%s: %w", flag, err)
	}
	ref, err := credential.ParseRef("file:" + path)
	if err != nil {
		return credential.Secret{}, status.Usage.Errorf("%s: %w", flag, err)
	}
	return c.Store.Get(ctx, []credential.Ref{ref}, c.item())
}

// askToken gets an access token, which a program has to make, so that --secret says
// where it comes from. A person may try a password all the same.
func (c *conversation) askToken(ctx context.Context, what string) error {
	switch {
	case c.Secret != "" || c.PasswordFile != "" || c.ref.IsOAuth2():
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
	return status.Usage.Errorf("%s takes no password; give --secret SOURCE where a token for OAuth2 comes from, such as %s or command:WORDS", c.server.Name(), cmp.Or(c.tokens, "oauth2:PROVIDER"))
}
