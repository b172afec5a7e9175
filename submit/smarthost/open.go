// Package smarthost opens a session with an account that is ready for mail, and keeps
// the session for the next mail.
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
// Errors: those of dial, trust, login and smtp, before the first MAIL of scope
// Account; throttle.TooSoon, if the account must not log in now; throttle.Held, if
// all its sessions are taken.
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

// Time limits before MAIL: somebody may be waiting.
const (
	readyTime  = 60 * time.Second // all of it together
	oddTime    = 5 * time.Second  // until a person hears that the port is odd
	silentTime = 10 * time.Second // until a TLS handshake is tried in another way
)

// securities says in terms of a session what config.Schemes says of TLS.
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
	Log      *maillog.Log       // may be nil
	Console  *status.Console    // may be nil
	Trace    func(smtp.Line)    // sees the dialogue; may be nil
	Patience time.Duration      // smtp.Options.Patience
	Own      []net.Listener     // sockets that we serve: no mail may go there
	Quiet    bool               // the caller cannot mend an account, and hears of nothing that only costs time
}

// Options is what else is wanted of a session.
type Options struct {
	Login    *login.Login // nil: Open starts one
	KeepOpen bool         // the session shall carry more mails than one
}

// Open returns a session with a that is ready for mail, and where it goes. hello is
// our name in EHLO. A fault of the way leads on to the next address, and then to the
// next server; a refused login, a bad certificate or a missing secret would only be
// repeated there. An access token may be revoked before its time: only when another
// one is refused too is it a login that failed.
func (o *Opener) Open(ctx context.Context, a *config.Account, hello string, want Options) (*smtp.Session, dial.Hop, error) {
	l, err := want.Login, RefuseOwn(a, o.Own)
	if l == nil && err == nil {
		l, err = o.Login(ctx, a, credential.Secret{})
	}
	if err == nil && l != nil && !o.Secrets.Store.Interactive {
		err = o.Throttle.Refused(a, func() (credential.Secret, error) { return l.Secret(ctx) })
	}
	way := &opening{Opener: o, account: a, hello: hello, login: l, keepOpen: want.KeepOpen}
	var session *smtp.Session
	if err == nil {
		session, err = way.search(ctx)
	}
	if token := l.Revoked(ctx, err); !token.IsZero() {
		o.Remark("the access token was refused before its time; getting another")
		l.Close()
		if l, err = o.Login(ctx, a, token); err == nil {
			way = &opening{Opener: o, account: a, hello: hello, login: l, keepOpen: want.KeepOpen}
			session, err = way.search(ctx)
		}
	}
	err = l.Blame(ctx, err)
	l.Close()
	o.note(ctx, a, l, err)
	return session, way.hop, err
}

// Login starts to fetch the secret of a, but asks no provider for an access token
// while the account rests. refused is an access token that is not to be used again;
// it may be zero.
func (o *Opener) Login(ctx context.Context, a *config.Account, refused credential.Secret) (*login.Login, error) {
	if login.NeedsToken(a) && !o.Secrets.Store.Interactive {
		if err := o.Throttle.Rest(a); err != nil {
			return nil, err
		}
	}
	return o.Secrets.Start(ctx, a, refused)
}

// note tells the throttle how the opening of a session went.
func (o *Opener) note(ctx context.Context, a *config.Account, l *login.Login, err error) {
	switch {
	case err == nil:
		o.Throttle.Works(a)
	case errors.As(err, new(*throttle.TooSoon)), ctx.Err() != nil:
	case Leaves(err):
		_, err = o.Throttle.Met(a, err, "")
		o.Log.Fault(err)
	case status.KindOf(err) == status.AuthFailed && l != nil:
		secret, _ := l.Secret(ctx) // none: no access token was to be had
		o.Log.Fault(o.Throttle.Note(throttle.Key(a), a.Name, err, &secret))
	default:
		o.Log.Fault(o.Throttle.Note(throttle.Key(a), a.Name, err, nil))
	}
}

// Leaves reports whether err is a server's word that it ends the session.
func Leaves(err error) bool {
	refusal := new(smtp.Refusal)
	return errors.As(err, &refusal) && refusal.Reply.Code == 421
}

// Limit bounds all that is before MAIL in a session with a.
func Limit(ctx context.Context, a *config.Account) (context.Context, context.CancelFunc) {
	limit := cmp.Or(a.Timeout.Duration, readyTime)
	return context.WithTimeoutCause(ctx, limit, notReady(limit))
}

func (o *opening) search(ctx context.Context) (*smtp.Session, error) {
	ctx, cancel := Limit(ctx, o.account)
	defer cancel()
	for n, server := range o.account.Servers {
		targets, err := o.Dialer.Targets(ctx, o.account, server)
		if err != nil {
			o.missed(err)
		}
		for m, t := range targets {
			others := len(o.account.Servers) - n - 1 + len(targets) - m - 1
			if session, err := o.try(ctx, t, others); session != nil || err != nil {
				return session, err
			}
		}
	}
	return nil, cmp.Or(o.failure, o.unreached) // who was reached can say more than who was not
}

