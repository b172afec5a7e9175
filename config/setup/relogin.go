package setup

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/config/machine"
	"sendoff/submit/credential"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// A renewal has the decisions of --login, which stores a new secret for an existing
// account.
type renewal struct {
	account  *config.Account
	moved    edit.Settings    // the changed settings of the account, if its secret moves to another place
	unused   []credential.Ref // the sources that the account does not use any more
	oldToken credential.Ref   // the former place of the refresh token; zero: it has not moved
}

// changeIn returns the change of the configuration that contains the account.
func (r *renewal) changeIn(account string) edit.Change {
	return func(text string) (string, error) { return r.moved.ChangeIn(text, account) }
}

// Login gets a secret for an account of the configuration, and stores it at the account's
// own place. If the use For cannot reach that place, Login stores the secret at another
// place, and changes the account to look only there. After a nil error, the account will
// find the secret, or Out says what is left to do.
func (s *Setup) Login(ctx context.Context, all *config.Config, a *config.Account) error {
	c := &conversation{Setup: s, config: all, file: cmp.Or(a.File, s.Paths.User), name: a.Name, user: a.User, renewal: &renewal{account: a}}
	if s.Machine != nil && s.Machine.Keeps(a) {
		c.machine = s.Machine
	}
	c.who.Address, _ = a.Address()
	if len(a.Servers) > 0 {
		c.server = a.Servers[0]
	}
	for _, step := range [...]func(*conversation, context.Context) error{
		(*conversation).findSource,
		(*conversation).chooseMove,
		(*conversation).checkMove,
		(*conversation).renew,
		(*conversation).apply,
	} {
		if err := step(c, ctx); err != nil {
			return err
		}
	}
	return nil
}

// typeRenewed gets the new password, and tries it at the server. A password that the server
// refuses is not stored. If the server cannot be tried, the password is stored, and a line
// says so.
func (c *conversation) typeRenewed(ctx context.Context) (err error) {
	for n := 1; ; n++ {
		c.secret, err = c.typeSecret(fmt.Sprintf("Password for %s at %s: ", c.user, c.item().Host))
		if err != nil || c.NoTest {
			return err
		}
		done := c.waiting("Logging in")
		_, err = c.Try(ctx, Trial{Account: c.account(), Secret: c.secret})
		done()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case status.KindOf(err) != status.AuthFailed:
			c.show("%v", err)
			c.show("So the password was not tried; it is stored as it is.")
			return nil
		case !c.There || n == tries:
			return fmt.Errorf("nothing was stored: %w", err)
		}
		c.showError(err)
	}
}

// renewSealed stores the new password where only root can: as a credential of systemd, or in
// the file of the machine's service.
func (c *conversation) renewSealed(ctx context.Context) (err error) {
	if c.machine != nil {
		err = c.machine.Renew(ctx, c.secret)
	} else {
		err = machine.RenewCredential(ctx, c.ref.Arg(), c.secret)
	}
	if err == nil {
		c.sayRenewed(ctx)
	}
	return err
}

// sayRenewed says what was stored and changed, and what is left to do.
func (c *conversation) sayRenewed(ctx context.Context) {
	who := fmt.Sprintf("%s at %s", c.user, c.item().Host)
	switch {
	case c.byClient():
		c.printf("Access tokens for %s work; they come from %s\n", who, c.ref)
	case c.ref.IsOAuth2():
		c.printf("Refresh token for %s stored in %s\n", who, placeName(c.account().Refresh()))
	case c.isCredential(c.ref):
		c.printf("Password for %s stored in %s; restart the service that loads it: systemctl restart SERVICE\n", who, machine.Credential(c.ref.Arg()))
		return
	case c.machine != nil:
		c.printf("Password for %s stored in %s, which the service of this machine uses\n", who, c.machine.PasswordFile())
	case c.ref.Writable():
		c.printf("Password for %s stored in %s\n", who, placeName(c.ref))
	}
	if len(c.renewal.moved) > 0 {
		c.printf("Changed account %q in %s: %s", c.name, c.shortFile(), c.renewal.moved)
	}
	c.explainCredential()
	for _, ref := range c.renewal.unused {
		if ref.Kind() == secret.None {
			continue
		}
		if !ref.Writable() || peek(ctx, c.Store, ref, c.item()) == nil {
			c.printf("%s is no longer used; delete it if nothing else needs it\n", unusedName(ref))
		}
	}
	c.forgetToken(ctx)
}

// unusedName returns a name for the secret of a source that is no longer used, for people.
func unusedName(ref credential.Ref) string {
	if ref == secret.OfKeyring {
		return "the password in the keyring"
	}
	return placeName(ref)
}

// forgetToken deletes the refresh token at its former place, unless another account uses
// it.
func (c *conversation) forgetToken(ctx context.Context) {
	ref, item := c.renewal.oldToken, c.item().Refresh(c.ref.Provider())
	if ref == (credential.Ref{}) || slices.ContainsFunc(c.config.Accounts, c.sharesToken) || peek(ctx, c.Store, ref, item) != nil {
		return
	}
	if err := c.Store.Delete(ctx, ref, item); err != nil {
		c.show("the old refresh token could not be deleted: %v", err)
	}
}

// sharesToken reports whether a, another account, has its refresh token at the former
// place. If the place is a file, the user does not matter.
func (c *conversation) sharesToken(a *config.Account) bool {
	before, has := c.renewal.oldToken, a.Refresh()
	switch path := before.Path(c.Store.Home); {
	case a.Name == c.name:
		return false
	case path != "":
		return filepath.Clean(path) == filepath.Clean(has.Path(c.Store.Home))
	}
	return has == before && a.User == c.user && slices.Contains(a.Secret, c.ref)
}

