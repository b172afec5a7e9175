package runner

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/notify"
	"sendoff/submit/queue"
	"sendoff/submit/throttle"
)

// A run tries entries that are due. The entries of one account form a group. Each
// group has goroutines of its own, so that a slow account does not delay the others.
// Each look at the queue gives the entries that have become due to their groups:
//
//	look ── known entry ── its choice of an account ── group ── sessions
type run struct {
	*Runner
	selection   Selection
	takesOrders bool
	lastAlarm   time.Time // when alarm last looked for news
	lastTidy    time.Time
	sent        atomic.Int32   // Outcome.Sent
	givenUp     atomic.Int32   // Outcome.GivenUp
	wakeUp      chan struct{}  // gets a value when a group ends, or all events are told
	goroutines  sync.WaitGroup // those of groups, and of commands that tell a person

	mu       sync.Mutex // protects the fields below, and the fields of groups that say so
	known    map[queue.ID]*knownEntry
	ordered  *order                            // the order that this run carries out; nil: none
	groups   map[groupKey]*group               // the groups that have sessions
	configs  map[config.Override]*loadedConfig // by the files that entries name; each look loads them anew
	accounts map[config.Choice]*group          // by the choice of entries; each look finds them anew
}

// A knownEntry is what a run has read of an entry and still needs. After an attempt
// the run reads the entry anew.
type knownEntry struct {
	choice     config.Choice // decides which account sends the entry
	born       time.Time
	attempts   int
	last       time.Time // queue.Entry.LastTried
	next       time.Time
	unselected bool // Selection.Match does not want the entry
	inGroup    bool // the entry was given to a group, which will try it
}

// A loadedConfig is a Submitter with the configuration of entries. If err is not nil,
// the configuration could not be loaded, and s has that of the user who runs the queue.
type loadedConfig struct {
	s   *submit.Submitter
	err error
}

// wake ends the sleep of the runner.
func (r *run) wake() {
	select {
	case r.wakeUp <- struct{}{}:
	default:
	}
}

// tidyTime is how often a run removes files that crashes or former accounts have left.
const tidyTime = time.Minute

func (r *run) tidy() {
	if time.Since(r.lastTidy) < tidyTime {
		return
	}
	r.lastTidy = time.Now()
	if err := r.s.Queue.Sweep(); err != nil {
		r.s.Log.Fault(err) // the run goes on: files that could not be removed do no harm
	}
	r.events.Add(r.s.Event(notify.Dropped).TakeDropped(r.s.Queue))
	r.s.Pool().Secrets.Dialer.Sweep()
}

// look reads the entries that are new to the run. If begin is set, it also gives each
// entry that is due to its group, which starts to send. It returns how many entries
// the queue has, and when the next entry is due that is in no group; zero: there is
// no such entry.
func (r *run) look(ctx context.Context, begin bool) (next time.Time, left int, err error) {
	r.tidy()
	ids, err := r.s.Queue.IDs()
	if err != nil {
		return next, 0, err
	}
	if n := len(ids); r.selection.account != "" && n > 2*alongMost {
		ids = slices.Delete(ids, alongMost, n-alongMost)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.configs, r.accounts = make(map[config.Override]*loadedConfig), make(map[config.Choice]*group) // the files may have changed
	r.takeOrder(ids)
	defer r.endOrder()
	before := r.known
	r.known = make(map[queue.ID]*knownEntry, len(ids))
	for _, id := range ids {
		entry := before[id]
		if entry == nil {
			entry = r.read(id)
		}
		if entry == nil {
			continue
		}
		r.known[id] = entry
		left++
		if entry.inGroup {
			continue
		}
		at, g := r.due(id, entry, begin)
		if g != nil && begin && ctx.Err() == nil {
			g.take(ctx, id, entry)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, left, nil
}

// read reads an entry. It returns nil if the entry is gone or cannot be read.
func (r *run) read(id queue.ID) *knownEntry {
	e, err := r.s.Queue.Read(id)
	if err != nil {
		if errors.As(err, new(*queue.Bad)) {
			r.s.Log.Fault(err)
		}
		return nil
	}
	return &knownEntry{
		choice: choiceOf(e), born: e.Born(), attempts: e.Attempts, last: e.LastTried(), next: e.Next,
		unselected: r.selection.Match != nil && !r.selection.Match(e),
	}
}

// due returns the group of an entry that may be tried now. If the entry must wait, or
// is not selected, the group is nil, and at is when the entry is due.
func (r *run) due(id queue.ID, entry *knownEntry, begin bool) (at time.Time, g *group) {
	now := begin && (r.selection.Now || r.wants(id))
	if !now && !r.s.Schedule().Due(entry.last, entry.next) {
		return entry.next, nil
	}
	if held := r.holds.of(id).until; time.Now().Before(held) {
		return held, nil
	}
	if entry.unselected {
		return time.Now(), nil
	}
	if g = r.group(entry.choice, begin); g.notBefore.After(time.Now()) {
		return g.notBefore, nil
	}
	if only := r.selection.account; only != "" && only != g.key.account {
		return time.Now(), nil
	}
	return time.Now(), g
}

// isMisconfigured reports whether the configuration of an entry could not be loaded.
func (r *run) isMisconfigured() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.configs {
		if c.err != nil {
			return true
		}
	}
	return false
}

// forget makes the next look read an entry anew.
func (r *run) forget(id queue.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, id)
}

// group returns the group of the entries with that choice of an account. If the
// account cannot be loaded, the group has no account, and if begin is set, the reason
// is noted as a fault.
func (r *run) group(choice config.Choice, begin bool) *group {
	g := r.accounts[choice]
	if g == nil {
		g = r.findGroup(choice, begin)
		r.accounts[choice] = g
	}
	return g
}

func (r *run) findGroup(choice config.Choice, begin bool) *group {
	files := choice.Place()
	c := r.configs[files]
	if c == nil {
		c = new(loadedConfig)
		if c.s, c.err = r.s.Of(files); c.err != nil {
			c.s = r.s
		}
		if c.err == nil {
			r.s.Throttle().Forget(throttle.KeyOf(files))
		}
		r.configs[files] = c
	}
	g := &group{r: r, s: c.s}
	g.key.files, g.key.account = files, throttle.KeyOf(files)
	err := c.err
	if err == nil {
		if g.account, _, err = c.s.Config.Choose(choice); err == nil {
			r.s.Throttle().Forget(throttle.KeyOf(choice))
			g.key.account = throttle.Key(g.account)
		} else {
			g.key.account = throttle.KeyOf(choice)
		}
	}
	if running := r.groups[g.key]; running != nil {
		return running
	}
	f := g.s.Throttle().Fault(g.key.account)
	if f != nil && f.Suspected() {
		f = nil // the refusal of one message does not make the other messages wait
	}
	switch {
	case begin && (r.selection.Now || r.isOrdering() || f == nil || g.s.Throttle().Due(f)):
		if err != nil {
			g.account = nil
			g.s.Log.Fault(g.s.Throttle().Note(g.key.account, choice.CommandLine.Account, err, nil))
		} else {
			g.restrain(f)
		}
	case f != nil && !g.s.Throttle().Due(f):
		g.notBefore = f.Next
	}
	return g
}
