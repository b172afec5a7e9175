package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"sendoff/config"
	"sendoff/submit/status"
)

// attemptDelay is the time after which the next address is tried, while the attempt at
// the address before goes on (RFC 8305 section 5).
const attemptDelay = 250 * time.Millisecond

// lastDelay is how long to wait for the answer about the other address family if the
// first answer has only addresses to try last (see Stalls).
const lastDelay = 2 * time.Second

// resolutionDelay is how long to wait for the IPv6 addresses after the answer with the
// IPv4 addresses (RFC 8305 section 3).
const resolutionDelay = 50 * time.Millisecond

// Hops finds the hops to a target, and connects to the first that answers.
type Hops struct {
	Target
	d        *Dialer
	account  *config.Account
	todo     []Hop       // hops that are known and were not tried yet
	answers  chan answer // the answers of name servers
	asked    int         // how many answers are still to come
	nextIPv6 bool        // the next hop to try is one of IPv6, if there is one
}

// Hops starts to look up the name of t, IPv4 and IPv6 at the same time. It returns
// before the answers are known.
func (d *Dialer) Hops(ctx context.Context, a *config.Account, t Target) *Hops {
	hops := &Hops{Target: t, d: d, account: a, nextIPv6: true}
	ip, err := netip.ParseAddr(t.Name)
	switch {
	case t.Server.Kind() != config.Host, Proxied(a):
		hops.todo = []Hop{{Target: t}}
		return hops
	case err == nil:
		hops.todo = []Hop{hops.hop(ip)}
		return hops
	}
	families := families(a)
	if config.IsLocalhost(t.Name) {
		for _, isIPv6 := range families {
			hops.todo = append(hops.todo, hops.hop(loopback(isIPv6)))
		}
		hops.sort()
		return hops
	}
	hops.answers, hops.asked = make(chan answer, len(families)), len(families)
	for _, isIPv6 := range families {
		go func() { hops.answers <- d.lookup(ctx, t.Name, isIPv6) }()
	}
	return hops
}

// Left returns how many hops were not tried yet. Each answer of a name server that is
// still to come counts as one hop.
func (hops *Hops) Left() int { return len(hops.todo) + hops.asked }

// All waits for the answers of name servers, and returns all hops, or the error of the
// look-up if there are none.
func (hops *Hops) All() ([]Hop, error) {
	var failed failure
	for hops.asked > 0 {
		hops.add(<-hops.answers, &failed)
	}
	if len(hops.todo) == 0 {
		return nil, failed.err
	}
	return hops.todo, nil
}

