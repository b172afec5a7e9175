package submit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"sendoff/config"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// Time limits before MAIL: somebody may be waiting.
const (
	connectTime = 30 * time.Second
	readyTime   = 60 * time.Second // all of it together
)

// transports are the ways to the next hop, by the scheme of the server.
var transports = [...]struct {
	scheme   string
	security smtp.Security
}{
	{config.SchemeTLS, smtp.Implicit},
	{config.SchemeStartTLS, smtp.StartTLS},
	{config.SchemePlain, smtp.None},
}

// security returns how a connection to server is protected.
func security(server config.Server) smtp.Security {
	for _, row := range transports {
		if row.scheme == server.Scheme {
			return row.security
		}
	}
	return smtp.Implicit // a scheme without a row: nothing goes in clear by mistake
}

// open returns a session that is ready for the job's mail, at the first
// address of the first server that gives one. A fault of the way leads on to
// the next; a refused login, a bad certificate or a missing secret would only
// be repeated there.
func (s *Submitter) open(ctx context.Context, j *job) (*smtp.Session, error) {
	limit := readyTime
	if j.account.Timeout.Duration > 0 {
		limit = j.account.Timeout.Duration
	}
	l, err := s.newLogin(ctx, j.account)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, notReady(limit))
	defer cancel()
	var failure, unreached error // the first of each: that of the address which should have worked
	for n, server := range j.account.Servers {
		tlsConfig, err := s.tlsConfig(j.account, server) // before anything else: authorities are read in the meantime
		if err != nil {
			return nil, err
		}
		hops, err := s.resolve(ctx, j.account, server)
		if err != nil {
			s.remark(err.Error())
			unreached = cmp.Or(unreached, err)
		}
		for i, hop := range hops {
			hop.tls = tlsConfig
			try, done := share(ctx, len(j.account.Servers)-n-1+len(hops)-i)
			defer done()
			conn, err := s.connect(try, j.account, hop)
			if err != nil {
				s.remark(err.Error())
				unreached = cmp.Or(unreached, err)
				continue
			}
			session, err := s.start(try, j, hop, conn, l)
			if status.KindOf(err) != status.Connection || ctx.Err() != nil {
				return session, err
			}
			s.remark(err.Error())
			failure = cmp.Or(failure, err)
		}
	}
	return nil, cmp.Or(failure, unreached) // who was reached can say more than who was not
}

// A hop is one address of a server.
type hop struct {
	server  config.Server
	address netip.AddrPort
	tls     *tls.Config // nil: none
}

// resolve finds the addresses of a server, in the order in which the system
// prefers them.
func (s *Submitter) resolve(ctx context.Context, a *config.Account, server config.Server) ([]hop, error) {
	if ip, err := netip.ParseAddr(server.Host); err == nil {
		return []hop{{server: server, address: netip.AddrPortFrom(ip, uint16(server.Port))}}, nil
	}
	network := "ip" + a.AddressFamily.Network()[len("tcp"):]
	lookup := s.Lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	found, err := lookup(ctx, network, server.Host)
	if err != nil {
		return nil, lookupFailure(server.Host, err)
	}
	var hops []hop
	for _, ip := range found {
		hops = append(hops, hop{server: server, address: netip.AddrPortFrom(ip.Unmap(), uint16(server.Port))})
	}
	return hops, nil
}

func lookupFailure(host string, err error) error {
	var e *net.DNSError
	if !errors.As(err, &e) {
		return status.Connection.Errorf("look up %s: %w", host, err)
	}
	code := status.Code{Class: 4, Subject: 4, Detail: 3}
	switch {
	case e.IsNotFound:
		return status.Connection.With(code, fmt.Errorf("look up %s: no such host", host))
	case e.IsTimeout:
		return status.Connection.With(code, fmt.Errorf("look up %s: no answer from the name servers", host))
	}
	return status.Connection.With(code, fmt.Errorf("look up %s: %s", host, e.Err))
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

// connect dials one hop.
func (s *Submitter) connect(ctx context.Context, a *config.Account, h hop) (net.Conn, error) {
	limit := connectTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	dialing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dial := s.Dial
	if dial == nil {
		d := &net.Dialer{}
		if a.SourceAddress.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.SourceAddress.Addr, 0))
		}
		dial = d.DialContext
	}
	conn, err := dial(dialing, "tcp", h.address.String())
	if err != nil {
		return nil, h.unreached(ctx, err, limit)
	}
	return conn, nil
}

func (h hop) unreached(ctx context.Context, err error, limit time.Duration) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", limit.Round(time.Second/10))
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	name := net.JoinHostPort(h.server.Host, strconv.Itoa(h.server.Port))
	if literal := h.address.String(); literal != name {
		name += " at " + h.address.Addr().String()
	}
	return status.Connection.Errorf("connect to %s: %w", name, unwrapSyscall(err))
}

// unwrapSyscall drops the name of the system call: it says nothing to a
// person.
func unwrapSyscall(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		if _, ok := err.(interface{ Timeout() bool }); ok {
			return inner
		}
	}
	return err
}

// start makes a session of a connection.
func (s *Submitter) start(ctx context.Context, j *job, h hop, conn net.Conn, l *login) (*smtp.Session, error) {
	options := smtp.Options{
		Host:     h.server.Host,
		Name:     j.hello,
		Security: security(h.server),
		TLS:      h.tls,
		Timeout:  j.account.Timeout.Duration,
		Trace:    s.Trace,

		MaxRecipients: j.account.MaxRecipients,
	}
	if l != nil {
		l.local = h.address.Addr().IsLoopback()
		options.Auth = l.auth
	}
	s.remark(fmt.Sprintf("connected to %s (%s)", h.server, h.address))
	return smtp.Open(ctx, conn, options)
}

// remark puts into the dialogue what neither side said.
func (s *Submitter) remark(text string) {
	if s.Trace != nil {
		s.Trace(smtp.Line{From: '*', Text: text})
	}
}
