// Package program is sendoff as it is called: one invocation, from the command
// line to the exit code.
//
//	argv → Command → account → message + envelope → transaction → exit code
//
//	send.go      a message on stdin, which is what it is for
//	refuse.go    one that cannot be submitted
//	serve.go     -bs, --listen: messages by SMTP
//	queue.go     mailq, -q, --queue-…
//	account.go   --setup, --import, --login, --logout
//	check.go     --doctor, -bC, -bi, -bv
//	complete.go  --completions, and what they ask for
//	say.go       what it says, and the exit code
//
// Errors: each ends as lines on stderr and as the exit code of its kind; in the
// sendmail face a fault of the account is queued, or ends with 75.
package program

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/maillog"
	"sendoff/submit/process"
	"sendoff/submit/smtp"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// release is the version.
const release = "0.1"

// memory is where the garbage collector works harder, in octets; only a giant
// header comes near it. memoryOfMany is that of --listen.
const (
	memory       = 48 << 20
	memoryOfMany = 128 << 20
)

// A program is one invocation.
type program struct {
	cmd      *cmdline.Command
	hardened process.Hardened
	reading  atomic.Bool     // stdin is not yet at its end: the message is not whole
	settle   func(error)     // ends what goes on while reading; nil: nothing does
	account  string          // named in errors, once it is known
	place    config.Override // of the configuration; nothing else of it is set
}

// modes is what each mode does. One that is gentle ends by its steps when a signal
// comes; the others are ended as any program is.
var modes = [...]struct {
	mode   cmdline.Mode
	run    func(*program, context.Context) error
	gentle bool
}{
	{cmdline.Submit, (*program).send, true},
	{cmdline.Server, (*program).serve, true},
	{cmdline.Listen, (*program).listen, true},

	{cmdline.List, (*program).queue, false},
	{cmdline.ListJSON, (*program).queue, false},
	{cmdline.Count, (*program).queue, false},
	{cmdline.Status, (*program).queue, false},
	{cmdline.Show, (*program).queue, false},
	{cmdline.Delete, (*program).queue, false},
	{cmdline.MakeSpool, (*program).queue, false},
	{cmdline.Retry, (*program).queue, true},
	{cmdline.Run, (*program).queue, true},
	{cmdline.Runner, (*program).queue, true},
	{cmdline.Tend, (*program).queue, true},

	{cmdline.Setup, (*program).setup, true},
	{cmdline.Import, (*program).takeOver, false},
	{cmdline.Login, (*program).login, false},
	{cmdline.Logout, (*program).logout, false},

	{cmdline.Doctor, (*program).doctor, true},
	{cmdline.AsCron, (*program).secretAsCron, false},
	{cmdline.CheckConfig, (*program).checkConfig, false},
	{cmdline.Aliases, (*program).checkAliases, false},
	{cmdline.Verify, (*program).verify, false},

	{cmdline.Completions, (*program).completions, false},
	{cmdline.Complete, (*program).complete, false},
	{cmdline.Version, (*program).version, false},
	{cmdline.Help, (*program).help, false},
	{cmdline.Nothing, (*program).nothing, false},
}

// Main runs the program as argv calls it, and returns the exit code. It has said
// why on stderr unless that is 0.
func Main(argv []string) int {
	p := &program{hardened: process.Harden()}
	if p.hardened.Raised {
		return p.decline(argv)
	}
	return p.main(argv)
}

// decline ends a process with rights that its caller has not: it could read what is
// not the caller's, and give it to a server of the caller's.
func (p *program) decline(argv []string) int {
	p.cmd, _ = cmdline.Parse(argv)
	p.drain()
	return p.fail(status.Config.Errorf("not made to be set-uid or set-gid, or to have capabilities"))
}

func (p *program) main(argv []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			code = p.fail(status.Bug.Errorf("internal error in %s: %v", process.PanicPlace(), r))
		}
	}()
	cmd, err := cmdline.Parse(argv)
	p.cmd = cmd
	if cmd.Mode != cmdline.Version || err != nil {
		process.CatchSignals()
	}
	for _, w := range cmd.Warnings {
		p.say("warning: " + w)
	}
	switch {
	case err == nil:
		err = p.run()
	case p.leavesTrace():
		err = p.refuseCommand(err)
	}
	if err != nil {
		p.drain()
		return p.fail(err)
	}
	return 0
}

func (p *program) run() error {
	for _, m := range modes {
		switch {
		case m.mode != p.cmd.Mode:
			continue
		case m.gentle:
			return m.run(p, p.interruptible())
		}
		return m.run(p, context.Background())
	}
	return status.Bug.Errorf("no way to do what was asked for")
}

