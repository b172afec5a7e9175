package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/notify"
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
	release func()    // the lock of who is probing; nil if it is not had

	halted  atomic.Bool // the account takes no more now: its sessions end
	probing atomic.Bool // one message at a time finds out whether a limit is over

	// r.mu is over these.
	waiting  []pending // those not tried yet
	sorted   bool      // the one to be tried first is the last
	sessions int       // that are at work, or on their way
	open     bool      // one of them was ready for mail
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
	g.add(id, k.attempts)
	switch {
	case g.sessions == 0:
		g.r.groups[g.key] = g
		g.sessions++
		g.r.all.Go(func() { g.run(ctx, throttle.SlotTime) })
	case g.open && !g.probing.Load(): // a login that fails, fails once
		g.grow(ctx)
	}
}

// add puts an entry among those not tried yet. The lock is held.
func (g *group) add(id queue.ID, attempts int) {
	g.waiting, g.sorted = append(g.waiting, newPending(id, attempts)), false
}

// grow begins further sessions if there are entries for them. The lock is held.
func (g *group) grow(ctx context.Context) {
	g.open = true
	for !g.probing.Load() && g.sessions < min(g.s.Config.Sessions, (len(g.waiting)+perSession-1)/perSession) {
		g.sessions++
		g.r.all.Go(func() { g.run(ctx, 0) })
	}
}

// ready is called when a session is, before each message. It reports whether
// there may be no other in this session, because this one is a probe.
func (g *group) ready(ctx context.Context) (isProbe bool) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.grow(ctx)
	return g.probing.Load()
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
	g.probing.Store(true)
	g.release = release
}

// probeWait is how long to leave it to others to find out whether a limit is over.
const probeWait = 5 * time.Second

func (g *group) pop() (queue.ID, bool) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	last := len(g.waiting) - 1
	if last < 0 || g.halted.Load() {
		return "", false
	}
	if !g.sorted {
		slices.SortFunc(g.waiting, func(a, b pending) int { return b.before(a) })
		g.sorted = true
	}
	first := g.waiting[last]
	g.waiting = g.waiting[:last]
	return first.id, true
}

func (g *group) push(e *queue.Entry) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.add(e.ID, e.Attempts)
}

// run tries entries of the group over sessions, one after the other. With the
// last who does so the group ends: what it has left is for another look.
func (g *group) run(ctx context.Context, patience time.Duration) {
	defer g.end(ctx)
	bug := process.Guarded(func() {
		if g.account == nil {
			g.giveUpOld()
		}
		var left []smtp.Mail // by a server to a new session
		defer func() { submit.Fail(left, errLeft) }()
		for more := g.account != nil; more && ctx.Err() == nil; {
			more = g.session(ctx, patience, &left)
		}
	})
	if bug != nil {
		g.s.Log.Fault(bug)
	}
}

func (g *group) end(ctx context.Context) {
	g.r.events.Add(g.s.Event(notify.Dropped).TakeDropped(g.s.Queue))
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

// giveUpOld is called when the account could not be used: its entries wait, but for
// those that are too old for that.
func (g *group) giveUpOld() {
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

// session sends what is left, and entries, over one session. It reports whether
// another session is worth while, for what is left then, among others.
func (g *group) session(ctx context.Context, patience time.Duration, left *[]smtp.Mail) (more bool) {
	var first *attempt
	var begun []*attempt
	if len(*left) == 0 {
		if first = g.next(); first == nil { // before a session is opened for nothing
			return false
		}
		begun = append(begun, first)
	}
	var session *smarthost.Session
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err := status.Bug.Errorf("internal error in %s: %v", process.PanicPlace(), p)
		for _, t := range begun {
			t.abort(err) // the others' mail must not suffer
		}
		if session != nil {
			session.End()
		}
	}()
	sender, _ := g.account.Address()
	s, stays := g.s, g.probing.Load() // once the outcome of the probe is known, others follow
	session, err := s.Pool().Get(ctx, g.account, rewrite.New(s.Config, s.Identity, g.account).HelloName(sender), patience, stays)
	if err != nil {
		if first != nil {
			first.release()
		}
		if !errors.As(err, new(*throttle.Held)) {
			g.giveUpOld()
		}
		return false
	}
	isProbe := false
	for again := true; again; {
		*left, err = session.Send(ctx, *left, func() (smtp.Mail, bool) {
			t := first
			if first = nil; t == nil && !isProbe && ctx.Err() == nil {
				t = g.next()
			}
			if t == nil {
				return smtp.Mail{}, false
			}
			begun = append(begun[max(0, len(begun)-maxBegun):], t)
			isProbe = g.ready(ctx)
			return t.mail(), true
		})
		if again = stays && err == nil && len(*left) == 0 && session.More(); again {
			first, isProbe = g.next(), false
			again = first != nil
		}
	}
	s.Smarthosts.Put(session, err)
	return err == nil || len(*left) > 0 || slices.ContainsFunc(begun, func(t *attempt) bool { return t.answered })
}

// maxBegun is more than the attempts that a session has at once.
const maxBegun = 100

// next returns an attempt at the next entry that is nobody else's; nil if there
// is none.
func (g *group) next() *attempt {
	for {
		if until := g.r.selection.until; !until.IsZero() && time.Now().After(until) {
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
			g.halted.Store(true)
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
		g.r.holds.busy(id)
		g.r.forget(id)
		return nil
	case err != nil:
		g.record(id, err, false)
		return nil
	}
	if !g.r.selection.Now && !g.s.Schedule().IsDue(c.Entry) {
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
			g.r.holds.change(id, func(held *hold) { held.until = until })
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
	g.r.holds.record(id, err, done, g.s.Schedule())
	g.r.forget(id)
}
