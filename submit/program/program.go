// Package program is one invocation of sendoff, from the command line to the exit code.
//
//	argv → Command → account → message + envelope → transaction → exit code
//
//	send.go      submits a message from stdin, the usual mode
//	compose.go   makes a message from text and files; invites a person to type
//	refuse.go    handles a message that cannot be submitted
//	serve.go     -bs, --listen: messages by SMTP
//	queue.go     mailq, -q, --queue-…, --status
//	account.go   --setup, --list, --import, --login
//	remove.go    --logout, --remove
//	check.go     --doctor, -bC, -bi, -bv
//	complete.go  --completions, and the candidates that the shells ask for
//	outside.go   the configuration, the queue, and the other parts of a Submitter
//	say.go       what sendoff writes to stdout and stderr, and the exit code
//
// Errors: each error is written to stderr, and the exit code is that of its kind. Under the
// name sendmail, a message is queued if the account has a fault; if it cannot be queued,
// the exit code is 75.
package program

import (
	"context"
	"os"
	"sync/atomic"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/config/machine"
	"sendoff/submit"
	"sendoff/submit/compose"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// memoryLimit is the soft limit of the Go runtime for memory, in octets: above it the
// garbage collector works harder. Only a message with a giant header comes near it.
// --listen has a higher limit, because it takes several messages at the same time.
const (
	memoryLimit       = 48 << 20
	listenMemoryLimit = 128 << 20
)

// A program is one invocation.
type program struct {
	cmd         *cmdline.Command
	hardened    process.Hardened
	draft       *compose.Draft   // for a message made from text and files; nil: stdin is a whole message
	reading     atomic.Bool      // stdin has not been read to its end yet
	endService  func(error)      // ends an SMTP service on stdin, and waits for its messages; nil: there is no service
	machine     *machine.Machine // the service of this machine, if --login or another mode is about its account
	account     string           // the account's name for errors, once it is known
	host        string           // the host of the account's first server, for hints
	services    []queue.User     // for root: the machine's service, if there is one (mailq.Service)
	otherQueues []*queue.Queue   // other queues of the user with mail (spool.Elsewhere)
	files       config.Override  // which configuration and home the caller has chosen; no other field is set
}

// modes has the function of each mode. After a signal, a mode that finishes completes its
// current step and ends. The signal kills the other modes, as it kills any program.
//
// To add a mode, add a constant in cmdline, a row here, and a flag that selects the mode.
var modes = [...]struct {
	mode     cmdline.Mode
	run      func(*program, context.Context) error
	finishes bool
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
	{cmdline.MakeSpool, (*program).makeSpool, false},
	{cmdline.Retry, (*program).queue, true},
	{cmdline.Run, (*program).queue, true},
	{cmdline.Runner, (*program).runner, true},
	{cmdline.RunOthers, (*program).runOthers, true},

	{cmdline.Setup, (*program).setup, true},
	{cmdline.Accounts, (*program).listAccounts, false},
	{cmdline.Import, (*program).takeOver, false},
	{cmdline.Login, (*program).login, false},
	{cmdline.Logout, (*program).logout, false},
	{cmdline.Remove, (*program).remove, false},

	{cmdline.Doctor, (*program).doctor, true},
	{cmdline.AsCron, (*program).secretAsCron, false},
	{cmdline.CheckConfig, (*program).checkConfig, false},
	{cmdline.Aliases, (*program).checkAliases, false},
	{cmdline.Verify, (*program).verify, false},

	{cmdline.Completions, (*program).completions, false},
	{cmdline.Complete, (*program).complete, false},
	{cmdline.Version, (*program).version, false},
	{cmdline.Help, func(p *program, _ context.Context) error { return p.print(cmdline.Usage(p.cmd.Entry != "")) }, false},
	// sendmail's mode purges its records of hosts; sendoff has no such records.
	{cmdline.Nothing, func(*program, context.Context) error { return nil }, false},
}

// Main runs the program with the arguments argv, and returns the exit code. Unless the code
// is 0, it has written the reason to stderr.
func Main(argv []string) int {
	p := &program{hardened: process.Harden(), cmd: new(cmdline.Command)}
	if p.hardened.Raised {
		// With these rights the process could read files that the caller cannot read, and
		// send them to a server of the caller's choice.
		p.cmd, _ = cmdline.Parse(argv)
		p.drain()
		return p.fail(status.Config.Errorf("refused: the program runs set-uid or set-gid, or has capabilities; nothing was sent"))
	}
	return p.main(argv)
}

func (p *program) main(argv []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			code = p.fail(status.Bug.Errorf("internal error in %s: %v", process.PanicPlace(), r))
		}
	}()
	parse := cmdline.Parse
	if process.IsTerminal(os.Stdin) {
		parse = cmdline.Typed
	}
	cmd, err := parse(argv)
	p.cmd = cmd
	process.IgnoreSignals()
	if err != nil || cmd.Mode != cmdline.Submit && cmd.Mode != cmdline.Version {
		process.CatchSignals()
	}
	for _, w := range cmd.Warnings {
		p.say("warning: " + w)
	}
	switch {
	case err == nil:
		err = p.run()
	case p.leavesTrace():
		s, _ := p.submitter()
		err = p.read(s, &submit.Request{}, err)
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
		case m.finishes:
			return m.run(p, p.interruptible())
		}
		return m.run(p, context.Background())
	}
	return status.Bug.Errorf("no way to do what was asked for")
}
