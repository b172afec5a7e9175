package submit

import (
	"context"
	"errors"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/throttle"
)

// A Selection says which entries a run is about.
type Selection struct {
	Now   bool                      // those whose time has not come, too
	Match func(e *queue.Entry) bool // nil: all
}

// Run tries what is due, each account in as few sessions as will do, several
// accounts at once. It returns how many entries are left, and when the next of
// them is due. An error is the queue's: what becomes of mail is in its entries.
func (s *Submitter) Run(ctx context.Context, which Selection) (next time.Time, left int, err error) {
	r := s.newRun(which)
	if next, left, err = r.look(ctx, true); err != nil {
		return next, left, err
	}
	r.all.Wait()
	if next, left, err = r.look(ctx, false); err == nil {
		r.alarm(ctx, true)
		r.all.Wait()
	}
	return next, left, err
}

// A run is work on what is due. The entries of an account are a group, which
// goes on by itself, so that an account that takes its time holds up no other.
// Each look at the queue gives what has become due to its group:
//
//	look ── known entry ── its choice of an account ── group ── sessions
type run struct {
	s       *Submitter
	which   Selection
	alarmed time.Time // a person was told of what there is to tell
	tidied  time.Time
	all     sync.WaitGroup // sessions of groups
	ended   chan struct{}  // has a value if a group has ended, or all is told

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
	s   *Submitter
	err error
}

func (s *Submitter) newRun(which Selection) *run {
	if s.memory == nil {
		s.memory = new(memory)
	}
	return &run{s: s, which: which, ended: make(chan struct{}, 1), groups: make(map[groupKey]*group)}
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
	if !r.tidied.IsZero() && time.Since(r.tidied) < tidyTime {
		return
	}
	r.tidied = time.Now()
	if err := r.s.Queue.Sweep(); err != nil {
		r.s.Log.Fault(err) // what it left is in nobody's way
	}
	r.s.dropped()
	r.s.Secrets().Dialer.Sweep()
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
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin()
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

// begin begins a look: a configuration may have changed since the last one.
func (r *run) begin() {
	r.configs, r.accounts = make(map[config.Override]*loaded), make(map[config.Choice]*group)
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
		other: r.which.Match != nil && !r.which.Match(e),
	}
}

// due returns the group of an entry that is due, or when it will be.
func (r *run) due(id queue.ID, k *known, begin bool) (at time.Time, g *group) {
	now := begin && r.which.Now
	if !now && !r.s.schedule().Due(k.last, k.next) {
		return k.next, nil
	}
	if held := r.s.memory.hold(id).until; time.Now().Before(held) {
		return held, nil
	}
	if k.other {
		return time.Now(), nil
	}
	if g = r.group(k.by, begin); g.waits.After(time.Now()) {
		return g.waits, nil
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
		c = r.s.configured(place)
		if c.err == nil {
			r.s.throttle().Forget(throttle.KeyOf(place))
		}
		r.configs[place] = c
	}
	g := &group{r: r, s: c.s}
	g.key.place, g.key.account = place, throttle.KeyOf(place)
	err := c.err
	if err == nil {
		if g.account, _, err = c.s.Config.Choose(by); err == nil {
			r.s.throttle().Forget(throttle.KeyOf(by))
			g.key.account = throttle.Key(g.account)
		} else {
			g.key.account = throttle.KeyOf(by)
		}
	}
	if at := r.groups[g.key]; at != nil {
		return at
	}
	f := g.s.throttle().Fault(g.key.account)
	if f != nil && f.Suspected() {
		f = nil // what one message was refused for holds back no other
	}
	switch {
	case begin && (r.which.Now || f == nil || g.s.throttle().Due(f)):
		if err != nil {
			g.account = nil
			g.s.Log.Fault(g.s.throttle().Note(g.key.account, by.CommandLine.Account, err, nil))
		} else {
			g.restrain(f)
		}
	case f != nil && !g.s.throttle().Due(f):
		g.waits = f.Next
	}
	return g
}

// configured returns s as the entries need it whose configuration has that
// place. After an error it is as it was.
func (s *Submitter) configured(place config.Override) *loaded {
	c, err := s.load(place)
	if err != nil {
		return &loaded{s, err}
	}
	worker := *s
	worker.Config = c
	worker.Log = s.Log.Like(c)
	worker.Smarthosts = s.Smarthosts.Clone()
	worker.Smarthosts.Secrets.Store.Home = place.Paths(s.Identity).Home // of whoever queued the entry
	worker.Load = func(config.Override) (*config.Config, error) { return c, nil }
	return &loaded{&worker, nil}
}

// load returns the configuration that an entry is sent with.
func (s *Submitter) load(place config.Override) (*config.Config, error) {
	if s.Load == nil {
		return s.Config, nil
	}
	return s.Load(place)
}
