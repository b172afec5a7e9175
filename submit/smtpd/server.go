// Package smtpd is an SMTP server (RFC 5321). It gives each message to a function.
//
//	conn ── greeting · EHLO · AUTH ── ready for mail
//	          │
//	          ├── MAIL RCPT RCPT …      fill an envelope.Envelope
//	          ├── DATA                  Handle(ctx, client, envelope, message)
//	          │     message.Read        CRLF lines without dot-stuffing; io.EOF only
//	          │                         after CRLF.CRLF, otherwise an error
//	          └── the error of Handle   decides the reply: nil 250, else its status
//
// Every command is a row in commands, every extension a row in extensions. A mistake of
// the client gets a reply with code 5yz. Too many mistakes end the session; a command of
// HTTP ends it at once. A line that does not end with CRLF is refused; in a message, the
// whole message is refused after its end (5.6.0). So no other program can see the end of
// a message in another place. Only Server.Pipe allows LF.
//
// Errors: Serve returns nil if the client has ended the session, and otherwise a plain
// sentence that says why the session ended. The message reader returns errors of kind
// status.Lost, status.Data and status.TooBig.
package smtpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/process"
)

// A Server is the settings of all its sessions. It must not change while it serves. Every
// field except Handle may be zero.
type Server struct {
	// Hostname is the name of the server in its greeting; "": "localhost".
	Hostname string

	// Auth checks a login; nil: AUTH is not offered. The reply to every error is the
	// same 535, without the text of the error.
	Auth        func(user, password string) error
	RequireAuth bool // no mail before AUTH has succeeded

	// These limits hold with RequireAuth only. LoginTime is the time in which a client
	// must log in; 0: only the limits of its commands hold. MaxLoggingIn is the number
	// of sessions without a login at the same time; other clients wait to be accepted,
	// but not for long, since LoginTime ends the sessions. 0: no limit.
	LoginTime    time.Duration
	MaxLoggingIn int

	// AllowUnqualified allows addresses without a domain, and without angle
	// brackets. Otherwise only RCPT TO:<postmaster> needs no domain.
	AllowUnqualified bool

	// Pipe allows lines that end with LF: the first line decides for the whole
	// session. If it ends with LF, a message ends at LF.LF only. If it ends with
	// CRLF, a message ends at CRLF.CRLF only, and a bare CR or LF in a message is
	// taken as a line ending. For sockets Pipe must be false.
	Pipe bool

	MaxSize       int64         // octets of a message without dot-stuffing, announced by SIZE; 0: no limit
	MaxRecipients int           // of a message, with 256 octets for the arguments of each RCPT, on average; 0: 1000
	MaxErrors     int           // 5yz replies to wrong commands before the session is ended; 0: 10
	Timeout       time.Duration // for a command or a piece of a message; 0: 5 minutes; negative: none
	Lifetime      time.Duration // of a session; 0: no limit

	// Greet, if not nil, is called for each connection that ServeListener accepts. s
	// is a copy of the Server, which Greet may change for this client. The session
	// calls left at its end. If Greet returns an error, the client gets it as its only
	// reply, with code 421 for a temporary error and 554 for any other.
	Greet func(conn net.Conn, s *Server) (left func(), err error)

	// Handle takes a message. If the reader returns io.EOF, the message is complete;
	// after any other error, Handle must drop the message. The reader must not be used
	// after Handle returns; what Handle does not read is skipped. The status and the
	// text of the error become the reply.
	Handle func(ctx context.Context, c Client, e *envelope.Envelope, message io.Reader) error
}

// A Client is what a session knows about its client.
type Client struct {
	Extended bool   // the client said EHLO, not HELO
	User     string // the user that the client logged in as; "": it has not logged in
}

const (
	defaultRecipients = 1000
	defaultErrors     = 10
	maxSessions       = 100             // of ServeListener at the same time
	defaultTimeout    = 5 * time.Minute // RFC 5321 section 4.5.3.2.7
)

// Serve runs one session on conn, and returns at its end. The caller must close conn. There
// is no STARTTLS: for TLS conn must be a *tls.Conn. If conn supports deadlines, as a
// net.Conn or a pipe does, the time limits hold, and the end of ctx ends the session at
// once. Otherwise there are no time limits, and the session ends at the next command.
func (s *Server) Serve(ctx context.Context, conn io.ReadWriter) error {
	return newSession(ctx, s, conn).run()
}

// ServeListener runs a session for each connection that l accepts, until ctx ends. It
// closes l and the connections, and returns after the end of the last session. The error
// is that of l; nil: ctx has ended.
func (s *Server) ServeListener(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	defer l.Close()
	sessionSlots, loginSlots := make(slots, maxSessions), make(slots, cmp.Or(s.MaxLoggingIn, maxSessions))
	for {
		if !sessionSlots.take(ctx) || !loginSlots.take(ctx) {
			return nil
		}
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil && isShortage(err) {
			sessionSlots.free()
			loginSlots.free()
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return err
		}
		sessions.Go(func() {
			defer sessionSlots.free()
			loggedIn := sync.OnceFunc(loginSlots.free)
			defer loggedIn()
			defer conn.Close()
			_ = process.Guarded(func() { s.serveOne(ctx, conn, loggedIn) }) // a panic in one session must not end the others
		})
	}
}

// serveOne runs a session for a connection of a listener. It calls loggedIn when the client
// has logged in, or at the start if no login is required.
func (s *Server) serveOne(ctx context.Context, conn net.Conn, loggedIn func()) {
	fitted := *s
	if s.Greet != nil {
		left, err := s.Greet(conn, &fitted)
		if err != nil {
			newSession(ctx, s, conn).turnAway(err)
			return
		}
		defer left()
	}
	if !fitted.RequireAuth {
		loggedIn()
	}
	session := newSession(ctx, &fitted, conn)
	session.loggedIn = loggedIn
	_ = session.run()
}

// slots limit the sessions of a kind: the channel holds a value for each session, and its
// capacity is the limit.
type slots chan struct{}

// take waits for a free slot, and takes it. It returns false if ctx ends first.
func (s slots) take(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s slots) free() { <-s }

// isShortage reports whether err is a temporary error of Accept, such as a lack of file
// descriptors or memory, after which the next Accept may succeed.
func isShortage(err error) bool {
	shortages := []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
	return slices.ContainsFunc(shortages, func(e error) bool { return errors.Is(err, e) })
}

// Loopback starts ServeListener on a free port of 127.0.0.1, with implicit TLS if config is
// not nil, and returns at once. address is "127.0.0.1:PORT". wait waits for the end of
// ServeListener and returns its error.
func (s *Server) Loopback(ctx context.Context, config *tls.Config) (address string, wait func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeListener(ctx, l) }()
	return address, sync.OnceValue(func() error { return <-done }), nil
}
