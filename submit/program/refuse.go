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

// read reads the message of r from stdin. wrong is why it cannot be submitted in
// any case; nil if it can.
func (p *program) read(s *submit.Submitter, r *submit.Request, wrong error) (err error) {
	debug.SetMemoryLimit(memory)
	var in io.Reader = os.Stdin
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 && p.leavesTrace() {
		in = &keeping{from: os.Stdin, text: &r.Unread}
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

// refuse returns err, which is why r cannot be submitted, after it has left a
// trace where there is to be one. What is empty leaves no copy.
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

// maxKept is how much of a message is kept as it is read, in octets, for the
// copy of one that is no message.
const maxKept = 1 << 20

// A keeping reader keeps the beginning of what it reads.
type keeping struct {
	from io.Reader
	text *[]byte
}

func (k *keeping) Read(p []byte) (int, error) {
	n, err := k.from.Read(p)
	*k.text = append(*k.text, p[:min(n, maxKept-len(*k.text))]...)
	return n, err
}