// An opening is the search for a session.
type opening struct {
	*Opener
	account            *config.Account
	hello              string // our name in EHLO
	login              *login.Login
	keepOpen           bool
	failure, unreached error    // the first of each: that of the way which should have worked
	hop                dial.Hop // the last one
	classical          bool     // the last handshake was made with classical key shares only
}

func (o *opening) missed(err error) {
	o.Remark(err.Error())
	o.unreached = cmp.Or(o.unreached, err)
}

// try opens a session with t. If there is neither a session nor an error, the other
// targets are to be tried, which get their share of the time.
func (o *opening) try(ctx context.Context, t dial.Target, others int) (*smtp.Session, error) {
	a := o.account
	tlsConfig, err := tlsConfig(a, t) // before anything else: authorities are read in the meantime
	if err != nil {
		return nil, err
	}
	hops := o.Dialer.Hops(ctx, a, t)
	for hops.Left() > 0 {
		part, done := share(ctx, others+1)
		conn, h, err := hops.Connect(part)
		done()
		if err != nil {
			o.missed(err)
			break
		}
		part, done = share(ctx, others+hops.Left()+1)
		session, err := o.begin(part, h, conn, tlsConfig)
		done()
		if err == nil || !o.goesOn(t, err) || ctx.Err() != nil {
			return session, err
		}
		o.Remark(err.Error())
		o.failure = cmp.Or(o.failure, err)
	}
	return nil, nil
}

// tlsConfig returns how to speak TLS with t; nil for a target without TLS.
func tlsConfig(a *config.Account, t dial.Target) (*tls.Config, error) {
	if t.Server.Way().TLS == config.NoTLS {
		return nil, nil
	}
	return trust.Config(a, t.Name, t.Prove)
}

// goesOn reports whether another address of t may do better than the one that failed
// with err. At each address of localhost there may be another server.
func (o *opening) goesOn(t dial.Target, err error) bool {
	switch status.KindOf(err) {
	case status.Connection:
		return true
	case status.Insecure:
		return t.Guess && errors.Is(err, smtp.ErrNoTLS) || config.IsLocalhost(t.Name)
	}
	return false
}

func share(ctx context.Context, addresses int) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline()
	part := time.Until(deadline) / time.Duration(addresses)
	return context.WithTimeoutCause(ctx, part, notReady(part))
}

func notReady(limit time.Duration) error {
	return fmt.Errorf("not ready for mail within %s", limit.Round(time.Second/10))
}

// begin makes a session of a connection. If the TLS handshake is lost, begin tries
// once more over another connection, with a ClientHello of one packet: post-quantum
// key shares make a longer one, which some firewalls and old servers do not take.
// That this has worked is remembered for a day.
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
	session, again := o.start(ctx, h, conn, smtp.Options{TLS: trust.WithClassicalShares(c, func() { o.classical = true })})
	if o.classical {
		o.Dialer.Remember(h, dial.ClassicalOnly)
		o.Log.Line("address", false, "relay", h.Name, "address", h.Endpoint(), "warning", "TLS works "+OnlyClassical)
		o.caution(status.Insecure.Errorf("TLS with %s works %s", h, OnlyClassical))
		return session, again
	}
	return nil, err
}

// OnlyClassical says how TLS works where a longer ClientHello is lost.
const OnlyClassical = "only with classical key shares: something on the way takes no ClientHello of more than one packet"

func (o *opening) start(ctx context.Context, h dial.Hop, conn net.Conn, options smtp.Options) (*smtp.Session, error) {
	a := o.account
	way := h.Server.Way()
	o.hop = h
	options.Host = h.Name
	options.Name = o.hello
	options.Security = securities[way.TLS]
	options.LMTP = way.LMTP
	options.OneFlight = a.OneFlight
	options.KeepOpen = o.keepOpen
	options.MaxRecipients = a.MaxRecipients
	options.Timeout = a.Timeout.Duration
	options.Patience = o.Patience
	options.Trace = o.Trace
	options.Stalled = func() {
		o.Remark("no more gets through: " + h.Endpoint() + " comes last for an hour")
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
	if odd := way.Odd(h.Port); odd != "" {
		options.Host = h.HostPort() // for hints
		defer o.Console.TellAfter(oddTime, fmt.Sprintf("nothing heard yet from %s; %s", h, odd))()
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

// caution says what costs time with each mail, and what a person can do about it.
func (o *Opener) caution(err error) {
	if o.Quiet {
		return
	}
	o.Console.Warn(err.Error())
	if hint := status.Hint(err); hint != "" {
		o.Console.Warn("hint: " + hint)
	}
}

// Remark puts into the dialogue what neither side said.
func (o *Opener) Remark(text string) {
	if o.Trace != nil {
		o.Trace(smtp.Line{From: '*', Text: text})
	}
}
