package program

import (
	"os"

	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/process"
)

// leavesTrace reports whether a message that cannot be submitted leaves a line in
// the log and a copy in the folder failed, because its caller keeps neither.
func (p *program) leavesTrace() bool {
	return p.cmd.Face == cmdline.Sendmail && p.cmd.Submits && !process.IsTerminal(os.Stdin)
}

// refuse returns err, which is why r cannot be submitted. Before that it leaves a trace
// of the message, if leavesTrace says so; an empty message leaves no copy.
func (p *program) refuse(s *submit.Submitter, r *submit.Request, err error) error {
	if !p.leavesTrace() {
		return err
	}
	if len(r.Unread) > 0 {
		p.openQueue(s)
	}
	return s.Refuse(r, err)
}
