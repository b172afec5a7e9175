package smtp

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"
	"strings"

	"sendoff/submit/envelope"
)

// A Server describes the server of a session, in the server's own words, made printable.
type Server struct {
	Greeting   string               // the text of the greeting, without the code
	Extensions []string             // keywords of EHLO with their arguments, sorted; none after HELO
	Mechanisms []string             // for AUTH, sorted
	TLS        *tls.ConnectionState // nil without TLS
}

// Server returns what is known of the server. If the session has TLS, everything was sent
// under TLS, except the greeting of a session with STARTTLS.
func (s *Session) Server() Server {
	server := Server{Greeting: s.greeting, Mechanisms: s.mechanisms(), TLS: s.tls}
	for _, keyword := range slices.Sorted(maps.Keys(s.offered)) {
		server.Extensions = append(server.Extensions, strings.TrimSpace(keyword+" "+s.offered[keyword]))
	}
	return server
}

// TrySender asks the server by MAIL and RSET whether it accepts the sender of e. No
// message is sent. nil means that the server accepts the sender; an error is the one
// that Deliver would have at MAIL. TrySender may be called when Deliver may.
func (s *Session) TrySender(ctx context.Context, e *envelope.Envelope) error {
	defer s.watch(ctx)()
	command, err := s.mailCommand(e)
	if err != nil {
		return err
	}
	var refused error
	sender := step{phase: mail, send: command, name: "MAIL FROM:<" + e.From.String() + ">", want: 2, got: func(st step, r Reply) error {
		if r.Class() != 2 {
			refused = s.refusal(st, r)
		}
		return nil
	}}
	s.transactions++
	if err := s.fly(sender, s.rset()); err != nil && refused == nil {
		return err
	}
	return refused
}
