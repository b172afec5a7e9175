package program

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/compose"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// compose makes p.draft from --subject, --attach and the like, if one of them is given, and
// adds the recipients of --cc and --bcc to r. to has the recipients that are operands.
func (p *program) compose(r *submit.Request, to []message.Mailbox) error {
	if p.cmd.Composed == "" {
		return nil
	}
	var bcc []message.Mailbox
	p.draft = &compose.Draft{Subject: p.cmd.Subject, To: to, Files: p.cmd.Attach}
	for _, row := range [...]struct {
		option string
		words  []string
		list   *[]message.Mailbox
	}{
		{"--cc", p.cmd.Cc, &p.draft.Cc},
		{"--bcc", p.cmd.Bcc, &bcc},
		{"--reply-to", p.cmd.ReplyTo, &p.draft.ReplyTo},
	} {
		for _, word := range row.words {
			list, err := recipients(word)
			if err != nil {
				return p.advise(status.Usage.Errorf("%s: %w", row.option, err))
			}
			*row.list = append(*row.list, list...)
		}
	}
	p.add(r, p.draft.Cc, "--cc")
	p.add(r, bcc, "--bcc")
	return nil
}

// message reads the message from in. With a draft, in has the text of the message only.
func (p *program) message(in io.Reader) (*message.Message, error) {
	if p.draft == nil {
		return message.Read(in, message.Options{
			Dot: !p.cmd.IgnoreDots, Text: p.cmd.Face == cmdline.Sendoff && !p.cmd.Extract,
		})
	}
	// In text from a program, a line with a single dot does not end the message.
	return p.draft.Read(in, !p.cmd.IgnoreDots && process.IsTerminal(os.Stdin))
}

// beforeReading checks the attachments, and invites a person at a terminal to type the
// message. If it is certain that there is no account for the message, this is the error:
// nobody should type a message in vain.
func (p *program) beforeReading(c *config.Config, r *submit.Request) error {
	if p.draft != nil {
		if err := p.draft.Check(); err != nil {
			return err
		}
	}
	if p.cmd.Face != cmdline.Sendoff || !process.IsTerminal(os.Stdin) {
		return nil
	}
	trial := *r
	err := trial.Choose(c)
	switch none := len(c.Accounts) == 0; {
	case err == nil, none && p.cmd.Rehearse:
	case none, p.draft != nil: // the message will have no field From that could select an account
		return err
	}
	if p.cmd.ErrorMode == 'q' {
		return nil
	}
	what, end := "Type the message", "Ctrl-D"
	if p.cmd.Extract {
		what = "Type the message, first its header (To:, Subject:, an empty line)"
	}
	if runtime.GOOS == "windows" {
		end = "Ctrl-Z and Enter"
	}
	fmt.Fprintf(os.Stderr, "%s; end with %s\n", what, end)
	return nil
}
