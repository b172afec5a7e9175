package submit

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
	"sendoff/submit/smtp"
	"sendoff/submit/state"
	"sendoff/submit/status"
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

// open returns a session with a that is ready for mail, and where it goes. l is nil,
// unless the secret has been fetched already. A fault of the way
// leads on to the next address, and then to the next server; a refused login,
// a bad certificate or a missing secret would only be repeated there. An access
// token may be revoked before its time: only when another one is refused too is
// it a login that failed.
//
//	server ── targets ── hops ── connection ── session
func (s *Submitter) open(ctx context.Context, a *config.Account, hello string, l *login.Login) (*smtp.Session, dial.Hop, error) {
	err := refuseOwn(a, s.own)
	if err == nil && l == nil {
		l, err = s.login(ctx, a, credential.Secret{})
	}
	if err == nil {
		err = s.refused(ctx, a, l)
	}
	o := &opening{s: s, dialer: s.dialer(), account: a, hello: hello, login: l}
	var session *smtp.Session
	if err == nil {
		session, err = s.search(ctx, o)
	}
	if token := l.Revoked(ctx, err); !token.IsZero() {
		s.remark("the access token was refused before its time; getting another")
		l.Close()
		if l, err = s.login(ctx, a, token); err == nil {
			o = &opening{s: s, dialer: s.dialer(), account: a, hello: hello, login: l}
			session, err = s.search(ctx, o)
		}
	}
	err = l.Blame(ctx, err)
	l.Close()
	s.opened(ctx, a, l, err)
	return session, o.hop, err
}

// login starts to fetch the secret of a. A provider is not asked for an access token
// while the account rests.
func (s *Submitter) login(ctx context.Context, a *config.Account, refused credential.Secret) (*login.Login, error) {
	if login.NeedsToken(a) {
		if err := s.rest(a); err != nil {
			return nil, err
		}
	}
	return s.Secrets().Start(ctx, a, refused)
}

// Secrets finds the secrets of accounts.
func (s *Submitter) Secrets() *login.Secrets {
	store := s.Store
	if store == nil {
		store = new(credential.Store)
	}
	var known *state.Folder
	if s.Queue != nil {
		known = s.Queue.State
	}
	d := &dial.Dialer{Lookup: s.Lookup, LookupSRV: s.LookupSRV, Dial: s.Dial, State: known, Home: store.Home, Interactive: store.Interactive}
	secrets := &login.Secrets{Config: s.Config, Store: store, State: known, Dialer: d}
	d.ProxySecret = secrets.ForProxy
	return secrets
}

// dialer connects to servers.
func (s *Submitter) dialer() *dial.Dialer { return s.Secrets().Dialer }

// readyLimit is how long all may take that is before MAIL.
func readyLimit(a *config.Account) time.Duration {
	if t := a.Timeout.Duration; t > 0 {
		return t
	}
	return readyTime
}

// search tries one way after the other.
func (s *Submitter) search(ctx context.Context, o *opening) (*smtp.Session, error) {
	limit := readyLimit(o.account)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, notReady(limit))
	defer cancel()
	for n, server := range o.account.Servers {
		targets, err := o.dialer.Targets(ctx, o.account, server)
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
	s                  *Submitter
	dialer             *dial.Dialer
	account            *config.Account
	hello              string // our name in EHLO
	login              *login.Login
	failure, unreached error    // the first of each: that of the way which should have worked
	hop                dial.Hop // the last one
	classical          bool     // the last handshake was made with classical key shares only
}

// missed notes that nobody was reached.
func (o *opening) missed(err error) {
	o.s.remark(err.Error())
	o.unreached = cmp.Or(o.unreached, err)
}

