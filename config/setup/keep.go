package setup

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
)

// write stores the secret, and writes the account if that changes. Whether the
// configuration can take it is found out before.
func (c *conversation) write() error {
	if c.renewal != nil && len(c.renewal.moved) == 0 {
		return c.store()
	}
	isStored := false
	err := c.target().Change(c.change(), func() error {
		err := c.store()
		isStored = err == nil && !c.secret.IsZero()
		return err
	})
	if err != nil && isStored {
		err = fmt.Errorf("%w; the password is in %s already", err, c.ref)
	}
	if err != nil {
		return err
	}
	return c.written()
}

// store stores the secret, unless it is where it is.
func (c *conversation) store() error {
	if !c.secret.IsZero() {
		if err := c.Store.Put(context.Background(), c.ref, c.item(), c.secret); err != nil {
			return err
		}
	}
	if c.renewal == nil {
		return nil
	}
	did, more := "stored", ""
	if c.ref.IsOAuth2() {
		more = "; " + c.where()
		if c.byClient() {
			did = "tried" // there is nothing to keep
		}
	}
	c.printf("%s: %s, for %s at %s%s\n", did, c.ref, c.user, c.item().Host, more)
	return nil
}

// where says where the account's secret is or, of access tokens, what brings
// them.
func (c *conversation) where() string {
	switch {
	case !c.ref.IsOAuth2():
		return "its secret is in " + c.ref.String()
	case c.byClient():
		return "its access tokens are from " + c.ref.String()
	}
	return "its refresh token is in " + cmp.Or(c.account().RefreshToken, "keyring")
}

// change returns what is done to the configuration, which may have changed since the
// conversation began.
func (c *conversation) change() edit.Change {
	if c.renewal != nil {
		return func(old string) (string, error) { return c.renewal.moved.ChangeIn(old, c.name) }
	}
	return func(old string) (text string, err error) {
		if c.config, err = c.load(); err != nil {
			return "", err
		}
		return c.document().AddTo(old)
	}
}

// document returns what is to be added to the configuration. The account that
// was the default because there was no other stays the default.
func (c *conversation) document() *edit.Document {
	d := &edit.Document{}
	if old := c.config.Standard(); old != nil && c.config.Account == "" {
		first := old.Name
		if old.File != c.file {
			first = c.name // a file can only speak of its own
		}
		d.Top.Set("account", first)
	}
	a := edit.NewAccount(c.name)
	a.Set("server", c.url())
	a.Set("user", c.user)
	a.Set("from", c.who.Address.String())
	a.Set("secret", c.source)
	if c.auth != "" {
		a.Set("auth", c.auth)
	}
	if c.refresh != "keyring" {
		a.Set("refresh-token", c.refresh)
	}
	d.Accounts = append(d.Accounts, a)
	if c.registration != nil {
		d.Providers = append(d.Providers, c.registration)
	}
	return d
}

// target returns the file that is changed.
func (c *conversation) target() edit.File {
	paths := c.Paths
	if paths.Explicit != "" {
		paths.Explicit = c.file
	}
	return edit.File{Path: c.file, Paths: paths, Values: c.Values}
}

// draft finds out, before anything is asked for or sent, whether the
// configuration can take the account, and whether its file can be written.
func (c *conversation) draft(context.Context) error {
	if c.isElsewhere() {
		return nil
	}
	made, err := c.target().Check(c.change())
	if err == nil && c.registration != nil {
		var p *config.OAuth2
		if p, err = made.Provider(c.registration.Name); err == nil {
			c.Provide(p)
		}
	}
	if err == nil && c.ref.IsOAuth2() { // what consent leaves may be kept there first
		_, err = c.target().MakeFolder()
	}
	if err != nil {
		return err
	}
	return c.target().Writable()
}

// written says what the configuration has now.
func (c *conversation) written() error {
	if c.renewal != nil {
		c.printf("changed: account %s, in %s: %s", c.name, c.file, c.renewal.moved)
		return nil
	}
	c.undo = nil
	where := ""
	if c.source != "" {
		where = "; " + c.where()
	}
	c.printf("written: account %s, in %s%s\n", c.name, c.file, where)
	if first := c.document().Top.Text("account"); first != "" {
		c.printf("the default account is %s\n", first)
	}
	if _, err := config.Load(c.Paths, c.Values); err != nil {
		return fmt.Errorf("written, but not fit for use: %w", err)
	}
	return nil
}

// url returns the server as people write it: without a port that goes without
// saying.
func (c *conversation) url() string {
	url := c.server.String()
	if port := c.server.Way().Port; port == c.server.Port && port != 0 {
		url = strings.TrimSuffix(url, fmt.Sprintf(":%d", port))
	}
	return url
}

// writeForService writes the account, and says how to give systemd the secret,
// which takes the rights of root, and the name of the service.
func (c *conversation) writeForService() error {
	if c.Secret != "" {
		return c.write()
	}
	err := c.target().Change(c.change(), func() error { return nil })
	if err == nil {
		err = c.written()
	}
	if err != nil || c.user == "" {
		return err
	}
	c.explainCredential()
	return nil
}

// explainCredential says what root has to do for the service.
func (c *conversation) explainCredential() {
	lines, who := c.unit()
	c.printf(`as root, give systemd the password, and the service the credential:
    install -d -m 700 /etc/credstore.encrypted
    systemd-ask-password -n | systemd-creds encrypt --name=%[1]s - /etc/credstore.encrypted/%[1]s
    systemctl edit SERVICE
with these lines:
    [Service]
%[2]s    LoadCredentialEncrypted=%[1]s:/etc/credstore.encrypted/%[1]s
%[3]s
`, strings.TrimPrefix(c.source, systemdSource), lines, who)
}

// unit returns the lines by which a service finds the account, and says whose
// service it has to be: a file is only used by its owner and, if that is root,
// by all who can read it.
func (c *conversation) unit() (lines, who string) {
	usual := config.Find("", func(string) string { return "" }, c.Identity)
	elsewhere := "for a service of another user, let root write the account to " + usual.System + ", by --config"
	switch isRoot := c.Identity.UID == 0; {
	case c.file == usual.System, isRoot && c.file != usual.User:
		who = "the service has to be able to read " + c.file
	case isRoot:
		who = "the service has to run as root, who alone can use " + c.file + "; " + elsewhere
	default:
		lines = "    User=" + c.Identity.Login + "\n"
		who = "the service runs as " + c.Identity.Login + " then, who alone can use " + c.file + "; " + elsewhere
	}
	if c.file != usual.System && c.file != usual.User {
		variable := strings.ReplaceAll(strconv.Quote("SENDOFF_CONFIG="+c.file), "%", "%%")
		lines += "    Environment=" + variable + "\n"
	}
	return lines, who
}

// printVariables prints the account as an environment has it, fit for
// --env-file.
func (c *conversation) printVariables() error {
	c.printf("SENDOFF_SERVER=%s\n", c.url())
	if c.user != "" {
		c.printf("SENDOFF_USER=%s\nSENDOFF_SECRET=%s\n", c.user, c.source)
	}
	if !c.who.Address.IsNull() {
		c.printf("SENDOFF_FROM=%s\n", c.who.Address)
	}
	if c.source == "file:"+containerSecret {
		c.show(`give the container these variables, and the password as its secret sendoff; with podman:
    podman secret create sendoff -
    podman run --secret sendoff --env-file FILE ...
with docker, a file that holds it, and that root or the container's user owns:
    docker run -v /FOLDER/sendoff:%s:ro --env-file FILE ...`, containerSecret)
	}
	return nil
}
