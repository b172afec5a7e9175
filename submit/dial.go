package submit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/proxy"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// attemptDelay is how long an address is given before the next one is tried
// beside it (RFC 8305 section 5).
const attemptDelay = 250 * time.Millisecond

// A hop is one way to a target: an address of its host, or the only way there
// is.
type hop struct {
	target
	address netip.AddrPort // not valid: a socket, a command, or a host that a proxy looks up
	last    bool           // it is to be tried when no other is left
}

// String returns what to connect to, for people to read.
func (h hop) String() string {
	switch {
	case h.server.Kind() != config.Host:
		return h.server.String()
	case h.address.IsValid():
		return fmt.Sprintf("%s (%s)", h.server, h.address)
	}
	return fmt.Sprintf("%s by the proxy", h.server)
}

// local reports whether what is sent to h stays on this machine. What a name
// server says does not make it so.
func (h hop) local() bool {
	return h.server.Local() && (h.server.Kind() == config.Socket || h.address.Addr().IsLoopback())
}

// hostPort is what to dial of h's host where its address is not known.
func (t target) hostPort() string { return net.JoinHostPort(t.name, strconv.Itoa(t.port)) }

// proxied reports whether a goes through a proxy.
func proxied(a *config.Account) bool { return a.Proxy.Address != "" }

// A failure is why no hop could be connected to, as far as is known. The one
// with the lowest rank says most: that of the first hop. A hop that could not
// be tried says less, and that there are no addresses of a family least: it may
// only be so because there are of the other.
type failure struct {
	rank int
	err  error
}

// What is added to the rank of a failure that says less.
const (
	rankUnreachable = 1000
	rankLookup      = 2000
	rankNoSuchHost  = 3000
)

func (f *failure) note(rank int, err error) {
	if errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		rank += rankUnreachable
	}
	if err != nil && (f.err == nil || rank < f.rank) {
		*f = failure{rank, err}
	}
}

// An arrival is the end of an attempt to connect to a hop.
type arrival struct {
	hop
	rank int
	conn net.Conn
	err  error
}

// race connects to one hop of w: to the first at once, to each other when one
// has failed or attemptDelay has passed. Hops that did not get to fail stay in
// w. When all fail, the error is that of the one that should have worked.
func (s *Submitter) race(ctx context.Context, a *config.Account, w *ways) (net.Conn, hop, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals := make(chan arrival)
	tried, running := 0, 0
	var failed failure
	delay := time.NewTimer(0)
	defer delay.Stop()
	learn := func(an answer) {
		w.add(an, &failed)
		if tried == 0 {
			delay.Reset(w.patience(an))
		}
	}
	for {
		for len(w.answers) > 0 {
			learn(<-w.answers)
		}
		var due <-chan time.Time
		if len(w.todo) > 0 && !(running > 0 && w.onlyLast()) {
			due = delay.C
		}
		if running == 0 && due == nil && w.asked == 0 {
			return nil, hop{}, failed.err
		}
		select {
		case <-expired(ctx, running):
			failed.note(rankLookup, status.Connection.Errorf("look up %s: the name server does not answer (%w)", w.name, context.Cause(ctx)))
			return nil, hop{}, failed.err
		case <-due:
			h, rank := w.next(), tried
			tried, running = tried+1, running+1
			delay.Reset(attemptDelay)
			go func() {
				var conn net.Conn
				err := guarded(func() (err error) {
					conn, err = s.connect(ctx, a, h)
					return err
				})
				arrivals <- arrival{h, rank, conn, err}
			}()
		case an := <-w.answers:
			learn(an)
		case r := <-arrivals:
			running--
			if r.err == nil {
				cancel()
				w.leave(arrivals, running)
				return r.conn, r.hop, nil
			}
			failed.note(r.rank, r.err)
			delay.Reset(0)
		}
	}
}

// leave ends the attempts that lost a race; their hops may be tried again.
func (w *ways) leave(arrivals <-chan arrival, running int) {
	for range running {
		late := <-arrivals
		if late.conn != nil {
			late.conn.Close()
		}
		w.todo = append([]hop{late.hop}, w.todo...)
	}
}

