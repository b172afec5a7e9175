// Package smtp is the client side of SMTP (RFC 5321) and LMTP (RFC 2033).
//
// Open prepares a connection until mail may be sent; Deliver sends all mails of a
// sequence; Close ends the session. The calls come in this order. Only with
// Options.KeepOpen Deliver may be called again. TrySender may be called in its place.
//
//	Open     S: greeting             Deliver  C: MAIL RCPT… DATA
//	         C: EHLO (or HELO)                S: their replies
//	         C: STARTTLS, EHLO                C: message . MAIL RCPT… DATA
//	         C: AUTH …                        S: their replies
//	                                          C: message . QUIT
//	                                          S: the message is taken
//
// The commands on one line above are a flight: they are written together, without
// waiting for the replies in between. If the server does not offer PIPELINING (RFC
// 2920), every command is a flight of its own; nothing else differs (fly.go). Nobody
// waits for the reply to QUIT. With Options.OneFlight and CHUNKING (RFC 3030) the
// message is in the flight of its MAIL (transaction.go). LMTP has LHLO in place of
// EHLO, and a reply for each recipient at the end of the message.
//
// A reply that came before its command was sent is not accepted. No text of a server,
// an address or a secret can become a command: commands are checked when they are
// written, replies are bounded and made printable (reply.go).
//
// Errors: before MAIL every error has the scope Account: Connection, Insecure,
// AuthFailed, or the error of Options.Auth. From MAIL on, a refusal is NoUser, Refused,
// NotAllowed, TooBig, Deferred, Limited or AuthFailed, which the reply decides; a broken
// connection or protocol is Lost. When Deliver has returned an error, the session can
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

// A Login is the mechanism and the secret with which a session authenticates.
type Login struct {
	Client sasl.Client // the mechanism; it may also be a Verifier
	Secret string      // is masked in the trace and in errors
}

// A Verifier is a sasl.Client that judges the outcome of the exchange. Verify returns
// nil if the server has proved its identity as the mechanism requires; a 2yz reply
// without that proof is a failure. Reason returns an error whose text is added to the
// server's refusal, or nil.
type Verifier interface {
	Verify() error
	Reason() error
}

// Options are the settings of a session.
type Options struct {
	Host     string // the server's name, for errors
	Name     string // our name, for EHLO
	Security Security
	TLS      *tls.Config
	// Silence is how long a TLS handshake waits for the first octet from the server;
	// 0: as long as for the whole handshake.
	Silence time.Duration
	LMTP    bool
	// OneFlight sends a small message before the replies to its recipients have
	// come. Set it only if the server is known to skip a chunk that it refuses: any
	// other server would read the message as commands.
	OneFlight bool
	// KeepOpen makes Deliver leave the session open, so that Deliver may be called
	// again after it has returned nil.
	KeepOpen bool
	// MaxRecipients is the largest number of recipients of one transaction; 0: as
	// many as the server accepts.
	MaxRecipients int
	// Auth chooses one of the offered mechanisms. It is called after TLS, and again
	// without a mechanism that the server offered and then did not know. If it
	// returns a nil Login, or is nil, the session does not authenticate.
	Auth func(ctx context.Context, offered []string, cs *tls.ConnectionState) (*Login, error)
	// Timeout limits the wait for every reply but the one to the final dot; 0: only
	// the limits of RFC 5321 section 4.5.3.2.
	Timeout time.Duration
	// GreetingTime limits the wait for the greeting; 0: as Timeout does.
	GreetingTime time.Duration
	// Patience is how long an interrupted session still waits for the reply to a
	// final dot that it has sent, because the server may have accepted the message;
	// 0: 5 s, because a person may be waiting.
	Patience time.Duration
	// Stalled is called if, between MAIL and the reply to the final dot, no more data
	// flows in one direction, within our time limit or the server's; may be nil.
	Stalled func()
	Trace   func(Line) // gets each line of the dialogue, with secrets masked; may be nil
}

// A Line is one line of the dialogue.
type Line struct {
	From byte   // 'C' client, 'S' server, '*' a remark of this package
	Text string // printable, without the line end
}

// A Session is a connection on which mail may be sent. Only one goroutine at a time
// may call its methods.
type Session struct {
	o        Options
	conn     net.Conn
	r        *bufio.Reader
	w        *bufio.Writer
	greeting string               // the text of the greeting, without the code
	offered  map[string]string    // EHLO keyword, in upper case, to its arguments; nil after HELO
	tls      *tls.ConnectionState // nil without TLS
	hidden   []string             // texts that mask replaces
	broken   bool                 // out of step: the next reply may belong to another command
	quit     bool                 // QUIT was written
	remarks  []string             // remarks in the trace: each is made only once

	refusedSenders []envelope.Address // senders that the server has refused for good

	transactions int  // number of transactions begun
	served       bool // the server has accepted a MAIL, or refused a sender that has a fallback
	serverLeft   bool // the server ended the session in place of a 2yz to MAIL or RSET
	leftBy421    bool // the server left with 421: it has accepted no message that was sent after that

	mostRecipients int // number of recipients that the server accepted before it refused more; 0: it never did

	tracing sync.Mutex // guards Trace, which may block

	mu           sync.Mutex // guards the fields below: reader, writer and watch share them
	waiting      phase      // the phase of the reply that is read
	writing      bool       // the writer is at work
	bodyWritten  bool       // the last flight had a message, and was written in full
	failed       bool       // the writer could not write
	stopped      bool       // the last deadline is set: no other may replace it
	mailDeadline time.Time  // when the commands of the mail must be answered; zero before MAIL
	cause        error      // why the context ended; nil: it has not
}

