package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/config/machine"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/login"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// logout deletes the secret of an account from all places of the account that can be
// written. If there is no secret, this is no error.
func (p *program) logout(ctx context.Context) error {
	s, a, err := p.loginAccount()
	if err != nil {
		return err
	}
	if p.machine != nil && p.machine.Keeps(a) {
		return p.forgetService(ctx)
	}
	refs, item, err := s.Pool().Secrets.Credentials(a)
	if err != nil {
		return err
	}
	refs = slices.DeleteFunc(refs, isFixed)
	if len(refs) == 0 {
		_, err := credential.Writable(a.Sources())
		return err
	}
	if err := p.forget(ctx, s, refs, item); err != nil {
		return err
	}
	p.retryLogin(ctx, s, a)
	return nil
}

// forgetService deletes the password of the machine's service.
func (p *program) forgetService(ctx context.Context) error {
	file := p.machine.PasswordFile()
	if err := p.machine.Forget(ctx); err != nil {
		return err
	}
	return p.print(fmt.Sprintf("removed: %s\nUntil there is a new password, the service keeps mail in its queue: sudo sendoff --login %s\n", file, p.account))
}

// isFixed reports whether a secret cannot be deleted.
func isFixed(r credential.Ref) bool { return !r.Writable() && !r.IsOAuth2() }

// forget deletes the secrets at refs.
func (p *program) forget(ctx context.Context, s *submit.Submitter, refs []credential.Ref, item credential.Item) (err error) {
	for _, ref := range refs {
		deleteErr := s.Smarthosts.Secrets.Store.Delete(ctx, ref, item)
		what, result := "password", "deleted from"
		if ref.IsOAuth2() {
			what = "token"
		}
		switch {
		case errors.Is(deleteErr, credential.ErrNotFound), errors.Is(deleteErr, fs.ErrNotExist):
			result = "was not in"
		case deleteErr != nil:
			err = errors.Join(err, deleteErr)
			continue
		}
		err = errors.Join(err, p.print(fmt.Sprintf("the %s for %s at %s %s %s\n", what, item.User, item.Host, result, ref)))
	}
	return err
}

// remove removes an account with its secrets, or the service of the machine. Queued mail
// stays.
func (p *program) remove(ctx context.Context) error {
	switch {
	case p.cmd.For != "" && p.cmd.For != "machine":
		return status.Usage.Errorf("--remove: --for can only be machine")
	case p.cmd.For != "":
		return p.removeService(ctx)
	case p.cmd.Account == "":
		return status.Usage.Errorf("--remove needs the name of an account, which sendoff --list shows, or --for machine")
	}
	s, err := p.submitter()
	if err != nil {
		return err
	}
	a, _, err := s.Config.Choose(config.Choice{CommandLine: config.Override{Account: p.cmd.Account}})
	if err != nil {
		return err
	}
	p.account = a.Name
	m, fault := machine.New(s.Identity)
	if fault == nil && m.Serves(a) || fault != nil && a.LeadsTo(nil) {
		return p.removeService(ctx)
	}
	if a.File == "" {
		return status.Usage.Errorf("this account is not in a configuration file: remove it where it is defined")
	}
	file := edit.File{Path: a.File, Paths: config.Find(p.explicitConfig(), os.Getenv, s.Identity)}
	withoutAccount := func(text string) (string, error) { return edit.RemoveAccount(text, a.Name) }
	if _, _, err := file.Check(withoutAccount); err != nil {
		return err // before the secret is gone
	}
	if err := file.Writable(); err != nil {
		return err
	}
	if err := p.forgetOwn(ctx, s, a); err != nil {
		return err
	}
	if err := file.RemoveAccount(a.Name); err != nil {
		return err
	}
	return errors.Join(p.print(fmt.Sprintf("removed: account %q in %s\n", a.Name, a.File)), p.sayLeft(s, a))
}

// removeService removes the service of the machine.
func (p *program) removeService(ctx context.Context) error {
	id := config.Identify()
	if id.UID != 0 {
		return status.Usage.Errorf("only root can remove the service of this machine: sudo sendoff --remove --for machine")
	}
	m, _ := machine.New(id) // a service whose configuration has a fault can be removed, too
	return m.Remove(ctx, stdout())
}

// forgetOwn deletes the secrets of a that no other account uses.
func (p *program) forgetOwn(ctx context.Context, s *submit.Submitter, a *config.Account) error {
	if a.User == "" {
		return nil
	}
	p.openQueue(s) // the queue's folder may have the access tokens
	refs, item, err := s.Pool().Secrets.Credentials(a)
	if err != nil {
		return err
	}
	refs = slices.DeleteFunc(refs, func(r credential.Ref) bool {
		other := ""
		if !isFixed(r) {
			other = sharing(s, a, r)
		}
		if other != "" {
			p.print(fmt.Sprintf("%s stays: account %q uses it, too\n", r, other))
		}
		return isFixed(r) || other != ""
	})
	return p.forget(ctx, s, refs, item)
}

// sharing returns the name of another account that uses the secret at ref, which a has; "":
// none does.
func sharing(s *submit.Submitter, a *config.Account, ref credential.Ref) string {
	_, item := login.Item(a)
	path := func(r credential.Ref) string { return r.Path(s.Smarthosts.Secrets.Store.Home) }
	for _, other := range s.Config.Accounts {
		refs, otherItem := login.Item(other)
		isSameItem := item.User == otherItem.User && item.Host == otherItem.Host
		shares := slices.ContainsFunc(refs, func(r credential.Ref) bool {
			return r == ref && isSameItem || ref.Kind() == secret.File && path(r) == path(ref)
		})
		if other.Name != a.Name && shares {
			return other.Name
		}
	}
	return ""
}

// sayLeft says how much mail is queued for an account that was removed.
func (p *program) sayLeft(s *submit.Submitter, a *config.Account) error {
	p.openQueue(s)
	n := 0
	for _, s := range p.eachQueue(s) {
		for e, err := range s.Queue.Entries() {
			if err == nil && config.ParseChoice(e.Account).AccountName() == a.Name {
				n++
			}
		}
	}
	if n == 0 {
		return nil
	}
	return p.print(fmt.Sprintf("%d queued for the account: this mail stays, and is sent by a new account of that name (mailq shows it)\n", n))
}
