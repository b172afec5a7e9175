// Package smtp is the client side of SMTP (RFC 5321) and LMTP (RFC 2033).
//
// Open brings a connection to the point where mail may be sent; Deliver sends
// mails; Close ends it. There is no other order of calls, but that with
// Options.KeepOpen there may be several Delivers. TrySender stands in place of one.
//
//	Open     S: greeting             Deliver  C: MAIL RCPT… DATA
//	         C: EHLO (or HELO)                S: their replies
//	         C: STARTTLS, EHLO                C: message . MAIL RCPT… DATA
//	         C: AUTH …                        S: their replies
//	                                          C: message . QUIT
//	                                          S: the message is taken
//
// What stands on one line above is a flight: it is written at once, before the
// next reply is waited for. When the server does not offer PIPELINING (RFC
// 2920) every command is its own flight; nothing else differs (fly.go). The
// reply to QUIT is not waited for. With Options.OneFlight and CHUNKING (RFC
// 3030) the message is in the flight of its MAIL (transaction.go). LMTP says
// LHLO, and has a reply for each recipient at the end of the message.
//
// No reply is believed that came before its command was sent, and no text of a
// server, an address or a secret can become a command: commands are checked
// when written, replies are bounded and made printable (reply.go).
//
// Errors: before MAIL everything is of scope Account: Connection, Insecure,
// AuthFailed, or what Options.Auth returns. From MAIL on, a refusal is NoUser,
// Refused, NotAllowed, TooBig, Deferred, Limited or AuthFailed by its reply, and a
// broken connection or protocol is Lost. A session whose Deliver returned an error can
// only be closed.
package smtp

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// Security says how a connection is protected.
type Security uint8

// The ways to protect a connection.
const (
	Implicit Security = iota // TLS from the first octet (RFC 8314)
	StartTLS                 // STARTTLS, required (RFC 3207)
	None
)

// A Login is how a session proves who it is.
type Login struct {
	Client sasl.Client // may be a Verifier, too
	Secret string      // hidden wherever the dialogue or the server's words are shown
}

// A Verifier is a sasl.Client with an opinion on the outcome. Verify returns
// nil if the server has proved what the mechanism demands of it; a 2yz without
// that is no success. Reason returns what is to be added to a refusal, or nil.
type Verifier interface {
	Verify() error
	Reason() error
}

// Options are what a session needs to know beside its connection.
type Options struct {
	Host     string // the server's name, for errors
	Name     string // our name, for EHLO
	Security Security
	TLS      *tls.Config
	// Silence is how long the server may say nothing at all in a TLS handshake;
	// 0 means as long as the handshake may take.
	Silence time.Duration
	LMTP    bool
	// OneFlight lets a small message go out before the replies to its
	// recipients are in. The server must be known to skip a chunk that it
	// refuses: one that does not would take the message for commands.
	OneFlight bool
	// KeepOpen keeps Deliver from ending the session, so that it may be called
	// again after it has returned nil.
	KeepOpen bool
	// MaxRecipients is how many recipients one transaction has at most; 0
	// means as many as the server takes.
	MaxRecipients int
	// Auth chooses a mechanism among those offered. A nil Login means that
	// none is needed. It is called after TLS, and again for each mechanism that
	// the server offers but does not know; nil means no Login.
	Auth func(ctx context.Context, offered []string, cs *tls.ConnectionState) (*Login, error)
	// Timeout bounds every wait but the one for the reply to the final dot;
	// 0 means the limits of RFC 5321 section 4.5.3.2.
	Timeout time.Duration
	// Patience is how long an interrupted session waits for the reply to a
	// final dot that is sent, because the message may be taken; 0 means 5 s, as
	// a person may be waiting.
	Patience time.Duration
	// Stalled is called when nothing more comes from the server, or leaves for
	// it, between MAIL and the reply to the final dot; may be nil.
	Stalled func()
	Trace   func(Line) // sees the dialogue, secrets already hidden, line by line; may be nil
}

// A Line is one line of the dialogue.
type Line struct {
	From byte   // 'C' or 'S', or '*' for a remark
	Text string // printable, without its line end
}

