package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
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

// A group is the entries of one account that are due.
type group struct {
	r            *run
	s            *submit.Submitter // has the entries' configuration
	account      *config.Account   // nil: the account cannot be loaded
	key          groupKey
	notBefore    time.Time // the account's fault or rate forbids attempts until then
	releaseProbe func()    // releases throttle.Probe; nil: this group does not hold it

	suspended atomic.Bool // the account takes no more mail now: its sessions end
	probing   atomic.Bool // send one message at a time, to find out whether a limit is over

	// r.mu protects the fields below.
	waiting  []pending // entries that were not tried yet
	sorted   bool      // waiting is sorted, the entry to try first at its end
	sessions int       // how many sessions are open, or being opened
	loggedIn bool      // one of the sessions was ready for mail
}

// A groupKey tells groups apart. It has the configuration too, because accounts of
// two configurations may have the same server, user and secret.
type groupKey struct {
	files   config.Override // name the configuration
	account string          // throttle.Key, or throttle.KeyOf
}

// A pending is an entry of a group that was not tried yet.
type pending struct {
	id       queue.ID
	backlog  bool // the entry is older than freshTime
	attempts int
}

// freshTime is the age from which an entry belongs to the backlog.
const freshTime = time.Hour

func newPending(id queue.ID, attempts int) pending {
	return pending{id, time.Since(id.Time()) > freshTime, attempts}
}

// compare returns a negative number if p is to be tried before other: fresh mail goes
// before the backlog, then mail with fewer attempts, then the older entry.
func (p pending) compare(other pending) int {
	if p.backlog != other.backlog {
		if p.backlog {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(p.attempts, other.attempts), cmp.Compare(p.id, other.id))
}

// lastFirst sorts entries so that the one to try first is the last. (An instance of
// slices.SortFunc would add 11 KB to the program.)
type lastFirst []pending

func (l lastFirst) Len() int           { return len(l) }
func (l lastFirst) Less(i, j int) bool { return l[j].compare(l[i]) < 0 }
func (l lastFirst) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// perSession is how many waiting entries justify one more session.
const perSession = 5

// take gives the group an entry that is due. The caller holds r.mu.
func (g *group) take(ctx context.Context, id queue.ID, entry *knownEntry) {
	entry.inGroup = true
	g.add(id, entry.attempts)
	switch {
	case g.sessions == 0:
		g.r.groups[g.key] = g
		g.sessions++
		g.r.goroutines.Go(func() { g.run(ctx, throttle.SlotTime) })
	case g.loggedIn && !g.probing.Load(): // before the first login, one session finds out whether it works
		g.grow(ctx)
	}
}

// add puts an entry among those not tried yet. The caller holds r.mu.
func (g *group) add(id queue.ID, attempts int) {
	g.waiting, g.sorted = append(g.waiting, newPending(id, attempts)), false
}

// grow begins further sessions if enough entries wait. The caller holds r.mu.
func (g *group) grow(ctx context.Context) {
	g.loggedIn = true
	for !g.probing.Load() && g.sessions < min(g.s.Config.Sessions, (len(g.waiting)+perSession-1)/perSession) {
		g.sessions++
		g.r.goroutines.Go(func() { g.run(ctx, 0) })
	}
}

// ready is called before each message of a session that is ready for mail. It reports
// whether the message is a probe: the session must not send another message before the
// outcome of this one is known.
func (g *group) ready(ctx context.Context) (isProbe bool) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.grow(ctx)
	return g.probing.Load()
}

// restrain makes a new group wait, or probe, if the account's rate or f demands it.
// f is the account's fault; nil: it has none.
func (g *group) restrain(f *throttle.Fault) {
	if h := new(throttle.Held); errors.As(g.s.Throttle().Pace(g.account, false), &h) {
		g.notBefore = h.Until
		return
	}
	if f == nil || !f.Limit {
		return
	}
	release, err := g.s.Throttle().Probe(g.key.account)
	if errors.Is(err, queue.ErrBusy) {
		g.notBefore = time.Now().Add(probeWait)
		return
	}
	g.probing.Store(true)
	g.releaseProbe = release
}

// probeWait is how long a group waits while another process probes whether a limit is
// over.
const probeWait = 5 * time.Second

