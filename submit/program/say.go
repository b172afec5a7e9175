package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/outcome"
	"sendoff/submit/process"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// stdout returns standard output for messages. At a terminal it replaces control
// characters, whoever wrote the message.
func stdout() io.Writer {
	if process.IsTerminal(os.Stdout) {
		return status.ForTerminal(os.Stdout)
	}
	return os.Stdout
}

// lists returns standard output for lists and findings. At a terminal it wraps long lines,
// but no object of --json; programs get whole lines.
func (p *program) lists() io.Writer {
	if p.cmd.JSON {
		return stdout()
	}
	if process.IsTerminal(os.Stdout) {
		return status.Wrapped(os.Stdout, columns(os.Stdout))
	}
	return os.Stdout
}

// columns returns how wide a line on the terminal f can be.
func columns(f *os.File) int {
	const least = 40 // also for a terminal that does not know its size
	if n := process.Columns(f); n >= least {
		return min(n, status.MaxColumns)
	}
	return status.MaxColumns
}

// print writes the result of the mode to stdout. Everything else goes to stderr.
func (p *program) print(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return err
}

// interruptible returns a context that the first signal ends. Until stdin has been read, a
// signal ends the process: nothing is lost then. Messages that -bs has accepted are sent or
// queued first.
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

// drain reads stdin to its end: otherwise our early exit would kill the program that writes
// a message to it, by SIGPIPE.
func (p *program) drain() {
	if p.cmd.Submits && !process.IsTerminal(os.Stdin) {
		p.reading.Store(true) // while this is set, a signal ends the process
		io.Copy(io.Discard, os.Stdin)
		p.reading.Store(false)
	}
}

// postpones reports whether the message is queued until a person has repaired the fault
// err.
func (p *program) postpones(err error) bool {
	return p.cmd.Face == cmdline.Sendmail && status.KindOf(err).Scope() == status.Account
}

// fail writes err to stderr, and returns the exit code. Under the name sendmail, the exit
// code for a fault of the account is 75: for any other code, callers assume that the
// message is at fault, and drop it.
func (p *program) fail(err error) int {
	if o := exitCode(0); errors.As(err, &o) {
		return int(o)
	}
	code := status.Exit(err)
	if errors.As(err, new(process.Stopped)) {
		code = status.Temporary.Exit() // whatever the signal has interrupted
	}
	if p.postpones(err) {
		code = status.Temporary.Exit()
	}
	if errors.Is(err, syscall.EPIPE) && !p.submits() {
		return code // the reader of a list has closed the pipe
	}
	p.sayLines(smtp.Brief(err))
	resend := p.resend(err)
	if code == status.Temporary.Exit() && p.submits() && !p.reading.Load() && !submit.IsInterrupt(err) {
		why := ""
		if report := new(outcome.Report); errors.As(err, &report) && report.NotQueued != "" {
			why = ": " + report.NotQueued
		}
		if resend == "" {
			why += "; send the message again later"
		}
		p.say("not queued" + why)
	}
	if status.KindOf(err).Scope() == status.Account && p.cmd.Mode != cmdline.Doctor { // the doctor has warned already
		p.warnUnread()
	}
	if hint := p.hint(err); hint != "" && !errors.As(err, new(process.Stopped)) {
		p.say(hint)
	}
	if resend != "" {
		p.say(status.HintMark + "to send the copy: " + resend)
	}
	return code
}

// hint returns a line that says what to do about err; "" if we do not know.
func (p *program) hint(err error) string {
	hint := status.HintFor(err, config.NameInFile(p.account), p.host)
	if hint == "" {
		return ""
	}
	return status.HintMark + hint
}

// sayLines writes each line of text to stderr, after the account's name.
func (p *program) sayLines(text string) {
	prefix := ""
	if p.account != "" {
		prefix = p.account + ": "
	}
	for line := range strings.Lines(text) {
		p.say(prefix + strings.TrimSuffix(line, "\n"))
	}
}

// tell tells a person that mail was queued, and what to do about fault.
func (p *program) tell(text string, fault error) {
	p.sayLines(text)
	if fault == nil {
		return
	}
	if hint := p.hint(fault); hint != "" {
		p.say(hint)
	}
}

// submits reports whether this invocation submits mail, not only shows or rehearses it.
func (p *program) submits() bool {
	return p.cmd.Submits && !p.cmd.DryRun && !p.cmd.Rehearse
}

// say writes one line to stderr; at a terminal it wraps a long hint. With -oeq it writes
// nothing.
func (p *program) say(line string) {
	if p.cmd.ErrorMode == 'q' {
		return
	}
	const name = "sendoff: "
	line = status.Printable(line)
	if strings.HasPrefix(line, status.HintMark) && process.IsTerminal(os.Stderr) {
		fmt.Fprintln(os.Stderr, status.FoldText(name, line, columns(os.Stderr)))
		return
	}
	fmt.Fprintln(os.Stderr, name+line)
}

// An exitCode is an exit code that reports a state of the queue, not an error of sendoff.
type exitCode int

func (o exitCode) Error() string { return fmt.Sprintf("exit code %d", int(o)) }
