// Package runner sends what waits in a user's queue.
//
//	look ── known entry ── its choice of an account ── group ── sessions
//	                                                     │
//	              attempt: prepare, send, settle ────────┘
//	                 │
//	    sent: gone ── waits: later ── refused: a notice to the sender, or failed/
//
//	runner.go    who runs a queue: once, until it is empty, each interval
//	run.go       one run: what is due, by account
//	group.go     the entries of an account, over few sessions
//	attempt.go   an entry on its way, and what becomes of it
//	notice.go    entries that are given up, and the notice of that (RFC 3464)
//	alarm.go     tells a person when mail does not leave
//	hold.go      entries that are left alone for a while
//
// The package must not know argv, listening sockets or lists.
//
// Errors: only the queue's; what becomes of mail is in its entries and in the log.
package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sendoff/submit"
	"sendoff/submit/notify"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// A Runner runs a queue.
type Runner struct {
	s      *submit.Submitter // with the queue, and the configuration of whoever runs it
	holds  holds
	events notify.List // of which a person is still to be told
}

// New returns a Runner of the queue of s.
func New(s *submit.Submitter) *Runner {
	return &Runner{s: s, holds: holds{byID: make(map[queue.ID]hold)}}
}

// A Selection says which entries a pass is about.
type Selection struct {
	Now   bool                      // those whose time has not come, too
	Match func(e *queue.Entry) bool // nil: all

	account string    // if not "", those of the account that has this key; see Along
	until   time.Time // if not zero, none is begun after
}

// An Outcome is what a pass has come to.
type Outcome struct {
	Next          time.Time // when the next entry is due; zero: none is left
	Left          int       // entries
	Sent, GivenUp int       // messages: to all recipients that were left; for at least one
}

// String says for people, in a line, what became of messages.
func (o Outcome) String() string {
	var parts []string
	if o.Sent > 0 {
		parts = append(parts, fmt.Sprintf("%d sent", o.Sent))
	}
	if o.GivenUp > 0 {
		parts = append(parts, fmt.Sprintf("%d given up", o.GivenUp))
	}
	switch {
	case o.Left == 0 && parts == nil:
		return "nothing to send"
	case o.Left == 0:
		return strings.Join(parts, ", ")
	case parts == nil:
		parts = []string{"nothing sent"}
	}
	waits := "wait"
	if o.Left == 1 {
		waits = "waits"
	}
	return fmt.Sprintf("%s, %d %s; mailq says why", strings.Join(parts, ", "), o.Left, waits)
}

// Pass tries what is due, each account in as few sessions as will do, several
// accounts at once. An error is the queue's.
func (r *Runner) Pass(ctx context.Context, selection Selection) (o Outcome, err error) {
	work := r.newRun(selection)
	if o.Next, o.Left, err = work.look(ctx, true); err != nil {
		return o, err
	}
	work.all.Wait()
	if o.Next, o.Left, err = work.look(ctx, false); err == nil {
		work.alarm(ctx, true)
		work.all.Wait()
	}
	o.Sent, o.GivenUp = int(work.sent.Load()), int(work.givenUp.Load())
	return o, err
}

// Settle writes down what came of j, whose entry is claimed.
func (r *Runner) Settle(c *queue.Claim, j *submit.Job) {
	work := r.newRun(Selection{})
	t := &attempt{g: &group{r: work, s: r.s}, s: r.s, claim: c, job: j}
	t.record()
	work.spread(context.Background())
	work.all.Wait()
}

func (r *Runner) newRun(selection Selection) *run {
	return &run{Runner: r, selection: selection, ended: make(chan struct{}, 1), groups: make(map[groupKey]*group)}
}

// UntilEmpty runs the queue until it is empty, at the times that its entries have;
// if another process does so already, it returns at once. The error is in the log,
// too.
func (r *Runner) UntilEmpty(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			r.s.Log.Fault(fmt.Errorf("the runner has ended: %w", err))
		}
	}()
	for {
		release, err := r.s.Queue.State.LockWithin(spool.RunnerLock, endTime)
		if errors.Is(err, queue.ErrBusy) {
			return nil
		}
		if err != nil {
			return err
		}
		left, err := r.run(ctx, false)
		release()
		if err != nil || ctx.Err() != nil {
			return err
		}
		if !r.s.Queue.Waits(left) {
			return nil
		}
	}
}

// endTime is how long a runner that has found the queue empty may take to end.
const endTime = 100 * time.Millisecond

// Forever is the runner of the queue until ctx ends, whether anything is in it or
// not.
func (r *Runner) Forever(ctx context.Context) {
	for ctx.Err() == nil {
		r.s.Log.Fault(status.Guarded(func() error {
			release, err := r.s.Queue.State.Lock(spool.RunnerLock)
			if err != nil {
				return nil
			}
			defer release()
			_, err = r.run(ctx, true)
			return err
		}))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second): // somebody else's runner has to end, or the disk to be mended
		}
	}
}

// maxPoll is how long the runner does not look for new entries.
const maxPoll = time.Second

// run runs the queue until it is empty, or until ctx ends: it looks again whenever
// something may have become due. Unless it is to go on forever, it leaves entries for
// which only another process can have the secret, so that such a one can start a
// runner.
func (r *Runner) run(ctx context.Context, forever bool) (left map[queue.ID]bool, err error) {
	work := r.newRun(Selection{})
	defer work.all.Wait()
	for {
		seen, err := r.s.Queue.Changed()
		if err != nil {
			return nil, err
		}
		next, n, err := work.look(ctx, true)
		if err == nil {
			work.alarm(ctx, n == 0)
		}
		left := work.lacking()
		isDone := !forever && n == len(left) && !r.events.IsTelling()
		if err != nil || isDone || ctx.Err() != nil {
			return left, err
		}
		if err := work.sleep(ctx, next, seen); err != nil {
			return nil, err
		}
	}
}

// lacking returns the entries for which this process lacks something.
func (r *run) lacking() map[queue.ID]bool {
	if !r.s.Unwritten.Lacks() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make(map[queue.ID]bool)
	for id, k := range r.known {
		if !k.taken && r.s.Unwritten.LacksFor(r.group(k.by, false).key.account) {
			entries[id] = true
		}
	}
	return entries
}

// sleep waits until next, if that is not zero, or until a group has ended or
// something in the queue's folder has changed since it was seen. The time that
// it waits is not the clock's, which may be set back meanwhile.
func (r *run) sleep(ctx context.Context, next, seen time.Time) error {
	poll := min(maxPoll, max(r.s.Config.Retry[0].Duration/4, 50*time.Millisecond))
	begin, whole := time.Now(), time.Until(next)
	for {
		wait := poll
		if !next.IsZero() {
			wait = min(poll, max(whole-time.Since(begin), 10*time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.ended:
			return nil
		case <-time.After(wait):
		}
		r.alarm(ctx, false)
		now, err := r.s.Queue.Changed()
		if err != nil {
			return err // the folder is gone
		}
		if now != seen || !next.IsZero() && (time.Since(begin) >= whole || !time.Now().Before(next)) {
			return nil
		}
	}
}

// Every calls pass, which runs the queue, each interval until ctx ends. If pass is
// about all entries, no other process runs the queue meanwhile.
func (r *Runner) Every(ctx context.Context, interval time.Duration, all bool, pass func() error) error {
	var release func()
	defer func() {
		if release != nil {
			release()
		}
	}()
	for {
		if release == nil && all && r.s.Queue != nil {
			release, _ = r.s.Queue.State.Lock(spool.RunnerLock) // or a runner is still there
		}
		if err := pass(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}
