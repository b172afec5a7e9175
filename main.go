// Sendoff submits a message from standard input to a smarthost, the way
// sendmail does.
//
//	argv → Command → account → message + envelope → transaction → exit code
//
// This file tells that story; sendoff(1) is the manual.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/term"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

const version = "0.1"

// memory is where the garbage collector works harder, in octets. Only a giant
// header comes near it.
const memory = 48 << 20

func main() {
	debug.SetMemoryLimit(memory)
	p := &program{privileged: process.Harden()}
	os.Exit(p.main(os.Args))
}

// A program is one invocation.
type program struct {
	cmd        *cmdline.Command
	privileged bool
	reading    atomic.Bool // stdin is not yet at its end: the message is not whole
	account    string      // named in errors, once it is known
}

// main returns the exit code, and has said why unless it is 0.
func (p *program) main(argv []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			code = p.fail(status.Bug.Errorf("internal error: %v, at %s", r, place()))
		}
	}()
	cmd, err := cmdline.Parse(argv)
	p.cmd = cmd
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
	switch p.cmd.Mode {
	case cmdline.Submit:
		return p.send(p.interruptible())
	case cmdline.Login:
		return p.login()
	case cmdline.Logout:
		return p.logout()
	case cmdline.CheckConfig:
		return p.checkConfig()
	case cmdline.Version:
		return p.print(fmt.Sprintf("sendoff %s (%s %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	case cmdline.Help:
		return p.print(cmdline.Usage())
	}
	return nil
}

// send submits the message on stdin. It is read to its end before anything
// is connected to: a cron job may print for an hour, and no server waits that
// long.
func (p *program) send(ctx context.Context) error {
	s, err := p.submitter()
	if err != nil {
		return err
	}
	p.reading.Store(true)
	m, err := message.Read(os.Stdin, message.Options{Dot: !p.cmd.IgnoreDots})
	p.reading.Store(false)
	if err != nil {
		return err
	}
	defer m.Close()
	r, err := p.request(s.Config, m)
	if err != nil {
		return err
	}
	p.account = r.Account.Name
	switch {
	case p.cmd.DryRun:
		return s.Explain(os.Stdout, r)
	case p.cmd.Rehearse:
		return s.Rehearse(ctx, os.Stdout, r)
	}
	return s.Submit(ctx, r)
}

// submitter loads the configuration and connects the outside world.
func (p *program) submitter() (*submit.Submitter, error) {
	id := config.Identify()
	env := config.Environment(os.Getenv)
	path := env.Config
	if p.cmd.Config != "" {
		path = p.cmd.Config
	}
	c, err := config.Load(config.Find(path, os.Getenv, id))
	if err != nil {
		return nil, err
	}
	s := &submit.Submitter{
		Config:   c,
		Identity: id,
		Store: &credential.Store{
			Interactive: term.IsTerminal(int(os.Stderr.Fd())),
			NoCommands:  p.privileged,
			Home:        id.Home,
		},
	}
	if p.cmd.Verbose {
		s.Trace = func(l smtp.Line) { fmt.Fprintf(os.Stderr, "%c: %s\n", l.From, l.Text) }
	}
	return s, nil
}

// request puts together what the command line, the environment and the
// message's header ask for.
func (p *program) request(c *config.Config, m *message.Message) (*submit.Request, error) {
	r := &submit.Request{FullName: p.cmd.FullName, Message: m}
	if r.FullName == "" {
		r.FullName = os.Getenv("NAME")
	}
	r.Envelope = envelope.Envelope{Body: p.cmd.Body, Return: p.cmd.Return, ID: p.cmd.EnvID}
	by := config.Choice{CommandLine: p.overrides(), Environment: config.Environment(os.Getenv)}
	if p.cmd.From != nil {
		sender, err := oneAddress(*p.cmd.From)
		if err != nil {
			return nil, status.Usage.Errorf("-f: %w", err)
		}
		r.Sender, by.Sender = &sender, sender
	}
	if from, ok := m.From(); ok {
		by.Header = from.Address
	}
	var err error
	if r.To, err = p.recipients(m); err != nil {
		return nil, err
	}
	r.Account, r.Why, err = c.Choose(by)
	if err != nil && p.cmd.Rehearse && len(c.Accounts) == 0 {
		r.Account, r.Why, err = submit.NoAccount(), "no account is set up", nil
	}
	return r, err
}

func (p *program) overrides() config.Override {
	return config.Override{Account: p.cmd.Account, Server: p.cmd.Server, User: p.cmd.User, Secret: p.cmd.Secret}
}

// recipients are those of the command line and, with -t, of the header.
func (p *program) recipients(m *message.Message) ([]submit.Wanted, error) {
	var to []submit.Wanted
	add := func(list []message.Mailbox, origin string) {
		for _, b := range list {
			to = append(to, submit.Wanted{
				Recipient: envelope.Recipient{Address: b.Address, Notify: p.cmd.Notify},
				Origin:    origin,
			})
		}
	}
	for _, word := range p.cmd.Recipients {
		list, err := message.ParseAddressList(word)
		if err != nil {
			return nil, status.Usage.Errorf("recipient: %w", err)
		}
		for _, b := range list {
			if b.Address.IsNull() {
				return nil, status.Usage.Errorf("recipient: %q holds the null address", word)
			}
		}
		add(list, "argument")
	}
	if p.cmd.Extract {
		list, err := m.Recipients()
		if err != nil {
			return nil, err
		}
		add(list, "header, by -t")
	}
	switch {
	case len(to) > 0:
		return to, nil
	case p.cmd.Extract:
		return nil, status.Usage.Errorf("no recipients in To, Cc or Bcc")
	}
	return nil, status.Usage.Errorf("no recipients; name them, or use -t to take them from the header")
}

// oneAddress reads the argument of -f, which may have a display form; nothing
// and <> are the null sender.
func oneAddress(s string) (envelope.Address, error) {
	if t := strings.TrimSpace(s); t == "" || t == "<>" {
		return envelope.Address{}, nil
	}
	list, err := message.ParseAddressList(s)
	if err != nil {
		return envelope.Address{}, err
	}
	if len(list) != 1 {
		return envelope.Address{}, fmt.Errorf("%q is not one address", s)
	}
	return list[0].Address, nil
}

// named returns the account that --login or --logout names, and where its
// secret is.
func (p *program) named() (*submit.Submitter, []credential.Ref, credential.Item, error) {
	s, err := p.submitter()
	if err != nil {
		return nil, nil, credential.Item{}, err
	}
	a, _, err := s.Config.Choose(config.Choice{CommandLine: p.overrides()})
	if err != nil {
		return nil, nil, credential.Item{}, err
	}
	p.account = a.Name
	if a.User == "" {
		return nil, nil, credential.Item{}, status.Config.Errorf("the account has no user, and so nothing to log in with")
	}
	refs, item, err := submit.Item(a)
	return s, refs, item, err
}

// login asks for a secret and keeps it where the account will look for it.
func (p *program) login() error {
	s, refs, item, err := p.named()
	if err != nil {
		return err
	}
	ref, err := credential.Writable(refs)
	if err != nil {
		return err
	}
	secret, err := ask(fmt.Sprintf("password for %s at %s: ", item.User, item.Host))
	if err != nil {
		return err
	}
	if err := s.Store.Put(context.Background(), ref, item, secret); err != nil {
		return err
	}
	return p.print(fmt.Sprintf("stored in %s for %s at %s\n", ref, item.User, item.Host))
}

func (p *program) logout() error {
	s, refs, item, err := p.named()
	if err != nil {
		return err
	}
	ref, err := credential.Writable(refs)
	if err != nil {
		return err
	}
	if err := s.Store.Delete(context.Background(), ref, item); err != nil {
		return err
	}
	return p.print(fmt.Sprintf("forgotten in %s: %s at %s\n", ref, item.User, item.Host))
}

// ask reads a secret from the terminal without echo, or the first line of a
// stdin that is none.
func ask(prompt string) (credential.Secret, error) {
	fd := int(os.Stdin.Fd())
	var text string
	var err error
	if term.IsTerminal(fd) {
		var typed []byte
		fmt.Fprint(os.Stderr, prompt)
		typed, err = term.ReadPassword(fd)
		fmt.Fprintln(os.Stderr)
		text = string(typed)
	} else {
		text, err = bufio.NewReader(io.LimitReader(os.Stdin, 1<<20)).ReadString('\n')
		if err == io.EOF {
			err = nil
		}
	}
	if err != nil {
		return credential.Secret{}, status.NoInput.Errorf("reading the password: %w", err)
	}
	secret, err := credential.NewSecret(text)
	return secret, status.Usage.Wrap(err)
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
		fmt.Fprintf(&b, "account %s, %s\n", a.Name, a.Servers[0])
	}
	if b.Len() == 0 {
		return status.Config.Errorf("no account configured")
	}
	return p.print(b.String())
}

