package setup

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// A renewal is what --login is about: the secret of an account that is there.
type renewal struct {
	account *config.Account
	moved   edit.Settings // what changes in it, for its secret to be elsewhere
	old     string        // where its refresh token was before
	left    []string      // the files where it looks no more
}

// Login gets the secret of an account of the configuration, and keeps it where
// that says; if it is For a use, where that use can get at it, and the account
// is changed to look there first. When it returns nil, the secret is where the
// account will find it, or Out has what is left to do.
func (s *Setup) Login(ctx context.Context, all *config.Config, a *config.Account) error {
	c := &conversation{Setup: s, config: all, file: cmp.Or(a.File, s.Paths.User), name: a.Name, user: a.User, renewal: &renewal{account: a}}
	c.who.Address, _ = a.Address()
	if len(a.Servers) > 0 {
		c.server = a.Servers[0]
	}
	for _, step := range [...]func(*conversation, context.Context) error{
		(*conversation).findSource,
		(*conversation).chooseMove,
		(*conversation).draftMove,
		(*conversation).renew,
	} {
		if err := step(c, ctx); err != nil {
			return err
		}
	}
	if err := c.place.keep(c); err != nil {
		return err
	}
	c.forgetOld(ctx)
	for _, source := range c.renewal.left {
		if _, err := os.Lstat(c.shelf().path(source)); err == nil {
			c.printf("left: %s, where the account looks no more; remove it unless something else needs it\n", source)
		}
	}
	return nil
}

// forgetOld deletes the refresh token in the place that it had before, unless
// another account logs in with it as well.
func (c *conversation) forgetOld(ctx context.Context) {
	ref, err := credential.ParseRef(c.renewal.old)
	if c.renewal.old == "" || err != nil {
		return
	}
	for _, a := range c.config.Accounts {
		if a.Name != c.name && c.sharesOld(a) {
			return
		}
	}
	item := c.ref.RefreshItem(c.item())
	if _, err := c.Store.Get(ctx, []credential.Ref{ref}, item); err != nil {
		return // there is none, or none that anybody gets at from here
	}
	if err := c.Store.Delete(ctx, ref, item); err != nil {
		c.show("the old refresh token is left: %v", err)
	}
}

// sharesOld reports whether an account, too, has its refresh token in the old
// place: in a file it is nobody's by name.
func (c *conversation) sharesOld(a *config.Account) bool {
	old, has := c.renewal.old, cmp.Or(a.RefreshToken, "keyring")
	if strings.HasPrefix(old, "file:") {
		return strings.HasPrefix(has, "file:") && c.shelf().path(has) == c.shelf().path(old)
	}
	return has == old && a.User == c.user && slices.Contains(a.Secret, c.source)
}

// findSource finds the source of the account whose secret is to be renewed: one
// that can be written to, or that takes a person's consent. Where a use decides,
// there need be none.
func (c *conversation) findSource(context.Context) error {
	var refs []credential.Ref
	for _, source := range c.renewal.account.Sources() {
		ref, err := credential.ParseRef(source)
		if err != nil {
			return status.Config.Errorf("secret: %w", err)
		}
		refs = append(refs, ref)
	}
	i := slices.IndexFunc(refs, func(r credential.Ref) bool { return r.Writable() || r.IsOAuth2() })
	switch {
	case i >= 0:
		c.ref, c.source = refs[i], c.renewal.account.Sources()[i]
	case c.For == "":
		_, err := credential.Writable(refs)
		return err
	}
	return nil
}

// chooseMove finds out what the account is for, if anybody says so, and whether
// the secret has to be elsewhere for that. A person is asked where the
// configuration does not say where the secret is.
func (c *conversation) chooseMove(ctx context.Context) (err error) {
	a, isToken := c.renewal.account, c.ref.IsOAuth2()
	unsaid := len(a.Secret) == 0 || isToken && a.RefreshToken == "" && !c.byClient()
	switch {
	case c.For != "":
		err = c.nameUse(ctx)
	case unsaid && c.There && a.File != "":
		err = c.askUse(ctx, isToken)
	default:
		c.place = &place{keep: (*conversation).write}
		return nil
	}
	if err != nil {
		return err
	}
	if c.place = c.use.place(isToken); c.place.source == nil {
		return status.Usage.Errorf("%s", c.place.why)
	}
	return c.move(ctx)
}

