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

// maxTargets is how many hosts are tried that the SRV records of one name have.
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
			continue // a lone dot: the service is not offered
		}
		prove := domain // nothing but an unsigned answer says that the host is theirs (RFC 6186 section 6)
		if host == domain || strings.HasSuffix(host, "."+domain) {
			prove = host
		}
		all = append(all, Target{Server: server, Name: host, Port: int(r.Port), Prove: prove}.spoken()...)
	}
	if len(all) == 0 {
		return nil, status.Connection.Errorf("look up %s: the domain does not offer this service", server.Host)
	}
	return all, nil
}

// spoken returns t, or the ways to speak with it where its SRV record has a port
// that hardly goes with the service: TLS from the start comes first, because a
// server that begins without it says so at once.
func (t Target) spoken() []Target {
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

// srvDomain returns the domain of _service._proto.domain.
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

// An answer is what name servers say about one family of addresses.
type answer struct {
	six   bool
	found []netip.Addr
	err   error
	rank  int // of err
}

// families returns which of IPv4 and IPv6 (true) a uses.
func families(a *config.Account) []bool {
	switch {
	case a.AddressFamily == 6, a.SourceAddress.IsValid() && a.SourceAddress.Unmap().Is6():
		return []bool{true}
	case a.AddressFamily == 4, a.SourceAddress.IsValid():
		return []bool{false}
	}
	return []bool{true, false}
}

func (d *Dialer) lookup(ctx context.Context, host string, six bool) answer {
	lookup, network := d.Lookup, "ip4"
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	if six {
		network = "ip6"
	}
	var found []netip.Addr
	err := status.Guarded(func() (err error) { // in a goroutine of its own
		found, err = lookup(ctx, network, host)
		return err
	})
	an := answer{six: six}
	if status.KindOf(err) == status.Bug {
		an.err, an.rank = err, rankLookup
		return an
	}
	var notFound *net.DNSError
	for _, ip := range found {
		if ip = ip.Unmap(); ip.Is6() == six {
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
