package submit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
)

// A Selection says which entries a run is about.
type Selection struct {
	Now   bool                      // those whose time has not come, too
	Match func(e *queue.Entry) bool // nil: all
}

// A group is the entries of one account that are to be tried.
type group struct {
	s       *Submitter // with the entries' configuration
	account *config.Account
	key     string
	which   Selection
	waits   time.Time // the account's fault forbids an attempt before

	mu   sync.Mutex
	ids  []queue.ID // not tried yet
	sent int        // messages that got an answer
}

func (g *group) pop() (queue.ID, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.ids) == 0 {
		return "", false
	}
	id := g.ids[0]
	g.ids = g.ids[1:]
	return id, true
}

func (g *group) push(id queue.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids = append(g.ids, id)
}

func (g *group) left() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.ids)
}

// Run tries what is due, each account in as few sessions as will do, several
// accounts at once. It returns how many entries are left, and when the next of
// them is due. An error is the queue's: what becomes of mail is in its entries.
func (s *Submitter) Run(ctx context.Context, which Selection) (next time.Time, left int, err error) {
	if s.memory == nil {
		s.memory = new(memory)
	}
	if err := s.Queue.Sweep(); err != nil {
		s.logFault(err) // what it left is in nobody's way
	}
	s.forgetOld()
	r := &run{s: s, which: which, byLines: make(map[string]*group), byKey: make(map[string]*group)}
	for e, err := range s.Queue.Entries() {
		if ctx.Err() != nil {
			break
		}
		if bad := new(queue.Bad); errors.As(err, &bad) {
			if s.memory.firstBad(bad.ID) {
				s.logFault(err)
			}
			continue
		}
		if err != nil {
			return next, 0, err
		}
		if time.Now().Before(s.memory.hold(e.ID).until) {
			continue
		}
		if (which.Match == nil || which.Match(e)) && (which.Now || s.due(e.Next)) {
			r.take(e)
		}
	}
	var all sync.WaitGroup
	for _, g := range r.byKey {
		all.Go(func() { g.run(ctx) })
	}
	all.Wait()
	for _, e := range s.memory.takeFailed() {
		s.notifyCommand(e)
	}
	for e, err := range s.Queue.Entries() {
		if err != nil {
			continue
		}
		at := e.Next
		if g := r.byLines[lines(e)]; g != nil && g.waits.After(at) {
			at = g.waits
		}
		if held := s.memory.hold(e.ID).until; held.After(at) {
			at = held
		}
		if left++; left == 1 || at.Before(next) {
			next = at
		}
	}
	return next, left, nil
}

// A run is one pass over the queue.
type run struct {
	s       *Submitter
	which   Selection
	byLines map[string]*group // by what an entry says of its account
	byKey   map[string]*group // by the account that this is
}

// lines returns what decides which account an entry has, except for a message
// that has to be read.
func lines(e *queue.Entry) string {
	sender := ""
	if e.Sender != nil {
		sender = e.Sender.String()
	}
	return strings.Join(e.Account, "\n") + "\n" + sender
}

// take finds the group of an entry.
func (r *run) take(e *queue.Entry) {
	known := lines(e)
	g := r.byLines[known]
	if g == nil {
		g = r.groupOf(e)
		if strings.Contains("\n"+known, "\n"+nameKey+"=") || g.account == nil {
			r.byLines[known] = g
		}
	}
	g.push(e.ID)
}

// groupOf finds the account of an entry. One that is not to be had now is a
// group as well, whose fault is noted.
func (r *run) groupOf(e *queue.Entry) *group {
	h := sha256.Sum256([]byte(lines(e)))
	key := hex.EncodeToString(h[:8])
	worker, a, err := r.s.accountOf(e)
	if err == nil {
		r.s.forget(key)
		key = accountKey(a)
	}
	if g := r.byKey[key]; g != nil {
		return g
	}
	g := &group{s: worker, account: a, key: key, which: r.which}
	r.byKey[key] = g
	if err != nil {
		name := ""
		if by := choiceOf(e); by.CommandLine.Account != "" {
			name = by.CommandLine.Account
		}
		g.s = r.s
		if f := r.s.fault(key); f == nil || r.which.Now || r.s.due(f.next) {
			r.s.note(key, name, err, nil)
		}
	}
	return g
}

// accountOf returns the account of an entry, and a Submitter with its
// configuration.
func (s *Submitter) accountOf(e *queue.Entry) (*Submitter, *config.Account, error) {
	by := choiceOf(e)
	c, err := s.load(by.CommandLine)
	if err != nil {
		return nil, nil, err
	}
	worker := *s
	worker.Config = c
	worker.Log = s.Log.like(c)
	if s.Store != nil { // whose home may be that of whoever runs the queue
		store := *s.Store
		store.Home = by.CommandLine.Paths(s.Identity).Home
		worker.Store = &store
	}
	worker.Load = func(config.Override) (*config.Config, error) { return c, nil }
	if by.CommandLine.Account != "" {
		a, _, err := c.Choose(by)
		return &worker, a, err
	}
	claim, err := s.Queue.Claim(e.ID) // the message's From may decide
	if err != nil {
		return nil, nil, err
	}
	defer claim.Release()
	r, err := worker.request(claim)
	if err != nil {
		return nil, nil, err
	}
	defer r.Message.Close()
	return &worker, r.Account, nil
}

