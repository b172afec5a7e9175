package runner

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/rewrite"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// A group is the entries of one account that are to be tried.
type group struct {
	r       *run
	s       *submit.Submitter // with the entries' configuration
	account *config.Account   // nil if it is not to be had now
	key     groupKey
	waits   time.Time // the account's fault forbids an attempt before

	// r.mu is over these.
	waiting  line   // those not tried yet
	sessions int    // that are at work, or on their way
	open     bool   // one of them was ready for mail
	halted   bool   // the account takes no more now
	probing  bool   // one message at a time finds out whether a limit is over
	release  func() // the lock of who does so; nil if it is not had
	sent     int    // messages that got an answer
}

// A groupKey tells groups apart: two configurations may each have an account
// that logs in as the other's does.
type groupKey struct {
	place   config.Override
	account string // throttle.Key, or throttle.KeyOf
}

// pending is an entry of a group that is not tried yet.
type pending struct {
	id       queue.ID
	backlog  bool // it has waited for long
	attempts int
}

// freshTime is how long an entry waits until it belongs to the backlog.
const freshTime = time.Hour

func newPending(id queue.ID, attempts int) pending {
	return pending{id, time.Since(id.Time()) > freshTime, attempts}
}

// before puts fresh mail before a backlog, and mail with few attempts before other.
func (w pending) before(other pending) int {
	if w.backlog != other.backlog {
		if w.backlog {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(w.attempts, other.attempts), cmp.Compare(w.id, other.id))
}

// perSession is how many entries are worth another session.
const perSession = 5

// take gives the group an entry that is due. The lock is held.
func (g *group) take(ctx context.Context, id queue.ID, k *known) {
	k.taken = true
	heap.Push(&g.waiting, newPending(id, k.attempts))
	switch {
	case g.sessions == 0:
		g.r.groups[g.key] = g
		g.sessions++
		g.r.all.Go(func() { g.run(ctx, throttle.SlotTime) })
	case g.open && !g.probing: // a login that fails, fails once
		g.grow(ctx)
	}
}

// A line has the entry first that is to be tried first. It is a heap, because there
// may be many, in any order.
type line []pending

func (l line) Len() int           { return len(l) }
func (l line) Less(i, j int) bool { return l[i].before(l[j]) < 0 }
func (l line) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *line) Push(w any)        { *l = append(*l, w.(pending)) }

// Pop is for the package heap.
func (l *line) Pop() any {
	last := len(*l) - 1
	w := (*l)[last]
	*l = (*l)[:last]
	return w
}

// grow begins further sessions if there are entries for them. The lock is held.
func (g *group) grow(ctx context.Context) {
	g.open = true
	for !g.probing && g.sessions < min(g.s.Config.Sessions, (len(g.waiting)+perSession-1)/perSession) {
		g.sessions++
		g.r.all.Go(func() { g.run(ctx, 0) })
	}
}

// ready is called when a session is, before each message. It reports whether
// there may be no other in this session, because this one is a probe.
func (g *group) ready(ctx context.Context) (one bool) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.grow(ctx)
	return g.probing
}

// restrain begins a group as a limit that was met, f, and the account's rate
// permit.
func (g *group) restrain(f *throttle.Fault) {
	if h := new(throttle.Held); errors.As(g.s.Throttle().Pace(g.account, false), &h) {
		g.waits = h.Until
		return
	}
	if f == nil || !f.Limit {
		return
	}
	release, err := g.s.Throttle().Probe(g.key.account)
	if errors.Is(err, queue.ErrBusy) {
		g.waits = time.Now().Add(probeWait)
		return
	}
	g.probing, g.release = true, release
}

// probeWait is how long to leave it to others to find out whether a limit is over.
const probeWait = 5 * time.Second

// halt lets the sessions of the group end: the account takes no more now.
func (g *group) halt() {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.halted = true
}

// passed is called when the server has taken a message: a limit is over.
func (g *group) passed() {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.probing = false
}

func (g *group) pop() (queue.ID, bool) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if len(g.waiting) == 0 || g.halted {
		return "", false
	}
	return heap.Pop(&g.waiting).(pending).id, true
}

func (g *group) push(e *queue.Entry) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	heap.Push(&g.waiting, newPending(e.ID, e.Attempts))
}

func (g *group) progress(n int) int {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.sent += n
	return g.sent
}

// run tries entries of the group over sessions, one after the other. With the
// last who does so the group ends: what it has left is for another look.
func (g *group) run(ctx context.Context, patience time.Duration) {
	defer g.end(ctx)
	bug := process.Guarded(func() {
		if g.account == nil {
			g.rest()
		}
		var rest []smtp.Mail // that a server left to a new session
		defer func() { submit.Fail(rest, errLeft) }()
		for on := g.account != nil; on && ctx.Err() == nil; {
			on = g.session(ctx, patience, &rest)
		}
	})
	if bug != nil {
		g.s.Log.Fault(bug)
	}
}

func (g *group) end(ctx context.Context) {
	g.r.dropped(g.s)
	g.r.spread(ctx)
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if g.sessions--; g.sessions > 0 {
		return
	}
	if g.release != nil {
		g.release()
	}
	for _, w := range g.waiting {
		if k := g.r.known[w.id]; k != nil {
			k.taken = false
		}
	}
	delete(g.r.groups, g.key)
	g.r.wake()
}

