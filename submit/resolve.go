package submit

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/status"
)

// maxTargets is how many hosts of one set of SRV records are tried.
const maxTargets = 8

// A target is what a server comes down to: a host and port, a socket, or a
// command.
type target struct {
	server config.Server
	name   string // what errors call it; a host's is looked up
	port   int
	prove  string // the name that its certificate must have
	try    bool   // whether it speaks as server says is found out by trying
	second bool   // it is for what speaks otherwise
}

// targets returns the target of server, or those of its SRV records in the
// order of their priority and weight (RFC 2782).
func (s *Submitter) targets(ctx context.Context, a *config.Account, server config.Server) ([]target, error) {
	if server.Port != 0 || server.Kind() != config.Host {
		return []target{{server: server, name: server.Name(), port: server.Port, prove: server.Host}}, nil
	}
	lookup := s.LookupSRV
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
	var all []target
	for _, r := range records[:min(len(records), maxTargets)] {
		host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		if host == "" || r.Port == 0 {
			continue // a lone dot: the service is not offered
		}
		prove := domain // nothing but an unsigned answer says that the host is theirs (RFC 6186 section 6)
		if host == domain || strings.HasSuffix(host, "."+domain) {
			prove = host
		}
		all = append(all, target{server: server, name: host, port: int(r.Port), prove: prove}.spoken()...)
	}
	if len(all) == 0 {
		return nil, status.Connection.Errorf("look up %s: the domain does not offer this service", server.Host)
	}
	return all, nil
}

// spoken returns t, or the ways to speak with it where its SRV record has a port
// that hardly goes with the service: TLS from the start comes first, because a
// server that begins without it says so at once.
func (t target) spoken() []target {
	if t.server.Way().Odd(t.port) == "" {
		return []target{t}
	}
	tls := t
	tls.server.Scheme, tls.try = config.SchemeTLS, true
	if t.server.Scheme == config.SchemeTLS {
		t.server.Scheme = config.SchemeStartTLS
	}
	t.second = true
	return []target{tls, t}
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

// lastDelay is how long the other answer is waited for where all addresses of the
// first one come last.
const lastDelay = 2 * time.Second

// resolutionDelay is how long the answer about IPv6 is waited for when that
// about IPv4 is there (RFC 8305 section 3).
const resolutionDelay = 50 * time.Millisecond

// ways are the hops to a target, as they become known.
type ways struct {
	target
	todo    []hop       // known, and not tried
	answers chan answer // of name servers
	asked   int         // of them that are still to come
	six     bool        // IPv6 has its turn
	s       *Submitter
}

// ways begins to find the hops to t. Both families are asked for at once.
func (s *Submitter) ways(ctx context.Context, a *config.Account, t target) *ways {
	w := &ways{target: t, six: true, s: s}
	ip, err := netip.ParseAddr(t.name)
	switch {
	case t.server.Kind() != config.Host, proxied(a):
		w.todo = []hop{{target: t}}
		return w
	case err == nil:
		w.todo = []hop{w.hop(ip)}
		return w
	}
	families := families(a)
	if config.IsLocalhost(t.name) {
		for _, six := range families {
			w.todo = append(w.todo, w.hop(loopback(six)))
		}
		w.sort()
		return w
	}
	w.answers, w.asked = make(chan answer, len(families)), len(families)
	for _, six := range families {
		go func() { w.answers <- s.lookup(ctx, t.name, six) }()
	}
	return w
}

// loopback is the address of this machine to itself.
func loopback(six bool) netip.Addr {
	if six {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// patience is how long to wait after the first answer for the other one, which
// may have addresses that are to be tried before.
func (w *ways) patience(an answer) time.Duration {
	switch {
	case w.asked == 0:
		return 0
	case w.onlyLast():
		return lastDelay
	case !an.six:
		return resolutionDelay
	}
	return 0
}

// onlyLast reports whether all hops that are left come last.
func (w *ways) onlyLast() bool { return len(w.todo) > 0 && w.todo[0].last }

// hop returns the hop to an address of the target.
func (w *ways) hop(ip netip.Addr) hop {
	h := hop{target: w.target, address: netip.AddrPortFrom(ip, uint16(w.port))}
	h.last = w.s.is(h, stalls)
	return h
}

// add puts the addresses of an answer among those that are to be tried, the
// families in turn (RFC 8305 section 4), or its error where failures are noted.
func (w *ways) add(an answer, failed *failure) {
	w.asked--
	failed.note(an.rank, an.err)
	for _, ip := range an.found {
		w.todo = append(w.todo, w.hop(ip))
	}
	w.sort()
}

// sort puts the families in turn, and behind them what comes last.
func (w *ways) sort() {
	var four, six, last []hop
	for _, h := range w.todo {
		switch {
		case h.last:
			last = append(last, h)
		case h.address.Addr().Is6():
			six = append(six, h)
		default:
			four = append(four, h)
		}
	}
	first, second := four, six
	if w.six {
		first, second = six, four
	}
	w.todo = nil
	for i := range max(len(first), len(second)) {
		w.todo = append(w.todo, first[min(i, len(first)):min(i+1, len(first))]...)
		w.todo = append(w.todo, second[min(i, len(second)):min(i+1, len(second))]...)
	}
	w.todo = append(w.todo, last...)
}

// next takes the hop whose turn it is.
func (w *ways) next() hop {
	h := w.todo[0]
	w.todo = w.todo[1:]
	w.six = !h.address.Addr().Is6()
	return h
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

func (s *Submitter) lookup(ctx context.Context, host string, six bool) answer {
	lookup, network := s.Lookup, "ip4"
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	if six {
		network = "ip6"
	}
	var found []netip.Addr
	err := guarded(func() (err error) { // in a goroutine of its own
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
