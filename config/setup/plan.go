package setup

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/secret"
)

// A plan has the decisions: secrets to be stored, and a change of the configuration.
type plan struct {
	secrets []placedSecret
	file    edit.File
	change  edit.Change // nil: no change
}

// A placedSecret is a secret and the place where it will be stored.
type placedSecret struct {
	ref    credential.Ref
	item   credential.Item
	secret credential.Secret
	at     string // FILE:LINE where it was found; "": a person has typed it
}

// apply stores the secrets, and then changes the configuration: every account in it has its
// secret. Before that, it checks that the change is possible.
func (p *plan) apply(ctx context.Context, store *credential.Store) error {
	var done []string
	put := func() error {
		for _, k := range p.secrets {
			if err := store.Put(context.WithoutCancel(ctx), k.ref, k.item, k.secret); err != nil {
				return err
			}
			done = append(done, k.ref.String())
		}
		return nil
	}
	var err error
	if p.change == nil {
		err = put()
	} else if err = p.file.Change(p.change, put); err != nil && len(done) > 0 {
		err = fmt.Errorf("%w; the password was stored in %s before", err, strings.Join(done, ", "))
	}
	return err
}

// apply carries out the decisions of the conversation.
func (c *conversation) apply(ctx context.Context) error {
	switch {
	case c.isContainer():
		return c.printVariables()
	case c.isMachine():
		return c.makeMachine(ctx)
	case c.machine != nil, c.isCredential(c.ref):
		return c.renewSealed(ctx)
	}
	p := &plan{file: c.target()}
	if c.ref.Writable() && !c.secret.IsZero() {
		p.secrets = []placedSecret{{c.ref, c.item(), c.secret, ""}}
	}
	switch {
	case c.renewal == nil:
		p.change = c.add
	case len(c.renewal.moved) > 0:
		p.change = c.renewal.changeIn(c.name)
	}
	if err := p.apply(ctx, c.Store); err != nil {
		return err
	}
	if c.renewal != nil {
		c.sayRenewed(ctx)
		return nil
	}
	return c.sayWritten()
}

// add adds the account to the configuration. It loads the configuration again, which may
// have changed since the conversation began.
func (c *conversation) add(text string) (changed string, err error) {
	if c.config, err = c.load(); err != nil {
		return "", err
	}
	return c.document().AddTo(text)
}

// document returns the content to be added to the configuration. If the only account was
// the default, it stays the default.
func (c *conversation) document() *edit.Document {
	d := &edit.Document{}
	if standard := c.config.Standard(); standard != nil && c.config.Account == "" {
		first := standard.Name
		if standard.File != c.file {
			first = c.name // a file can name only its own accounts
		}
		d.Top.Set("account", first)
	}
	a := edit.NewAccount(c.name)
	a.Set("server", edit.URL(c.server))
	a.Set("user", c.user)
	a.Set("from", c.who.Address.String())
	a.Set("secret", c.ref.Text())
	a.Set("auth", c.auth)
	if c.refresh != secret.OfKeyring {
		a.Set("refresh-token", c.refresh.Text())
	}
	d.Accounts = append(d.Accounts, a)
	if c.registration != nil {
		d.Providers = append(d.Providers, c.registration)
	}
	return d
}

// target returns the file to be changed.
func (c *conversation) target() edit.File {
	paths := c.Paths
	if paths.Explicit != "" {
		paths.Explicit = c.file
	}
	return edit.File{Path: c.file, Paths: paths}
}

// checkTarget returns an error if the account cannot be added to the configuration, or if
// the file cannot be written. It is called before a password is asked for or sent.
func (c *conversation) checkTarget(context.Context) error {
	switch {
	case c.isContainer():
		return nil
	case c.isMachine():
		return c.planMachine()
	}
	_, made, err := c.target().Check(c.add)
	if err == nil && c.registration != nil {
		var p *config.OAuth2
		if p, err = made.Provider(c.registration.Name); err == nil {
			c.Provide(p)
		}
	}
	if err == nil && c.ref.IsOAuth2() { // the refresh token may be stored in this folder first
		_, err = c.target().MakeFolder()
	}
	if err != nil {
		return err
	}
	return c.target().Writable()
}

