package program

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sendoff/config"
	"sendoff/config/discover"
	"sendoff/config/importer"
	"sendoff/config/machine"
	"sendoff/config/setup"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/mailq"
	"sendoff/submit/process"
	"sendoff/submit/rehearse"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// login asks for the secret of an account, and stores the secret.
func (p *program) login(ctx context.Context) error {
	s, a, err := p.loginAccount()
	if err != nil {
		return err
	}
	job := p.conversation(s)
	job.Machine, job.NoTest = p.machine, p.cmd.Answers.NoTest
	job.Authorise = func(ctx context.Context, a *config.Account) error {
		return s.Pool().Secrets.Authorise(ctx, a, true, p.person())
	}
	if err := job.Login(ctx, s.Config, a); err != nil {
		return err
	}
	p.retryLogin(ctx, s, a)
	return nil
}

// loginAccount returns the account whose secret login stores or logout deletes.
func (p *program) loginAccount() (*submit.Submitter, *config.Account, error) {
	s, err := p.submitter()
	if err != nil {
		return nil, nil, err
	}
	choice := p.choice()
	if choice.CommandLine.Account != config.OfEnvironment {
		choice.Environment = config.Override{} // its settings are for the account of the environment only
	}
	a, _, err := s.Config.Choose(choice)
	if err != nil {
		return nil, nil, err
	}
	p.account, p.host = a.Name, a.Servers[0].Host
	m, err := machine.New(s.Identity)
	if err != nil && a.LeadsTo(nil) {
		return nil, nil, err
	}
	if err == nil && m.Serves(a) {
		if s.Identity.UID != 0 {
			return nil, nil, status.Usage.Errorf("the service of this machine has its password, which only root can change: sudo sendoff --login %s", a.Name)
		}
		p.machine, s.Config, a = m, m.Config, m.Account
		p.host = a.Servers[0].Host
	}
	if a.User == "" {
		return nil, nil, status.Config.Errorf("the account has no user, so it cannot log in")
	}
	if p.machine == nil {
		p.openQueue(s) // the queue's folder may have the access tokens
	}
	return s, a, nil
}

// retryLogin forgets that the account's login failed, and starts a run of the queue: the
// account's secret has changed.
func (p *program) retryLogin(ctx context.Context, s *submit.Submitter, a *config.Account) {
	if p.machine != nil {
		p.wakeService(ctx)
		return
	}
	if s.Queue != nil {
		s.Throttle().Forget(throttle.Key(a))
		p.wake(s)
	}
}

// setup creates an account, from a person's answers or from the answers that options give.
func (p *program) setup(ctx context.Context) error {
	if p.cmd.Table {
		return p.print(discover.Table())
	}
	job := p.setupJob()
	job.Address, job.Account, job.Server, job.User, job.Secret = p.cmd.Entry, p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret
	job.Answers = p.cmd.Answers
	return job.Run(ctx)
}

// setupJob returns a Setup without answers.
func (p *program) setupJob() *setup.Setup {
	s, _ := p.submitter() // setup runs into the same error, and reports it
	s.Smarthosts.Dialer.Dial, s.Smarthosts.Dialer.Lookup = discover.Dial, discover.LookupNetIP
	job := p.conversation(s)
	job.Authorise = func(ctx context.Context, a *config.Account) error {
		return s.Pool().Secrets.Authorise(ctx, a, false, p.person())
	}
	job.Withdraw = func(ctx context.Context, a *config.Account) error { return s.Pool().Secrets.Withdraw(ctx, a) }
	job.Renew = func(ctx context.Context, account string) error {
		p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret = account, "", "", ""
		return p.login(ctx)
	}
	job.Provide = func(p *config.OAuth2) { s.Config.Providers = append(s.Config.Providers, p) }
	job.Wake = p.wakeService
	return job
}

// wakeService lets the service of the machine try its queue now.
func (p *program) wakeService(ctx context.Context) {
	id := config.Identify()
	c, err := config.Load(config.Paths{Explicit: machine.UsersFile(), Home: id.Home})
	if err != nil {
		return
	}
	if u, ok := mailq.Service(c, id); ok {
		child := process.Child{UID: u.UID, Args: []string{"--queue-folder", u.Queue, "-q"}, Limit: 10 * time.Second}
		child.Run(ctx, io.Discard) // if it fails, the service tries its queue at the usual time
	}
}

// listAccounts shows the accounts. It reads no secret, and asks nobody.
func (p *program) listAccounts(context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	accounts, defaultName := slices.Clone(s.Config.Accounts), ""
	if a, _, err := s.Config.Choose(config.Choice{Environment: config.Environment(os.Getenv)}); err == nil {
		defaultName = a.Name
		accounts = slices.DeleteFunc(accounts, func(other *config.Account) bool { return other.Name == defaultName })
		accounts = slices.Insert(accounts, 0, a) // as the environment has it
	}
	if len(accounts) == 0 {
		return status.Config.Errorf("no account configured")
	}
	return setup.List(stdout(), accounts, defaultName)
}

// conversation returns a Setup with its inputs and outputs. What Setup finds, asks and
// tries goes to stderr. What it has written, and what is left to do, goes to stdout.
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
		Try:      func(ctx context.Context, t setup.Trial) (setup.Seen, error) { return rehearse.Try(ctx, s, t) },
	}
}

// person returns the Person who consents that sendoff sends mail in their name.
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
	err := job.Run(ctx, os.Stdout, p.say)
	if err != nil || job.ForAll == nil {
		return err
	}
	known, all := job.ForAll, p.setupJob()
	all.Address, all.Account, all.Server, all.User, all.Answers = known.Address, known.Account, known.Server, known.User, known.Answers
	return all.Offer(ctx)
}
