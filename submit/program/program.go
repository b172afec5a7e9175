// Package program is sendoff as it is called: one invocation, from the command
// line to the exit code.
//
//	argv → Command → account → message + envelope → transaction → exit code
//
//	send.go      a message on stdin, which is what it is for
//	compose.go   a message made of stdin and files; what a person at a terminal is told
//	refuse.go    one that cannot be submitted
//	serve.go     -bs, --listen: messages by SMTP
//	queue.go     mailq, -q, --queue-…, --status
//	account.go   --setup, --list, --import, --login, --logout
//	check.go     --doctor, -bC, -bi, -bv
//	complete.go  --completions, and what they ask for
//	outside.go   the configuration, the queue, and whatever else a Submitter needs
//	say.go       what it says, and the exit code
//
// Errors: each ends as lines on stderr and as the exit code of its kind; in the
// sendmail face a fault of the account is queued, or ends with 75.
package program

import (
	"context"
	"os"
	"sync/atomic"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/compose"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// release is the version.
const release = "0.1"

// memoryLimit is where the garbage collector works harder, in octets; only a giant
// header comes near it. --listen has listenMemoryLimit, for several messages at once.
const (
	memoryLimit       = 48 << 20
	listenMemoryLimit = 128 << 20
)

// A program is one invocation.
type program struct {
	cmd        *cmdline.Command
	hardened   process.Hardened
	draft      *compose.Draft  // what the message is made of, beside its text; nil: stdin is a message
	reading    atomic.Bool     // stdin is not yet at its end: the message is not whole
	endService func(error)     // ends an SMTP service on stdin, and waits for its messages; nil: there is no service
	account    string          // the account's name for errors, once it is known
	elsewhere  []*queue.Queue  // beside the queue: see spool.Elsewhere
	files      config.Override // where the configuration and the home are; nothing else is set
}

// modes is what each mode does. A mode that is gentle goes on after a signal, and ends
// when its step is done; the signal ends the others as it ends any program.
//
// To add a mode: a constant in cmdline, a row here, and a flag that asks for it.
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
	{cmdline.MakeSpool, (*program).makeSpool, false},
	{cmdline.Retry, (*program).queue, true},
	{cmdline.Run, (*program).queue, true},
	{cmdline.Runner, (*program).runner, true},
	{cmdline.Tend, (*program).tend, true},

	{cmdline.Setup, (*program).setup, true},
	{cmdline.Accounts, (*program).listAccounts, false},
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
	{cmdline.Help, func(p *program, _ context.Context) error { return p.print(cmdline.Usage(p.cmd.Entry != "")) }, false},
	// There is no record of hosts, and nothing to purge.
	{cmdline.Nothing, func(*program, context.Context) error { return nil }, false},
}

// Main runs the program as argv calls it, and returns the exit code. Unless that is
// 0, stderr has the reason.
func Main(argv []string) int {
	p := &program{hardened: process.Harden(), cmd: new(cmdline.Command)}
	if p.hardened.Raised {
		// The process could read files that the caller cannot, and send them to a
		// server of the caller's choice.
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
		case m.gentle:
			return m.run(p, p.interruptible())
		}
		return m.run(p, context.Background())
	}
	return status.Bug.Errorf("no way to do what was asked for")
}
