// Sendoff submits a message from standard input to a smarthost, the way
// sendmail does.
//
//	argv → Command → account → message + envelope → transaction → exit code
//
// This file tells that story; sendoff(1) is the manual.
//
// Errors: each ends as lines on stderr and as the exit code of its kind; in the
// sendmail face a fault of the account is queued, or ends with 75.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/config/setup"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

const version = "0.1"

// memory is where the garbage collector works harder, in octets; only a giant
// header comes near it. memoryOfMany is that of --listen.
const (
	memory       = 48 << 20
	memoryOfMany = 128 << 20
)

func main() {
	p := &program{privileged: process.Harden()}
	os.Exit(p.main(os.Args))
}

// A program is one invocation.
type program struct {
	cmd        *cmdline.Command
	privileged bool
	reading    atomic.Bool     // stdin is not yet at its end: the message is not whole
	settle     func(error)     // ends what goes on while reading; nil: nothing does
	account    string          // named in errors, once it is known
	place      config.Override // of the configuration; nothing else of it is set
}

// main returns the exit code, and has said why unless it is 0.
func (p *program) main(argv []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			code = p.fail(status.Bug.Errorf("internal error in %s: %v", process.PanicPlace(), r))
		}
	}()
	if p.privileged {
		argv = append([]string{"sendmail"}, argv[min(1, len(argv)):]...) // whatever its name, the face that obeys nobody
	}
	cmd, err := cmdline.Parse(argv)
	p.cmd = cmd
	if cmd.Mode != cmdline.Version || err != nil {
		process.KeepWriting()
	}
	for _, w := range cmd.Warnings {
		p.say("warning: " + w)
	}
	if err == nil {
		err = p.run()
	}
	if err != nil {
		p.drain()
		return p.fail(err)
	}
	return 0
}