// Open makes a session of a new connection: greeting, EHLO, TLS and AUTH, as o says.
// The session owns conn; if Open returns an error, it has closed conn.
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

// Close ends the session. If the session is in step and no QUIT was sent, Close sends
// QUIT, and does not wait for the reply. TLS then ends with an alert. A server that did
// not read the QUIT gets no alert: the alert could block for 5 s.
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

// command sends one step as a flight of its own, and returns the reply.
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

// hello sends EHLO, and HELO if the server refuses EHLO with 5yz (RFC 5321 section
// 3.2). With LMTP it sends LHLO, which every LMTP server knows.
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

// startTLS turns the connection into TLS, and forgets what the server offered before.
// If octets follow the server's reply to STARTTLS, the session ends: TLS did not
// protect them (RFC 3207 section 4.2, CVE-2011-0411).
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

// handshake begins TLS. If a time limit ends the handshake, the limit is the cause of
// the context.
func (s *Session) handshake(ctx context.Context) error {
	noAnswer := func(d time.Duration) error { return fmt.Errorf("no answer within %s", d) }
	limit := s.limit(handshake)
	limited, cancel := context.WithTimeoutCause(ctx, limit, noAnswer(limit))
	defer cancel()
	answered, giveUp := context.WithCancelCause(limited)
	defer giveUp(nil)
	h := &answerConn{Conn: s.conn}
	if s.o.Silence > 0 {
		defer time.AfterFunc(s.o.Silence, func() {
			if !h.answered.Load() {
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
		return h.markLost(err, tlsFailure(err, s.o.Host))
	}
	s.use(conn)
	cs := conn.ConnectionState()
	s.tls = &cs
	s.trace('*', tls.VersionName(cs.Version)+", "+tls.CipherSuiteName(cs.CipherSuite))
	return nil
}

// maxChallenges limits the challenges of one login: no mechanism needs as many.
const maxChallenges = 16

// maxCommand is the largest length of a command line with its CRLF, in octets (RFC
// 5321 section 4.5.3.1.4).
const maxCommand = 512

// authenticate logs in. If the server offers a mechanism but then does not know it (504
// or 5.5.4, RFC 4954 section 4), Auth chooses another one.
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

// unknownMechanism reports whether err is a refusal that says that the server does not
// know the mechanism: it says nothing about the secret.
func unknownMechanism(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && (r.Reply.Code == 504 || r.Reply.Status == status.Code{Class: 5, Subject: 5, Detail: 4})
}

// login runs one SASL exchange (RFC 4954), and returns the name of the mechanism.
func (s *Session) login(login *Login) (mechanism string, err error) {
	mechanism, first, err := login.Client.Start()
	if err != nil {
		return "", status.AuthFailed.Wrap(fmt.Errorf("AUTH: %w", err))
	}
	s.hide(login.Secret)
	st := step{phase: auth, name: "AUTH " + mechanism, send: "AUTH " + mechanism}
	later := "" // the initial response, if it does not fit into the command
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
			s.broken = true // this may be an impostor of the server
			return mechanism, status.Insecure.Wrap(fmt.Errorf("%s: %w (%s)", st, err, s.o.Host))
		}
	}
	return mechanism, nil
}

// loginRefused returns the error of a login that the server refused for good, with
// the reason that v knows, if any.
func (s *Session) loginRefused(st step, r Reply, v Verifier) error {
	c := r.Status
	c.Class = 4
	err := error(&Refusal{st.String(), r, s.o.Host, st.phase})
	if v != nil && v.Reason() != nil {
		err = fmt.Errorf("%w: %s", err, s.mask(status.Printable(v.Reason().Error())))
	}
	return status.AuthFailed.With(c, err)
}

// answer returns the line that answers a challenge: base64, or "*" to cancel the
// exchange (RFC 4954 section 4).
func (s *Session) answer(client sasl.Client, challenge Reply) string {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.Join(challenge.Lines, "")))
	if err != nil {
		text = nil // some servers send words in place of base64; a mechanism that needs the challenge fails then
	}
	response, err := client.Next(text)
	if err != nil {
		s.trace('*', s.mask(err.Error()))
		return "*"
	}
	return s.encode(response)
}

// encode returns a SASL response in base64, and hides it from the trace.
func (s *Session) encode(response []byte) string {
	text := base64.StdEncoding.EncodeToString(response)
	s.hide(text)
	return text
}

// hide makes mask replace text in the trace and in errors: as it is, in base64, and
// inside the base64 of a longer text. A text of one or two characters is not hidden:
// it is no secret, and ordinary words would become unreadable.
func (s *Session) hide(text string) {
	if len(text) < 3 {
		return
	}
	s.hidden = append(s.hidden, text)
	for before := range 3 { // number of octets before text in the same group of three
		all := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), text...))
		inner := all[(before*8+5)/6:] // begins with the first character that encodes only octets of text
		if (before+len(text))%3 != 0 {
			inner = inner[:len(inner)-1] // the last character also encodes the octet behind text
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

// hiddenMark replaces a hidden text.
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
		s.tracing.Lock() // reader and writer may call trace at the same time
		defer s.tracing.Unlock()
		s.o.Trace(Line{from, text})
	}
}

// remark adds a line that neither side has sent to the trace, once for each text.
func (s *Session) remark(text string) {
	if !slices.Contains(s.remarks, text) {
		s.remarks = append(s.remarks, text)
		s.trace('*', text)
	}
}