// expired tells the end of ctx when nothing is running that would end by itself.
func expired(ctx context.Context, running int) <-chan struct{} {
	if running > 0 {
		return nil
	}
	return ctx.Done()
}

// connect dials one hop.
func (s *Submitter) connect(ctx context.Context, a *config.Account, h hop) (net.Conn, error) {
	if h.server.Kind() == config.Command {
		return s.run(h.server)
	}
	limit := connectTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	dialing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	network, address, name := "tcp", h.address.String(), h.dialName()
	switch {
	case h.server.Kind() == config.Socket:
		network, address = "unix", h.server.Path
	case proxied(a):
		address, name = a.Proxy.Address, "the proxy "+a.Proxy.Address
	}
	conn, err := s.dial(dialing, a, network, address)
	if err == nil && proxied(a) && h.server.Kind() == config.Host {
		name = h.hostPort() + " by " + name
		err = s.throughProxy(dialing, a, conn, h.hostPort())
	}
	switch {
	case status.KindOf(err) == status.Credential || status.KindOf(err) == status.Insecure: // the proxy's
		return nil, err
	case err != nil:
		return nil, unreached(ctx, name, err, limit)
	}
	return conn, nil
}

// dial connects to anything, as a says.
func (s *Submitter) dial(ctx context.Context, a *config.Account, network, address string) (net.Conn, error) {
	if s.Dial != nil {
		return s.Dial(ctx, network, address)
	}
	d := &net.Dialer{}
	if a.SourceAddress.IsValid() && network == "tcp" {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.SourceAddress.Addr, 0))
	}
	return d.DialContext(ctx, network, address)
}

// dialProxy connects to address through the proxy of a.
func (s *Submitter) dialProxy(ctx context.Context, a *config.Account, address string) (net.Conn, error) {
	conn, err := s.dial(ctx, a, "tcp", a.Proxy.Address)
	if err == nil {
		err = s.throughProxy(ctx, a, conn, address)
	}
	if err != nil {
		return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
	}
	return conn, nil
}

// proxyLogin returns with what to log in to the proxy of a; nil if there is no login.
func (s *Submitter) proxyLogin(ctx context.Context, a *config.Account) (*proxy.Auth, error) {
	if a.Proxy.User == "" {
		return nil, nil
	}
	login := &proxy.Auth{User: a.Proxy.User}
	if len(a.ProxySecret) == 0 {
		return login, nil
	}
	host, _, _ := net.SplitHostPort(a.Proxy.Address)
	refs, _, err := Item(&config.Account{Secret: a.ProxySecret})
	if err == nil {
		var secret credential.Secret
		secret, err = s.Store.Get(ctx, refs, credential.Item{User: a.Proxy.User, Host: host})
		login.Password = secret.Reveal()
	}
	return login, err
}

// throughProxy asks the SOCKS5 proxy at the other end of conn to connect to
// address, and closes conn if it does not. conn stays what it is, a socket of
// which the kernel can be asked what has arrived.
func (s *Submitter) throughProxy(ctx context.Context, a *config.Account, conn net.Conn, address string) error {
	login, err := s.proxyLogin(ctx, a)
	if err != nil {
		conn.Close()
		return fmt.Errorf("proxy-secret: %w", err)
	}
	socks, err := proxy.SOCKS5("tcp", a.Proxy.Address, login, nil)
	if err == nil {
		asker := socks.(interface {
			DialWithConn(ctx context.Context, conn net.Conn, network, address string) (net.Addr, error)
		})
		_, err = asker.DialWithConn(ctx, &proxyConn{conn, a}, "tcp", address)
	}
	if err == nil {
		return nil
	}
	conn.Close()
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	if said, ok := strings.CutPrefix(err.Error(), "unknown error "); ok {
		err = errors.New(said)
	}
	return err
}

// dialName is what errors call what is dialled for h.
func (h hop) dialName() string {
	if h.server.Kind() != config.Host {
		return h.name
	}
	name := h.hostPort()
	if h.address.String() != name {
		name += " at " + h.address.Addr().String()
	}
	return name
}

// unreached is why there is no connection to name.
func unreached(ctx context.Context, name string, err error, limit time.Duration) error {
	if dns := new(net.DNSError); errors.As(err, &dns) { // the proxy's name
		return status.LookUp(dns.Name, dns)
	}
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
