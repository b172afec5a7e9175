// Package smarthost opens a session that is ready for mail with the server of an
// account, and keeps the session for the next mail.
//
//	account ── rests? (throttle) ── secret (login) ─┐ while
//	   └ server ── targets ── hops ── connection ───┴─ TLS ── login ──> session
//	               (dial)                              (trust)           │ Pool.Get
//	                                                                  mails
//	                                                                     │ Pool.Put
//	                                      the next mail, or QUIT <───────┘
//
// The package must not know messages, entries of the queue, or who they are from.
//
// Errors: those of dial, trust, login and smtp, which have the scope Account before the
// first MAIL; throttle.TooSoon, if the account must not log in now; throttle.Held, if
// the account has as many sessions as it may have.
package smarthost

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/login"
	"sendoff/submit/maillog"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
	"sendoff/submit/trust"
)

// Time limits before MAIL. They are short, because a person may be waiting.
const (
	readyTime  = 60 * time.Second // for everything before MAIL, without the setting timeout
	oddTime    = 5 * time.Second  // of silence before a person hears that the port does not fit the scheme
	socketTime = 10 * time.Second // for the greeting of a service of this machine, which is started again meanwhile
	silentTime = 10 * time.Second // of silence before the TLS handshake is repeated with classical key shares
)

// securities translates the TLS column of config.Schemes into options of a session.
var securities = [...]smtp.Security{
	config.NoTLS:       smtp.None,
	config.ImplicitTLS: smtp.Implicit,
	config.StartTLS:    smtp.StartTLS,
}

// An Opener opens sessions with accounts.
type Opener struct {
	Dialer   *dial.Dialer
	Secrets  *login.Secrets
	Throttle *throttle.Throttle // nil: no account is held back
	Log      *maillog.Log       // nil: nothing is logged
	Console  *status.Console    // nil: no person is told anything
	Trace    func(smtp.Line)    // gets each line of the dialogue; may be nil
	Patience time.Duration      // smtp.Options.Patience
	Own      []net.Listener     // sockets that this process serves: mail to them would go round in a circle
	Quiet    bool               // give no warning that only asks to change the account: the caller cannot
}

// Options are the optional parts of Open.
type Options struct {
	Login    *login.Login // nil: Open starts one
	KeepOpen bool         // the session may carry more than one Deliver
}

// Open returns a session with a that is ready for mail, and the hop that it uses. hello
// is our name in EHLO. After a fault of the connection Open tries the next address, and
// then the next server. After a refused login, a bad certificate or a missing secret it
// tries no other, because they would fail in the same way. If the server refuses an
// access token, which may have been revoked, Open gets another token once; only if the
// server refuses that too has the login failed.
func (o *Opener) Open(ctx context.Context, a *config.Account, hello string, want Options) (*smtp.Session, dial.Hop, error) {
	l, err := want.Login, RefuseOwn(a, o.Own)
	if l == nil && err == nil {
		l, err = o.Login(ctx, a, credential.Secret{})
	}
	if err == nil && l != nil && !o.Secrets.Store.Interactive {
		err = o.Throttle.Refused(a, func() (credential.Secret, error) { return l.Secret(ctx) })
	}
	attempt := &opening{Opener: o, account: a, hello: hello, login: l, keepOpen: want.KeepOpen}
	var session *smtp.Session
	if err == nil {
		session, err = attempt.search(ctx)
	}
	if token := l.Revoked(ctx, err); !token.IsZero() {
		o.Remark("the access token was refused before its time; getting another")
		l.Close()
		if l, err = o.Login(ctx, a, token); err == nil {
			attempt = &opening{Opener: o, account: a, hello: hello, login: l, keepOpen: want.KeepOpen}
			session, err = attempt.search(ctx)
		}
	}
	err = l.Blame(ctx, err)
	l.Close()
	o.note(ctx, a, l, err)
	return session, attempt.hop, err
}

// Login starts to fetch the secret of a. If a's logins rest (throttle.Rest) and the
// secret may be an access token, it returns throttle.TooSoon instead, and asks no
// provider. refused is an access token not to use again; zero: there is none.
func (o *Opener) Login(ctx context.Context, a *config.Account, refused credential.Secret) (*login.Login, error) {
	if login.NeedsToken(a) && !o.Secrets.Store.Interactive {
		if err := o.Throttle.Rest(a); err != nil {
			return nil, err
		}
	}
	return o.Secrets.Start(ctx, a, refused)
}