func (p *program) run() error {
	if p.privileged && !p.harmless() {
		return status.Usage.Errorf("this process has rights that its caller has not; it only submits")
	}
	switch p.cmd.Mode {
	case cmdline.Submit:
		return p.send(p.interruptible())
	case cmdline.Login:
		return p.login()
	case cmdline.Logout:
		return p.logout()
	case cmdline.Setup:
		return p.setup(p.interruptible())
	case cmdline.Import:
		return p.takeOver()
	case cmdline.Completions:
		text, err := cmdline.CompletionsFor(p.cmd.Entry)
		if err != nil {
			return err
		}
		return p.print(text)
	case cmdline.CheckConfig:
		return p.checkConfig()
	case cmdline.Server:
		return p.serve(p.interruptible())
	case cmdline.Listen:
		return p.listen(p.interruptible())
	case cmdline.Verify:
		return p.verify()
	case cmdline.Aliases:
		return p.checkAliases()
	case cmdline.List, cmdline.Count, cmdline.ListJSON, cmdline.Show, cmdline.Delete, cmdline.MakeSpool:
		return p.queue(context.Background()) // a signal ends it as it ends any program
	case cmdline.Retry, cmdline.Run, cmdline.Runner, cmdline.OfUser:
		return p.queue(p.interruptible())
	case cmdline.Doctor:
		return p.doctor(p.interruptible())
	case cmdline.AsCron:
		return submit.SecretAsCron(os.Stdin, os.Stdout)
	case cmdline.Version:
		return p.print(fmt.Sprintf("sendoff %s (%s %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	case cmdline.Help:
		return p.print(cmdline.Usage())
	}
	return nil
}

// harmless reports whether the mode is one that a caller may ask of a process
// with other rights: those that submit, or print what everybody knows.
func (p *program) harmless() bool {
	switch p.cmd.Mode {
	case cmdline.Submit, cmdline.Server, cmdline.Version, cmdline.Help, cmdline.Nothing:
		return true
	}
	return false
}

// send submits the message on stdin. It is read to its end before anything
// is connected to: a cron job may print for an hour, and no server waits that
// long. What is wrong with the command line is said before. In the sendmail
// face a configuration that cannot be used is no reason to lose the message.
func (p *program) send(ctx context.Context) error {
	s, fault := p.submitter()
	if fault != nil && !p.postpones(fault) {
		return fault
	}
	r, by, err := p.request(s.Config)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(memory)
	p.reading.Store(true)
	r.Message, err = message.Read(os.Stdin, message.Options{Dot: !p.cmd.IgnoreDots})
	p.reading.Store(false)
	if err != nil {
		return err
	}
	defer r.Message.Close()
	if err := p.addHeader(r, &by); err != nil {
		return err
	}
	if fault == nil {
		fault = p.choose(s.Config, r, by)
	}
	r.By = by
	if !p.cmd.DryRun && !p.cmd.Rehearse {
		p.openQueue(s)
		defer s.Wake()
	}
	switch {
	case fault != nil && p.postpones(fault):
		return s.Postpone(r, fault)
	case fault != nil:
		return fault
	case p.cmd.DryRun:
		return s.Explain(os.Stdout, r)
	case p.cmd.Rehearse:
		return s.Rehearse(ctx, os.Stdout, r)
	}
	return s.Submit(ctx, r)
}

// serve takes mail by SMTP from whoever has started us. Until a message is
// whole nothing has begun with it, and a signal ends the process.
func (p *program) serve(ctx context.Context) error {
	s, fault := p.submitter()
	if fault != nil && !p.postpones(fault) {
		return fault
	}
	debug.SetMemoryLimit(memory)
	p.openQueue(s)
	defer s.Wake()
	v := p.service(s, fault)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p.settle = func(cause error) {
		stop(cause)
		v.Wait()
	}
	v.Busy = func(busy bool) { p.reading.Store(!busy) }
	p.reading.Store(true)
	defer p.reading.Store(false)
	var conn io.ReadWriter = struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}
	switch process.SocketOf(os.Stdin) {
	case process.InternetSocket:
		return status.Usage.Errorf("-bs: whoever is at the other end of a network connection may not send; see --listen")
	case process.NamedSocket:
		c, err := net.FileConn(os.Stdin)
		if err != nil {
			return status.Temporary.Wrap(err)
		}
		conn = c
	default:
		v.Pipe, v.Timeout = true, -1 // a mail program may be open for days
	}
	return v.Serve(ctx, conn)
}

// stateDirectory is where a service keeps what it needs later.
const stateDirectory = "STATE_DIRECTORY"

// idleTime is how long a server that a socket unit has started waits for
// another client.
const idleTime = 30 * time.Second

// listen takes mail by SMTP from many, on a socket.
func (p *program) listen(ctx context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(memoryOfMany)
	s.Sendmail = true // its clients cannot mend an account
	s.Patience = time.Minute
	s.Start, s.Outlives = func(string) error { return nil }, nil // it runs the queue itself
	if state := strings.Split(os.Getenv(stateDirectory), ":")[0]; filepath.IsAbs(state) && s.Config.Queue == "" {
		s.Config.Queue = filepath.Join(state, "queue")
	}
	p.openQueue(s)
	sockets, activated, err := submit.Sockets(p.cmd.Entry)
	if err != nil {
		return err
	}
	var idle time.Duration
	if activated {
		idle = idleTime
	}
	return p.service(s, nil).Listen(ctx, sockets, idle)
}

// service is what submits for clients of ours.
func (p *program) service(s *submit.Submitter, fault error) *submit.Service {
	by := config.Choice{CommandLine: p.overrides(), Environment: config.Environment(os.Getenv)}
	return &submit.Service{Submitter: s, By: by, Fault: fault, QueueOnly: p.cmd.QueueOnly, NoAliases: p.cmd.NoAliases}
}

// postpones reports whether the message can wait until err is mended.
func (p *program) postpones(err error) bool {
	return p.cmd.Face == cmdline.Sendmail && status.KindOf(err).Scope() == status.Account
}

// openQueue gives s the queue, if there is one.
func (p *program) openQueue(s *submit.Submitter) {
	q, err := submit.OpenQueue(s.Config, s.Identity, p.say)
	if err != nil {
		s.NoQueue = err.Error()
		return
	}
	s.Queue, s.Old = q, submit.OldQueues(s.Identity, q)
}

// submitter loads the configuration and connects the outside world. After an
// error the Submitter has the configuration that holds without any file.
func (p *program) submitter() (*submit.Submitter, error) {
	id := config.Identify()
	explicit := cmp.Or(p.cmd.Config, os.Getenv("SENDOFF_CONFIG"))
	p.place = config.Locate(explicit, os.Getenv, id)
	load := func(place config.Override) (*config.Config, error) {
		return config.Load(place.Paths(id), submit.Values())
	}
	s := &submit.Submitter{
		Identity: id,
		Load:     load,
		Sendmail: p.cmd.Face == cmdline.Sendmail,
		Warn:     p.say,
		Warned:   new(sync.Map),
		Store: &credential.Store{
			Interactive: process.IsTerminal(os.Stderr),
			NoCommands:  p.privileged,
			Home:        p.place.Paths(id).Home,
		},
	}
	if !p.privileged {
		s.Start = startOnce()
		s.Outlives = process.Outlives
	}
	person := process.IsTerminal(os.Stderr)
	if person && !p.cmd.Verbose && p.cmd.ErrorMode != 'q' {
		s.Terminal = os.Stderr
	}
	if person || p.cmd.Verbose {
		s.Tell = p.tell
	}
	if p.cmd.Verbose {
		s.Trace = func(l smtp.Line) { fmt.Fprintf(os.Stderr, "%c: %s\n", l.From, l.Text) }
	}
	here := p.place
	here.Config = explicit // errors name it as it was given
	c, err := load(here)
	if err != nil {
		c = config.Default()
	}
	s.Config = c
	s.Log = &submit.Log{Place: c.Log, Format: c.LogFormat, Tag: cmp.Or(p.cmd.SyslogTag, "sendoff")}
	if p.privileged && s.Log.Place != config.Off {
		s.Log.Place = config.LogSyslog // a file would be written with rights that the caller has not
	}
	return s, err
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

// request puts together what the command line and the environment ask for.
func (p *program) request(c *config.Config) (*submit.Request, config.Choice, error) {
	r := &submit.Request{FullName: p.cmd.FullName, UserName: os.Getenv("NAME")}
	r.Envelope = envelope.Envelope{Body: p.cmd.Body, Return: p.cmd.Return, ID: p.cmd.EnvID, RequireTLS: p.cmd.RequireTLS}
	by := config.Choice{CommandLine: p.overrides(), Environment: config.Environment(os.Getenv)}
	r.QueueOnly = p.cmd.QueueOnly
	if p.cmd.From != nil {
		sender, err := oneAddress(*p.cmd.From)
		if err != nil {
			return nil, by, status.Usage.Errorf("-f: %w", err)
		}
		r.Sender, by.Sender = &sender, sender
	}
	for _, word := range p.cmd.Recipients {
		list, err := addresses(word)
		if err != nil {
			return nil, by, status.Usage.Errorf("recipient: %w", err)
		}
		for _, b := range list {
			if b.Address.IsNull() {
				return nil, by, status.Usage.Errorf("recipient: %q holds the null address", word)
			}
		}
		p.add(r, list, "argument")
	}
	if len(r.To) == 0 && !p.cmd.Extract {
		return nil, by, status.Usage.Errorf("no recipients; name them, or use -t to take them from the header")
	}
	if by.CommandLine.Account != "" { // a name that is wrong whatever the message says
		if _, _, err := c.Choose(by); err != nil {
			return nil, by, err
		}
	}
	return r, by, nil
}

// add adds recipients to r.
func (p *program) add(r *submit.Request, list []message.Mailbox, origin string) {
	for _, b := range list {
		to := envelope.Recipient{Address: b.Address, Notify: p.cmd.Notify}
		r.To = append(r.To, submit.Wanted{Recipient: to, Origin: origin, NoAliases: p.cmd.NoAliases})
	}
}

// addHeader adds what the message's header has to say.
func (p *program) addHeader(r *submit.Request, by *config.Choice) error {
	if from, ok := r.Message.From(); ok {
		by.Header = from.Address
	}
	if !p.cmd.Extract {
		return nil
	}
	list, err := r.Message.Recipients()
	if err != nil {
		return err
	}
	p.add(r, list, "header, by -t")
	if len(r.To) == 0 {
		return status.Usage.Errorf("no recipients in To, Cc or Bcc")
	}
	return nil
}

// choose finds the account. A rehearsal can do without one.
func (p *program) choose(c *config.Config, r *submit.Request, by config.Choice) (err error) {
	r.Account, r.Why, err = c.Choose(by)
	if err != nil && p.cmd.Rehearse && len(c.Accounts) == 0 {
		by.CommandLine.Server = config.SchemeTLS + "://localhost"
		r.Account, r.Why, err = c.Choose(by)
	}
	if err != nil {
		return err
	}
	p.account = r.Account.Name
	return nil
}

func (p *program) overrides() config.Override {
	o := p.place // the queue is run elsewhere
	o.Account, o.Server, o.User, o.Secret = p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret
	return o
}

// addresses reads an argument, which may hold several addresses with names and
// comments. Folding belongs to a header: a line break here was put in by
// somebody.
func addresses(s string) ([]message.Mailbox, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
		return nil, fmt.Errorf("%q holds a control character", s)
	}
	return message.ParseAddressList(s)
}

// oneAddress reads the argument of -f, which may have a display form; nothing
// and <> are the null sender.
func oneAddress(s string) (envelope.Address, error) {
	if t := strings.TrimSpace(s); t == "" || t == "<>" {
		return envelope.Address{}, nil
	}
	list, err := addresses(s)
	if err != nil {
		return envelope.Address{}, err
	}
	if len(list) != 1 {
		return envelope.Address{}, fmt.Errorf("%q is not one address", s)
	}
	return list[0].Address, nil
}

// login gets the secret of an account that is there, and keeps it.
func (p *program) login() error {
	s, a, err := p.loginAccount()
	if err != nil {
		return err
	}
	job := p.conversation(s)
	job.For, job.Flow = p.cmd.For, p.cmd.Flow
	job.Authorise = func(ctx context.Context, a *config.Account) error {
		return s.Authorise(ctx, a, true, p.person())
	}
	if err := job.Login(context.Background(), s.Config, a); err != nil {
		return err
	}
	p.unrest(s, a)
	return nil
}

// logout forgets the secret again, wherever the account looks for it. That there
// is none is as good.
func (p *program) logout() error {
	s, a, err := p.loginAccount()
	if err != nil {
		return err
	}
	refs, item, err := s.Credentials(a)
	if err != nil {
		return err
	}
	refs = slices.DeleteFunc(refs, func(r credential.Ref) bool { return !r.Writable() && !r.IsOAuth2() })
	if len(refs) == 0 {
		refs, _, _ := submit.Item(a)
		_, err := credential.Writable(refs)
		return err
	}
	for _, ref := range refs {
		gone := s.Store.Delete(context.Background(), ref, item)
		if gone != nil && !errors.Is(gone, credential.ErrNotFound) && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
			continue
		}
		err = errors.Join(err, p.print(fmt.Sprintf("forgotten: %s, for %s at %s\n", ref, item.User, item.Host)))
	}
	p.unrest(s, a)
	return err
}

