// Package setup has the conversation that makes a working account, and carries out
// what was decided: it stores secrets where the use of the account can get at them, and
// changes the configuration. It does not know how mail is sent: Try is given to it.
//
//	a person's answers ─── Run ──── discover, uses ────┐
//	an account's secret ── Login ── uses ──────────────┼── secrets stored, then edit.File.Change
//	another program ────── Import ─ importer.Reading ──┘
//
// To add a use, add a row to uses; a login, a row to logins.
//
// Errors: an answer that cannot be used is of kind status.Usage, or status.NoInput if
// nobody gives one; a configuration that cannot be loaded, or could not be with the
// account in it, is of kind status.Config; the others come from the server and from the
// place of the secret. No error, and nothing that is printed, holds a password, unless
// that is a word of another program's command.
package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/config/discover"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Setup makes an account that works. Its fields are the outside world, and
// the answers that are known before anybody is asked.
type Setup struct {
	Address string // whose account it is; "" is asked for
	Account string // its name; "" is made from the address
	Server  string // as in a configuration, or a provider's name; "" is looked for
	User    string
	Secret  string // a source, never a password; "" is chosen by For
	For     string // the name of a use
	Flow    string // how a person consents

	cmdline.Answers
	Person
	Out   io.Writer // gets what was done, and what is left to do
	Paths config.Paths
	// Identity is whose account it is on this machine.
	Identity config.Identity
	Store    *credential.Store
	// Authorise gets a person's consent to access tokens for an account, which
	// may be nowhere yet. Run needs none where there is one already.
	Authorise func(context.Context, *config.Account) error
	// Provide makes a provider known to Authorise and Try.
	Provide func(*config.OAuth2)
	// Withdraw forgets what Authorise has kept.
	Withdraw func(context.Context, *config.Account) error
	// Renew gets a new secret for an account of the configuration.
	Renew func(ctx context.Context, account string) error
	// Try tries an account that is nowhere yet, and says what it has seen.
	Try func(context.Context, Trial) (Seen, error)
}

// A Trial is an account that has to prove itself.
type Trial struct {
	Account *config.Account   // without a User, there is no login
	Secret  credential.Secret // if not zero, in place of what the account's source gives
	To      envelope.Address
	Mail    string // a message for To; "": the session ends without one
}

// Seen is what a server has shown of itself.
type Seen struct {
	Lines      []string // for a person to read: the connection, the certificate, the logins it offers
	Mechanisms []string // for a login, in upper case
}

// A conversation is a Setup under way, in which each step leaves its result.
type conversation struct {
	*Setup
	config *config.Config // before it is changed
	file   string         // the file to be changed; absolute

	who       discover.Address
	server    config.Server
	user      string
	anonymous bool     // the server wants no login
	offered   []string // the server's mechanisms
	auth      string   // the mechanism to name; "" leaves the choice open
	login     discover.Login
	tokens    string // the source of access tokens for this server; "" is not known
	use       *use
	name      string
	place     *place                        // of the secret, for the use
	ref       credential.Ref                // the source of the secret; zero: none, or not settled yet
	secret    credential.Secret             // zero: it is in its place already
	refresh   credential.Ref                // the place of a refresh token; zero: the keyring, or none
	sure      bool                          // the user's name is known, and need not be asked for
	renewal   *renewal                      // nil: the account is new
	another   bool                          // the person wants an account beside one that is like it
	undo      []func(context.Context) error // what was kept for an account that is not written yet

	typedClient  bool              // the client ID is the person's answer
	registration *edit.Table       // what a provider of access tokens needs
	clientSecret credential.Secret // zero: it has none
	clientRef    credential.Ref    // of the client secret
}

// steps is the way to an account.
var steps = [...]func(*conversation, context.Context) error{
	(*conversation).checkFirst,
	(*conversation).nameUse,
	(*conversation).checkSource,
	(*conversation).askAddress,
	(*conversation).meetAddress,
	(*conversation).findServer,
	(*conversation).connect,
	(*conversation).askUser,
	(*conversation).meetUser,
	(*conversation).chooseLogin,
	(*conversation).chooseUse,
	(*conversation).nameAccount,
	(*conversation).choosePlace,
	(*conversation).register,
	(*conversation).checkTarget,
	(*conversation).prove,
	(*conversation).keepSecret,
}