// note tells the throttle that a session was opened, or why it was not.
func (o *Opener) note(ctx context.Context, a *config.Account, l *login.Login, err error) {
	switch {
	case err == nil:
		o.Throttle.Works(a)
	case errors.As(err, new(*throttle.TooSoon)), ctx.Err() != nil:
	case Leaves(err):
		_, err = o.Throttle.Met(a, err, "")
		o.Log.Fault(err)
	case status.KindOf(err) == status.AuthFailed && l != nil:
		secret, _ := l.Secret(ctx) // zero if the provider gave no access token
		o.Log.Fault(o.Throttle.Note(throttle.Key(a), a.Name, err, &secret))
	default:
		o.Log.Fault(o.Throttle.Note(throttle.Key(a), a.Name, err, nil))
	}
}

// Leaves reports whether err is a reply 421: the server closes the session (RFC 5321
// section 3.8).
func Leaves(err error) bool {
	refusal := new(smtp.Refusal)
	return errors.As(err, &refusal) && refusal.Reply.Code == 421
}

// Limit returns ctx with the time limit for opening a session with a: the account's
// timeout, or else readyTime.
func Limit(ctx context.Context, a *config.Account) (context.Context, context.CancelFunc) {
	limit := cmp.Or(a.Timeout.Duration, readyTime)
	return context.WithTimeoutCause(ctx, limit, notReady(limit))
}

// search tries the addresses of all servers, and returns the first session.
func (o *opening) search(ctx context.Context) (*smtp.Session, error) {
	ctx, cancel := Limit(ctx, o.account)
	defer cancel()
	for n, server := range o.account.Servers {
		targets, err := o.Dialer.Targets(ctx, o.account, server)
		if err != nil {
			o.noteUnreached(err)
		}
		for m, t := range targets {
			others := len(o.account.Servers) - n - 1 + len(targets) - m - 1
			if session, err := o.try(ctx, t, others); session != nil || err != nil {
				return session, err
			}
		}
	}
	return nil, cmp.Or(o.failure, o.unreached) // the failure of a server that answered says more
}

// An opening is the state of one Open.
type opening struct {
	*Opener
	account            *config.Account
	hello              string // our name in EHLO
	login              *login.Login
	keepOpen           bool
	failure, unreached error    // the first error after, and the first without, a connection
	hop                dial.Hop // the hop that was tried last
	classical          bool     // the last handshake used only classical key shares
}

// noteUnreached notes why a server or an address could not be connected to.
func (o *opening) noteUnreached(err error) {
	o.Remark(err.Error())
	o.unreached = cmp.Or(o.unreached, err)
}

// try opens a session with t. If it returns neither a session nor an error, the caller
// tries the next target. The addresses of t share the time that is left with the other
// targets, whose number is others.
func (o *opening) try(ctx context.Context, t dial.Target, others int) (*smtp.Session, error) {
	a := o.account
	tlsConfig, err := tlsConfig(a, t) // first, because it reads the trust anchors while we connect
	if err != nil {
		return nil, err
	}
	hops := o.Dialer.Hops(ctx, a, t)
	for hops.Left() > 0 {
		partCtx, cancel := withShare(ctx, others+1)
		conn, h, err := hops.Connect(partCtx)
		cancel()
		if err != nil {
			o.noteUnreached(err)
			break
		}
		partCtx, cancel = withShare(ctx, others+hops.Left()+1)
		session, err := o.begin(partCtx, h, conn, tlsConfig)
		cancel()
		if err == nil || !o.goesOn(t, err) || ctx.Err() != nil {
			return session, err
		}
		o.Remark(err.Error())
		o.failure = cmp.Or(o.failure, err)
	}
	return nil, nil
}

// tlsConfig returns the TLS configuration for t; nil: the scheme of t is without TLS.
func tlsConfig(a *config.Account, t dial.Target) (*tls.Config, error) {
	if t.Server.Way().TLS == config.NoTLS {
		return nil, nil
	}
	return trust.Config(a, t.Name, t.Prove)
}

// goesOn reports whether to try the next address of t after one has failed with err.
// The addresses of localhost may have different servers.
func (o *opening) goesOn(t dial.Target, err error) bool {
	switch status.KindOf(err) {
	case status.Connection:
		return true
	case status.Insecure:
		return t.Guess && errors.Is(err, smtp.ErrNoTLS) || config.IsLocalhost(t.Name)
	}
	return false
}

// withShare returns ctx with an equal share of its time for one of several addresses.
func withShare(ctx context.Context, addresses int) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline()
	part := time.Until(deadline) / time.Duration(addresses)
	return context.WithTimeoutCause(ctx, part, notReady(part))
}

