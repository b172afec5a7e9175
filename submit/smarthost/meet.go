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

// A Meeting is the result of Meet for one hop.
type Meeting struct {
	dial.Hop
	Reached   Step        // the step that failed, if Err is not nil
	Err       error       // nil: the server is ready for a login
	Server    smtp.Server // what Meet learned of the server before Err
	Classical bool        // TLS works OnlyClassical
}

// A Step is a part of opening a session.
type Step uint8

const (
	Connecting Step = iota // the connection, to the host or through a proxy
	Securing               // the trust anchors, and the TLS handshake
	Greeting               // the server's greeting, and EHLO
)

// Meet opens a session with a over one hop as a delivery does, but does not log in, and
// closes the session. hello is our name in EHLO.
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
	attempt := &opening{Opener: o, account: a, hello: hello}
	session, err := attempt.begin(ctx, h, conn, c)
	m.Classical = attempt.classical
	if h.Guess && errors.Is(err, smtp.ErrNoTLS) { // a delivery tries the other scheme next
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