// errOver ends a conversation with nothing left to do, and is no failure.
var errOver = errors.New("nothing left to do")

// Run has the conversation, until ctx ends. When it returns nil, the account has
// worked, or Force is set, and it is where its use wants it; or the person has chosen
// to renew another account's secret, or to stop. Otherwise nothing was written.
func (s *Setup) Run(ctx context.Context) error {
	c := &conversation{Setup: s, file: s.Paths.User}
	if s.Yes {
		s.There, s.quiet = false, true
	}
	var err error
	if c.config, err = c.load(); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(c, ctx); err != nil {
			return c.undone(ctx, err)
		}
	}
	err = c.apply(ctx)
	if err != nil && len(c.undo) > 0 {
		return c.undone(ctx, err)
	}
	return err
}

// undone takes back what was kept until err, although the person may have gone, and
// says that no account came of it. An answer that is missing or wrong says so itself.
func (c *conversation) undone(ctx context.Context, err error) error {
	var left error
	for _, undo := range c.undo {
		left = errors.Join(left, undo(context.WithoutCancel(ctx)))
	}
	switch {
	case left != nil:
		return fmt.Errorf("account not saved: %w; and this could not be removed again: %v", err, left)
	case errors.Is(err, errOver):
		return nil
	case status.KindOf(err) == status.Usage:
		return err
	}
	return fmt.Errorf("account not saved: %w", err)
}

// load reads the configuration that is there, which must be good.
func (c *conversation) load() (*config.Config, error) {
	if c.Paths.Explicit != "" {
		path, err := filepath.Abs(c.Paths.Explicit)
		if err != nil {
			return nil, status.Config.Wrap(err)
		}
		c.file = path
		if _, err := os.Stat(c.file); errors.Is(err, fs.ErrNotExist) {
			return config.Default(), nil
		}
	}
	if c.file == "" && c.For != "container" { // for which no file is written
		return nil, status.Config.Errorf("there is no home folder for a configuration; name a file with --config")
	}
	return config.Load(c.Paths)
}

func (c *conversation) printf(format string, args ...any) { fmt.Fprintf(c.Out, format, args...) }

// checkSource refuses --secret if no answer can make that source good.
func (c *conversation) checkSource(context.Context) (err error) {
	if c.Secret == "" {
		return nil
	}
	if c.ref, err = credential.ParseRef(c.Secret); err == nil && c.ref.IsOAuth2() {
		_, err = c.config.Provider(c.ref.Provider())
		if _, known := config.BuiltIn(c.ref.Provider()); err != nil && known {
			if c.There || c.ClientID != "" {
				return nil // register gives it a table
			}
			err = fmt.Errorf("%w; give --client-id ID", err)
		}
	}
	if err != nil {
		return fmt.Errorf("--secret: %w", err)
	}
	return nil
}

// account returns the account as far as it is known.
func (c *conversation) account() *config.Account {
	if c.renewal != nil {
		a := *c.renewal.account
		a.Secret, a.RefreshToken = config.List[credential.Ref]{c.ref}, cmp.Or(c.refresh, a.RefreshToken)
		return &a
	}
	a := c.unnamed(c.server)
	a.Name, a.User = c.name, c.user
	if c.ref != (credential.Ref{}) {
		a.Secret, a.RefreshToken = config.List[credential.Ref]{c.ref}, c.refresh
	}
	return a
}

// unnamed returns an account that only has a server, and does not log in.
func (c *conversation) unnamed(server config.Server) *config.Account {
	a := &config.Account{Name: "setup", Servers: config.List[config.Server]{server}}
	var from config.Pattern
	if from.UnmarshalText([]byte(c.who.Address.String())) == nil {
		a.From = config.List[config.Pattern]{from}
	}
	return a
}

// item is the user and the host that the secret is for.
func (c *conversation) item() credential.Item {
	return credential.Item{User: c.user, Host: c.server.Identity()}
}