// move settles where the secret, or the refresh token, goes for the use. The
// sources that an account has stay, behind that one, for whom they serve: before
// it they would give a password that is not renewed. Nor does a file stay behind the
// keyring, which would be used where that is closed, as for cron. Of refresh tokens
// there can be only one.
func (c *conversation) move(ctx context.Context) (err error) {
	a, stays := c.renewal.account, false
	if c.ref.IsOAuth2() {
		if c.byClient() {
			return nil
		}
		old := cmp.Or(a.RefreshToken, "keyring")
		if c.refresh, stays = c.settle(ctx, []string{old}); stays {
			return nil
		}
		c.renewal.old = old
		c.renewal.moved.Set("refresh-token", c.refresh)
		return c.usable(ctx)
	}
	had := a.Sources()
	c.source, stays = c.settle(ctx, had)
	isFile := func(source string) bool { return strings.HasPrefix(source, "file:") }
	isKept := func(source string) bool { return source == "keyring" || isFile(source) }
	before := had[:max(0, slices.Index(had, c.source))]
	stays = stays && !slices.ContainsFunc(before, isKept) && !(c.source == "keyring" && slices.ContainsFunc(had, isFile))
	if c.ref, err = credential.ParseRef(c.source); err != nil || stays || c.isElsewhere() {
		return err
	}
	has := []string{c.source}
	for _, source := range had {
		switch {
		case source == c.source:
		case c.source == "keyring" && isFile(source):
			c.renewal.left = append(c.renewal.left, source)
		default:
			has = append(has, source)
		}
	}
	c.renewal.moved.Set("secret", has)
	return c.usable(ctx)
}

// settle returns the first source of has that serves for the use, which stays,
// or else the one that does.
func (c *conversation) settle(ctx context.Context, has []string) (source string, stays bool) {
	if i := slices.IndexFunc(has, c.place.serves); i >= 0 {
		c.show("%s serves for that", has[i])
		return has[i], true
	}
	c.explainPlace()
	source = c.place.source(c)
	if strings.HasPrefix(source, "file:") && !c.isElsewhere() {
		source = c.shelf().free(ctx, source, credential.Secret{})
	}
	return source, false
}

// byClient reports whether the provider gives access tokens without anybody's
// consent, and so without a refresh token.
func (c *conversation) byClient() bool {
	p, err := c.config.Provider(c.ref.Provider())
	return err == nil && p.Grant == config.GrantClient
}

// draftMove finds out, before anybody is asked, whether the account can be
// changed.
func (c *conversation) draftMove(context.Context) error {
	if len(c.renewal.moved) == 0 {
		return nil
	}
	if c.renewal.account.File == "" {
		return status.Usage.Errorf("no file has this account; give it the source %s where it is defined", cmp.Or(c.refresh, c.source))
	}
	if _, err := c.target().Check(c.change()); err != nil {
		return err
	}
	return c.target().Writable()
}

// renew gets the secret, if it is for us to keep.
func (c *conversation) renew(ctx context.Context) error {
	switch {
	case c.isElsewhere():
		return nil
	case c.ref.IsOAuth2():
		return c.Authorise(ctx, c.account())
	case c.Flow != "":
		return status.Usage.Errorf("--flow is for a source oauth2:NAME, and this secret goes to %s", c.ref)
	case !c.ref.Writable():
		return nil
	}
	if err := c.Store.Ready(c.ref, c.item()); err != nil {
		return err
	}
	if c.use == nil && c.There && c.source == "keyring" {
		c.show("the keyring is open only while you are logged in here; --for cron, service or container names another place")
	}
	return c.typed(fmt.Sprintf("password for %s at %s: ", c.user, c.item().Host))
}
