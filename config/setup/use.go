package setup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"sendoff/config/machine"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// A use is a purpose of an account. It decides where the account's secret can be.
type use struct {
	name     string // the value of --for
	about    string
	password place
	token    place // for the refresh token after a person's consent
}

// A place is where a use can read a secret.
type place struct {
	kind   secret.Kind // the kind of source; 0: a secret of the container, or no source
	choice string      // the text in a list of choices; "": this use cannot be chosen
	why    string      // the text that is shown if nobody has chosen
}

// uses has all uses. The place of a refresh token must be writable, because it is replaced:
// a credential of a service or a secret of a container is not.
var uses = [...]use{
	{
		"desktop", "this desktop",
		place{secret.Keyring, "password in your keyring", "The password goes into your keyring, which is open while you are logged in."},
		place{secret.Keyring, "refresh token in your keyring", "The refresh token goes into your keyring, which is open while you are logged in."},
	},
	{
		"cron", "cron and scripts",
		place{secret.File, "password in a file " + process.OnlyYou, "The password goes into a file " + process.OnlyYou + process.Mode0600 + "; cron cannot open a keyring."},
		place{secret.File, "refresh token in a file " + process.OnlyYou, "The refresh token goes into a file " + process.OnlyYou + process.Mode0600 + "; cron cannot open a keyring."},
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
	{
		"machine", "all users of this machine",
		place{secret.Systemd, "password that only a service can read", "The password goes to a service that sends for all users of this machine; none of them can read it."},
		place{0, "", "--for machine is for passwords, not for OAuth"},
	},
}

// fileSource is the beginning of a source that is a file.
const fileSource = "file:"

// containerSecret is the source of a container's secret "sendoff", at the path where
// Docker, Podman and Compose mount it.
const containerSecret = "file:/run/secrets/sendoff"

// source returns the source of the secret in c.place.
func (c *conversation) source() (secret.Ref, error) {
	text := containerSecret
	switch c.place.kind {
	case secret.Keyring:
		return secret.OfKeyring, nil
	case secret.Systemd:
		text = "systemd:sendoff-" + c.name
		if c.isMachine() {
			text = machine.Secret
		}
	case secret.File:
		text = c.fileBeside(c.name)
	}
	return credential.ParseRef(text)
}

// fileBeside returns the source of a file in the folder of the configuration.
func (c *conversation) fileBeside(name string) string {
	folder := filepath.Dir(c.file)
	if below, err := filepath.Rel(c.Paths.Home, folder); err == nil && filepath.IsLocal(below) {
		folder = strings.TrimSuffix("~/"+filepath.ToSlash(below), "/.")
	}
	return fileSource + folder + "/" + name + ".secret"
}

// place returns where the use has a refresh token (isToken), or a password.
func (u *use) place(isToken bool) *place {
	if isToken {
		return &u.token
	}
	return &u.password
}

// explainPlace says why the secret is stored at this place. If the person was asked for the
// use, they have read it already.
func (c *conversation) explainPlace() {
	if c.For != "" {
		c.show("%s", c.place.why)
	}
}

// isContainer reports whether the account is for a container: then no file of this machine
// is written.
func (c *conversation) isContainer() bool { return c.use != nil && c.use.name == "container" }

// nameUse sets the use that --for names.
func (c *conversation) nameUse(context.Context) (err error) {
	if c.For != "" {
		c.use, err = useNamed(c.For)
	}
	return status.Usage.Wrap(err)
}

// useOfOne returns the named use, unless it is for all users: only --setup makes that.
func useOfOne(name string) (*use, error) {
	u, err := useNamed(name)
	if err == nil && u.name == "machine" {
		err = errors.New("--for machine can only be used with --setup")
	}
	return u, err
}

func useNamed(name string) (*use, error) {
	for i := range uses {
		switch u := &uses[i]; {
		case u.name != name:
		case runtime.GOOS == "windows" && u.password.kind == secret.Systemd:
			return nil, fmt.Errorf("--for %s is not possible on Windows", name)
		default:
			return u, nil
		}
	}
	return nil, fmt.Errorf("--for can only be %s", useNames())
}

// useNames returns the values of --for, in words.
func useNames() string {
	var names []string
	for _, u := range uses {
		names = append(names, u.name)
	}
	return status.Either(names)
}

// chooseUse sets the use of the account, which decides where the secret can be. If --secret
// names a source, there is no question, unless a refresh token needs a place.
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

// askUse asks where the account will be used. It offers the uses that are possible here.
func (c *conversation) askUse(ctx context.Context, isToken bool) error {
	standard := uses[0].name
	isOpen := hasKeyring(ctx, c.Store, c.item())
	if !isOpen {
		standard = "cron"
	}
	if c.quiet {
		return c.takeUse(standard)
	}
	if c.isForEverybody() {
		standard = "machine"
	}
	if c.There && !isOpen {
		c.show("No keyring is available in this session, so \"desktop\" cannot be used now.")
	}
	var names []string
	number := "1"
	for i := range uses {
		u := &uses[i]
		choice := u.place(isToken).choice
		if choice == "" || u.name == "desktop" && !isOpen || u.name == "service" && runtime.GOOS != "linux" || u.name == "machine" && !c.isForEverybody() {
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
		needs: "the place where the account will be used", give: "give --for " + useNames()}, names...)
	if err != nil {
		return err
	}
	return c.takeUse(names[n])
}

func (c *conversation) takeUse(name string) (err error) {
	c.use, err = useNamed(name)
	return err
}

// choosePlace decides where the secret is stored and, for access tokens, where the refresh
// token is stored.
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

// chooseRefresh decides where the refresh token is stored for the use. A file must not
// contain another secret.
func (c *conversation) chooseRefresh(ctx context.Context) (err error) {
	c.explainPlace()
	if c.refresh, err = c.source(); err != nil || c.refresh == secret.OfKeyring {
		return err
	}
	return c.guard(ctx, c.refresh, credential.Secret{})
}

// guard makes sure that no other secret is replaced, unless a person agrees or Force is
// set.
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

// placeName returns the name of a secret's place for people.
func placeName(ref credential.Ref) string {
	switch ref.Kind() {
	case secret.Keyring:
		return "the keyring"
	case secret.File:
		return ref.Arg()
	}
	return ref.String()
}

// holds reports whether ref has exactly this secret.
func holds(ctx context.Context, store *credential.Store, ref credential.Ref, item credential.Item, secret credential.Secret) bool {
	there, err := store.Get(ctx, []credential.Ref{ref}, item)
	return err == nil && there.Reveal() == secret.Reveal()
}

// holdsOther reports whether ref has a secret that differs from than. If ref cannot be
// read, the result is false: Put will return the error.
func holdsOther(ctx context.Context, store *credential.Store, ref credential.Ref, item credential.Item, than credential.Secret) bool {
	there, err := store.Get(ctx, []credential.Ref{ref}, item)
	return err == nil && there.Reveal() != than.Reveal()
}

// peek reads a secret without asking anybody, and returns the error.
func peek(ctx context.Context, store *credential.Store, ref secret.Ref, item credential.Item) error {
	quiet := *store
	quiet.Interactive = false
	_, err := quiet.Get(ctx, []secret.Ref{ref}, item)
	return err
}

// hasKeyring reports whether the keyring can probably store a secret now; it stores nothing
// and asks nobody.
func hasKeyring(ctx context.Context, store *credential.Store, item credential.Item) bool {
	err := peek(ctx, store, secret.OfKeyring, item)
	return err == nil || errors.Is(err, credential.ErrNotFound) || errors.Is(err, credential.ErrLocked) && store.Interactive
}

// usable returns an error if the secret is to be stored in the keyring, but the keyring
// cannot be used. It is called before anything is asked or sent.
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