// load returns the configuration that an entry is sent with.
func (s *Submitter) load(place config.Override) (*config.Config, error) {
	if s.Load == nil {
		return s.Config, nil
	}
	return s.Load(place)
}

// perSession is how many entries are worth another session.
const perSession = 5

// run tries the entries of a group.
func (g *group) run(ctx context.Context) {
	s := g.s
	f := s.fault(g.key)
	switch {
	case f == nil:
	case g.account == nil:
		g.rest()
		return
	case !s.due(f.next) && !g.which.Now:
		g.waits = f.next
		return
	}
	var others sync.WaitGroup
	g.work(ctx, slotTime, func() { // a login that fails, fails once
		for range min(s.Config.Sessions, (g.left()+perSession-1)/perSession) - 1 {
			others.Go(func() { g.work(ctx, 0, func() {}) })
		}
	})
	others.Wait()
}

// rest is called when the account could not be used: its entries wait, or are
// too old for that.
func (g *group) rest() {
	f := g.s.fault(g.key)
	if f == nil {
		return
	}
	g.waits = f.next
	for id, ok := g.pop(); ok; id, ok = g.pop() {
		e, err := g.s.Queue.Read(id)
		if err != nil || !g.s.tooOld(e, f.at) || !g.s.tooOld(e, f.tried) {
			continue
		}
		if c, err := g.s.Queue.Claim(id); err == nil {
			c.Reason = "given up: " + f.reason
			g.s.Tally.countGivenUp()
			g.s.fail(c)
		}
	}
}

// work sends entries over one session after the other, as long as they get
// anywhere. It calls ready when the first of them is open.
func (g *group) work(ctx context.Context, patience time.Duration, ready func()) {
	for ctx.Err() == nil {
		first := g.next() // before a session is opened for nothing
		if first == nil {
			return
		}
		own, _ := g.account.Address()
		v, err := g.s.enter(ctx, g.account, g.s.helloName(own, own), patience)
		if err != nil {
			first.release()
			if !errors.As(err, new(*busy)) {
				g.rest()
			}
			return
		}
		ready()
		ready = func() {}
		before := g.progress(0)
		err = v.Deliver(ctx, func(yield func(smtp.Mail) bool) {
			for t := first; t != nil && yield(t.mail()); t = g.next() {
				if ctx.Err() != nil {
					return
				}
			}
		})
		g.s.part(v, err)
		if err != nil && g.progress(0) == before {
			return
		}
	}
}

func (g *group) progress(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent += n
	return g.sent
}

// next returns an attempt at the next entry that is nobody else's; nil if there
// is none.
func (g *group) next() *attempt {
	for {
		id, ok := g.pop()
		if !ok {
			return nil
		}
		c, err := g.s.Queue.Claim(id)
		if err != nil {
			switch {
			case errors.As(err, new(*queue.Bad)):
				g.s.record(id, err, false)
			case errors.Is(err, queue.ErrBusy): // perhaps for minutes
				g.s.memory.rest(id, time.Now().Add(time.Second))
			}
			continue // somebody else is at it, or was
		}
		if !g.which.Now && !g.s.due(c.Next) {
			c.Release() // somebody else was faster
			continue
		}
		if g.s.memory.hold(id).done {
			g.s.record(id, c.Done(), true)
			continue
		}
		if err := c.Ready(); err != nil {
			c.Release()
			g.s.record(id, err, false)
			continue
		}
		if t := g.attempt(c); t != nil {
			return t
		}
	}
}

// tooOld reports whether an attempt at that time was made when the lifetime
// of e was over.
func (s *Submitter) tooOld(e *queue.Entry, at time.Time) bool {
	return !at.IsZero() && at.Sub(born(e)) > s.Config.Lifetime.Duration
}

// born returns when e was put into the queue, or became a notice.
func born(e *queue.Entry) time.Time {
	if e.Notice.IsZero() {
		return e.ID.Time()
	}
	return e.Notice
}

func (s *Submitter) age(e *queue.Entry) string {
	return time.Since(born(e)).Round(time.Second).String()
}

// record notes whether what became of an entry is on the disk. If it is not, the
// entry is still there, and is left alone for a while.
func (s *Submitter) record(id queue.ID, err error, done bool) {
	if err != nil {
		s.logFault(fmt.Errorf("queue entry %s: %w", id, err))
	}
	s.memory.record(id, err, done, func(failures int) time.Time { return time.Now().Add(s.backoff(failures)) })
}