// print writes what was asked for to stdout. Nothing else goes there.
func (p *program) print(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return err
}

// errSignal is why a context ended.
type errSignal struct{ os.Signal }

func (e errSignal) Error() string { return "stopped by a signal (" + e.Signal.String() + ")" }

// interruptible returns a context that ends with the first signal. While stdin
// is read nothing has been started, and the process ends at once.
func (p *program) interruptible() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // nohup, or a job in the background
			signal.Notify(c, sig)
		}
	}
	go func() {
		err := errSignal{<-c}
		if p.reading.Load() {
			os.Exit(p.fail(status.Temporary.Errorf("%w before the end of the message; nothing was sent", err)))
		}
		cancel(err)
	}()
	return ctx
}

// drain reads stdin to its end, so that whoever writes a message to it is not
// killed by SIGPIPE for our early exit.
func (p *program) drain() {
	if p.cmd.Submits && !term.IsTerminal(int(os.Stdin.Fd())) {
		io.Copy(io.Discard, os.Stdin)
	}
}

// fail says what went wrong, and returns the exit code. The sendmail face
// answers a fault of the account with 75: its callers take any other code as
// the message's fault, and drop the message.
func (p *program) fail(err error) int {
	code := status.Exit(err)
	if p.cmd != nil && p.cmd.Face == cmdline.Sendmail && status.KindOf(err).Scope() == status.Account {
		code = status.Temporary.Exit()
	}
	prefix := ""
	if p.account != "" {
		prefix = p.account + ": "
	}
	for line := range strings.Lines(err.Error()) {
		p.say(prefix + strings.TrimSuffix(line, "\n"))
	}
	if code == status.Temporary.Exit() && status.KindOf(err).Scope() != status.Local {
		p.say("not queued: this version has no queue, so whoever called must try again")
	}
	if hint := status.Hint(err); hint != "" {
		p.say("hint: " + strings.ReplaceAll(hint, "ACCOUNT", p.account))
	}
	return code
}

// say writes one line to stderr, unless the caller wants none (-oeq).
func (p *program) say(line string) {
	if p.cmd == nil || p.cmd.ErrorMode != 'q' {
		fmt.Fprintf(os.Stderr, "sendoff: %s\n", line)
	}
}

// place says where a panic came from, without any of its data.
func place() string {
	for line := range strings.Lines(string(debug.Stack())) {
		if file, ok := strings.CutPrefix(line, "\t"); ok && strings.Contains(file, "sendoff") && !strings.Contains(file, "main.go") {
			file, _, _ = strings.Cut(file, " +")
			return file[strings.LastIndexByte(file, '/')+1:]
		}
	}
	return "an unknown place"
}