// loginAccount finds the account that has a secret to be stored or forgotten.
func (p *program) loginAccount() (*submit.Submitter, *config.Account, error) {
	s, err := p.submitter()
	if err != nil {
		return nil, nil, err
	}
	by := config.Choice{CommandLine: p.overrides()}
	if by.CommandLine.Account == config.OfEnvironment {
		by.Environment = config.Environment(os.Getenv) // which is nothing to another
	}
	a, _, err := s.Config.Choose(by)
	if err != nil {
		return nil, nil, err
	}
	p.account = a.Name
	if a.User == "" {
		return nil, nil, status.Config.Errorf("the account has no user, and so nothing to log in with")
	}
	p.openQueue(s) // access tokens may be kept there
	return s, a, nil
}

// unrest lets the account log in again, since its secret is another now.
func (p *program) unrest(s *submit.Submitter, a *config.Account) {
	if s.Queue != nil {
		s.Forget(a)
		s.Wake()
	}
}

// setup makes an account, with a person or with the answers that options give.
func (p *program) setup(ctx context.Context) error {
	s, _ := p.submitter() // whose error comes again
	if lookup, connect := setup.Outside(); lookup != nil {
		s.Lookup, s.Dial = lookup.LookupNetIP, connect
	}
	job := p.conversation(s)
	job.Address, job.Account, job.Server, job.User, job.Secret = p.cmd.Entry, p.cmd.Account, p.cmd.Server, p.cmd.User, p.cmd.Secret
	job.For, job.Flow = p.cmd.For, p.cmd.Flow
	answers := p.cmd.Answers
	job.PasswordFile, job.ISPDB, job.Yes, job.Force, job.NoTest = answers.PasswordFile, answers.ISPDB, answers.Yes, answers.Force, answers.NoTest
	job.ClientID, job.ClientSecretFile, job.Tenant = answers.ClientID, answers.ClientSecretFile, answers.Tenant
	job.Authorise = func(ctx context.Context, a *config.Account) error {
		return s.Authorise(ctx, a, false, p.person())
	}
	job.Withdraw = s.Withdraw
	job.Provide = func(p *config.OAuth2) { s.Config.Providers = append(s.Config.Providers, p) }
	job.Try = func(ctx context.Context, t setup.Trial) (setup.Seen, error) {
		seen, err := s.Try(ctx, submit.Trial(t))
		return setup.Seen(seen), err
	}
	return job.Run(ctx)
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
		Out:      os.Stdout,
		Paths:    config.Find(cmp.Or(p.cmd.Config, os.Getenv("SENDOFF_CONFIG")), os.Getenv, s.Identity),
		Values:   submit.Values(),
		Identity: s.Identity,
		Store:    s.Store,
	}
}

