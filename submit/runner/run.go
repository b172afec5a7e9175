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

// A run is work on what is due. The entries of an account are a group, which
// goes on by itself, so that an account that takes its time holds up no other.
// Each look at the queue gives what has become due to its group:
//
//	look ── known entry ── its choice of an account ── group ── sessions
type run struct {
	*Runner
	selection Selection
	alarmed   time.Time // a person was told of what there is to tell
	tidied    time.Time
	all       sync.WaitGroup // sessions of groups
	sent      atomic.Int32   // see Outcome
	givenUp   atomic.Int32   // likewise
	ended     chan struct{}  // has a value if a group has ended, or all is told

	mu       sync.Mutex // is over all that follows, and over the groups
	known    map[queue.ID]*known
	groups   map[groupKey]*group         // that are at work
	configs  map[config.Override]*loaded // of this look, by their place
	accounts map[config.Choice]*group    // of this look, by what an entry says of its account
}

// known is what a run has read of an entry that it has not tried since.
type known struct {
	by       config.Choice
	born     time.Time
	attempts int
	last     time.Time // see dueAfter
	next     time.Time
	other    bool // the Selection is not about it
	taken    bool // a group has it
}

// loaded is a Submitter with the configuration of entries, or why there is none.
type loaded struct {
	s   *submit.Submitter
	err error
}

// wake ends the sleep of whoever runs r.
func (r *run) wake() {
	select {
	case r.ended <- struct{}{}:
	default:
	}
}

// tidyTime is how often a run removes what crashes and former accounts left.
const tidyTime = time.Minute

func (r *run) tidy() {
	if time.Since(r.tidied) < tidyTime {
		return
	}
	r.tidied = time.Now()
	if err := r.s.Queue.Sweep(); err != nil {
		r.s.Log.Fault(err) // what it left is in nobody's way
	}
	r.events.Add(r.s.Event(notify.Dropped).TakeDropped(r.s.Queue))
	r.s.Pool().Secrets.Dialer.Sweep()
}

// look reads what it does not know of the queue, and starts work on what is due
// if begin says so. It returns how many entries there are, and when the next of
// those is due that nobody here works on; the zero time if there is none.
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
	r.configs, r.accounts = make(map[config.Override]*loaded), make(map[config.Choice]*group) // as files may have changed
	before := r.known
	r.known = make(map[queue.ID]*known, len(ids))
	for _, id := range ids {
		k := before[id]
		if k == nil {
			k = r.read(id)
		}
		if k == nil {
			continue
		}
		r.known[id] = k
		left++
		if k.taken {
			continue
		}
		at, g := r.due(id, k, begin)
		if g != nil && begin && ctx.Err() == nil {
			g.take(ctx, id, k)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, left, nil
}

// read reads an entry; it returns nil if it cannot.
func (r *run) read(id queue.ID) *known {
	e, err := r.s.Queue.Read(id)
	if err != nil {
		if errors.As(err, new(*queue.Bad)) {
			r.s.Log.Fault(err)
		}
		return nil
	}
	return &known{
		by: choiceOf(e), born: e.Born(), attempts: e.Attempts, last: e.LastTried(), next: e.Next,
		other: r.selection.Match != nil && !r.selection.Match(e),
	}
}

// due returns the group of an entry that is due, or when it will be.
func (r *run) due(id queue.ID, k *known, begin bool) (at time.Time, g *group) {
	now := begin && r.selection.Now
	if !now && !r.s.Schedule().Due(k.last, k.next) {
		return k.next, nil
	}
	if held := r.holds.of(id).until; time.Now().Before(held) {
		return held, nil
	}
	if k.other {
		return time.Now(), nil
	}
	if g = r.group(k.by, begin); g.waits.After(time.Now()) {
		return g.waits, nil
	}
	if only := r.selection.account; only != "" && only != g.key.account {
		return time.Now(), nil
	}
	return time.Now(), g
}

// forget makes the next look read an entry anew.
func (r *run) forget(id queue.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, id)
}

// group finds the group of the entries that have their account by that choice.
// An account that is not to be had now is a group as well, whose fault is noted
// if begin says so.
func (r *run) group(by config.Choice, begin bool) *group {
	g := r.accounts[by]
	if g == nil {
		g = r.find(by, begin)
		r.accounts[by] = g
	}
	return g
}

func (r *run) find(by config.Choice, begin bool) *group {
	place := by.Place()
	c := r.configs[place]
	if c == nil {
		c = new(loaded)
		if c.s, c.err = r.s.Of(place); c.err != nil {
			c.s = r.s
		}
		if c.err == nil {
			r.s.Throttle().Forget(throttle.KeyOf(place))
		}
		r.configs[place] = c
	}
	g := &group{r: r, s: c.s}
	g.key.place, g.key.account = place, throttle.KeyOf(place)
	err := c.err
	if err == nil {
		if g.account, _, err = c.s.Config.Choose(by); err == nil {
			r.s.Throttle().Forget(throttle.KeyOf(by))
			g.key.account = throttle.Key(g.account)
		} else {
			g.key.account = throttle.KeyOf(by)
		}
	}
	if at := r.groups[g.key]; at != nil {
		return at
	}
	f := g.s.Throttle().Fault(g.key.account)
	if f != nil && f.Suspected() {
		f = nil // what one message was refused for holds back no other
	}
	switch {
	case begin && (r.selection.Now || f == nil || g.s.Throttle().Due(f)):
		if err != nil {
			g.account = nil
			g.s.Log.Fault(g.s.Throttle().Note(g.key.account, by.CommandLine.Account, err, nil))
		} else {
			g.restrain(f)
		}
	case f != nil && !g.s.Throttle().Due(f):
		g.waits = f.Next
	}
	return g
}
