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

// attemptDelay is how long an address is given before the next one is tried
// beside it (RFC 8305 section 5).
const attemptDelay = 250 * time.Millisecond

// lastDelay is how long the other answer is waited for where all addresses of the
// first one come last.
const lastDelay = 2 * time.Second

// resolutionDelay is how long the answer about IPv6 is waited for when that
// about IPv4 is there (RFC 8305 section 3).
const resolutionDelay = 50 * time.Millisecond

// Hops are the hops to a target that have not failed yet, as they become known.
type Hops struct {
	Target
	d       *Dialer
	account *config.Account
	todo    []Hop       // known, and not tried
	answers chan answer // of name servers
	asked   int         // how many answers are still to come
	six     bool        // the next hop is one of IPv6, if there is one
}

// Hops begins to find the hops to t, whose name it looks up in both families at
// once.
func (d *Dialer) Hops(ctx context.Context, a *config.Account, t Target) *Hops {
	w := &Hops{Target: t, d: d, account: a, six: true}
	ip, err := netip.ParseAddr(t.Name)
	switch {
	case t.Server.Kind() != config.Host, Proxied(a):
		w.todo = []Hop{{Target: t}}
		return w
	case err == nil:
		w.todo = []Hop{w.hop(ip)}
		return w
	}
	families := families(a)
	if config.IsLocalhost(t.Name) {
		for _, six := range families {
			w.todo = append(w.todo, w.hop(loopback(six)))
		}
		w.sort()
		return w
	}
	w.answers, w.asked = make(chan answer, len(families)), len(families)
	for _, six := range families {
		go func() { w.answers <- d.lookup(ctx, t.Name, six) }()
	}
	return w
}

// Left returns how many hops are left to be tried: those that are known, and one for
// each answer of a name server that is still to come.
func (w *Hops) Left() int { return len(w.todo) + w.asked }

// All waits for the answers of name servers, and returns all hops, or why there are
// none.
func (w *Hops) All() ([]Hop, error) {
	var failed failure
	for w.asked > 0 {
		w.add(<-w.answers, &failed)
	}
	if len(w.todo) == 0 {
		return nil, failed.err
	}
	return w.todo, nil
}

func loopback(six bool) netip.Addr {
	if six {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// patience is how long to wait after the first answer for the other one, which
// may have addresses that are to be tried before.
func (w *Hops) patience(an answer) time.Duration {
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

func (w *Hops) onlyLast() bool { return len(w.todo) > 0 && w.todo[0].last }

func (w *Hops) hop(ip netip.Addr) Hop {
	h := Hop{Target: w.Target, Address: netip.AddrPortFrom(ip, uint16(w.Port))}
	h.last = w.d.Is(h, Stalls)
	return h
}

// add puts the addresses of an answer among those that are to be tried, the
// families in turn (RFC 8305 section 4), or its error where failures are noted.
func (w *Hops) add(an answer, failed *failure) {
	w.asked--
	failed.note(an.rank, an.err)
	for _, ip := range an.found {
		w.todo = append(w.todo, w.hop(ip))
	}
	w.sort()
}

// sort puts the families in turn, and behind them what comes last.
func (w *Hops) sort() {
	var four, six, last []Hop
	for _, h := range w.todo {
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

func (w *Hops) next() Hop {
	h := w.todo[0]
	w.todo = w.todo[1:]
	w.six = !h.Address.Addr().Is6()
	return h
}

// A failure is why no hop could be connected to. The error that is shown is that of
// the first hop tried, whose rank is the lowest. Errors of networks that cannot be
// reached, of look-ups and of families without addresses are shown, in this order,
// only where there is no other.
type failure struct {
	rank int
	err  error
}

// What is added to the rank of an error that says less.
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

// A result is how an attempt to connect to a hop has ended.
type result struct {
	hop  Hop
	rank int
	conn net.Conn
	err  error
}

// Connect connects to the first hop that answers: it tries the first hop at once,
// and each other when one has failed or attemptDelay has passed. Hops that did not
// get to fail are left for the next call. If all fail, the error says which failure.
func (w *Hops) Connect(ctx context.Context) (net.Conn, Hop, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result)
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
			return nil, Hop{}, failed.err
		}
		select {
		case <-expired(ctx, running):
			failed.note(rankLookup, status.Connection.Errorf("look up %s: the name server does not answer (%w)", w.Name, context.Cause(ctx)))
			return nil, Hop{}, failed.err
		case <-due:
			h, rank := w.next(), tried
			tried, running = tried+1, running+1
			delay.Reset(attemptDelay)
			go func() {
				var conn net.Conn
				err := status.Guarded(func() (err error) {
					conn, err = w.d.Connect(ctx, w.account, h)
					return err
				})
				results <- result{h, rank, conn, err}
			}()
		case an := <-w.answers:
			learn(an)
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				w.leave(results, running)
				return r.conn, r.hop, nil
			}
			failed.note(r.rank, r.err)
			delay.Reset(0)
		}
	}
}

// leave ends the attempts that lost a race, and puts their hops back.
func (w *Hops) leave(results <-chan result, running int) {
	for range running {
		late := <-results
		if late.conn != nil {
			late.conn.Close()
		}
		w.todo = append([]Hop{late.hop}, w.todo...)
	}
}

// expired tells the end of ctx when nothing is running that would end by itself.
func expired(ctx context.Context, running int) <-chan struct{} {
	if running > 0 {
		return nil
	}
	return ctx.Done()
}