// A Session is a connection on which mail may be sent. Its methods are not for
// use by several goroutines at once.
type Session struct {
	o        Options
	conn     net.Conn
	r        *bufio.Reader
	w        *bufio.Writer
	greeting string               // without its code
	offered  map[string]string    // keyword of EHLO, in upper case, to its arguments; none after HELO
	tls      *tls.ConnectionState // nil without TLS
	hidden   []string             // texts that are replaced wherever they would be shown
	broken   bool                 // out of step: a reply could be taken for that of another command
	quit     bool                 // QUIT is sent
	remarks  []string             // those in the trace, so that each is made once

	senders []envelope.Address // that the server has refused for good

	transactions int  // that were begun
	served       bool // the server has taken part in one
	left         bool // it ended the session instead of beginning with another mail
	dismissed    bool // by 421, so that it has taken nothing of what was in flight behind

	mostRecipients int // that the server has let pass where it refused more; 0: it never did

	tracing sync.Mutex // guards Trace, which may block

	mu      sync.Mutex // guards what the reader, the writer and a watch share
	waiting phase      // of the reply that is read
	writing bool
	whole   bool      // a message was written in full in this flight
	failed  bool      // the writer could not write
	stopped bool      // no deadline may be set any more
	until   time.Time // when the commands of a mail must be answered; zero before MAIL
	cause   error     // why a context ended; nil if none did
}

// Open makes a session of a fresh connection: greeting, EHLO, TLS and AUTH, as
// o says. It owns conn from now on, and closes it when it fails.
func Open(ctx context.Context, conn net.Conn, o Options) (*Session, error) {
	s := &Session{o: o}
	s.use(conn)
	defer s.watch(ctx)()
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Session) open(ctx context.Context) error {
	if s.o.Security == Implicit {
		if err := s.handshake(ctx); err != nil {
			return err
		}
	}
	if err := s.greet(); err != nil {
		return err
	}
	if err := s.hello(); err != nil {
		return err
	}
	if s.o.Security == StartTLS {
		if err := s.startTLS(ctx); err != nil {
			return err
		}
	}
	return s.authenticate(ctx)
}

// Close ends the session, with a QUIT if it is in step and none was sent; the
// answer is not waited for. TLS ends with an alert, which may wait 5 s for a
// server that does not read: one that did not take the QUIT gets none.
func (s *Session) Close() error {
	var err error
	if !s.broken && !s.quit {
		s.conn.SetWriteDeadline(time.Now().Add(time.Second))
		err = cmp.Or(s.writeCommand("QUIT"), s.w.Flush())
	}
	if conn, ok := s.conn.(*tls.Conn); ok && (s.broken || err != nil) {
		return conn.NetConn().Close()
	}
	return s.conn.Close()
}

// use makes conn, plain or TLS, the connection of the session.
func (s *Session) use(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
	s.r = bufio.NewReaderSize(conn, maxReplyLine)
	s.w = bufio.NewWriterSize(conn, 16<<10)
}

// command is a flight of one step before MAIL, and its reply.
func (s *Session) command(st step) (Reply, error) {
	var reply Reply
	st.got = func(_ step, r Reply) error { reply = r; return nil }
	_, _, err := s.flight([]step{st})
	return reply, err
}

func (s *Session) greet() error {
	st := step{phase: greeting, name: "greeting", mute: true}
	reply, err := s.command(st)
	if err == nil && reply.Class() != 2 {
		err = s.refusal(st, reply)
	}
	s.greeting = strings.Join(reply.Lines, " ")
	return err
}

// hello says EHLO, or HELO to a server that does not know it (RFC 5321
// section 3.2); with LMTP it is LHLO, which every server knows.
func (s *Session) hello() error {
	s.offered = nil
	st := step{phase: hello, send: "EHLO " + s.o.Name}
	if s.o.LMTP {
		st.send = "LHLO " + s.o.Name
	}
	reply, err := s.command(st)
	if err == nil && reply.Class() == 5 && !s.o.LMTP {
		st.send = "HELO " + s.o.Name
		reply, err = s.command(st)
	} else if err == nil && reply.Class() == 2 {
		s.offered = parseExtensions(reply.Lines[1:])
	}
	if err == nil && reply.Class() != 2 {
		err = s.refusal(st, reply)
	}
	return err
}