// sayWritten says that the account was saved, and how to try it.
func (c *conversation) sayWritten() error {
	c.undo = nil
	where := ""
	if c.ref != (secret.Ref{}) {
		where = "; " + c.where()
	}
	text := fmt.Sprintf("Saved account %q in %s", c.name, c.shortFile())
	if utf8.RuneCountInString(text+where) > screenWidth {
		where = strings.Replace(where, "; ", ";\n", 1)
	}
	c.printf("%s%s\n", text, where)
	if first := c.document().Top.Text("account"); first != "" {
		c.printf("The default account is %q\n", first)
	}
	if _, err := config.Load(c.Paths); err != nil {
		return fmt.Errorf("the account is saved, but the configuration cannot be used: %w", err)
	}
	c.explainCredential()
	switch {
	case c.isOwnOfRoot():
		c.show("Only root can use this account. For all users of this machine:\n  sudo sendoff --setup %s --for machine", c.who.Address)
	case c.onlyForRoot() && !(c.There && c.For == "cron"): // offerMachine has said so
		c.show("Only root can read the password, so only root's mail leaves. For all users:\n  sudo sendoff --setup %s --for machine", c.who.Address)
	}
	if !c.ref.Given() { // a credential of systemd: only the service can send
		c.printf("Try it: %s\n", c.trial())
	}
	return nil
}

// trial returns a command that sends a mail with the account.
func (c *conversation) trial() string {
	return fmt.Sprintf("echo test | %s -a %s %s", c.command(), c.name, c.who.Address)
}

// command returns the words with which sendoff uses the configuration.
func (c *conversation) command() string {
	usual := c.usual()
	if c.file != usual.System && c.file != usual.User && c.Paths.Explicit != "" {
		return "sendoff --config " + process.ShellWord(c.Paths.Explicit)
	}
	return "sendoff"
}

// shortFile returns the path of the configuration file, with ~ for the home.
func (c *conversation) shortFile() string {
	below, err := filepath.Rel(c.Paths.Home, c.file)
	if c.Paths.Home != "" && err == nil && filepath.IsLocal(below) {
		return "~/" + filepath.ToSlash(below)
	}
	return c.file
}

// usual returns the paths of the configuration without --config.
func (c *conversation) usual() config.Paths {
	return config.Find("", func(string) string { return "" }, c.Identity)
}

// where says where the account's secret is; for access tokens, where they come from.
func (c *conversation) where() string {
	switch {
	case !c.ref.IsOAuth2():
		return "the password is in " + placeName(c.ref)
	case c.byClient():
		return "access tokens come from " + c.ref.String()
	}
	return "the refresh token is in " + placeName(c.account().Refresh())
}

// explainCredential says how root gives a password to systemd, and the credential to a
// service. If the person has named the source, they know that.
func (c *conversation) explainCredential() {
	name, isCredential := strings.CutPrefix(c.ref.Text(), "systemd:")
	if !isCredential || c.Secret != "" || c.machine != nil {
		return
	}
	lines, who := c.unit()
	c.printf(`As root, give the password to systemd, and the credential to the service:
    install -d -m 700 /etc/credstore.encrypted
    systemd-ask-password -n | systemd-creds encrypt --name=%[1]s - /etc/credstore.encrypted/%[1]s
    systemctl edit SERVICE
with these lines:
    [Service]
%[2]s    LoadCredentialEncrypted=%[1]s:/etc/credstore.encrypted/%[1]s
%[3]s
`, name, lines, who)
}

// unit returns the lines for the service's unit so that the service finds the account, and
// says which user the service must run as: only its owner can use a file, but a file of
// root's can be used by all who can read it.
func (c *conversation) unit() (lines, who string) {
	usual := c.usual()
	forOthers := "for a service of another user, let root write the account to " + usual.System + ", by --config"
	switch isRoot := c.Identity.UID == 0; {
	case c.file == usual.System, isRoot && c.file != usual.User:
		who = "the service has to be able to read " + c.file
	case isRoot:
		who = "the service has to run as root, who alone can use " + c.file + "; " + forOthers
	default:
		lines = "    User=" + c.Identity.Login + "\n"
		who = "the service runs as " + c.Identity.Login + " then, who alone can use " + c.file + "; " + forOthers
	}
	if c.file != usual.System && c.file != usual.User {
		variable := strings.ReplaceAll(strconv.Quote("SENDOFF_CONFIG="+c.file), "%", "%%")
		lines += "    Environment=" + variable + "\n"
	}
	return lines, who
}

// printVariables prints the account as environment variables, in the form of --env-file.
func (c *conversation) printVariables() error {
	c.printf("SENDOFF_SERVER=%s\n", edit.URL(c.server))
	if c.user != "" {
		c.printf("SENDOFF_USER=%s\nSENDOFF_SECRET=%s\n", c.user, c.ref.Text())
	}
	if !c.who.Address.IsNull() {
		c.printf("SENDOFF_FROM=%s\n", c.who.Address)
	}
	if c.ref.Text() == containerSecret {
		c.show(`Give the container these variables, and the password as the secret "sendoff"; with podman:
    podman secret create sendoff -
    podman run --secret sendoff --env-file FILE ...
With docker put the password into a file that root or the container's user owns:
    docker run -v /FOLDER/sendoff:%s:ro --env-file FILE ...
For Dockerfiles, Compose and Kubernetes: man sendoff-server`, strings.TrimPrefix(containerSecret, fileSource))
	}
	return nil
}
