// Package smtpd speaks SMTP as a server (RFC 5321) and hands each message to a
// function.
//
//	conn ── greeting · EHLO · AUTH ── ready for mail
//	          │
//	          ├── MAIL RCPT RCPT …      fill an envelope.Envelope
//	          ├── DATA                  Handle(ctx, client, envelope, message)
//	          │     message.Read        CRLF lines without dot-stuffing; io.EOF only
//	          │                         after CRLF.CRLF, otherwise an error
//	          └── its error             decides the reply: nil 250, else its status
//
// What is special to one extension is its row in extensions, what a command
// does is its row in commands. A client's mistake costs a reply with code 5yz;
// too many end the session; a browser's verb ends it at once. Nothing is guessed: a line that does not end with
// CRLF is refused, in a message too (5.6.0, after its end), so that no two
// programs can differ about where a message ends. Only the owner of a pipe may
// allow LF (see Server.Pipe).
//
// Errors: Serve returns nil when the client has left in peace, else a plain
// sentence on why the session ended. The message reader returns errors of kind
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

// A Server holds what all sessions have in common. It must not change while
// it serves. Only Handle has no default.
type Server struct {
	// Hostname is the server's name in its greeting; "localhost" if empty.
	Hostname string

	// Auth checks a login. nil means that AUTH is not offered. Any error is the
	// reply 535, without its text.
	Auth        func(user, password string) error
	RequireAuth bool // no mail before AUTH has succeeded

	// With RequireAuth, LoginTime is how long a client may take to log in; 0: as
	// long as its commands may. MaxLoggingIn is how many sessions ServeListener
	// holds at once that have not logged in, so that clients who cannot log in
	// keep nobody out for long: the others wait to be accepted. 0: no limit.
	LoginTime    time.Duration
	MaxLoggingIn int

	// AllowUnqualified takes addresses without a domain, and without angle
	// brackets. Otherwise only RCPT TO:<postmaster> may lack a domain.
	AllowUnqualified bool

	// Pipe lets lines end with LF for the whole session if the first line
	// does; a message then ends at LF.LF only. If the first line ends with
	// CRLF, a message ends at CRLF.CRLF only, and a bare CR or LF in it is
	// taken for a line ending. On a socket it must stay false.
	Pipe bool

	MaxSize       int64         // of a message without dot-stuffing, announced by SIZE; 0: no limit
	MaxRecipients int           // of a message, with 256 octets each for all that RCPT says, on the average; 0: 1000
	MaxErrors     int           // 5yz replies to wrong commands before the session is ended; 0: 10
	Timeout       time.Duration // for a command or a piece of a message; 0: 5 minutes; negative: none
	Lifetime      time.Duration // of a session; 0: no limit

	// Greet, if not nil, is called for each connection that ServeListener accepts,
	// with a copy of the Server that Greet may fit to the client. left is called
	// when the session has ended. An error is the only reply that the client
	// gets, as 554 or 421 by the error's status.
	Greet func(conn net.Conn, s *Server) (left func(), err error)

	// Handle takes a message. The reader is good until Handle returns; when it
	// returns io.EOF the message is whole, and whatever error it returns
	// instead, the message must be dropped. What Handle leaves unread is
	// skipped. The error's status and text are the reply to the client.
	Handle func(ctx context.Context, c Client, e *envelope.Envelope, message io.Reader) error
}

// A Client is what the session knows about the other side.
type Client struct {
	Extended bool   // it said EHLO
	User     string // as which it logged in; "" if it did not
}

const (
	defaultRecipients = 1000
	defaultErrors     = 10
	maxSessions       = 100             // at once in ServeListener
	defaultTimeout    = 5 * time.Minute // RFC 5321 section 4.5.3.2.7
)

// Serve holds one session on conn and returns when it is over; the caller
// closes conn. TLS is that of a *tls.Conn: there is no STARTTLS. If conn has
// deadlines (a net.Conn, an *os.File that is a pipe),
// time limits hold and the end of ctx ends the session at once; otherwise it is
// noticed at the next command.
func (s *Server) Serve(ctx context.Context, conn io.ReadWriter) error {
	return newSession(ctx, s, conn).run()
}

// ServeListener holds a session for each connection that l accepts, until ctx
// ends. It closes l and the connections, and returns when the last session is
// over: nil, or the error that made l useless.
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
			_ = process.Guarded(func() { s.serveOne(ctx, conn, loggedIn) }) // what goes wrong in one session must not end the others
		})
	}
}

// serveOne holds a session with a client that has connected to a listener. It calls
// loggedIn when the client has logged in, or need not.
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

// slots hold a value for each session of a kind; their capacity is how many there
// may be at once.
type slots chan struct{}

// take waits for a free slot; false if ctx ends first.
func (s slots) take(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s slots) free() { <-s }

// isShortage reports whether err is of a connection that could not be accepted
// for want of something that may be there again in a moment.
func isShortage(err error) bool {
	shortages := []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
	return slices.ContainsFunc(shortages, func(e error) bool { return errors.Is(err, e) })
}

// Loopback listens on a free port of 127.0.0.1, with TLS from the start if
// config is not nil, serves as ServeListener does, and returns the port's
// address at once. wait returns what ServeListener returns.
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