// startTLS turns the connection into TLS. What the server said before is
// forgotten, and octets that it sent behind its reply end the session: nothing
// protected them (RFC 3207 section 4.2, CVE-2011-0411).
func (s *Session) startTLS(ctx context.Context) error {
	if !s.offers("STARTTLS") {
		return status.Insecure.Errorf("STARTTLS: the server does not offer it (%s)", s.o.Host)
	}
	st := step{phase: startTLS, send: "STARTTLS"}
	reply, err := s.command(st)
	switch {
	case err != nil:
		return err
	case reply.Class() == 4:
		return s.refusal(st, reply)
	case reply.Class() != 2:
		return status.Insecure.Errorf("STARTTLS: %s (%s)", reply, s.o.Host)
	case s.r.Buffered() > 0:
		s.broken = true
		return status.Insecure.Errorf("STARTTLS: the server sent more than its reply before TLS (%s)", s.o.Host)
	}
	if err := s.handshake(ctx); err != nil {
		return err
	}
	return s.hello()
}

// handshake begins TLS. What ends the waiting for the server is the cause of a
// context.
func (s *Session) handshake(ctx context.Context) error {
	noAnswer := func(d time.Duration) error { return fmt.Errorf("no answer within %s", d) }
	limit := s.limit(handshake)
	limited, cancel := context.WithTimeoutCause(ctx, limit, noAnswer(limit))
	defer cancel()
	answered, giveUp := context.WithCancelCause(limited)
	defer giveUp(nil)
	h := &hearing{Conn: s.conn}
	if s.o.Silence > 0 {
		defer time.AfterFunc(s.o.Silence, func() {
			if !h.heard.Load() {
				giveUp(&LostHandshake{noAnswer(s.o.Silence.Round(time.Second / 10))})
			}
		}).Stop()
	}
	conn := tls.Client(h, s.o.TLS)
	if err := conn.HandshakeContext(answered); err != nil {
		s.broken = true
		if cause := context.Cause(answered); cause != nil {
			return status.Connection.Errorf("TLS: %w while %s (%s)", cause, phases[handshake].doing, s.o.Host)
		}
		return h.lost(err, tlsFailure(err, s.o.Host))
	}
	s.use(conn)
	cs := conn.ConnectionState()
	s.tls = &cs
	s.trace('*', tls.VersionName(cs.Version)+", "+tls.CipherSuiteName(cs.CipherSuite))
	return nil
}

// maxChallenges is more than any mechanism needs.
const maxChallenges = 16

// maxCommand is how long a command line may be with its end, in octets (RFC 5321
// section 4.5.3.1.4).
const maxCommand = 512

// authenticate logs in. A mechanism that the server offers but does not know
// (504 or 5.5.4, RFC 4954 section 4) gives way to the next one that Auth chooses.
func (s *Session) authenticate(ctx context.Context) error {
	if s.o.Auth == nil {
		return nil
	}
	offered := s.mechanisms()
	var unknown error
	for {
		login, err := s.o.Auth(ctx, offered, s.tls)
		switch {
		case err != nil && len(offered) == 0 && s.tls == nil && s.offers("STARTTLS"):
			return fmt.Errorf("%w; it offers STARTTLS", err)
		case err != nil:
			return cmp.Or(unknown, err)
		case login == nil:
			return nil
		}
		mechanism, err := s.login(login)
		at := slices.Index(offered, mechanism)
		if !unknownMechanism(err) || at < 0 {
			return err
		}
		unknown = cmp.Or(unknown, err)
		offered = slices.Delete(offered, at, at+1)
	}
}

// unknownMechanism reports whether err is a server's word that it does not know
// the mechanism, and not that the secret is wrong.
func unknownMechanism(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && (r.Reply.Code == 504 || r.Reply.Status == status.Code{Class: 5, Subject: 5, Detail: 4})
}