// person is whoever consents that we send mail in their name.
func (p *program) person() credential.Person {
	return credential.Person{Flow: p.cmd.Flow, There: process.IsTerminal(os.Stdin), Say: p.say, Ask: process.Ask}
}

// takeOver makes a configuration of another program's.
func (p *program) takeOver() error {
	id := config.Identify()
	paths := config.Find("", os.Getenv, id)
	named := config.Locate(cmp.Or(p.cmd.Config, os.Getenv("SENDOFF_CONFIG")), os.Getenv, id).Config
	job := &setup.Import{
		File:       p.cmd.Entry,
		Secret:     p.cmd.Secret,
		Target:     cmp.Or(named, paths.User),
		Write:      p.cmd.Write != "",
		Add:        p.cmd.Write == "--add",
		Home:       paths.Home,
		ConfigHome: filepath.Dir(filepath.Dir(paths.User)),
		Identity:   id,
		Values:     submit.Values(),
		Store:      &credential.Store{Interactive: process.IsTerminal(os.Stderr), Home: paths.Home},
	}
	return job.Run(context.Background(), os.Stdout, p.say)
}

// queue does what a mode that is about the queue asks for.
func (p *program) queue(ctx context.Context) error {
	if p.cmd.Mode == cmdline.MakeSpool {
		return submit.MakeSpool(os.Stdout)
	}
	s, err := p.submitter()
	switch p.cmd.Mode {
	case cmdline.Runner:
		s.Patience = time.Minute
		if s.Queue, err = queue.Existing(p.cmd.Entry, s.Identity.UID); err != nil {
			return status.Usage.Wrap(err)
		}
		return s.Runner(ctx)
	case cmdline.OfUser:
		process.NewKeyring()
		if s.Queue, err = queue.Existing(queue.Shared, s.Identity.UID); err != nil {
			return status.Usage.Wrap(err)
		}
		run := p.cmd.Run
		n, err := s.Do(ctx, os.Stdout, p.cmd.Entry, submit.Matching(run.Filter, run.Text, run.Not))
		if p.cmd.Entry == submit.TaskCount {
			err = errors.Join(err, p.print(fmt.Sprintln(n)))
		}
		return err
	}
	if err != nil {
		p.sayLines("warning: " + err.Error())
	}
	s.Queue, err = submit.OpenQueue(s.Config, s.Identity, p.say)
	if err != nil && !submit.NoQueue(err) {
		return status.Temporary.Wrap(err)
	}
	if s.Old = submit.OldQueues(s.Identity, s.Queue); s.Queue == nil && len(s.Old) > 0 {
		s.Queue, s.Old = s.Old[0], s.Old[1:] // what was queued before queue = "off"
	}
	for _, row := range []struct {
		mode cmdline.Mode
		task string
	}{
		{cmdline.List, submit.TaskList}, {cmdline.ListJSON, submit.TaskJSON}, {cmdline.Count, submit.TaskCount}, {cmdline.Run, runTask(p.cmd.Run)},
	} {
		if row.mode == p.cmd.Mode {
			return p.everywhere(ctx, s, row.task)
		}
	}
	if s.Queue == nil && !p.servesAll() {
		return status.Usage.Errorf("there is no queue: %w", err)
	}
	return p.entry(ctx, s)
}

