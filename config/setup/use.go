package setup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sendoff/submit/credential"
	"sendoff/submit/secret"
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
	kind secret.Kind // of the sources that serve; 0: a secret of the container, or none
	why  string
}

// uses is the table of uses. In a service and in a container a refresh token has
// to be where it can be replaced, which a credential and a secret are not.
var uses = [...]use{
	{
		"desktop", "you, at this desktop",
		place{secret.Keyring, "the password goes into the desktop's keyring, which is open while you are logged in, and never into a file"},
		place{secret.Keyring, "the refresh token goes into the desktop's keyring, which is open while you are logged in"},
	},
	{
		"cron", "cron and scripts on this machine",
		place{secret.File, "the password goes into a file that only you can read (mode 0600), because no keyring is open when cron runs"},
		place{secret.File, "the refresh token goes into a file that only you can read (mode 0600), because no keyring is open when cron runs"},
	},
	{
		"service", "a service that systemd runs",
		place{secret.Systemd, "the password becomes a credential that systemd decrypts for that service only, and that no other process can read"},
		place{secret.File, "the refresh token goes into a file, because it is replaced from time to time, which a credential of systemd cannot be; the service has to run as the user who owns that file"},
	},
	{
		"container", "a container",
		place{0, "everything is in variables, and the password in a file that the container's secrets are mounted as; nothing is written here"},
		place{0, "variables cannot hold a provider of access tokens, nor a refresh token: make a configuration with --for cron --config FOLDER/config.toml, and mount that folder in the container, in the same place and so that it can be written to"},
	},
}

// fileSource is the beginning of the source of a file.
const fileSource = "file:"

// containerSecret is the source of the secret of the name sendoff, where Docker, Podman
// and Compose mount it.
const containerSecret = "file:/run/secrets/sendoff"

// source returns where the secret goes in c.place.
func (c *conversation) source() (secret.Ref, error) {
	text := containerSecret
	switch c.place.kind {
	case secret.Keyring:
		return secret.OfKeyring, nil
	case secret.Systemd:
		text = "systemd:sendoff-" + c.name
	case secret.File:
		text = c.fileBeside(c.name)
	}
	return credential.ParseRef(text)
}

// fileBeside returns the source of a file beside the configuration.
func (c *conversation) fileBeside(name string) string {
	folder := filepath.Dir(c.file)
	if below, err := filepath.Rel(c.Paths.Home, folder); err == nil && filepath.IsLocal(below) {
		folder = strings.TrimSuffix("~/"+filepath.ToSlash(below), "/.")
	}
	return fileSource + folder + "/" + name + ".secret"
}

// place returns where the use has a refresh token, or else a password.
func (u *use) place(isToken bool) *place {
	if isToken {
		return &u.token
	}
	return &u.password
}

// explainPlace says why the secret goes where it goes. A person who was asked has read
// it already.
func (c *conversation) explainPlace() {
	if c.For != "" {
		c.show("%s", c.place.why)
	}
}

// isContainer reports whether the account is for a container, so that no file of this
// machine is written.
func (c *conversation) isContainer() bool { return c.use != nil && c.use.name == "container" }

// nameUse takes the use that an option names.
func (c *conversation) nameUse(context.Context) (err error) {
	if c.For != "" {
		c.use, err = useNamed(c.For)
	}
	return status.Usage.Wrap(err)
}

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

// chooseUse finds out what the account is for, which says where its secret can
// be. A source that is given says that too, unless it needs a place of its own.
func (c *conversation) chooseUse(ctx context.Context) error {
	isToken := c.ref.IsOAuth2()
	switch {
	case c.use != nil:
		return nil
	case c.anonymous, c.Secret != "" && !(isToken && c.There):
		c.use = &uses[0]
		return nil
	}
	return c.askUse(ctx, isToken)
}