// try opens a session with t. Neither a session nor an error means that the
// others, which get their share of the time, may have more luck.
func (o *opening) try(ctx context.Context, t dial.Target, others int) (*smtp.Session, error) {
	a := o.account
	tlsConfig, err := tlsConfig(a, t) // before anything else: authorities are read in the meantime
	if err != nil {
		return nil, err
	}
	hops := o.dialer.Hops(ctx, a, t)
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
		o.s.remark(err.Error())
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

// goesOn reports whether another address of t may do better than one that failed
// with err. At each of localhost's there may be somebody else.
func (o *opening) goesOn(t dial.Target, err error) bool {
	switch status.KindOf(err) {
	case status.Connection:
		return true
	case status.Insecure:
		return t.Guess && errors.Is(err, smtp.ErrNoTLS) || config.IsLocalhost(t.Name)
	}
	return false
}

// share gives one of several addresses its part of the time that is left.
func share(ctx context.Context, addresses int) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline()
	part := time.Until(deadline) / time.Duration(addresses)
	return context.WithTimeoutCause(ctx, part, notReady(part))
}

func notReady(limit time.Duration) error {
	return fmt.Errorf("not ready for mail within %s", limit.Round(time.Second/10))
}

// begin makes a session of a connection. Where the TLS handshake is lost, it is
// tried once more over another connection, with a ClientHello of one packet: some
// firewalls and old servers take no longer one, as post-quantum key shares make
// it. That this has worked is remembered for a day.
func (o *opening) begin(ctx context.Context, h dial.Hop, conn net.Conn, c *tls.Config) (*smtp.Session, error) {
	if o.classical = c != nil && o.dialer.Is(h, dial.ClassicalOnly); c == nil || o.classical {
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
	o.s.remark(err.Error() + "; again, with classical key shares")
	conn, unreached := o.dialer.Connect(ctx, o.account, h)
	if unreached != nil {
		return nil, err
	}
	session, again := o.start(ctx, h, conn, smtp.Options{TLS: trust.WithClassicalShares(c, func() { o.classical = true })})
	if o.classical {
		o.dialer.Remember(h, dial.ClassicalOnly)
		o.s.logAddress(h, "TLS works "+onlyClassical)
		o.s.caution(status.Insecure.Errorf("TLS with %s works %s", h, onlyClassical))
		return session, again
	}
	return nil, err
}

// onlyClassical says how TLS works where a longer ClientHello is lost.
const onlyClassical = "only with classical key shares: something on the way takes no ClientHello of more than one packet"

// start makes a session of a connection.
func (o *opening) start(ctx context.Context, h dial.Hop, conn net.Conn, options smtp.Options) (*smtp.Session, error) {
	a := o.account
	way := h.Server.Way()
	o.hop = h
	options.Host = h.Name
	options.Name = o.hello
	options.Security = securities[way.TLS]
	options.LMTP = way.LMTP
	options.OneFlight = a.OneFlight
	options.KeepOpen = o.s.Kept != nil || o.s.stay
	options.MaxRecipients = a.MaxRecipients
	options.Timeout = a.Timeout.Duration
	options.Patience = o.s.Patience
	options.Trace = o.s.Trace
	options.Stalled = func() {
		o.s.remark("no more gets through: " + h.Endpoint() + " comes last for an hour")
		o.dialer.Remember(h, dial.Stalls)
	}
	if o.login != nil {
		var from netip.AddrPort
		if near, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			from = near.AddrPort()
		}
		o.login.To(h.Local(), h.Address, from)
		options.Auth = o.login.Auth
	}
	o.s.remark("connected to " + h.String())
	if odd := way.Odd(h.Port); odd != "" {
		options.Host = h.HostPort() // for hints
		defer o.s.Console.TellAfter(oddTime, fmt.Sprintf("nothing heard yet from %s; %s", h, odd))()
	}
	session, err := smtp.Open(ctx, conn, options)
	if err != nil {
		err = dial.Explain(conn, err)
	}
	if text := o.login.PassedOver(); err == nil && text != "" && !o.dialer.Is(h, dial.ToldOfLogins) {
		o.s.caution(errors.New(text))
		o.dialer.Remember(h, dial.ToldOfLogins)
	}
	return session, err
}

// caution says what costs time with each mail, and what a person can do about it.
// sendmail's callers can do nothing.
func (s *Submitter) caution(err error) {
	if s.Sendmail {
		return
	}
	s.Console.Warn(err.Error())
	if hint := status.Hint(err); hint != "" {
		s.Console.Warn("hint: " + hint)
	}
}

// remark puts into the dialogue what neither side said.
func (s *Submitter) remark(text string) {
	if s.Trace != nil {
		s.Trace(smtp.Line{From: '*', Text: text})
	}
}
