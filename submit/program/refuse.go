package program

import (
	"os"

	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/process"
)

// leavesTrace reports whether a message that cannot be submitted gets a line in the log and
// a copy in the folder failed, because the caller keeps neither the message nor the error.
func (p *program) leavesTrace() bool {
	return p.cmd.Face == cmdline.Sendmail && p.cmd.Submits && !process.IsTerminal(os.Stdin)
}

// refuse returns err, the reason why r cannot be submitted. If leavesTrace is true, it
// first leaves a trace of the message. It keeps no copy of an empty message.
func (p *program) refuse(s *submit.Submitter, r *submit.Request, err error) error {
	if !p.leavesTrace() {
		return err
	}
	if len(r.Unread) > 0 {
		p.openQueue(s)
	}
	return s.Refuse(r, err)
}
