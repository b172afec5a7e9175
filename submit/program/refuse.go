package program

import (
	"errors"
	"os"
	"strings"

	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/outcome"
	"sendoff/submit/process"
)

// leavesTrace reports whether a message that cannot be submitted gets a line in the log and
// a copy in the folder failed, because the caller keeps neither the message nor the error.
func (p *program) leavesTrace() bool {
	return p.cmd.Face == cmdline.Sendmail && p.cmd.Submits && !process.IsTerminal(os.Stdin)
}

// isTyped reports whether a person types the message to be submitted at a terminal. A copy
// is kept of all that cannot be submitted: nobody should have to type it again.
func (p *program) isTyped() bool { return p.submits() && process.IsTerminal(os.Stdin) }

// refuse returns err, the reason why r cannot be submitted. If leavesTrace or isTyped is
// true, it first leaves a trace of the message. It keeps no copy of an empty message.
func (p *program) refuse(s *submit.Submitter, r *submit.Request, err error) error {
	if !r.Typed && !p.leavesTrace() {
		return err
	}
	if len(r.Unread) > 0 && s.Queue == nil {
		p.openQueue(s)
	}
	if r.Typed && len(r.To) == 0 {
		r.Message = nil // a copy of what was typed has the field Bcc
	}
	return s.Refuse(r, err)
}

// resend returns a command that sends the copy of a message that was typed; "": there is
// none.
func (p *program) resend(err error) string {
	report := new(outcome.Report)
	switch {
	case !errors.As(err, &report) || report.Kept == nil || !p.isTyped():
		return ""
	case len(report.Kept.To) > 0 && p.cmd.Config != "":
		return "sendoff --config " + process.ShellWord(p.cmd.Config) + " --queue-retry " + string(report.Kept.ID)
	case len(report.Kept.To) > 0:
		return "sendoff --queue-retry " + string(report.Kept.ID)
	}
	var words []string
	for _, word := range os.Args {
		words = append(words, process.ShellWord(word))
	}
	return strings.Join(words, " ") + " < " + process.ShellWord(report.Copy)
}
