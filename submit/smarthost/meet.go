package smarthost

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"sendoff/config"
	"sendoff/submit/dial"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// A Meeting is how far Meet came with one hop.
type Meeting struct {
	dial.Hop
	Reached   Step
	Err       error       // why not further; nil if the server is ready for a login
	Server    smtp.Server // as far as Meet came
	Classical bool        // TLS works OnlyClassical
}

// A Step is one of the way to a server.
type Step uint8

const (
	Connecting Step = iota
	Securing
	Greeting
)

// Meet goes the way of a session with a over one hop, but without a login.
func (o *Opener) Meet(ctx context.Context, a *config.Account, hello string, h dial.Hop) Meeting {
	ctx, cancel := Limit(ctx, a)
	defer cancel()
	m := Meeting{Hop: h}
	conn, err := o.Dialer.Connect(ctx, a, h)
	if err != nil {
		m.Err = err
		return m
	}
	m.Reached = Securing
	c, err := tlsConfig(a, h.Target)
	if err != nil {
		conn.Close()
		m.Err = err
		return m
	}
	if c != nil {
		verify := c.VerifyConnection
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			m.Server.TLS = &cs
			return verify(cs)
		}
	}
	way := &opening{Opener: o, account: a, hello: hello}
	session, err := way.begin(ctx, h, conn, c)
	m.Classical = way.classical
	if h.Guess && errors.Is(err, smtp.ErrNoTLS) { // a delivery then speaks in the other way
		err = status.Connection.With(status.Connection.Code(), err)
	}
	if err != nil {
		m.Err = err
		if text := err.Error(); !strings.HasPrefix(text, "TLS: ") && !strings.HasPrefix(text, "STARTTLS: ") {
			m.Reached = Greeting
		}
		return m
	}
	m.Server = session.Server()
	session.Close()
	return m
}
