package smtp

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"
	"strings"

	"sendoff/submit/envelope"
)

// A Server is what a session knows of the server at its other end. All of its
// text is the server's, made printable.
type Server struct {
	Greeting   string               // what it said of itself
	Extensions []string             // keywords of EHLO with their arguments, sorted; none after HELO
	Mechanisms []string             // for AUTH, sorted
	TLS        *tls.ConnectionState // nil without TLS
}

// Server returns what is known of the server. With TLS, nothing in it but the
// greeting of a session with STARTTLS was said before.
func (s *Session) Server() Server {
	server := Server{Greeting: s.greeting, Mechanisms: s.mechanisms(), TLS: s.tls}
	for _, keyword := range slices.Sorted(maps.Keys(s.offered)) {
		server.Extensions = append(server.Extensions, strings.TrimSpace(keyword+" "+s.offered[keyword]))
	}
	return server
}

// TrySender asks whether the server takes mail from the sender of e, and takes
// the question back at once (RSET): nothing is sent. When it returns nil, the
// server said yes; otherwise the error is that of a Deliver that fails at MAIL.
// It may stand where Deliver may.
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