// servesAll reports whether the queues of all users are meant.
func (p *program) servesAll() bool { return os.Geteuid() == 0 && p.cmd.Config == "" }

// entry shows, removes or tries one entry, or all; for root, one of another user,
// too.
func (p *program) entry(ctx context.Context, s *submit.Submitter) (err error) {
	defer s.Wake()
	var task string
	switch p.cmd.Mode {
	case cmdline.Show:
		task, err = submit.TaskShow, s.Show(os.Stdout, p.cmd.Entry)
	case cmdline.Delete:
		n, failure := s.Delete(p.cmd.Entry)
		task, err = submit.TaskDelete, p.done("removed", n, failure)
	default:
		n, failure := s.Retry(ctx, p.cmd.Entry)
		task, err = submit.TaskRetry, p.done("tried", n, failure)
	}
	if !errors.Is(err, queue.ErrGone) || !p.servesAll() {
		return err
	}
	n, others := submit.EachUser(ctx, os.Stdout, task+p.cmd.Entry, p.say)
	if n == 0 {
		return errors.Join(status.Usage.Errorf("%w, in root's queue or below %s", err, queue.Shared), others)
	}
	return others
}

// done says to how many entries something was done, if it was to any.
func (p *program) done(what string, n int, err error) error {
	if n == 0 && err != nil {
		return err
	}
	return errors.Join(err, p.print(fmt.Sprintf("%s: %d\n", what, n)))
}

