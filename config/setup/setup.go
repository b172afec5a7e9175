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
	"slices"
	"strings"

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
	renewal   *renewal                      // nil: the account is new
	undo      []func(context.Context) error // what was kept for an account that is not written yet

	registration *edit.Table       // what a provider of access tokens needs
	clientSecret credential.Secret // zero: it has none
	clientRef    credential.Ref    // of the client secret
}

// steps is the way to an account.
var steps = [...]func(*conversation, context.Context) error{
	(*conversation).nameUse,
	(*conversation).checkSource,
	(*conversation).askAddress,
	(*conversation).findServer,
	(*conversation).connect,
	(*conversation).askUser,
	(*conversation).chooseLogin,
	(*conversation).chooseUse,
	(*conversation).askName,
	(*conversation).choosePlace,
	(*conversation).register,
	(*conversation).checkTarget,
	(*conversation).prove,
	(*conversation).keepSecret,
}

// Run has the conversation, until ctx ends. When it returns nil, the account has
// worked, or Force is set, and it is where its use wants it; otherwise nothing was
// written.
func (s *Setup) Run(ctx context.Context) error {
	c := &conversation{Setup: s, file: s.Paths.User}
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
// says that.
func (c *conversation) undone(ctx context.Context, err error) error {
	var left error
	for _, undo := range c.undo {
		left = errors.Join(left, undo(context.WithoutCancel(ctx)))
	}
	if left != nil {
		return fmt.Errorf("%w; the account is not written, but something is left: %v", err, left)
	}
	return fmt.Errorf("nothing is written: %w", err)
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
		return nil, status.Config.Errorf("there is no home for a configuration; name a file with --config")
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

func (c *conversation) askAddress(context.Context) error {
	check := func(text string) (err error) {
		a, err := envelope.Parse(text)
		if err == nil {
			c.who, err = discover.NewAddress(a)
		}
		return err
	}
	if c.Address != "" {
		return status.Usage.Wrap(check(c.Address))
	}
	_, err := c.ask(question{text: "your mail address", flag: "it as in --setup=ADDRESS", check: check})
	return err
}

// findServer asks one source after the other, and the person at last.
func (c *conversation) findServer(ctx context.Context) error {
	named := question{text: "the server for sending, such as smtps://HOST, or a provider such as sendgrid", flag: "--server URL", check: func(text string) error {
		server, err := discover.ParseServer(text)
		if err == nil {
			err = c.take(&discover.Finding{Server: server})
		}
		return err
	}}
	if c.Server != "" {
		_, err := c.answer(c.Server, named)
		return err
	}
	f := &discover.Finder{Address: c.who, Try: func(ctx context.Context, s config.Server) error {
		_, err := c.Try(ctx, Trial{Account: c.unnamed(s)})
		return err
	}}
	var unproven *discover.Finding
	for _, source := range discover.Sources {
		found, err := c.consult(ctx, f, source)
		if status.KindOf(err) == status.Config || status.KindOf(err) == status.NoInput {
			return err
		}
		if err != nil {
			c.show("%s: %v", source.Name, err)
			continue
		}
		c.show("%s: %s", source.Name, found.Server)
		ok, err := c.agree(found)
		if err != nil {
			return err
		}
		if ok {
			return c.take(found)
		}
		if unproven == nil && found.Unproven != "" {
			unproven = found
		}
	}
	if unproven != nil && !c.There {
		return status.Insecure.Errorf("%s; if it is right, say --server %s", unproven.Unproven, unproven.Server)
	}
	_, err := c.ask(named)
	return err
}

// consult asks one source, with the person's consent where it takes that.
func (c *conversation) consult(ctx context.Context, f *discover.Finder, s discover.Source) (*discover.Finding, error) {
	if s.Ask != "" && !c.ISPDB {
		if !c.There {
			return nil, errors.New("not asked, without --ispdb")
		}
		ok, err := c.yes(strings.ReplaceAll(s.Ask, "DOMAIN", c.who.ASCII), false, "--ispdb")
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errors.New("not asked")
		}
	}
	return s.Look(f, ctx)
}

// agree reports whether a finding, which the person has seen, is to be taken.
func (c *conversation) agree(f *discover.Finding) (bool, error) {
	switch {
	case f.Unproven != "" && c.There:
		c.show("%s", f.Unproven)
		return c.yes("is "+f.Server.Name()+" the right server?", false, "--server URL")
	case f.Unproven != "":
		c.show("%s", f.Unproven)
		return false, nil
	case c.Yes:
		return true, nil
	}
	return c.yes("use it?", true, "--yes, or --server URL for another")
}

// take makes a finding the account's server.
func (c *conversation) take(f *discover.Finding) error {
	f.Complete(c.who)
	c.server, c.login, c.tokens, c.user = f.Server, f.Login, logins[f.Login].tokens, f.User
	if f.Remark != "" && !c.ref.IsOAuth2() { // it is about the password
		c.show("%s", f.Remark)
	}
	if f.Server.Port == 0 || f.Server.Way().LMTP {
		return status.Usage.Errorf("only an account that sends by SMTP to a host with a port can be set up; sendoff.toml(5) shows the others")
	}
	return nil
}

// connect shows what the server is like, before it learns whose account it is to be.
func (c *conversation) connect(ctx context.Context) error {
	seen, err := c.Try(ctx, Trial{Account: c.unnamed(c.server)})
	for _, line := range seen.Lines {
		c.show("%s", line)
	}
	if err != nil {
		return c.forced(err)
	}
	takesToken := func(m string) bool { return m == "XOAUTH2" || m == "OAUTHBEARER" }
	if c.tokens == "" && len(seen.Mechanisms) > 0 && !slices.ContainsFunc(seen.Mechanisms, func(m string) bool { return !takesToken(m) }) {
		c.login = discover.OAuth2
	}
	c.offered = seen.Mechanisms
	c.anonymous = len(seen.Mechanisms) == 0 && c.User == ""
	return nil
}

// forced returns err, or shows it where it does not count.
func (c *conversation) forced(err error) error {
	if !c.Force {
		return err
	}
	c.show("%v", err)
	return nil
}

func (c *conversation) askUser(context.Context) (err error) {
	switch {
	case c.User != "":
	case c.anonymous:
		c.user = ""
		c.show("this server wants no login")
		return nil
	case c.user != "" && (c.Yes || !c.There):
		return nil
	}
	c.user, err = c.answer(c.User, question{text: "user name", standard: c.user, flag: "--user NAME", check: visible})
	return err
}

// visible says what is wrong with an answer that does not show as what it is.
func visible(answer string) error {
	if status.Printable(answer) != answer {
		return errors.New("it has characters that cannot be seen")
	}
	return nil
}

// askName finds a name that the configuration does not have yet.
func (c *conversation) askName(context.Context) error {
	check := func(name string) error {
		switch {
		case !config.IsName(name):
			return fmt.Errorf("an account's name may hold only letters, digits and -_.+@, and may not begin with a dash or a dot")
		case c.taken(name):
			return fmt.Errorf("there is an account %s already, in %s", name, c.file)
		}
		c.name = name
		return nil
	}
	if a := c.twin(); a != nil && c.Account == "" && !c.isContainer() {
		return status.Usage.Errorf("account %s, in %s, logs in there as %s already; if only the password has changed: sendoff --login %s; for another account give --account NAME", a.Name, c.file, a.User, a.Name)
	}
	label, _, _ := strings.Cut(c.who.ASCII, ".")
	standard := label
	for n := 2; c.taken(standard); n++ {
		standard = fmt.Sprintf("%s-%d", label, n)
	}
	if c.Account == "" && (!c.There || c.Yes || c.isContainer()) {
		return check(standard)
	}
	_, err := c.answer(c.Account, question{text: "a name for the account", standard: standard, flag: "--account NAME", check: check})
	return err
}

// twin returns the account of the file that is the same but for its name and its
// password; nil if there is none.
func (c *conversation) twin() *config.Account {
	this := c.account()
	address, _ := this.Address()
	for _, a := range c.config.Accounts {
		if other, _ := a.Address(); other.Key() != address.Key() {
			continue
		}
		if a.File == c.file && a.User == this.User && a.Servers[0].Identity() == this.Servers[0].Identity() {
			return a
		}
	}
	return nil
}

// taken reports whether the file has an account of that name. One of another
// file may be replaced.
func (c *conversation) taken(name string) bool {
	return slices.ContainsFunc(c.config.Accounts, func(a *config.Account) bool { return a.Name == name && a.File == c.file })
}

// tries is how often a person may mistype a secret.
const tries = 3

// prove logs in, and sends the test mail.
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
		_, err := c.Try(ctx, Trial{Account: c.account(), Secret: c.secret, To: c.who.Address, Mail: c.mail()})
		typed := c.There && c.PasswordFile == "" && !c.secret.IsZero()
		if status.KindOf(err) == status.AuthFailed && typed && n < tries && !c.Force {
			c.show("%v", err)
			continue
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			return c.forced(err)
		case !c.NoTest:
			c.show("a test mail is on its way to %s", c.who.Address)
		}
		if err == nil {
			c.bind(ctx)
		}
		return nil
	}
}

