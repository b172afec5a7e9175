package program

import (
	"io"
	"os"
	"runtime/debug"

	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/message"
	"sendoff/submit/process"
)

// leavesTrace reports whether a message that cannot be submitted leaves a line in
// the log and a copy in the folder failed, because its caller keeps neither.
func (p *program) leavesTrace() bool {
	return p.cmd.Face == cmdline.Sendmail && p.cmd.Submits && !process.IsTerminal(os.Stdin)
}

// read reads the message of r from stdin. wrong is why it cannot be submitted whatever
// it is; then, or if it is no message, read returns what refuse returns.
func (p *program) read(s *submit.Submitter, r *submit.Request, wrong error) (err error) {
	debug.SetMemoryLimit(memoryLimit)
	var in io.Reader = os.Stdin
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 && p.leavesTrace() {
		in = io.TeeReader(os.Stdin, (*beginning)(&r.Unread))
	}
	p.reading.Store(true)
	r.Message, err = message.Read(in, message.Options{
		Dot: !p.cmd.IgnoreDots, Text: p.cmd.Face == cmdline.Sendoff && !p.cmd.Extract,
	})
	p.reading.Store(false)
	if err != nil && wrong == nil {
		wrong = err
	}
	if wrong == nil {
		return nil
	}
	if err == nil {
		defer r.Message.Close()
	}
	return p.refuse(s, r, wrong)
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

// refuseCommand reads a message for which the command line is wrong, and leaves
// a trace of it.
func (p *program) refuseCommand(err error) error {
	s, _ := p.submitter()
	return p.read(s, &submit.Request{}, err)
}

// maxUnread is how much of a text that is no message is copied, in octets.
const maxUnread = 1 << 20

// A beginning keeps the beginning of what is written to it.
type beginning []byte

func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxUnread-len(*b))]...)
	return len(p), nil
}