func runTask(run cmdline.QueueRun) string {
	if run.Due {
		return submit.TaskDue
	}
	return submit.TaskNow
}

// everywhere does a task in the user's queue, and for root in all users'.
func (p *program) everywhere(ctx context.Context, s *submit.Submitter, task string) (err error) {
	run := p.cmd.Run
	some := 0
	s.Tally = new(submit.Tally)
	switch {
	case run.None:
		return nil
	case s.Queue != nil && run.Every > 0:
		s.Patience = time.Minute
		return s.Repeat(ctx, run.Every, submit.Matching(run.Filter, run.Text, run.Not))
	case s.Queue != nil:
		defer s.Wake()
		some, err = s.Do(ctx, os.Stdout, task, submit.Matching(run.Filter, run.Text, run.Not))
	}
	if p.cmd.Mode == cmdline.Run && err == nil && process.IsTerminal(os.Stderr) {
		p.say(whose() + s.Tally.Words(some))
	}
	if p.servesAll() {
		n, others := submit.EachUser(ctx, os.Stdout, strings.TrimSpace(task+" "+run.String()), p.say)
		some += n
		err = errors.Join(err, others)
	}
	switch {
	case task == submit.TaskCount:
		return errors.Join(err, p.print(fmt.Sprintln(some)))
	case task == submit.TaskList:
		if some == 0 && err == nil {
			err = p.print("Mail queue is empty\n")
		}
		if p.cmd.Verbose || process.IsTerminal(os.Stdout) { // programs count what waits, and know no more
			err = errors.Join(err, p.everywhere(ctx, s, submit.TaskFailed))
		}
	}
	return err
}

