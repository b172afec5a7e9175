package setup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
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
	kind   secret.Kind // of the sources that serve; 0: a secret of the container, or none
	choice string      // what it is, in a list of choices; "": there is none
	why    string      // what is said of it where nobody has chosen
}

// uses is the table of uses. In a service and in a container a refresh token has
// to be where it can be replaced, which a credential and a secret are not.
var uses = [...]use{
	{
		"desktop", "this desktop",
		place{secret.Keyring, "password in your keyring", "The password goes into your keyring, which is open while you are logged in."},
		place{secret.Keyring, "refresh token in your keyring", "The refresh token goes into your keyring, which is open while you are logged in."},
	},
	{
		"cron", "cron and scripts",
		place{secret.File, "password in a file that only you can read", "The password goes into a file that only you can read (mode 0600); cron cannot open a keyring."},
		place{secret.File, "refresh token in a file that only you can read", "The refresh token goes into a file that only you can read (mode 0600); cron cannot open a keyring."},
	},
	{
		"service", "a systemd service",
		place{secret.Systemd, "password as a credential of systemd", "The password becomes a credential that systemd decrypts for the service alone."},
		place{secret.File, "refresh token in a file of the service's user", "The refresh token goes into a file, because sendoff has to replace it; the service must run as its owner."},
	},
	{
		"container", "a container",
		place{0, "password as a secret of the container", "The account goes into variables, the password into a secret of the container; no file is written."},
		place{0, "", "OAuth in a container needs a configuration file: use --for cron --config FOLDER/config.toml, and mount FOLDER writable at the same place"},
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
	last := len(names) - 1
	return nil, fmt.Errorf("--for can only be %s or %s", strings.Join(names[:last], ", "), names[last])
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

// askUse asks where the account will be used, among the uses that are possible here.
func (c *conversation) askUse(ctx context.Context, isToken bool) error {
	standard := uses[0].name
	isOpen := hasKeyring(ctx, c.Store, c.item())
	if !isOpen {
		standard = "cron"
	}
	if c.quiet {
		return c.takeUse(standard)
	}
	if c.There && !isOpen {
		c.show("No keyring is available in this session, so \"desktop\" cannot be used now.")
	}
	var names []string
	number := "1"
	for i := range uses {
		u := &uses[i]
		choice := u.place(isToken).choice
		if choice == "" || u.name == "desktop" && !isOpen || u.name == "service" && runtime.GOOS != "linux" {
			continue
		}
		names = append(names, u.name)
		if u.name == standard {
			number = strconv.Itoa(len(names))
		}
		if c.There {
			c.show("  %d) %s: %s", len(names), u.about, choice)
		}
	}
	n, err := c.choose(question{text: fmt.Sprintf("Where will this account be used? 1-%d", len(names)), standard: number,
		needs: "the place where the account will be used", give: "give --for desktop, cron, service or container"}, names...)
	if err != nil {
		return err
	}
	return c.takeUse(names[n])
}

func (c *conversation) takeUse(name string) (err error) {
	c.use, err = useNamed(name)
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
	if c.Force {
		c.show("the other secret in %s is replaced", placeName(ref))
		return nil
	}
	remedy := "to replace it give --force, to use another place --secret SOURCE"
	switch {
	case c.renewal != nil:
		remedy = "delete it, or give the account another secret in the configuration"
	case c.ref.IsOAuth2():
		remedy = "to replace it give --force, to use another file --account NAME"
	}
	if c.There {
		ok, err := c.yes(question{text: fmt.Sprintf("%s contains another secret already. Replace it?", placeName(ref))})
		if err != nil || ok {
			return err
		}
	}
	return status.Usage.Errorf("%s contains another secret already: %s", placeName(ref), remedy)
}

// placeName returns where a secret is, to people.
func placeName(ref credential.Ref) string {
	switch ref.Kind() {
	case secret.Keyring:
		return "the keyring"
	case secret.File:
		return ref.Arg()
	}
	return ref.String()
}

// holds reports whether the given secret is at ref.
func holds(ctx context.Context, store *credential.Store, ref credential.Ref, item credential.Item, secret credential.Secret) bool {
	there, err := store.Get(ctx, []credential.Ref{ref}, item)
	return err == nil && there.Reveal() == secret.Reveal()
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
	return status.Credential.Errorf("%w; to keep the password in a file, use --for cron", err)
}
