package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sendoff/config"
	"sendoff/config/discover"
	"sendoff/config/importer"
	"sendoff/config/setup"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/rehearse"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// login asks for the secret of an account, and stores it.
func (p *program) login(ctx context.Context) error {
	s, a, err := p.loginAccount()
	if err != nil {
		return err
	}
	job := p.conversation(s)
	job.Authorise = func(ctx context.Context, a *config.Account) error {
		return s.Pool().Secrets.Authorise(ctx, a, true, p.person())
	}
	if err := job.Login(ctx, s.Config, a); err != nil {
		return err
	}
	p.retryLogin(s, a)
	return nil
}

// logout deletes the secret of an account, wherever the account looks for one. That
// there is none is no error.
func (p *program) logout(ctx context.Context) error {
	s, a, err := p.loginAccount()
	if err != nil {
		return err
	}
	refs, item, err := s.Pool().Secrets.Credentials(a)
	if err != nil {
		return err
	}
	refs = slices.DeleteFunc(refs, func(r credential.Ref) bool { return !r.Writable() && !r.IsOAuth2() })
	if len(refs) == 0 {
		_, err := credential.Writable(a.Sources())
		return err
	}
	for _, ref := range refs {
		gone := s.Smarthosts.Secrets.Store.Delete(ctx, ref, item)
		secret, did := "password", "deleted from"
		if ref.IsOAuth2() {
			secret = "token"
		}
		switch {
		case errors.Is(gone, credential.ErrNotFound), errors.Is(gone, fs.ErrNotExist):
			did = "was not in"
		case gone != nil:
			err = errors.Join(err, gone)
			continue
		}
		err = errors.Join(err, p.print(fmt.Sprintf("the %s for %s at %s %s %s\n", secret, item.User, item.Host, did, ref)))
	}
	p.retryLogin(s, a)
	return err
}

// loginAccount finds the account that has a secret to be stored or deleted.
func (p *program) loginAccount() (*submit.Submitter, *config.Account, error) {
	s, err := p.submitter()
	if err != nil {
		return nil, nil, err
	}
	by := p.choice()
	if by.CommandLine.Account != config.OfEnvironment {
		by.Environment = config.Override{} // which is about no other account
	}
	a, _, err := s.Config.Choose(by)
	if err != nil {
		return nil, nil, err
	}
	p.account = a.Name
	if a.User == "" {
		return nil, nil, status.Config.Errorf("the account has no user, so it cannot log in")
	}
	p.openQueue(s) // access tokens may be kept there
	return s, a, nil
}

// retryLogin lets the account log in again, and what waits for it be sent, since its
// secret has changed.
func (p *program) retryLogin(s *submit.Submitter, a *config.Account) {
	if s.Queue != nil {
		s.Throttle().Forget(throttle.Key(a))
		p.wake(s)
	}
}

// setup makes an account, with a person or with the answers that options give.
func (p *program) setup(ctx context.Context) error {
	if p.cmd.Table {
		return p.print(discover.Table())
	}
	s, _ := p.submitter() // whose error comes again
	s.Smarthosts.Dialer.Dial, s.Smarthosts.Dialer.Lookup = discover.Dial, discover.LookupNetIP
	job := p.conversation(s)
	job.Address, job.Account, job.Server, job.User, job.Secret = p.cmd.Entry, p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret
	job.Answers = p.cmd.Answers
	job.Authorise = func(ctx context.Context, a *config.Account) error {
		return s.Pool().Secrets.Authorise(ctx, a, false, p.person())
	}
	job.Withdraw = func(ctx context.Context, a *config.Account) error { return s.Pool().Secrets.Withdraw(ctx, a) }
	job.Renew = func(ctx context.Context, account string) error {
		p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret = account, "", "", ""
		return p.login(ctx)
	}
	job.Provide = func(p *config.OAuth2) { s.Config.Providers = append(s.Config.Providers, p) }
	job.Try = func(ctx context.Context, t setup.Trial) (setup.Seen, error) {
		return rehearse.Try(ctx, s, t)
	}
	return job.Run(ctx)
}

// listAccounts shows the accounts. No secret is read, and nobody is asked.
func (p *program) listAccounts(context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	accounts, standard := s.Config.Accounts, ""
	if a, _, err := s.Config.Choose(config.Choice{Environment: config.Environment(os.Getenv)}); err == nil {
		standard = a.Name
		if a.File == "" {
			accounts = append(slices.Clone(accounts), a)
		}
	}
	if len(accounts) == 0 {
		return status.Config.Errorf("no account configured")
	}
	return setup.List(stdout(), accounts, standard)
}

// conversation is what setup needs of the outside world. What is found, asked
// and tried goes to stderr; to stdout what is written, or to be done.
func (p *program) conversation(s *submit.Submitter) *setup.Setup {
	return &setup.Setup{
		Person: setup.Person{
			There:  process.IsTerminal(os.Stdin) && process.IsTerminal(os.Stderr),
			In:     process.Stdin{},
			Shown:  os.Stderr,
			Secret: process.AskSecret,
		},
		For:      p.cmd.For,
		Flow:     p.cmd.Flow,
		Out:      os.Stdout,
		Paths:    config.Find(p.explicitConfig(), os.Getenv, s.Identity),
		Identity: s.Identity,
		Store:    s.Smarthosts.Secrets.Store,
	}
}

// person is whoever consents that we send mail in their name.
func (p *program) person() credential.Person {
	return credential.Person{Flow: p.cmd.Flow, There: process.IsTerminal(os.Stdin), Say: p.say, Ask: process.Ask}
}

// takeOver imports the configuration of another program.
func (p *program) takeOver(ctx context.Context) error {
	id := config.Identify()
	paths := config.Find("", os.Getenv, id)
	named := config.Locate(p.explicitConfig(), os.Getenv, id).Config
	job := &setup.Import{
		Reader: importer.Reader{Home: paths.Home, ConfigHome: filepath.Dir(filepath.Dir(paths.User)), Root: config.Root(), Identity: id},
		File:   p.cmd.Entry,
		Secret: p.cmd.Secret,
		For:    p.cmd.For,
		Target: named,
		Paths:  paths,
		Write:  p.cmd.Write || p.cmd.Add,
		Add:    p.cmd.Add,
		Store:  &credential.Store{Interactive: process.IsTerminal(os.Stderr), Home: paths.Home, Tell: p.say},
	}
	return job.Run(ctx, os.Stdout, p.say)
}