// whose says whose queue was run, where others' are as well.
func whose() string {
	if users, _ := queue.Users(); os.Geteuid() == 0 && len(users) > 0 {
		return "root's queue: "
	}
	return ""
}

func (p *program) checkConfig() error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, f := range s.Config.Files {
		fmt.Fprintf(&b, "%s is good\n", f)
	}
	for _, a := range s.Config.Accounts {
		fmt.Fprintf(&b, "account %s, %s (%s)\n", a.Name, a.Servers[0], a.File)
		p.warnOdd(a)
	}
	if env := config.Environment(os.Getenv); env.Account != "" || env.Server != "" {
		a, why, err := s.Config.Choose(config.Choice{Environment: env})
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "account %s, %s (%s)\n", a.Name, a.Servers[0], why)
		p.warnOdd(a)
	}
	if b.Len() == 0 {
		return status.Config.Errorf("no account configured")
	}
	p.warnUnread()
	return p.print(b.String())
}

// warnUnread says which variables SENDOFF_* nobody reads. That is said where
// somebody looks at the configuration, and beside a fault of an account; whoever
// can send may have reasons for them, and cron would mail each such line.
func (p *program) warnUnread() {
	for _, text := range config.Unread(os.Environ()) {
		p.say("warning: " + text)
	}
}

// warnOdd says which servers of a have a port that hardly goes with their scheme.
func (p *program) warnOdd(a *config.Account) {
	for _, server := range a.Servers {
		if odd := server.Way().Odd(server.Port); odd != "" {
			p.say(fmt.Sprintf("warning: account %s: %s: %s", a.Name, server, odd))
		}
	}
}

// checkAliases says what is wrong with the alias file, if anything is. It makes
// nothing of the file: it is read when it is needed.
func (p *program) checkAliases() error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	kind := status.Config
	if p.cmd.Face == cmdline.Sendmail {
		kind = status.Data // for whoever installs, as sendmail's own
	}
	aliases, err := s.Config.LocalAliases()
	switch {
	case err != nil:
		return kind.Errorf("%s", err)
	case aliases != nil && len(aliases.Faults) > 0:
		return kind.Errorf("%s", strings.Join(aliases.Faults, "\n"))
	}
	return nil
}

// verify says for each address of the command line, in sendmail's words, where
// its mail would go.
func (p *program) verify() error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	r := &submit.Request{}
	by := config.Choice{CommandLine: p.overrides(), Environment: config.Environment(os.Getenv)}
	if err := p.choose(s.Config, r, by); err != nil {
		return err
	}
	var failure error
	for _, word := range p.cmd.Recipients {
		list, err := addresses(word)
		why := ""
		list = slices.DeleteFunc(list, func(b message.Mailbox) bool { return b.Address.IsNull() })
		switch {
		case err != nil:
			why = err.Error()
			failure = cmp.Or(failure, status.Data.Wrap(err))
		case len(list) == 0:
			why = "User unknown"
			failure = cmp.Or(failure, status.NoUser.Errorf("%q is nobody's address", word))
		}
		if why != "" {
			if err := p.print(status.Printable(word+"... "+why) + "\n"); err != nil {
				return err
			}
		}
		r.To = nil
		p.add(r, list, "argument")
		if err := s.Verify(os.Stdout, r); err != nil {
			return err
		}
	}
	return failure
}