// login runs one SASL exchange (RFC 4954) with the mechanism that it returns.
func (s *Session) login(login *Login) (mechanism string, err error) {
	mechanism, first, err := login.Client.Start()
	if err != nil {
		return "", status.AuthFailed.Wrap(fmt.Errorf("AUTH: %w", err))
	}
	s.hide(login.Secret)
	st := step{phase: auth, name: "AUTH " + mechanism, send: "AUTH " + mechanism}
	later := "" // the initial response, where the command has no room for it
	if first != nil {
		response := cmp.Or(s.encode(first), "=")
		if command := st.send + " " + response; len(command)+len("\r\n") <= maxCommand {
			st.send = command
		} else {
			later = response
		}
	}
	reply, err := s.command(st)
	if err == nil && reply.Class() == 3 && later != "" { // RFC 4954 section 4
		st.send = later
		reply, err = s.command(st)
	}
	for n := 0; err == nil && reply.Class() == 3; n++ {
		if n == maxChallenges {
			return mechanism, status.AuthFailed.Errorf("%s: the server asks without end (%s)", st, s.o.Host)
		}
		st.send = s.answer(login.Client, reply)
		reply, err = s.command(st)
	}
	verifier, _ := login.Client.(Verifier)
	switch {
	case err != nil:
		return mechanism, err
	case reply.Class() == 4:
		return mechanism, s.refusal(st, reply)
	case reply.Class() == 5:
		return mechanism, s.loginRefused(st, reply, verifier)
	case verifier != nil:
		if err := verifier.Verify(); err != nil {
			s.broken = true // the server may be somebody else
			return mechanism, status.Insecure.Wrap(fmt.Errorf("%s: %w (%s)", st, err, s.o.Host))
		}
	}
	return mechanism, nil
}

// loginRefused is the error of a login that the server refused for good, with
// the mechanism's reason if it has one.
func (s *Session) loginRefused(st step, r Reply, v Verifier) error {
	c := r.Status
	c.Class = 4
	err := error(&Refusal{st.String(), r, s.o.Host, st.phase})
	if v != nil && v.Reason() != nil {
		err = fmt.Errorf("%w: %s", err, s.mask(status.Printable(v.Reason().Error())))
	}
	return status.AuthFailed.With(c, err)
}

// answer is the client's line to a challenge: base64, or "*", which cancels
// the exchange (RFC 4954 section 4).
func (s *Session) answer(client sasl.Client, challenge Reply) string {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.Join(challenge.Lines, "")))
	if err != nil {
		text = nil // some servers send words; a mechanism that needs octets will say so
	}
	response, err := client.Next(text)
	if err != nil {
		s.trace('*', s.mask(err.Error()))
		return "*"
	}
	return s.encode(response)
}

// encode writes a SASL response as base64, which is not shown.
func (s *Session) encode(response []byte) string {
	text := base64.StdEncoding.EncodeToString(response)
	s.hide(text)
	return text
}

// hide keeps text out of the trace and of errors: as it is, in base64, and in the
// base64 of a longer text that contains it. One or two characters are no secret,
// and hiding them would make ordinary words unreadable.
func (s *Session) hide(text string) {
	if len(text) < 3 {
		return
	}
	s.hidden = append(s.hidden, text)
	for before := range 3 { // octets before text in its group of three
		all := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), text...))
		inner := all[(before*8+5)/6:] // from the first character that encodes nothing but text
		if (before+len(text))%3 != 0 {
			inner = inner[:len(inner)-1] // the last character also encodes what follows text
		}
		if before == 0 {
			s.hidden = append(s.hidden, all)
		}
		if len(inner) > 2 {
			s.hidden = append(s.hidden, inner)
		}
	}
	slices.SortFunc(s.hidden, func(a, b string) int { return len(b) - len(a) }) // the longest first: it may contain others
}

// hiddenMark stands where something is not shown.
const hiddenMark = "****"

// mask replaces every hidden text in line.
func (s *Session) mask(line string) string {
	for _, h := range s.hidden {
		line = strings.ReplaceAll(line, h, hiddenMark)
	}
	return line
}

func (s *Session) trace(from byte, text string) {
	if s.o.Trace != nil {
		s.tracing.Lock() // reader and writer may both have something to show
		defer s.tracing.Unlock()
		s.o.Trace(Line{from, text})
	}
}

// remark puts into the trace, once, what neither side said.
func (s *Session) remark(text string) {
	if !slices.Contains(s.remarks, text) {
		s.remarks = append(s.remarks, text)
		s.trace('*', text)
	}
}
