package setup

import (
	"cmp"
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
	name     string // as --for has it
	about    string
	password place
	token    place // of the refresh token that a person's consent leaves
}

// A place is where a use can get at a secret.
type place struct {
	why    string
	source func(*conversation) string // nil: there is none, and why says what to do instead
	takes  string                     // the kinds of sources that serve as well, with spaces between
	keep   func(*conversation) error  // puts the account there, and says what is left to do
}

// uses is the table of uses. In a service and in a container a refresh token has
// to be where it can be replaced, which a credential and a secret are not.
var uses = [...]use{
	{
		"desktop", "you, at this desktop",
		place{"the password goes into the desktop's keyring, which is open while you are logged in, and never into a file",
			keyring, "keyring file", (*conversation).write},
		place{"the refresh token goes into the desktop's keyring, which is open while you are logged in",
			keyring, "keyring file", (*conversation).write},
	},
	{
		"cron", "cron and scripts on this machine",
		place{"the password goes into a file that only you can read (mode 0600), because no keyring is open when cron runs",
			(*conversation).secretFile, "file", (*conversation).write},
		place{"the refresh token goes into a file that only you can read (mode 0600), because no keyring is open when cron runs",
			(*conversation).secretFile, "file", (*conversation).write},
	},
	{
		"service", "a service that systemd runs",
		place{"the password becomes a credential that systemd decrypts for that service only, and that no other process can read",
			(*conversation).credential, "systemd", (*conversation).writeForService},
		place{"the refresh token goes into a file, because it is replaced from time to time, which a credential of systemd cannot be; the service has to run as the user who owns that file",
			(*conversation).secretFile, "file", (*conversation).write},
	},
	{
		"container", "a container",
		place{"everything is in variables, and the password in a file that the container's secrets are mounted as; nothing is written here",
			func(*conversation) string { return "file:" + containerSecret }, "", (*conversation).printVariables},
		place{"variables cannot hold a provider of access tokens, nor a refresh token: make a configuration with --for cron --config FOLDER/config.toml, and mount that folder in the container, in the same place and so that it can be written to",
			nil, "", nil},
	},
}

// serves reports whether the source does for the use.
func (p *place) serves(source string) bool {
	kind, _, _ := strings.Cut(source, ":")
	return slices.Contains(strings.Fields(p.takes), kind)
}

// explainPlace says why the secret goes where it goes. Whoever was asked has read
// it already.
func (c *conversation) explainPlace() {
	if c.For != "" {
		c.show("%s", c.place.why)
	}
}

// isElsewhere reports whether the account is for a place that this machine's
// configuration has no part in.
func (c *conversation) isElsewhere() bool { return c.use != nil && c.use.name == "container" }

// keyring is the source where an account that names none looks.
func keyring(*conversation) string { return "keyring" }

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

// askUse asks what the account is for. What suits this machine is offered.
func (c *conversation) askUse(ctx context.Context, place func(*use) *place) error {
	standard := uses[0].name
	if c.There {
		if !hasKeyring(ctx, c.Store, c.item()) {
			standard = "cron"
			c.show("no keyring is open here, so the desktop is not for now")
		}
		for i := range uses {
			c.show("  %-10s %s: %s", uses[i].name, uses[i].about, place(&uses[i]).why)
		}
	}
	_, err := c.ask(question{text: "what is the account for", standard: standard, flag: "--for desktop, cron, service or container", check: func(name string) (err error) {
		c.use, err = useNamed(name)
		return err
	}})
	return err
}

// hasKeyring reports whether the keyring would take a secret now, as far as can
// be told without storing one or asking anybody.
func hasKeyring(ctx context.Context, store *credential.Store, item credential.Item) bool {
	ref, err := credential.ParseRef("keyring")
	if err != nil {
		return false
	}
	quiet := *store
	quiet.Interactive = false
	_, err = quiet.Get(ctx, []credential.Ref{ref}, item)
	return err == nil || errors.Is(err, credential.ErrNotFound) || errors.Is(err, credential.ErrLocked) && store.Interactive
}