// bound are the mechanisms that bind a login to its TLS connection, so that nobody
// can stand between, whatever certificate they have. Many servers that offer them
// have no keys for them of most users.
var bound = [...]string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"}

// bind tries once, with a password that is right, whether a login can be bound to
// its TLS connection; then the account names that mechanism.
func (c *conversation) bind(ctx context.Context) {
	i := slices.IndexFunc(bound[:], func(m string) bool { return slices.Contains(c.offered, m) })
	if i < 0 || c.user == "" || c.ref.IsOAuth2() || c.isContainer() {
		return
	}
	a := c.account()
	a.Auth = config.List[string]{bound[i]}
	if _, err := c.Try(ctx, Trial{Account: a, Secret: c.secret, To: c.who.Address}); err == nil {
		c.auth = bound[i]
		c.show("the login works by %s, too, which nobody on the way can misuse: it is what auth names", c.auth)
	}
}

// ready says, before anything is sent, what would keep the secret from a place
// that was named; the others are known to be good.
func (c *conversation) ready() error {
	if c.Secret == "" || c.secret.IsZero() || c.isContainer() {
		return nil
	}
	return c.Store.Ready(c.ref, c.item())
}

func (c *conversation) mail() string {
	if c.NoTest {
		return ""
	}
	return fmt.Sprintf("From: <%s>\nTo: <%[1]s>\nSubject: sendoff works\n\nThis is the test mail of sendoff --setup. It went through %s.\n", c.who.Address, c.server)
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

// keepSecret sees to it that no other secret is lost to the one that has worked.
func (c *conversation) keepSecret(ctx context.Context) error {
	if c.secret.IsZero() || !c.ref.Writable() || c.isContainer() {
		return nil
	}
	return c.guard(ctx, c.ref, c.secret)
}

// item is the user and the host that the secret is for.
func (c *conversation) item() credential.Item {
	return credential.Item{User: c.user, Host: c.server.Identity()}
}