func notReady(limit time.Duration) error {
	return fmt.Errorf("not ready for mail within %s", limit.Round(time.Second/10))
}

// begin opens a session over conn. If the server does not answer the TLS handshake,
// begin connects once more, with classical key shares: the ClientHello then fits into
// one packet. With post-quantum key shares it is longer, and some firewalls and old
// servers drop it. If the second handshake works, that is remembered for a day.
func (o *opening) begin(ctx context.Context, h dial.Hop, conn net.Conn, c *tls.Config) (*smtp.Session, error) {
	if o.classical = c != nil && o.Dialer.Is(h, dial.ClassicalOnly); c == nil || o.classical {
		return o.start(ctx, h, conn, smtp.Options{TLS: trust.WithClassicalShares(c, nil)})
	}
	silence := silentTime
	if deadline, ok := ctx.Deadline(); ok {
		silence = min(silence, time.Until(deadline)/2)
	}
	session, err := o.start(ctx, h, conn, smtp.Options{TLS: c, Silence: silence})
	if !errors.As(err, new(*smtp.LostHandshake)) || ctx.Err() != nil {
		return session, err
	}
	o.Remark(err.Error() + "; again, with classical key shares")
	conn, unreached := o.Dialer.Connect(ctx, o.account, h)
	if unreached != nil {
		return nil, err
	}
	session, errClassical := o.start(ctx, h, conn, smtp.Options{TLS: trust.WithClassicalShares(c, func() { o.classical = true })})
	if o.classical { // this handshake worked
		o.Dialer.Remember(h, dial.ClassicalOnly)
		o.Log.Line("address", false, "relay", h.Name, "address", h.Endpoint(), "warning", "TLS works "+OnlyClassical)
		o.caution(status.Insecure.Errorf("TLS with %s works %s", h, OnlyClassical))
		return session, errClassical
	}
	return nil, err
}

// OnlyClassical is the warning for people where a longer ClientHello is lost; "TLS
// works" stands before it.
const OnlyClassical = "only with classical key shares: something on the way drops a ClientHello of more than one packet"

// start opens a session over conn. options has the TLS settings; start adds all others.
func (o *opening) start(ctx context.Context, h dial.Hop, conn net.Conn, options smtp.Options) (*smtp.Session, error) {
	a := o.account
	scheme := h.Server.Way()
	o.hop = h
	options.Host = h.Name
	options.Name = o.hello
	options.Security = securities[scheme.TLS]
	options.LMTP = scheme.LMTP
	options.OneFlight = a.OneFlight
	options.KeepOpen = o.keepOpen
	options.MaxRecipients = a.MaxRecipients
	options.Timeout = a.Timeout.Duration
	options.Patience = o.Patience
	if h.Server.Kind() == config.Socket {
		options.GreetingTime = socketTime
	}
	options.Trace = o.Trace
	options.Stalled = func() {
		o.Remark("the connection stalled: " + h.Endpoint() + " is tried last for an hour")
		o.Dialer.Remember(h, dial.Stalls)
	}
	if o.login != nil {
		var from netip.AddrPort
		if near, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			from = near.AddrPort()
		}
		o.login.To(h.Local(), h.Address, from)
		options.Auth = o.login.Auth
	}
	o.Remark("connected to " + h.String())
	if odd := scheme.Odd(h.Port); odd != "" {
		options.Host = h.HostPort() // with the port, by which a hint finds the scheme that fits
		defer o.Console.TellAfter(oddTime, fmt.Sprintf("no answer yet from %s; %s", h, odd))()
	}
	session, err := smtp.Open(ctx, conn, options)
	if err != nil {
		err = dial.Explain(conn, err)
	}
	if text := o.login.PassedOver(); err == nil && text != "" && !o.Dialer.Is(h, dial.ToldOfLogins) {
		o.caution(errors.New(text))
		o.Dialer.Remember(h, dial.ToldOfLogins)
	}
	return session, err
}

// caution warns a person of a fault that costs time with each mail, with a hint how to
// mend it.
func (o *Opener) caution(err error) {
	if o.Quiet {
		return
	}
	o.Console.Warn(err.Error())
	if hint := status.Hint(err); hint != "" {
		o.Console.Warn("hint: " + hint)
	}
}

// Remark adds a line to the traced dialogue that neither side sent.
func (o *Opener) Remark(text string) {
	if o.Trace != nil {
		o.Trace(smtp.Line{From: '*', Text: text})
	}
}
