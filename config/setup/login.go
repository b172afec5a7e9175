package setup

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sendoff/config/discover"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// logins has a row for each discover.Login: what the person is asked for, and how.
var logins = [...]struct {
	what     string // what the person is asked for
	get      func(c *conversation, ctx context.Context, what string) error
	tokens   string // the source of access tokens; "": unknown
	provider string // the provider of the access tokens, for people
	standard int    // the default choice: byPassword or byTokens
}{
	discover.Password:    {"Password", (*conversation).askPassword, "", "", byPassword},
	discover.AppPassword: {"App password, token or key", (*conversation).askPassword, "", "", byPassword},
	discover.OAuth2:      {"Token", (*conversation).askToken, "", "", byPassword},
	discover.Google:      {"App password", (*conversation).askPassword, "oauth2:google", "Google", byPassword},
	discover.Microsoft:   {"Token", (*conversation).askToken, "oauth2:microsoft", "Microsoft", byTokens},
}

// The choices of a person.
const (
	byPassword = iota
	byTokens
)

// chooseLogin lets a person choose between a password and access tokens, if the provider
// has both.
func (c *conversation) chooseLogin(context.Context) error {
	row := logins[c.login]
	if row.tokens == "" || c.Secret != "" || c.PasswordFile != "" || c.anonymous {
		return nil
	}
	if c.ClientID != "" || !c.There {
		var err error
		if c.ClientID != "" {
			c.ref, err = credential.ParseRef(row.tokens)
		}
		return err
	}
	for {
		n, err := c.choose(question{text: "Log in with 1) an app password or 2) OAuth in the browser?", standard: strconv.Itoa(row.standard + 1)}, "password", "oauth2")
		switch {
		case err != nil:
			return err
		case n == byPassword && row.standard == byTokens:
			c.login = discover.Password
			return nil
		case n == byPassword:
			return nil
		}
		if c.ref, err = credential.ParseRef(row.tokens); err != nil {
			return err
		}
		if ok, err := c.askClient(row.provider); err != nil || ok {
			return err
		}
		c.ref = credential.Ref{}
	}
}

// askClient asks for the client ID of the user's registration with a provider of access
// tokens, unless the configuration or an option has it; false: the person has none.
func (c *conversation) askClient(provider string) (bool, error) {
	if _, err := c.config.Provider(c.ref.Provider()); err == nil || c.ClientID != "" {
		return true, nil
	}
	c.show("%s requires an OAuth client ID of your own;\nsendoff-oauth(7) shows how to get one (5 minutes)", provider)
	id, err := c.line("OAuth client ID (Enter goes back): ")
	for err == nil && visible(id) != nil {
		c.show("%v", visible(id))
		id, err = c.line("OAuth client ID (Enter goes back): ")
	}
	c.ClientID, c.typedClient = id, id != ""
	return id != "", err
}

// askPassword gets the password: from the file of --password-file, from the source of
// --secret if the password is there already, or from the person. If the source is oauth2,
// the person consents instead.
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
		return c.missing(question{needs: "a password", give: "give --password-file FILE (- is standard input), or --secret SOURCE"})
	}
	c.secret, err = c.typeSecret(what + " for " + c.user + " at " + c.server.Name() + ": ")
	return err
}

// consent gets access tokens. If there was no refresh token before, and the account is not
// written in the end, the new refresh token is removed.
func (c *conversation) consent(ctx context.Context) error {
	ref := []credential.Ref{c.account().Refresh()}
	_, none := c.Store.Get(ctx, ref, c.item().Refresh(c.ref.Provider()))
	err := c.authorise(ctx)
	if err == nil && none != nil {
		c.undo = append(c.undo, func(ctx context.Context) error { return c.Withdraw(ctx, c.account()) })
	}
	return err
}

// typeSecret asks for a secret. If a person types none, it asks again.
func (c *conversation) typeSecret(prompt string) (credential.Secret, error) {
	for n := 1; ; n++ {
		text, err := c.Person.Secret(prompt)
		if err == nil {
			text, err = c.unpaste(strings.TrimPrefix(text, "\ufeff"))
		}
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

// unpaste removes invisible characters from a password, which come with text copied from a
// page, if the person agrees. If nobody can be asked, it warns, and the password stays as
// it is.
func (c *conversation) unpaste(text string) (string, error) {
	what := pasted(text)
	if what == "" {
		return text, nil
	}
	if !c.There {
		c.show("warning: the password contains %s; it is used as it is", what)
		return text, nil
	}
	c.show("The password contains %s.", what)
	ok, err := c.yesOrElse(question{text: "Remove it?"})
	if ok {
		text = strings.Map(func(r rune) rune {
			if isPasted(r) {
				return -1
			}
			return r
		}, text)
	}
	return text, err
}

// pasted says which character text contains that people hardly type; "": none.
func pasted(text string) string {
	at := strings.IndexFunc(text, isPasted)
	if at < 0 {
		return ""
	}
	switch r, _ := utf8.DecodeRuneInString(text[at:]); {
	case r == '\u00a0' || r == '\u202f':
		return "a no-break space, as pasted text does"
	default:
		return fmt.Sprintf("an invisible character (U+%04X), as pasted text does", r)
	}
}

// isPasted reports whether r is a space other than the usual one, or an invisible
// character.
func isPasted(r rune) bool { return r != ' ' && unicode.In(r, unicode.Zs, unicode.Cf) }

// readSecret reads the file of an option, by the rules for files that contain secrets.
func (c *conversation) readSecret(ctx context.Context, flag, path string) (credential.Secret, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return credential.Secret{}, status.Usage.Errorf("%s: %w", flag, err)
	}
	ref, err := credential.ParseRef("file:" + path)
	if err != nil {
		return credential.Secret{}, status.Usage.Errorf("%s: %w", flag, err)
	}
	secret, err := c.Store.Get(ctx, []credential.Ref{ref}, c.item())
	if what := pasted(secret.Reveal()); err == nil && what != "" {
		c.show("warning: %s: the password contains %s; it is used as it is", flag, what)
	}
	return secret, err
}

// askToken gets an access token. A person cannot type it, so --secret must name a source. A
// person may try a password nevertheless.
func (c *conversation) askToken(ctx context.Context, what string) error {
	switch {
	case c.Secret != "" || c.PasswordFile != "" || c.ref.IsOAuth2():
		return c.askPassword(ctx, what)
	case c.There:
		c.show("%s says that it accepts only OAuth tokens, not passwords", c.server.Name())
		ok, err := c.yes(question{text: "Try a password all the same?"})
		if err != nil {
			return err
		}
		if ok {
			return c.askPassword(ctx, "Password")
		}
	}
	return status.Usage.Errorf("%s accepts only OAuth tokens, not passwords: give --secret SOURCE, such as %s or command:WORDS", c.server.Name(), cmp.Or(c.tokens, "oauth2:PROVIDER"))
}