func loopback(isIPv6 bool) netip.Addr {
	if isIPv6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// patience returns how long to wait for the other answer after the first one, because
// the other may have addresses to try before those of the first.
func (hops *Hops) patience(an answer) time.Duration {
	switch {
	case hops.asked == 0:
		return 0
	case hops.onlyLast():
		return lastDelay
	case !an.isIPv6:
		return resolutionDelay
	}
	return 0
}

// onlyLast reports whether all known hops are hops to try last.
func (hops *Hops) onlyLast() bool { return len(hops.todo) > 0 && hops.todo[0].last }

// hop returns the hop to an address of the target's host.
func (hops *Hops) hop(ip netip.Addr) Hop {
	h := Hop{Target: hops.Target, Address: netip.AddrPortFrom(ip, uint16(hops.Port))}
	h.last = hops.d.Is(h, Stalls)
	return h
}

// add adds the addresses of an answer to the hops to try, or its error to failed.
func (hops *Hops) add(an answer, failed *failure) {
	hops.asked--
	failed.note(an.rank, an.err)
	for _, ip := range an.found {
		hops.todo = append(hops.todo, hops.hop(ip))
	}
	hops.sort()
}

// sort orders the hops: IPv6 and IPv4 in turn (RFC 8305 section 4), and then those to
// try last.
func (hops *Hops) sort() {
	var four, six, last []Hop
	for _, h := range hops.todo {
		switch {
		case h.last:
			last = append(last, h)
		case h.Address.Addr().Is6():
			six = append(six, h)
		default:
			four = append(four, h)
		}
	}
	first, second := four, six
	if hops.nextIPv6 {
		first, second = six, four
	}
	hops.todo = nil
	for i := range max(len(first), len(second)) {
		hops.todo = append(hops.todo, first[min(i, len(first)):min(i+1, len(first))]...)
		hops.todo = append(hops.todo, second[min(i, len(second)):min(i+1, len(second))]...)
	}
	hops.todo = append(hops.todo, last...)
}

// next removes the hop to try next from todo, and returns it.
func (hops *Hops) next() Hop {
	h := hops.todo[0]
	hops.todo = hops.todo[1:]
	hops.nextIPv6 = !h.Address.Addr().Is6()
	return h
}

// A failure is the error to show if no hop could be connected to: the one of the lowest
// rank, which is usually that of the first hop tried. Errors of unreachable networks, of
// look-ups and of families without addresses are shown, in this order, only if there is
// no other error.
type failure struct {
	rank int
	err  error
}

// These are added to the rank of errors that say less than a hop's own error.
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

// A result is the outcome of an attempt to connect to a hop.
type result struct {
	hop  Hop
	rank int
	conn net.Conn
	err  error
}

// Connect connects to the first hop that answers. It tries the first hop at once, and
// each next hop when another has failed or attemptDelay has passed. If all hops fail, the
// error is chosen as failure says. The next call of Connect tries the hops that were not
// tried, or were still being tried, when this call connected.
func (hops *Hops) Connect(ctx context.Context) (net.Conn, Hop, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, 1)
	tried, running := 0, 0
	var failed failure
	delay := time.NewTimer(0)
	defer delay.Stop()
	receive := func(an answer) {
		hops.add(an, &failed)
		if tried == 0 {
			delay.Reset(hops.patience(an))
		}
	}
	for {
		for len(hops.answers) > 0 {
			receive(<-hops.answers)
		}
		var due <-chan time.Time
		if len(hops.todo) > 0 && !(running > 0 && hops.onlyLast()) {
			due = delay.C
		}
		if running == 0 && due == nil && hops.asked == 0 {
			return nil, Hop{}, failed.err
		}
		select {
		case <-expired(ctx, running):
			failed.note(rankLookup, hops.stopped(ctx))
			return nil, Hop{}, failed.err
		case <-due:
			h, rank := hops.next(), tried
			tried, running = tried+1, running+1
			delay.Reset(attemptDelay)
			attempt := func() {
				var conn net.Conn
				err := status.Guarded(func() (err error) {
					conn, err = hops.d.Connect(ctx, hops.account, h)
					return err
				})
				results <- result{h, rank, conn, err}
			}
			if running == 1 && hops.Left() == 0 {
				attempt() // there is nothing else to wait for
			} else {
				go attempt()
			}
		case an := <-hops.answers:
			receive(an)
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				hops.abandon(results, running)
				return r.conn, r.hop, nil
			}
			failed.note(r.rank, r.err)
			delay.Reset(0)
		}
	}
}

// stopped returns the error of Connect if ctx ended while no attempt was running.
func (hops *Hops) stopped(ctx context.Context) error {
	if hops.asked > 0 {
		return status.Connection.Errorf("look up %s: the name server does not answer (%w)", hops.Name, context.Cause(ctx))
	}
	return status.Connection.Errorf("connect to %s: %w", hops.todo[0].dialName(), context.Cause(ctx))
}

// abandon waits for the running attempts, which were canceled because another has won,
// closes their connections, and puts their hops back into todo.
func (hops *Hops) abandon(results <-chan result, running int) {
	for range running {
		r := <-results
		if r.conn != nil {
			r.conn.Close()
		}
		hops.todo = append([]Hop{r.hop}, hops.todo...)
	}
}

// expired returns ctx.Done, or nil while attempts are running, which end with ctx.
func expired(ctx context.Context, running int) <-chan struct{} {
	if running > 0 {
		return nil
	}
	return ctx.Done()
}