// findSource sets the account's source: the first that is writable, or that takes a
// person's consent. With For, there need be none.
func (c *conversation) findSource(context.Context) error {
	refs := c.renewal.account.Sources()
	i := slices.IndexFunc(refs, func(r credential.Ref) bool { return r.Writable() || r.IsOAuth2() })
	switch {
	case c.machine != nil && c.For != "":
		return status.Usage.Errorf("--for cannot be used with this account: the service of this machine has its password")
	case c.machine != nil, c.For == "" && len(refs) > 0 && c.isCredential(refs[0]):
		c.ref = refs[0]
	case i >= 0:
		c.ref = refs[i]
	case c.For == "":
		_, err := credential.Writable(refs)
		return err
	}
	return nil
}

// isCredential reports whether ref is a credential that root has encrypted for a service.
func (c *conversation) isCredential(ref credential.Ref) bool {
	return c.renewal != nil && c.use == nil && c.machine == nil && c.Identity.UID == 0 && ref.Kind() == secret.Systemd && machine.Credential(ref.Arg()) != ""
}

// chooseMove decides whether the secret has to move to another place for the use of the
// account. If the configuration does not say where the secret is, a person is asked for the
// use.
func (c *conversation) chooseMove(ctx context.Context) (err error) {
	a, isToken := c.renewal.account, c.ref.IsOAuth2()
	unsaid := len(a.Secret) == 0 || isToken && a.RefreshToken == (credential.Ref{}) && !c.byClient()
	switch {
	case c.For != "":
		c.use, err = useOfOne(c.For)
		err = status.Usage.Wrap(err)
	case unsaid && c.There && a.File != "":
		err = c.askUse(ctx, isToken)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	if c.place = c.use.place(isToken); isToken && c.place.kind == 0 {
		return status.Usage.Errorf("%s", c.place.why)
	}
	if isToken {
		return c.moveToken(ctx)
	}
	return c.moveSecret(ctx)
}

// moveToken decides where the refresh token is stored for the use.
func (c *conversation) moveToken(ctx context.Context) error {
	if c.byClient() {
		return nil
	}
	has := c.renewal.account.Refresh()
	if has.Kind() == c.place.kind {
		c.show("keeping %s", placeName(has))
		c.refresh = has
		return nil
	}
	c.renewal.oldToken = has
	if err := c.chooseRefresh(ctx); err != nil {
		return err
	}
	c.renewal.moved.Set("refresh-token", c.refresh.Text())
	return c.usable(ctx)
}

// moveSecret decides where the secret is stored for the use. It stays if the use can read
// it there, unless the account has another writable source: nobody would renew the password
// in that source.
func (c *conversation) moveSecret(ctx context.Context) (err error) {
	others := c.renewal.account.Sources()
	i := slices.IndexFunc(others, func(r credential.Ref) bool { return r.Kind() == c.place.kind })
	if i >= 0 {
		c.ref = others[i]
		others = slices.Delete(others, i, i+1)
		c.show("keeping %s", placeName(c.ref))
	} else {
		c.explainPlace()
		if c.ref, err = c.source(); err != nil {
			return err
		}
	}
	stays := i >= 0 && !slices.ContainsFunc(others, credential.Ref.Writable)
	if stays || c.isContainer() {
		return nil
	}
	c.renewal.unused = others
	c.renewal.moved.Set("secret", c.ref.Text())
	return c.usable(ctx)
}

// byClient reports whether the provider uses client credentials: there is no consent, and
// no refresh token.
func (c *conversation) byClient() bool {
	p, err := c.config.Provider(c.ref.Provider())
	return err == nil && p.Grant == config.GrantClient
}

// checkMove returns an error if the account cannot be changed. It is called before any
// question.
func (c *conversation) checkMove(context.Context) error {
	if len(c.renewal.moved) == 0 {
		return nil
	}
	if c.renewal.account.File == "" {
		return status.Usage.Errorf("this account is not in a configuration file: set its secret to %s where it is defined", cmp.Or(c.refresh, c.ref))
	}
	if _, _, err := c.target().Check(c.renewal.changeIn(c.name)); err != nil {
		return err
	}
	return c.target().Writable()
}

// renew gets the new secret, unless sendoff does not store it.
func (c *conversation) renew(ctx context.Context) (err error) {
	switch {
	case c.isContainer():
		return nil
	case c.machine != nil, c.isCredential(c.ref):
		return c.typeRenewed(ctx)
	case c.ref.IsOAuth2():
		return c.Authorise(ctx, c.account())
	case c.Flow != "":
		return status.Usage.Errorf("--flow can only be used with the source oauth2:NAME; the secret of this account is %s", c.ref)
	case !c.ref.Writable():
		return nil
	}
	if err := c.Store.Ready(c.ref, c.item()); err != nil {
		return err
	}
	if c.use == nil && c.There && c.ref == secret.OfKeyring {
		c.show("This password goes into your keyring, which cron can use only while you are\nlogged in; for cron: sendoff --login %s --for cron", c.name)
	}
	err = c.typeRenewed(ctx)
	if err != nil || len(c.renewal.moved) == 0 || c.ref == secret.OfKeyring {
		return err // the secret goes to the account's own place, and replaces only its own item
	}
	return c.guard(ctx, c.ref, c.secret)
}
