package rehearse

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/login"
)

// Explain writes to w what submit would send, and why: account, envelope, changes and
// message; with warn also what large providers refuse about it. It connects to no server
// and reads no secret.
func Explain(s *submit.Submitter, w io.Writer, r *submit.Request, warn bool) error {
	apart := s.Apart()
	apart.Console, apart.Smarthosts.Trace = nil, nil // the output has the warnings and changes
	j, err := apart.Resume(r)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	credentials := "none"
	if a := r.Account; a.User != "" {
		credentials = a.User + ", secret from " + login.Sources(a)
	}
	var servers []string
	for _, server := range r.Account.Servers {
		servers = append(servers, server.String())
	}
	fmt.Fprintf(out, "account:   %s (%s)\n", r.Account.Name, r.Why)
	fmt.Fprintf(out, "server:    %s\n", strings.Join(servers, ", "))
	fmt.Fprintf(out, "login:     %s\n", credentials)
	fmt.Fprintf(out, "EHLO:      %s\n", j.Hello)
	fmt.Fprintf(out, "MAIL FROM: <%s> (%s)\n", j.Envelope.From, j.From)
	for _, to := range j.To {
		fmt.Fprintf(out, "RCPT TO:   <%s> (%s)\n", to.Address, to.Why)
	}
	for _, d := range j.Discarded {
		fmt.Fprintf(out, "discarded: <%s> (%s)\n", d.Address, d.Why)
	}
	if warn {
		lines, err := refused(j, r.Account)
		if err != nil {
			return err
		}
		j.Warnings = append(j.Warnings, lines...)
	}
	for _, w := range j.Warnings {
		fmt.Fprintf(out, "warning:   %s\n", w)
	}
	if input, _ := j.Message.Input(); input != "" {
		fmt.Fprintf(out, "input:     %s\n", input)
	}
	for _, c := range j.Changes {
		fmt.Fprintf(out, "change:    %s\n", c)
	}
	content, size, err := j.Message.Open(envelope.Form{EightBit: true, UTF8: true})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "message:   %d octets\n\n", size)
	if _, err := io.Copy(out, content); err != nil {
		return err
	}
	return out.Flush()
}
