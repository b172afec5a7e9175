// Package dial finds the addresses of a server and connects to the first that
// answers.
//
//	server ── Targets ──┬─ host ── Hops ─────┬─ Hop ─┐
//	          (SRV)     │          (A, AAAA) └─ Hop ─┴─ Connect ──> connection
//	                    └─ socket, command, host behind a proxy: one Hop
//
// All processes of the user remember for a while which addresses need a special
// treatment (addresses.go). To add a kind of server, add a row to config.Schemes and a
// case to Dialer.Connect.
//
// The package must not know SMTP, TLS, secrets, or more of an account than its
// proxy, its source-address and its address-family.
//
// Errors: status.Connection; status.LookUp for the errors of name servers;
// status.Config for a command that cannot be run; those of ProxySecret and trust.Port
// if we cannot log in to a proxy.
package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/state"
	"sendoff/submit/status"
)

// connectTime is the longest time for a connection to one address.
const connectTime = 30 * time.Second

// A Dialer connects to servers. The zero value uses the system's resolver and net.Dialer.
type Dialer struct {
	// Lookup returns the addresses of a host for the network "ip4" or "ip6"; nil:
	// net.DefaultResolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupSRV returns the records of _SERVICE._PROTO.DOMAIN in the order in which
	// to try them; nil: net.DefaultResolver.
	LookupSRV func(ctx context.Context, name string) ([]*net.SRV, error)
	Dial      func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer

	State       *state.Folder                                                // keeps the traits of addresses; nil: none are kept
	ProxySecret func(ctx context.Context, a *config.Account) (string, error) // returns the password for a's proxy
	Home        string                                                       // stands for "~/" in commands
	Interactive bool                                                         // a command may ask a person at the terminal
}

// A Target is a host and port, a socket, or a command to which a config.Server leads.
type Target struct {
	Server config.Server
	Name   string // the host name to look up; or the name of a socket or command for errors
	Port   int
	Prove  string // the name that the certificate must have
	Guess  bool   // Server.Scheme is our guess, because the port does not fit the configured scheme
	Second bool   // has the same host and port as the target before, but another scheme
}

// A Hop is an address of a Target's host. A socket, a command and a host behind a proxy
// have one Hop without an address.
type Hop struct {
	Target
	Address netip.AddrPort // invalid: a socket, a command, or a host that a proxy looks up
	last    bool           // try this hop after all others, because it Stalls
}

// String returns what h connects to, for people.
func (h Hop) String() string {
	switch {
	case h.Server.Kind() != config.Host:
		return h.Server.String()
	case h.Address.IsValid():
		return fmt.Sprintf("%s (%s)", h.Server, h.Address)
	}
	return fmt.Sprintf("%s by the proxy", h.Server)
}

// Local reports whether what is sent to h stays on this machine. A host name that name
// servers resolve to a loopback address is not local: their answer may be forged.
func (h Hop) Local() bool {
	return h.Server.Local() && (h.Server.Kind() == config.Socket || h.Address.Addr().IsLoopback())
}

// Endpoint returns the address of h, or else its server: a name for h that no other
// hop has.
func (h Hop) Endpoint() string {
	if h.Address.IsValid() {
		return h.Address.String()
	}
	return h.Server.String()
}

// HostPort returns "NAME:PORT".
func (t Target) HostPort() string { return net.JoinHostPort(t.Name, strconv.Itoa(t.Port)) }

// Connect connects to h, within connectTime and ctx. The error is of kind Connection;
// or Credential or Insecure, if we cannot log in to the proxy of a.
func (d *Dialer) Connect(ctx context.Context, a *config.Account, h Hop) (net.Conn, error) {
	if h.Server.Kind() == config.Command {
		return d.run(h.Server)
	}
	limit := connectTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	dialing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	network, address, name := "tcp", h.Address.String(), h.dialName()
	switch {
	case h.Server.Kind() == config.Socket:
		network, address = "unix", h.Server.Path
	case Proxied(a):
		address, name = a.Proxy.Address, "the proxy "+a.Proxy.Address
	}
	conn, err := d.dial(dialing, a, network, address)
	if err == nil && Proxied(a) && h.Server.Kind() == config.Host {
		name = h.HostPort() + " by " + name
		err = d.throughProxy(dialing, a, conn, h.HostPort())
	}
	switch {
	case status.KindOf(err) == status.Credential || status.KindOf(err) == status.Insecure: // the login to the proxy
		return nil, err
	case err != nil:
		return nil, unreached(ctx, name, err, limit)
	}
	return conn, nil
}

// dial connects to an address of a network, from the source address of a.
func (d *Dialer) dial(ctx context.Context, a *config.Account, network, address string) (net.Conn, error) {
	if d.Dial != nil {
		return d.Dial(ctx, network, address)
	}
	system := &net.Dialer{}
	if a.SourceAddress.IsValid() && network == "tcp" {
		system.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.SourceAddress.Addr, 0))
	}
	return system.DialContext(ctx, network, address)
}

// dialName returns the name of h in errors of connecting.
func (h Hop) dialName() string {
	if h.Server.Kind() != config.Host {
		return h.Name
	}
	name := h.HostPort()
	if h.Address.String() != name {
		name += " at " + h.Address.Addr().String()
	}
	return name
}

// unreached returns the error of connecting to name, in words for people.
func unreached(ctx context.Context, name string, err error, limit time.Duration) error {
	if dns := new(net.DNSError); errors.As(err, &dns) { // net.Dialer has looked up the proxy
		return status.LookUp(dns.Name, dns)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) { // the name of the system call does not help a person
		err = call.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", limit.Round(time.Second/10))
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return status.Connection.Errorf("connect to %s: %w", name, sentence{err})
}

// A sentence is an error whose text has a full stop at its end on Windows: ours have none.
type sentence struct{ error }

func (s sentence) Error() string { return strings.TrimSuffix(s.error.Error(), ".") }

func (s sentence) Unwrap() error { return s.error }
