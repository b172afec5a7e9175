package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"sendoff/config"
	"sendoff/submit/status"
)

// maxTargets is how many SRV records of one name are used.
const maxTargets = 8

// Targets returns the target of server, or those of its SRV records in the
// order of their priority and weight (RFC 2782).
func (d *Dialer) Targets(ctx context.Context, a *config.Account, server config.Server) ([]Target, error) {
	if server.Port != 0 || server.Kind() != config.Host {
		return []Target{{Server: server, Name: server.Name(), Port: server.Port, Prove: server.Host}}, nil
	}
	lookup := d.LookupSRV
	if lookup == nil {
		lookup = func(ctx context.Context, name string) ([]*net.SRV, error) {
			_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
			return records, err
		}
	}
	records, err := lookup(ctx, server.Host)
	if err != nil && len(records) == 0 {
		return nil, status.LookUp(server.Host, err)
	}
	domain := srvDomain(server.Host)
	var all []Target
	for _, r := range records[:min(len(records), maxTargets)] {
		host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		if host == "" || r.Port == 0 {
			continue // the target ".": the domain does not offer the service (RFC 2782)
		}
		prove := domain // the host is of another domain, and an SRV record may be forged (RFC 6186 section 6)
		if host == domain || strings.HasSuffix(host, "."+domain) {
			prove = host
		}
		all = append(all, Target{Server: server, Name: host, Port: int(r.Port), Prove: prove}.schemes()...)
	}
	if len(all) == 0 {
		return nil, status.Connection.Errorf("look up %s: the domain does not offer this service", server.Host)
	}
	return all, nil
}

// schemes returns t alone if the port of its SRV record fits the scheme. Otherwise it
// returns t with two schemes to try. TLS from the start (smtps) comes first: a server
// without it sends its greeting, so that the handshake fails at once.
func (t Target) schemes() []Target {
	if t.Server.Way().Odd(t.Port) == "" {
		return []Target{t}
	}
	tls := t
	tls.Server.Scheme, tls.Guess = config.SchemeTLS, true
	if t.Server.Scheme == config.SchemeTLS {
		t.Server.Scheme = config.SchemeStartTLS
	}
	t.Second = true
	return []Target{tls, t}
}

// srvDomain returns DOMAIN of _SERVICE._PROTO.DOMAIN.
func srvDomain(name string) string {
	for strings.HasPrefix(name, "_") {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return name
		}
		name = rest
	}
	return name
}

// An answer is the result of looking up the addresses of one family.
type answer struct {
	isIPv6 bool
	found  []netip.Addr
	err    error // why found is empty
	rank   int   // the rank of err (see failure)
}

// families returns the address families that a uses; true is IPv6, false is IPv4.
func families(a *config.Account) []bool {
	switch {
	case a.AddressFamily == 6, a.SourceAddress.IsValid() && a.SourceAddress.Unmap().Is6():
		return []bool{true}
	case a.AddressFamily == 4, a.SourceAddress.IsValid():
		return []bool{false}
	}
	return []bool{true, false}
}

// lookup looks up the addresses of host in one family.
func (d *Dialer) lookup(ctx context.Context, host string, isIPv6 bool) answer {
	lookup, network := d.Lookup, "ip4"
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	if isIPv6 {
		network = "ip6"
	}
	var found []netip.Addr
	err := status.Guarded(func() (err error) { // a bug in this goroutine must not end the process
		found, err = lookup(ctx, network, host)
		return err
	})
	an := answer{isIPv6: isIPv6}
	if status.KindOf(err) == status.Bug {
		an.err, an.rank = err, rankLookup
		return an
	}
	var notFound *net.DNSError
	for _, ip := range found {
		if ip = ip.Unmap(); ip.Is6() == isIPv6 {
			an.found = append(an.found, ip)
		}
	}
	if len(an.found) > 0 {
		return an
	}
	an.err, an.rank = status.LookUp(host, err), rankLookup
	if err == nil || errors.As(err, &notFound) && notFound.IsNotFound {
		an.rank = rankNoSuchHost
	}
	return an
}
