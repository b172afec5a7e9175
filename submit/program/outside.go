package program

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/maillog"
	"sendoff/submit/process"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/spool"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// openQueue opens the user's queue for s. If there is none, s.NoQueue says why.
func (p *program) openQueue(s *submit.Submitter) {
	q, err := spool.Open(s.Config, s.Identity, p.say)
	if err != nil {
		s.NoQueue = err.Error()
		return
	}
	s.Queue, p.otherQueues = q, spool.Elsewhere(s.Identity, q)
}

// eachQueue returns a copy of s for each queue of the user: the usual one, and others in
// which mail waits.
func (p *program) eachQueue(s *submit.Submitter) (all []*submit.Submitter) {
	if s.Queue != nil {
		all = append(all, s)
	}
	for _, q := range p.otherQueues {
		all = append(all, s.In(q))
	}
	return all
}

// wake makes sure that a process or a timer runs each queue of the user.
func (p *program) wake(s *submit.Submitter) {
	for _, s := range p.eachQueue(s) {
		s.Wake()
	}
}

// submitter returns a Submitter with the configuration. After an error, it has the
// configuration of a system without any file.
func (p *program) submitter() (*submit.Submitter, error) {
	s := p.outside()
	if p.cmd.Verbose || p.cmd.Mode == cmdline.Listen {
		for _, text := range p.unprotected() {
			p.say("note: " + text)
		}
	}
	named := p.files
	named.Config = p.explicitConfig() // as the caller wrote it, for errors
	c, err := s.Load(named)
	if err != nil {
		c = config.Default()
	}
	err = cmp.Or(err, c.Settle(config.Environment(os.Getenv), s.Smarthosts.Secrets.Store.Home))
	p.configure(s, c)
	return s, err
}

// unprotected returns notes for -v, --listen and --doctor: which protection Harden could
// not set up, and whether the environment is ignored.
func (p *program) unprotected() (notes []string) {
	if p.hardened.Unsure {
		notes = append(notes, "the variables SENDOFF_* and DBUS_SESSION_BUS_ADDRESS have no effect, because the kernel has changed the rights or the domain of this process (AT_SECURE)")
	}
	if err := p.hardened.Exposed; err != nil {
		notes = append(notes, fmt.Sprintf("other processes of this user can read the password in the memory of this process: the system did not allow to prevent that (%v)", err))
	}
	return notes
}

// configure sets the configuration of s to c.
func (p *program) configure(s *submit.Submitter, c *config.Config) {
	s.Config, s.Spool.Runner = c, c.Runner
	s.Log = &maillog.Log{Place: c.Log, Format: c.LogFormat, Tag: cmp.Or(p.cmd.SyslogTag, "sendoff")}
}

// outside returns a Submitter without a configuration; it reads no file of the user.
func (p *program) outside() *submit.Submitter {
	id := config.Identify()
	p.files = config.Locate(p.explicitConfig(), os.Getenv, id)
	load := func(files config.Override) (*config.Config, error) {
		c, err := config.Load(files.Paths(id))
		if err == nil {
			credential.Hide(c.Secrets()...)
		}
		return c, err
	}
	for _, text := range []string{os.Getenv("SENDOFF_SECRET"), p.cmd.Secret} {
		ref, _ := credential.ParseRef(text) // Choose reports a malformed reference
		credential.Hide(ref)
	}
	s := &submit.Submitter{
		Identity:  id,
		Load:      load,
		Sendmail:  p.cmd.Face == cmdline.Sendmail,
		Console:   &status.Console{Caller: p.say},
		Unwritten: new(throttle.Unwritten),
		Smarthosts: smarthost.New(&credential.Store{
			Interactive: process.IsTerminal(os.Stderr),
			Home:        p.files.Paths(id).Home,
		}),
	}
	s.Start, s.Outlives = startOnce(), process.Outlives
	person := process.IsTerminal(os.Stderr)
	if person && !p.cmd.Verbose && p.cmd.ErrorMode != 'q' {
		s.Console.Terminal = os.Stderr
	}
	if person || p.cmd.Verbose {
		s.Console.Person = p.tell
		s.Smarthosts.Secrets.Store.Tell = p.say
	}
	if p.cmd.Verbose {
		s.Smarthosts.Trace = func(l smtp.Line) { fmt.Fprintf(os.Stderr, "%c: %s\n", l.From, l.Text) }
	}
	return s
}

// startOnce returns a function that starts a process to run the queue in folder. The new
// process needs a moment to lock the queue; so for one second the function starts no second
// process, unless the first has ended.
func startOnce() func(folder string) error {
	var mu sync.Mutex
	var began time.Time
	var ended <-chan struct{}
	return func(folder string) (err error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(began) < time.Second {
			select {
			case <-ended:
			default:
				return nil
			}
		}
		ended, err = process.Start("--queue-runner", folder)
		began = time.Now()
		return err
	}
}

// choice returns what the command line and the environment say about the account. It names
// the configuration files too, because a later run of the queue may have another
// environment.
func (p *program) choice() config.Choice {
	choice := config.Choice{CommandLine: p.files, Environment: config.Environment(os.Getenv)}
	line := &choice.CommandLine
	line.Account, line.Server, line.User, line.Secret = p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret
	return choice
}

// explicitConfig returns the configuration file that the command line or the environment
// names, as it is written there; "": none.
func (p *program) explicitConfig() string { return cmp.Or(p.cmd.Config, os.Getenv("SENDOFF_CONFIG")) }
