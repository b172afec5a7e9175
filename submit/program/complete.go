package program

import (
	"context"
	"strings"

	"sendoff/config/cmdline"
	"sendoff/config/discover"
	"sendoff/submit/status"
)

// completions prints what a shell needs to complete a command line.
func (p *program) completions(context.Context) error {
	text, err := cmdline.CompletionsFor(p.cmd.Entry)
	if err != nil {
		return err
	}
	return p.print(text)
}

// complete prints what the last word of a command line can be. Somebody is typing
// it: whatever is wrong, nothing is said.
func (p *program) complete(context.Context) error {
	p.cmd.ErrorMode = 'q'
	var b strings.Builder
	for _, line := range cmdline.Candidates(p.cmd.Words, p.existing) {
		b.WriteString(line + "\n")
	}
	return p.print(b.String())
}

// existing returns the accounts, entries or providers that the argument value of
// an option of c can name.
func (p *program) existing(c *cmdline.Command, value string) (names []string) {
	p.cmd.Config = c.Config
	switch {
	case value == "URL" && c.Mode == cmdline.Setup: // the only mode that takes a provider's name
		return discover.Providers()
	case value == "ACCOUNT":
		s, _ := p.submitter()
		for _, a := range s.Config.Accounts {
			names = append(names, status.Printable(a.Name))
		}
	case value == "ID":
		s, _ := p.submitter()
		p.openQueue(s)
		for _, s := range p.inEach(s) {
			waiting, _ := s.Queue.IDs()
			for _, id := range waiting {
				names = append(names, string(id))
			}
			for e := range s.Queue.Failed() {
				if e != nil {
					names = append(names, string(e.ID))
				}
			}
		}
	}
	return names
}
