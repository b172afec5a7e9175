package setup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// A use is what an account is for, which decides where its secret can be.
type use struct {
	name  string // as --for has it
	about string
	why   string                     // the place for the secret is this one
	place func(*conversation) string // the source
	keep  func(*conversation) error  // puts the account into its place, and says what is left to do
}

// uses is the table of uses.
var uses = [...]use{
	{"desktop", "you, at this desktop", "the password goes into the desktop's keyring, which is open while you are logged in, and never into a file",
		func(*conversation) string { return "keyring" }, (*conversation).write},
	{"cron", "cron and scripts on this machine", "the password goes into a file that only you can read (mode 0600), because no keyring is open when cron runs",
		(*conversation).secretFile, (*conversation).write},
	{"service", "a service that systemd runs", "the password becomes a credential that systemd decrypts for that service only, and that no other process can read",
		func(c *conversation) string { return "systemd:" + c.credential() }, (*conversation).writeForService},
	{"container", "a container", "everything is in variables, and the password in a file that the container's secrets are mounted as; nothing is written here",
		func(*conversation) string { return "file:" + containerSecret }, (*conversation).printVariables},
}

// containerSecret is where Docker, Podman and Compose mount the secret of the
// name sendoff.
const containerSecret = "/run/secrets/sendoff"

// useNamed returns the row of that name.
func useNamed(name string) (*use, error) {
	var names []string
	for i := range uses {
		if uses[i].name == name {
			return &uses[i], nil
		}
		names = append(names, uses[i].name)
	}
	return nil, fmt.Errorf("--for takes %s", strings.Join(names, ", "))
}

// secretFile is a file beside the configuration.
func (c *conversation) secretFile() string {
	folder := filepath.Dir(c.file)
	if rest, err := filepath.Rel(c.Paths.Home, folder); err == nil && filepath.IsLocal(rest) {
		folder = strings.TrimSuffix("~/"+filepath.ToSlash(rest), "/.")
	}
	return "file:" + folder + "/" + c.name + ".secret"
}

// credential is what systemd knows the secret by.
func (c *conversation) credential() string { return "sendoff-" + c.name }

// write stores the secret, unless it is where it is, and writes the account.
func (c *conversation) write() error {
	if c.secret.IsZero() {
		return c.save()
	}
	if err := c.Store.Put(context.Background(), c.ref, c.item(), c.secret); err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return fmt.Errorf("%w; the password is in %s already", err, c.ref)
	}
	return nil
}

// document returns what is to be added to the configuration. The account that
// was the default because there was no other stays the default.
func (c *conversation) document() *document {
	d := &document{}
	if old := c.config.Accounts; len(old) == 1 && c.config.Account == "" {
		first := old[0].Name
		if old[0].File != c.file {
			first = c.name // a file can only speak of its own
		}
		d.top.set("account", first)
	}
	a := newAccount(c.name)
	a.set("server", c.url())
	a.set("user", c.user)
	a.set("from", c.who.address.String())
	a.set("secret", c.source)
	a.set("refresh-token", c.refresh)
	d.accounts = append(d.accounts, a)
	return d
}

// target returns where it is added.
func (c *conversation) target() target {
	paths := c.Paths
	if paths.Explicit != "" {
		paths.Explicit = c.file
	}
	return target{c.file, paths, c.Values}
}

// draft finds out, before anything is sent, whether the configuration can take
// the account, and whether its file can be written.
func (c *conversation) draft(context.Context) error {
	if c.use.name == "container" {
		return nil
	}
	if _, _, err := c.target().add(c.document()); err != nil {
		return err
	}
	return c.target().writable()
}

// save writes the account to the configuration, as it is by now.
func (c *conversation) save() error {
	d := c.document()
	text, _, err := c.target().add(d)
	if err != nil {
		return err
	}
	if err := c.target().save(text); err != nil {
		return err
	}
	where := ""
	if c.source != "" {
		where = "; its secret is in " + c.ref.String()
	}
	c.printf("written: account %s, in %s%s\n", c.name, c.file, where)
	if i := slices.IndexFunc(d.top, func(s setting) bool { return s.key == "account" }); i >= 0 {
		c.printf("the default account is %s\n", d.top[i].value)
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
	if err := c.save(); err != nil || c.user == "" {
		return err
	}
	c.printf(`as root, give systemd the password, and the service the credential:
    systemd-ask-password -n | systemd-creds encrypt --name=%s - /etc/credstore.encrypted/%[1]s
    systemctl edit SERVICE
with these lines:
    [Service]
    LoadCredentialEncrypted=%[1]s:/etc/credstore.encrypted/%[1]s
the service has to be able to read %s
`, c.credential(), c.file)
	return nil
}

// printVariables prints the account as an environment has it, fit for
// --env-file.
func (c *conversation) printVariables() error {
	c.printf("SENDOFF_SERVER=%s\n", c.url())
	if c.user != "" {
		c.printf("SENDOFF_USER=%s\nSENDOFF_SECRET=%s\n", c.user, c.source)
	}
	c.printf("SENDOFF_FROM=%s\n", c.who.address)
	if c.source == "file:"+containerSecret {
		c.show("give the container these variables, and the password as its secret sendoff; with podman or docker:\n" +
			"    podman secret create sendoff -\n" +
			"    podman run --secret sendoff --env-file FILE ...")
	}
	return nil
}

// usable finds out, before anything is sent, whether the place for the secret
// can be had.
func (c *conversation) usable(ctx context.Context) error {
	if c.ref.String() != "keyring" {
		return nil
	}
	_, err := c.Store.Get(ctx, []credential.Ref{c.ref}, c.item())
	if err == nil || errors.Is(err, credential.ErrNotFound) {
		return nil
	}
	return status.Credential.Errorf("%w; --for cron keeps the password in a file instead", err)
}