// askUse asks what the account is for. What suits this machine is offered.
func (c *conversation) askUse(ctx context.Context, isToken bool) error {
	standard := uses[0].name
	if c.There {
		if !hasKeyring(ctx, c.Store, c.item()) {
			standard = "cron"
			c.show("no keyring is open here, so the desktop is not for now")
		}
		for i := range uses {
			c.show("  %-10s %s: %s", uses[i].name, uses[i].about, uses[i].place(isToken).why)
		}
	}
	_, err := c.ask(question{text: "what is the account for", standard: standard, flag: "--for desktop, cron, service or container", check: func(name string) (err error) {
		c.use, err = useNamed(name)
		return err
	}})
	return err
}

// choosePlace settles where the secret is, or will be, and where its refresh
// token will be, if it has one.
func (c *conversation) choosePlace(ctx context.Context) (err error) {
	c.place = &c.use.password
	switch {
	case c.anonymous && c.user == "":
		c.ref = secret.Ref{}
		return nil
	case c.ref == secret.Ref{}:
		c.explainPlace()
		c.ref, err = c.source()
	case c.ref.IsOAuth2():
		if c.place = &c.use.token; c.place.kind == 0 {
			return status.Usage.Errorf("%s", c.place.why)
		}
		if !c.byClient() {
			err = c.chooseRefresh(ctx)
		}
	}
	if err != nil {
		return err
	}
	return c.usable(ctx)
}

// chooseRefresh settles where the use has the refresh token. A file must hold no other
// secret, since nobody knows the token yet.
func (c *conversation) chooseRefresh(ctx context.Context) (err error) {
	c.explainPlace()
	if c.refresh, err = c.source(); err != nil || c.refresh == secret.OfKeyring {
		return err
	}
	return c.guard(ctx, c.refresh, credential.Secret{})
}

// guard sees to it that no other secret is lost to this one: only a person, or Force,
// lets it be replaced.
func (c *conversation) guard(ctx context.Context, ref credential.Ref, secret credential.Secret) error {
	if !holdsOther(ctx, c.Store, ref, c.item(), secret) {
		return nil
	}
	c.show("%s holds another secret already, for %s at %s", ref, c.user, c.server.Identity())
	if c.Force {
		c.show("it is replaced")
		return nil
	}
	remedy := "--force, or --secret for another place"
	switch {
	case c.renewal != nil:
		remedy = "the account another source in the configuration, or delete that file"
	case c.ref.IsOAuth2():
		remedy = "--force, or --account for another file"
	}
	ok, err := c.yes("replace the secret in "+ref.String()+"?", false, remedy)
	if err == nil && !ok {
		err = status.Usage.Errorf("%s keeps the secret that it holds; give %s", ref, strings.TrimPrefix(remedy, "--force, or "))
	}
	return err
}

// holdsOther reports whether a secret is at ref that is not the given one. A place that
// cannot be read holds none: Put finds out why.
func holdsOther(ctx context.Context, store *credential.Store, ref credential.Ref, item credential.Item, than credential.Secret) bool {
	there, err := store.Get(ctx, []credential.Ref{ref}, item)
	return err == nil && there.Reveal() != than.Reveal()
}

// peek gets a secret without asking anybody.
func peek(ctx context.Context, store *credential.Store, ref secret.Ref, item credential.Item) error {
	quiet := *store
	quiet.Interactive = false
	_, err := quiet.Get(ctx, []secret.Ref{ref}, item)
	return err
}

// hasKeyring reports whether the keyring would take a secret now, as far as can
// be told without storing one or asking anybody.
func hasKeyring(ctx context.Context, store *credential.Store, item credential.Item) bool {
	err := peek(ctx, store, secret.OfKeyring, item)
	return err == nil || errors.Is(err, credential.ErrNotFound) || errors.Is(err, credential.ErrLocked) && store.Interactive
}

// usable finds out, before anything is asked or sent, whether the keyring can be
// had, if the secret is to be there.
func (c *conversation) usable(ctx context.Context) error {
	ref := c.ref
	if c.ref.IsOAuth2() {
		ref = c.refresh
	}
	if ref != secret.OfKeyring {
		return nil
	}
	_, err := c.Store.Get(ctx, []credential.Ref{ref}, c.item())
	if err == nil || errors.Is(err, credential.ErrNotFound) {
		return nil
	}
	return status.Credential.Errorf("%w; --for cron keeps the secret in a file instead", err)
}