// doctor looks for what keeps mail from leaving.
func (p *program) doctor(ctx context.Context) error {
	s, fault := p.submitter()
	by := config.Choice{CommandLine: p.overrides(), Environment: config.Environment(os.Getenv)}
	return s.Doctor(ctx, os.Stdout, submit.Checkup{By: by, Fault: fault, Unread: config.Unread(os.Environ()), JSON: p.cmd.JSON})
}

// print writes what was asked for to stdout. Nothing else goes there.
func (p *program) print(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return err
}

// interruptible returns a context that ends with the first signal. While stdin
// is read nothing has been started but what -bs has answered for, and when that
// is settled the process ends.
func (p *program) interruptible() context.Context {
	return process.Interruptible(func(cause error) {
		if p.reading.Load() {
			if p.settle != nil {
				p.settle(cause)
			}
			os.Exit(p.fail(status.Temporary.Errorf("%w before the end of the message; nothing was sent", cause)))
		}
	})
}

// drain reads stdin to its end, so that whoever writes a message to it is not
// killed by SIGPIPE for our early exit.
func (p *program) drain() {
	if p.cmd.Submits && !process.IsTerminal(os.Stdin) {
		p.reading.Store(true) // a signal ends this too
		io.Copy(io.Discard, os.Stdin)
		p.reading.Store(false)
	}
}

// fail says what went wrong, and returns the exit code. The sendmail face
// answers a fault of the account with 75: its callers take any other code as
// the message's fault, and drop the message.
func (p *program) fail(err error) int {
	code := status.Exit(err)
	if errors.As(err, new(process.Stopped)) {
		code = status.Temporary.Exit() // whatever it stopped
	}
	if p.cmd != nil && p.cmd.Face == cmdline.Sendmail && status.KindOf(err).Scope() == status.Account {
		code = status.Temporary.Exit()
	}
	if errors.Is(err, syscall.EPIPE) && !p.submits() {
		return code // whoever reads a list has seen enough
	}
	p.sayLines(err.Error())
	if code == status.Temporary.Exit() && p.submits() && !p.reading.Load() && !interrupted(err) {
		why := ""
		if report := new(submit.Report); errors.As(err, &report) && report.NotQueued != "" {
			why = ": " + report.NotQueued
		}
		p.say("not queued" + why + ", so whoever called must try again")
	}
	if status.KindOf(err).Scope() == status.Account && p.cmd.Mode != cmdline.Doctor { // which has told
		p.warnUnread()
	}
	if hint := p.hint(err); hint != "" && !errors.As(err, new(process.Stopped)) {
		p.say(hint)
	}
	return code
}

// hint is what to do about err, if that is known.
func (p *program) hint(err error) string {
	account := p.account
	if account == config.OfEnvironment || account == "command-line" {
		account = "" // no file has it
	}
	hint := status.HintFor(err, account)
	if hint == "" {
		return ""
	}
	return "hint: " + hint
}

// sayLines says each line of text, with the account's name before it.
func (p *program) sayLines(text string) {
	prefix := ""
	if p.account != "" {
		prefix = p.account + ": "
	}
	for line := range strings.Lines(text) {
		p.say(prefix + strings.TrimSuffix(line, "\n"))
	}
}

// tell says to a person what was queued, and what can be done about it.
func (p *program) tell(text string, fault error) {
	p.sayLines(text)
	if fault == nil {
		return
	}
	if hint := p.hint(fault); hint != "" {
		p.say(hint)
	}
}

// submits reports whether the mail of this invocation matters to anyone.
func (p *program) submits() bool {
	return p.cmd.Submits && !p.cmd.DryRun && !p.cmd.Rehearse
}

// interrupted reports whether a person changed their mind.
func interrupted(err error) bool {
	var s process.Stopped
	return errors.As(err, &s) && s.Signal == os.Interrupt
}

// say writes one line to stderr, unless the caller wants none (-oeq).
func (p *program) say(line string) {
	if p.cmd != nil && p.cmd.ErrorMode == 'q' {
		return
	}
	fmt.Fprintf(os.Stderr, "sendoff: %s\n", status.Printable(line))
}