// postpones reports whether the message can wait until err is mended.
func (p *program) postpones(err error) bool {
	return p.cmd.Face == cmdline.Sendmail && status.KindOf(err).Scope() == status.Account
}

// openQueue gives s the queue, if there is one.
func (p *program) openQueue(s *submit.Submitter) {
	q, err := spool.Open(s.Config, s.Identity, p.say)
	if err != nil {
		s.NoQueue = err.Error()
		return
	}
	s.Queue = q
}

// submitter loads the configuration and connects the outside world. After an
// error the Submitter has the configuration that holds without any file.
func (p *program) submitter() (*submit.Submitter, error) {
	s := p.outside()
	if p.cmd.Verbose || p.cmd.Mode == cmdline.Listen {
		for _, text := range p.unprotected() {
			p.say("note: " + text)
		}
	}
	explicit := cmp.Or(p.cmd.Config, os.Getenv("SENDOFF_CONFIG"))
	here := p.place
	here.Config = explicit // errors name it as it was given
	c, err := s.Load(here)
	if err != nil {
		c = config.Default()
	}
	err = cmp.Or(err, c.Settle(config.Environment(os.Getenv), s.Store.Home))
	p.configure(s, c)
	return s, err
}

// unprotected returns what -v, --listen and --doctor say of what Harden has found.
func (p *program) unprotected() (notes []string) {
	if p.hardened.Unsure {
		notes = append(notes, unsteered)
	}
	if err := p.hardened.Exposed; err != nil {
		notes = append(notes, fmt.Sprintf("other processes of this user could read the memory of this one, and the password in it: the system refused to prevent it (%v)", err))
	}
	return notes
}

// unsteered is said where the kernel says that the environment is not to be believed.
const unsteered = "the variables SENDOFF_* and DBUS_SESSION_BUS_ADDRESS have no effect, because the kernel has changed the rights or the domain of this process (AT_SECURE)"

// configure lets s have the configuration c.
func (p *program) configure(s *submit.Submitter, c *config.Config) {
	s.Config, s.Spool.Runner = c, c.Runner
	s.Log = &maillog.Log{Place: c.Log, Format: c.LogFormat, Tag: cmp.Or(p.cmd.SyslogTag, "sendoff")}
}

// outside returns a Submitter without a configuration, for which no file of the
// user's has been read.
func (p *program) outside() *submit.Submitter {
	id := config.Identify()
	explicit := cmp.Or(p.cmd.Config, os.Getenv("SENDOFF_CONFIG"))
	p.place = config.Locate(explicit, os.Getenv, id)
	load := func(place config.Override) (*config.Config, error) {
		c, err := config.Load(place.Paths(id), submit.Values())
		if err == nil {
			credential.Hide(c.Secrets()...)
		}
		return c, err
	}
	credential.Hide(os.Getenv("SENDOFF_SECRET"), p.cmd.Secret)
	s := &submit.Submitter{
		Identity: id,
		Load:     load,
		Sendmail: p.cmd.Face == cmdline.Sendmail,
		Console:  &status.Console{Caller: p.say},
		Store: &credential.Store{
			Interactive: process.IsTerminal(os.Stderr),
			Home:        p.place.Paths(id).Home,
		},
	}
	s.Start = startOnce()
	s.Outlives = process.Outlives
	person := process.IsTerminal(os.Stderr)
	if person && !p.cmd.Verbose && p.cmd.ErrorMode != 'q' {
		s.Console.Terminal = os.Stderr
	}
	if person || p.cmd.Verbose {
		s.Console.Person = p.tell
		s.Store.Tell = p.say
	}
	if p.cmd.Verbose {
		s.Trace = func(l smtp.Line) { fmt.Fprintf(os.Stderr, "%c: %s\n", l.From, l.Text) }
	}
	return s
}

// startOnce returns what starts a runner, but no second one while the first is
// there and may not have its lock yet.
func startOnce() func(folder string) error {
	type runner struct {
		began time.Time
		ended <-chan struct{}
	}
	var mu sync.Mutex
	runners := make(map[string]runner)
	return func(folder string) error {
		mu.Lock()
		defer mu.Unlock()
		if r, ok := runners[folder]; ok && time.Since(r.began) < time.Second {
			select {
			case <-r.ended:
			default:
				return nil
			}
		}
		ended, err := process.Start("--queue-runner", folder)
		runners[folder] = runner{time.Now(), ended}
		return err
	}
}

func (p *program) overrides() config.Override {
	o := p.place // the queue is run elsewhere
	o.Account, o.Server, o.User, o.Secret = p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret
	return o
}
