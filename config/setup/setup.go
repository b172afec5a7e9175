// Package setup has the conversation that creates a working account. It stores the secret
// where the account's use can read it, and changes the configuration. It does not know how
// mail is sent: the caller supplies Try.
//
//	a person's answers ─── Run ──── discover, uses ────┐
//	an account's secret ── Login ── uses ──────────────┼── secrets stored, then edit.File.Change
//	another program ────── Import ─ importer.Reading ──┘
//
// To add a use, add a row to uses; a login, a row to logins.
//
// Errors: status.Usage for a wrong answer; status.NoInput if there is no answer;
// status.Config if the configuration cannot be loaded, or could not be loaded with the
// account. Other errors come from the server and from the place of the secret. No error and
// no output contains a password, unless it is part of another program's command.
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
	"sendoff/config/machine"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Setup creates a working account. Its fields are the outside world, and the answers that
// are known before the first question.
type Setup struct {
	Address string // the mail address; "": ask
	Account string // the account's name; "": made from the address
	Server  string // as in a configuration, or a provider's name; "": find it
	User    string
	Secret  string // a source, never a password; "": For decides
	For     string // the name of a use
	Flow    string // the flow of the person's consent

	cmdline.Answers
	Person
	Out   io.Writer // gets what was done, and what is left to do
	Paths config.Paths
	// Identity is the user whose account is created.
	Identity config.Identity
	Store    *credential.Store
	// Authorise gets a person's consent to access tokens for an account, which may not be in
	// the configuration yet. For Run, it need not ask if access tokens can be got without.
	Authorise func(context.Context, *config.Account) error
	// Provide adds a provider, so that Authorise and Try know it.
	Provide func(*config.OAuth2)
	// Withdraw removes the tokens that Authorise has stored.
	Withdraw func(context.Context, *config.Account) error
	// Renew stores a new secret for an account of the configuration.
	Renew func(ctx context.Context, account string) error
	// Machine is the service of this machine, if the account of Login is that of the service.
	Machine *machine.Machine
	// Wake lets the service of the machine try its queue now.
	Wake func(context.Context)
	// Try tries an account that is not in the configuration yet.
	Try func(context.Context, Trial) (Seen, error)
}

// A Trial is an account to be tried.
type Trial struct {
	Account *config.Account   // without a User there is no login
	Secret  credential.Secret // if not zero, used instead of the account's source
	To      envelope.Address
	Mail    string // a message for To; "": only a session is opened
}

// Seen is what Try has learned about a server.
type Seen struct {
	Lines      []string // for people: the connection, the certificate, the logins that the server offers
	Mechanisms []string // names of SASL mechanisms, in upper case
}

// A conversation is a Setup in progress. Each step stores its result here.
type conversation struct {
	*Setup
	config *config.Config // as it was before the change
	file   string         // the file to be changed, as an absolute path

	who       discover.Address
	server    config.Server
	user      string
	anonymous bool     // the server requires no login
	offered   []string // the server's mechanisms
	remark    string   // what was shown about the provider's passwords
	auth      string   // the mechanism for the setting auth; "": not set
	login     discover.Login
	tokens    string // the source of access tokens for this server; "": unknown
	use       *use
	name      string
	machine   *machine.Machine              // for the use machine
	replaced  []credential.Ref              // the secrets of accounts that the service replaces
	place     *place                        // the place of the secret for the use
	ref       credential.Ref                // the source of the secret; zero: none, or not decided
	secret    credential.Secret             // zero: the secret is at its place already
	refresh   credential.Ref                // the place of the refresh token; zero: the keyring, or there is none
	sure      bool                          // the user name is known, and need not be asked for
	renewal   *renewal                      // nil: the account is new
	another   bool                          // the person wants to add an account although a similar one exists
	undo      []func(context.Context) error // removes what was stored for an account that is not written yet

	typedClient  bool              // a person has typed the client ID
	registration *edit.Table       // the table of a provider of access tokens; nil: none is needed
	clientSecret credential.Secret // zero: there is none
	clientRef    credential.Ref    // the place of the client secret
}

// steps has the steps to an account, in order.
var steps = [...]func(*conversation, context.Context) error{
	(*conversation).checkFirst,
	(*conversation).checkSource,
	(*conversation).askAddress,
	(*conversation).meetAddress,
	(*conversation).findServer,
	(*conversation).connect,
	(*conversation).askUser,
	(*conversation).meetUser,
	(*conversation).chooseLogin,
	(*conversation).chooseUse,
	(*conversation).offerMachine,
	(*conversation).nameAccount,
	(*conversation).choosePlace,
	(*conversation).register,
	(*conversation).checkTarget,
	(*conversation).prove,
	(*conversation).keepSecret,
}

// errOver ends a conversation without an account; it is not a failure.
var errOver = errors.New("nothing left to do")

// Run holds the conversation until ctx ends. After a nil error, the account has worked, or
// Force is set, and it is saved; or the person has chosen to renew another account's
// secret, or to stop. After any other error, nothing is saved.
func (s *Setup) Run(ctx context.Context) error {
	c := &conversation{Setup: s, file: s.Paths.User}
	if s.Yes {
		s.There, s.quiet = false, true
	}
	err := c.nameUse(ctx)
	if err == nil && c.isMachine() {
		err = c.checkMachine()
	}
	if err != nil {
		return err
	}
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

// undone removes what was stored before err, even after ctx has ended, and returns the
// error that the account was not saved. A usage error is returned unchanged.
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

// load loads the existing configuration.
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
	if c.file == "" && c.For != "container" { // for a container, no file is written
		return nil, status.Config.Errorf("there is no home folder for a configuration; name a file with --config")
	}
	return config.Load(c.Paths)
}

func (c *conversation) printf(format string, args ...any) { fmt.Fprintf(c.Out, format, args...) }

// checkSource returns an error if --secret can never become valid.
func (c *conversation) checkSource(context.Context) (err error) {
	if c.Secret == "" {
		return nil
	}
	if c.ref, err = credential.ParseRef(c.Secret); err == nil && c.ref.IsOAuth2() {
		_, err = c.config.Provider(c.ref.Provider())
		if _, known := config.BuiltIn(c.ref.Provider()); err != nil && known {
			if c.There || c.ClientID != "" {
				return nil // register adds the provider's table
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

// item returns the user and host under which the secret is stored.
func (c *conversation) item() credential.Item {
	return credential.Item{User: c.user, Host: c.server.Identity()}
}
