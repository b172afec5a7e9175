package program

import (
	"context"
	"strings"

	"sendoff/config/cmdline"
	"sendoff/config/discover"
	"sendoff/submit/status"
)

// completions prints the text that a shell needs to complete command lines.
func (p *program) completions(context.Context) error {
	text, err := cmdline.CompletionsFor(p.cmd.Entry)
	if err != nil {
		return err
	}
	return p.print(text)
}

// complete prints the candidates for the last word of a command line. It reports no errors,
// because a person is typing the command line.
func (p *program) complete(context.Context) error {
	p.cmd.ErrorMode = 'q'
	var b strings.Builder
	for _, line := range cmdline.Candidates(p.cmd.Words, p.existing) {
		b.WriteString(line + "\n")
	}
	return p.print(b.String())
}

// existing returns the names of accounts, entries or providers for an option of c whose
// argument the manual calls value.
func (p *program) existing(c *cmdline.Command, value string) (names []string) {
	p.cmd.Config = c.Config
	switch {
	case value == "URL" && c.Mode == cmdline.Setup: // the only mode in which URL may be a provider's name
		return discover.Providers()
	case value == "ACCOUNT":
		s, _ := p.submitter()
		for _, a := range s.Config.Accounts {
			names = append(names, status.Printable(a.Name))
		}
	case value == "ID":
		s, _ := p.submitter()
		p.openQueue(s)
		for _, s := range p.eachQueue(s) {
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