// rest is called when the account could not be used: its entries wait, or are
// too old for that.
func (g *group) rest() {
	f := g.s.Throttle().Fault(g.key.account)
	g.r.mu.Lock()
	all := slices.Clone(g.waiting)
	alone := g.sessions == 1
	g.r.mu.Unlock()
	if f == nil || !alone { // what one session was refused for is no fault of another
		return
	}
	for _, w := range all {
		if !g.s.Schedule().TooOld(w.id.Time(), f.Tries) { // nor is a notice
			continue
		}
		c, err := g.s.Queue.Claim(w.id)
		if err != nil {
			continue
		}
		if !g.s.Schedule().TooOld(c.Entry.Born(), f.Tries) {
			c.Release()
			continue
		}
		c.Reason = "given up: " + f.Reason
		g.r.givenUp.Add(1)
		g.fail(c)
	}
}

// session sends what rest has and entries over one session. It reports whether
// another one is worth while, for what then is in rest, among others.
func (g *group) session(ctx context.Context, patience time.Duration, rest *[]smtp.Mail) (again bool) {
	var first *attempt
	var begun []*attempt
	if len(*rest) == 0 {
		if first = g.next(); first == nil { // before a session is opened for nothing
			return false
		}
		begun = append(begun, first)
	}
	var v *smarthost.Session
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err := status.Bug.Errorf("internal error in %s: %v", process.PanicPlace(), p)
		for _, t := range begun {
			t.abort(err) // the others' mail must not suffer
		}
		if v != nil {
			v.End()
		}
	}()
	own, _ := g.account.Address()
	s, stays := g.s, g.isProbing() // for what follows, once the outcome of one is known
	v, err := s.Pool().Get(ctx, g.account, rewrite.New(s.Config, s.Identity, g.account).HelloName(own), patience, stays)
	if err != nil {
		if first != nil {
			first.release()
		}
		if !errors.As(err, new(*throttle.Busy)) {
			g.rest()
		}
		return false
	}
	before := g.progress(0)
	one := false // because it is a probe
	for on := true; on; {
		*rest, err = v.Send(ctx, *rest, func() (smtp.Mail, bool) {
			t := first
			if first = nil; t == nil && !one && ctx.Err() == nil {
				t = g.next()
			}
			if t == nil {
				return smtp.Mail{}, false
			}
			begun = append(begun[max(0, len(begun)-maxBegun):], t)
			one = g.ready(ctx)
			return t.mail(), true
		})
		if on = stays && err == nil && len(*rest) == 0 && v.More(); on {
			first, one = g.next(), false
			on = first != nil
		}
	}
	s.Smarthosts.Put(v, err)
	return err == nil || g.progress(0) > before || len(*rest) > 0
}

func (g *group) isProbing() bool {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	return g.probing
}

// maxBegun is more than the attempts that a session has at once.
const maxBegun = 100

// next returns an attempt at the next entry that is nobody else's; nil if there
// is none.
func (g *group) next() *attempt {
	for {
		if until := g.r.which.until; !until.IsZero() && time.Now().After(until) {
			return nil
		}
		id, ok := g.pop()
		if !ok {
			return nil
		}
		t := g.try(id)
		if t == nil {
			continue
		}
		if g.s.Throttle().Pace(g.account, true) != nil {
			t.release()
			g.halt()
			return nil
		}
		return t
	}
}

// try begins an attempt at an entry, unless there is a reason not to.
func (g *group) try(id queue.ID) *attempt {
	c, err := g.s.Queue.Claim(id)
	switch {
	case errors.Is(err, queue.ErrBusy), errors.Is(err, queue.ErrGone): // perhaps for minutes, or until it is swept
		g.r.holds.busy(id, time.Now())
		g.r.forget(id)
		return nil
	case err != nil:
		g.record(id, err, false)
		return nil
	}
	if !g.r.which.Now && !g.s.Schedule().IsDue(c.Entry) {
		c.Release() // somebody else was faster
		g.r.forget(id)
		return nil
	}
	if g.r.holds.of(id).done {
		g.record(id, c.Done(), true)
		return nil
	}
	if c.Client != nil && c.Attempts == 0 { // later attempts are not the user's doing
		if until, ok := g.s.Throttle().UserPace(*c.Client, true); !ok {
			c.Release()
			g.r.holds.until(id, until)
			g.r.forget(id)
			return nil
		}
	}
	if err := c.Ready(); err != nil {
		c.Release()
		g.record(id, err, false)
		return nil
	}
	return g.attempt(c)
}

// record notes whether what became of an entry is on the disk. If it is not, the
// entry is still there, and is left alone for a while.
func (g *group) record(id queue.ID, err error, done bool) {
	if err != nil {
		g.s.Log.Fault(fmt.Errorf("queue entry %s: %w", id, err))
	}
	g.r.holds.record(id, err, done, func(failures int) time.Time { return time.Now().Add(g.s.Schedule().Backoff(failures)) })
	g.r.forget(id)
}