// pop returns the entry to try first; false: no entry waits, or the group is suspended.
func (g *group) pop() (queue.ID, bool) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	last := len(g.waiting) - 1
	if last < 0 || g.suspended.Load() {
		return "", false
	}
	if !g.sorted {
		sort.Sort(lastFirst(g.waiting))
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

// run tries entries of the group over one session after the other. When the last run
// of a group returns, the group ends; a later look finds the entries that are left.
// patience is how long to wait for a session slot of the account.
func (g *group) run(ctx context.Context, patience time.Duration) {
	defer g.end(ctx)
	bug := process.Guarded(func() {
		if g.account == nil {
			g.giveUpTooOld()
		}
		var untried []smtp.Mail // mails that the server wants in a new session
		defer func() { submit.Fail(untried, errUntried) }()
		for another := g.account != nil; another && ctx.Err() == nil; {
			another = g.session(ctx, patience, &untried)
		}
	})
	if bug != nil {
		g.s.Log.Fault(bug)
	}
}

// end ends one run of the group, and the group after its last run.
func (g *group) end(ctx context.Context) {
	g.r.events.Add(g.s.Event(notify.Dropped).TakeDropped(g.s.Queue))
	g.r.startTelling(ctx)
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if g.sessions--; g.sessions > 0 {
		return
	}
	if g.releaseProbe != nil {
		g.releaseProbe()
	}
	for _, p := range g.waiting {
		if entry := g.r.known[p.id]; entry != nil {
			entry.inGroup = false
		}
	}
	delete(g.r.groups, g.key)
	g.r.wake()
}

// giveUpTooOld is called when no session could be opened with the account. It gives
// up the entries that are too old; the other entries wait.
func (g *group) giveUpTooOld() {
	f := g.s.Throttle().Fault(g.key.account)
	g.r.mu.Lock()
	all := slices.Clone(g.waiting)
	isOnlySession := g.sessions == 1
	g.r.mu.Unlock()
	if f == nil || !isOnlySession { // the group's other sessions may still send the entries
		return
	}
	for _, p := range all {
		if !g.s.Schedule().TooOld(p.id.Time(), f.Tries) { // if the entry became a notice, that is younger still
			continue
		}
		c, err := g.s.Queue.Claim(p.id)
		if err != nil {
			continue
		}
		if !g.s.Schedule().TooOld(c.Entry.Born(), f.Tries) {
			c.Release()
			continue
		}
		c.Reason = "failed: " + f.Reason
		g.r.givenUp.Add(1)
		g.fail(c)
	}
}

// session sends over one session the mails that are untried, and then entries. It
// leaves in untried the mails that the server did not take in this session. It reports
// whether the group should open another session.
func (g *group) session(ctx context.Context, patience time.Duration, untried *[]smtp.Mail) (another bool) {
	var first *attempt   // was begun before the session is opened
	var begun []*attempt // the last maxBegun attempts of the session
	if len(*untried) == 0 {
		if first = g.next(); first == nil { // no entry waits: open no session
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
			t.abort(err) // the bug ends only the attempts of this session
		}
		if session != nil {
			session.End()
		}
	}()
	sender, _ := g.account.Address()
	s, keepOpen := g.s, g.probing.Load() // if the server takes the probe, the session sends the next entries
	session, err := s.Pool().Get(ctx, g.account, rewrite.New(s.Config, s.Identity, g.account).HelloName(sender), patience, keepOpen)
	if err != nil {
		if first != nil {
			first.release()
		}
		if !errors.As(err, new(*throttle.Held)) {
			g.giveUpTooOld()
		}
		return false
	}
	isProbe := false
	for sending := true; sending; {
		*untried, err = session.Send(ctx, *untried, func() (smtp.Mail, bool) {
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
		if sending = keepOpen && err == nil && len(*untried) == 0 && session.More(); sending {
			first, isProbe = g.next(), false
			sending = first != nil
		}
	}
	s.Smarthosts.Put(session, err)
	return err == nil || len(*untried) > 0 || slices.ContainsFunc(begun, func(t *attempt) bool { return t.answered })
}

// maxBegun is how many attempts a session remembers. Fewer can be without an outcome at
// the same time.
const maxBegun = 100

// next begins an attempt at the next entry that can be claimed. It returns nil if no
// entry is left, or if the account or the selection allows no further attempt.
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
			g.suspended.Store(true)
			return nil
		}
		return t
	}
}

// try claims an entry and begins an attempt. It returns nil if there can be none now.
func (g *group) try(id queue.ID) *attempt {
	c, err := g.s.Queue.Claim(id)
	switch {
	case errors.Is(err, queue.ErrBusy), errors.Is(err, queue.ErrGone): // another process sends the entry, or has sent it
		g.r.holds.busy(id)
		g.r.forget(id)
		return nil
	case err != nil:
		g.record(id, err, false)
		return nil
	}
	if !g.r.selection.Now && !g.r.isOrdered(id) && !g.s.Schedule().IsDue(c.Entry) {
		c.Release() // another process has just tried the entry
		g.r.forget(id)
		return nil
	}
	if g.r.holds.of(id).done {
		g.record(id, c.Done(), true)
		return nil
	}
	if c.Client != nil && c.Attempts == 0 { // user-rate counts a message at its first attempt only
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

// record notes whether the outcome of an entry was written to the disk; err says why
// not. An entry whose outcome was not written is still in the queue, and is not tried
// for a while. done says that no recipient of the entry waits any more.
func (g *group) record(id queue.ID, err error, done bool) {
	if err != nil {
		g.s.Log.Fault(fmt.Errorf("queue entry %s: %w", id, err))
	}
	g.r.holds.record(id, err, done, g.s.Schedule())
	g.r.forget(id)
}