// usable finds out, before anything is asked or sent, whether the keyring can be
// had, if the secret is to be there.
func (c *conversation) usable(ctx context.Context) error {
	ref := c.ref
	if c.ref.IsOAuth2() {
		ref, _ = credential.ParseRef(cmp.Or(c.refresh, "none"))
	}
	if ref.String() != "keyring" {
		return nil
	}
	_, err := c.Store.Get(ctx, []credential.Ref{ref}, c.item())
	if err == nil || errors.Is(err, credential.ErrNotFound) {
		return nil
	}
	return status.Credential.Errorf("%w; --for cron keeps the secret in a file instead", err)
}

// secretFile is a file beside the configuration that no other secret is in.
func (c *conversation) secretFile() string { return c.fileBeside(c.name) }

// fileBeside returns the source of a file beside the configuration.
func (c *conversation) fileBeside(name string) string {
	folder := filepath.Dir(c.file)
	if rest, err := filepath.Rel(c.Paths.Home, folder); err == nil && filepath.IsLocal(rest) {
		folder = strings.TrimSuffix("~/"+filepath.ToSlash(rest), "/.")
	}
	return "file:" + folder + "/" + name + ".secret"
}

// credential is the secret as systemd has it for a service.
func (c *conversation) credential() string { return systemdSource + "sendoff-" + c.name }

// systemdSource begins a source that is a credential of systemd's.
const systemdSource = "systemd:"

// write stores the secret, unless it is where it is, and writes the account.
func (c *conversation) write() error {
	if !c.secret.IsZero() {
		if err := c.Store.Put(context.Background(), c.ref, c.item(), c.secret); err != nil {
			return err
		}
	}
	if c.renewal != nil {
		c.printf("stored: %s, for %s at %s\n", c.ref, c.user, c.item().Host)
	}
	if err := c.save(); err != nil {
		if c.secret.IsZero() {
			return err
		}
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
	if c.refresh != "keyring" {
		a.set("refresh-token", c.refresh)
	}
	d.accounts = append(d.accounts, a)
	if c.registration != nil {
		d.providers = append(d.providers, c.registration)
	}
	return d
}

// target returns the file that is changed.
func (c *conversation) target() target {
	paths := c.Paths
	if paths.Explicit != "" {
		paths.Explicit = c.file
	}
	return target{c.file, paths, c.Values}
}

// draft finds out, before anything is asked for or sent, whether the
// configuration can take the account, and whether its file can be written.
func (c *conversation) draft(context.Context) error {
	if c.isElsewhere() {
		return nil
	}
	_, made, err := c.target().add(c.document())
	if err == nil && c.registration != nil {
		var p *config.OAuth2
		if p, err = made.Provider(c.registration.name); err == nil {
			c.Provide(p)
		}
	}
	if err != nil {
		return err
	}
	return c.target().writable()
}

// save writes the account to the configuration, as it is by now.
func (c *conversation) save() error {
	if c.renewal != nil {
		return c.saveMove()
	}
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
	c.explainCredential()
	return nil
}

// explainCredential says what root has to do for the service.
func (c *conversation) explainCredential() {
	c.printf(`as root, give systemd the password, and the service the credential:
    systemd-ask-password -n | systemd-creds encrypt --name=%s - /etc/credstore.encrypted/%[1]s
    systemctl edit SERVICE
with these lines:
    [Service]
    LoadCredentialEncrypted=%[1]s:/etc/credstore.encrypted/%[1]s
the service has to be able to read %s
`, strings.TrimPrefix(c.source, systemdSource), c.file)
}

// printVariables prints the account as an environment has it, fit for
// --env-file.
func (c *conversation) printVariables() error {
	c.printf("SENDOFF_SERVER=%s\n", c.url())
	if c.user != "" {
		c.printf("SENDOFF_USER=%s\nSENDOFF_SECRET=%s\n", c.user, c.source)
	}
	if !c.who.address.IsNull() {
		c.printf("SENDOFF_FROM=%s\n", c.who.address)
	}
	if c.source == "file:"+containerSecret {
		c.show("give the container these variables, and the password as its secret sendoff; with podman or docker:\n" +
			"    podman secret create sendoff -\n" +
			"    podman run --secret sendoff --env-file FILE ...")
	}
	return nil
}
