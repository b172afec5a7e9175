package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/process"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

func (p *program) version(context.Context) error {
	return p.print(fmt.Sprintf("sendoff %s (%s %s/%s)\n", release, runtime.Version(), runtime.GOOS, runtime.GOARCH))
}

// stdout returns standard output for messages. Whoever wrote them, nothing in them
// acts on a terminal.
func stdout() io.Writer {
	if process.IsTerminal(os.Stdout) {
		return status.ForTerminal(os.Stdout)
	}
	return os.Stdout
}

// lists returns standard output for lists and findings, which are at most 100 columns
// wide on a terminal. Programs read whole lines.
func lists() io.Writer {
	if process.IsTerminal(os.Stdout) {
		return status.Wrapped(os.Stdout)
	}
	return os.Stdout
}

// print writes what was asked for to stdout. Nothing else goes there.
func (p *program) print(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return err
}

// interruptible returns a context that ends with the first signal. Until stdin has been
// read, a signal ends the process: nothing has begun but the messages that -bs has
// answered for, and these are sent or queued first.
func (p *program) interruptible() context.Context {
	p.reading.Store(p.cmd.Mode == cmdline.Submit)
	return process.Interruptible(func(cause error) {
		if p.reading.Load() {
			text := "%w before the end of the message; nothing was sent"
			if p.endService != nil {
				p.endService(cause)
				text = "%w; only what was answered with 250 is sent or queued"
			}
			os.Exit(p.fail(status.Temporary.Errorf(text, cause)))
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

// postpones reports whether the message can wait until err is mended.
func (p *program) postpones(err error) bool {
	return p.cmd.Face == cmdline.Sendmail && status.KindOf(err).Scope() == status.Account
}

// fail says what went wrong, and returns the exit code. The sendmail face
// answers a fault of the account with 75: its callers take any other code as
// the message's fault, and drop the message.
func (p *program) fail(err error) int {
	if o := outcome(0); errors.As(err, &o) {
		return int(o)
	}
	code := status.Exit(err)
	if errors.As(err, new(process.Stopped)) {
		code = status.Temporary.Exit() // whatever it stopped
	}
	if p.postpones(err) {
		code = status.Temporary.Exit()
	}
	if errors.Is(err, syscall.EPIPE) && !p.submits() {
		return code // whoever reads a list has seen enough
	}
	p.sayLines(smtp.Brief(err))
	if code == status.Temporary.Exit() && p.submits() && !p.reading.Load() && !submit.IsInterrupt(err) {
		why := ""
		if report := new(submit.Report); errors.As(err, &report) && report.NotQueued != "" {
			why = ": " + report.NotQueued
		}
		p.say("not queued" + why + "; send the message again later")
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
	hint := status.HintFor(err, config.NameInFile(p.account))
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

// say writes one line to stderr, unless the caller wants none (-oeq).
func (p *program) say(line string) {
	if p.cmd.ErrorMode == 'q' {
		return
	}
	fmt.Fprintf(os.Stderr, "sendoff: %s\n", status.Printable(line))
}

// An outcome is an exit code that says what there is, and no failure of ours.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }
