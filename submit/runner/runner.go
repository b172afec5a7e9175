// Package runner sends the messages that wait in a user's queue.
//
//	look ── known entry ── its choice of an account ── group ── sessions
//	                                                     │
//	              attempt: prepare, send, settle ────────┘
//	                 │
//	    sent: gone ── waits: later ── refused: a notice to the sender, or failed/
//
//	runner.go    runs a queue: once, until it is empty, or each interval
//	run.go       one run: finds the entries that are due, by account
//	group.go     sends the entries of an account over few sessions
//	attempt.go   one attempt to send an entry, and its outcome
//	notice.go    entries that are given up, and the notice to the sender (RFC 3464)
//	order.go     entries that another process wants tried now
//	alarm.go     tells a person when mail does not leave
//	hold.go      entries that no run tries before a time
//	along.go     entries that use the session of a new message
//
// The package must not know argv, listening sockets or lists.
//
// Errors: only the queue's. The outcome of a message is in its entry and in the log.
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
	s      *submit.Submitter // has the queue, and the configuration of the user who runs it
	holds  holds
	locked bool        // Every holds the lock of the queue's runner
	events notify.List // a person must still be told of these
}

// New returns a Runner of the queue of s.
func New(s *submit.Submitter) *Runner {
	return &Runner{s: s, holds: holds{byID: make(map[queue.ID]hold)}}
}

// A Selection says which entries a pass tries. The zero value selects all that are due.
type Selection struct {
	Now   bool                      // try entries before they are due, too
	Match func(e *queue.Entry) bool // reports whether to try an entry; nil: try all

	account string    // throttle.Key of the only account to use; "": use all. See Along.
	until   time.Time // begin no attempt after this time; zero: no limit
}

// An Outcome is the result of a pass.
type Outcome struct {
	Next    time.Time // when the next entry is due; zero: no entry is left
	Left    int       // how many entries are left in the queue
	Sent    int       // how many messages all their waiting recipients got
	GivenUp int       // how many messages are given up for at least one recipient
}

// String describes the outcome for people, in one line.
func (o Outcome) String() string {
	var parts []string
	if o.Sent > 0 {
		parts = append(parts, fmt.Sprintf("%d sent", o.Sent))
	}
	if o.GivenUp > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", o.GivenUp))
	}
	switch {
	case o.Left == 0 && parts == nil:
		return "nothing to send"
	case o.Left == 0:
		return strings.Join(parts, ", ")
	case parts == nil:
		parts = []string{"nothing sent"}
	}
	return fmt.Sprintf("%s, %d queued; sendoff -bp shows why", strings.Join(parts, ", "), o.Left)
}

// Pass tries the selected entries once, several accounts at the same time, and each
// account in as few sessions as possible. Entries to be tried now are left to the runner of
// the queue, if there is one (order.go). Pass returns an error only if it cannot read the
// queue.
func (r *Runner) Pass(ctx context.Context, selection Selection) (o Outcome, err error) {
	if selection.Now && !r.locked && r.s.Smarthosts.Trace == nil { // a trace is of our own sessions
		if o, ok := r.order(ctx, selection); ok {
			return o, nil
		}
	}
	work := r.newRun(selection)
	if o.Next, o.Left, err = work.look(ctx, true); err != nil {
		return o, err
	}
	work.goroutines.Wait()
	if o.Next, o.Left, err = work.look(ctx, false); err == nil {
		work.alarm(ctx, true)
		work.goroutines.Wait()
	}
	o.Sent, o.GivenUp = int(work.sent.Load()), int(work.givenUp.Load())
	return o, err
}

// Settle writes the outcome of j into the queue. The caller holds c, the claim of the
// job's entry.
func (r *Runner) Settle(c *queue.Claim, j *submit.Job) {
	work := r.newRun(Selection{})
	t := &attempt{g: &group{r: work, s: r.s}, s: r.s, claim: c, job: j}
	t.record()
	work.startTelling(context.Background())
	work.goroutines.Wait()
}

func (r *Runner) newRun(selection Selection) *run {
	return &run{Runner: r, selection: selection, wakeUp: make(chan struct{}, 1), groups: make(map[groupKey]*group)}
}

// UntilEmpty runs the queue until it is empty: it tries each entry when the entry is
// due. If another process runs the queue already, UntilEmpty returns nil at once. It
// also writes its error to the log.
func (r *Runner) UntilEmpty(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			r.s.Log.Fault(fmt.Errorf("the queue runner has stopped: %w", err))
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
		lacking, err := r.run(ctx, false)
		release()
		if err != nil || ctx.Err() != nil {
			return err
		}
		if !r.s.Queue.Waits(lacking) {
			return nil
		}
	}
}

// endTime is how long UntilEmpty waits for the lock of another runner, which may just
// have found the queue empty and be about to end.
const endTime = 100 * time.Millisecond

// Forever runs the queue until ctx ends, even while the queue is empty.
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
		case <-time.After(time.Second): // another process runs the queue, or the disk fails
		}
	}
}

const (
	maxPoll  = time.Second // the longest time between two looks for new entries
	lookTime = time.Minute // the same between two looks at entries whose configuration has a fault
)

// run runs the queue until it is empty, or until ctx ends: it looks again whenever
// an entry may have become due. If forever is false, it also ends when it lacks the
// secrets of all entries that are left, and returns these entries: a process that has
// the secrets can then start a runner.
func (r *Runner) run(ctx context.Context, forever bool) (lacking map[queue.ID]bool, err error) {
	work := r.newRun(Selection{})
	work.takesOrders = true
	defer work.goroutines.Wait()
	for {
		seen, err := r.s.Queue.Changed()
		if err != nil {
			return nil, err
		}
		next, n, err := work.look(ctx, true)
		if err == nil {
			work.alarm(ctx, n == 0)
		}
		lacking := work.lackingSecrets()
		isDone := !forever && n == len(lacking) && !r.events.IsTelling()
		if err != nil || isDone || ctx.Err() != nil {
			return lacking, err
		}
		if soon := time.Now().Add(lookTime); next.After(soon) && work.isMisconfigured() {
			next = soon
		}
		if err := work.sleep(ctx, next, seen); err != nil {
			return nil, err
		}
	}
}

// lackingSecrets returns the entries that this process cannot send because it was started
// without their secret.
func (r *run) lackingSecrets() map[queue.ID]bool {
	if r.s.Unwritten.Lack() == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make(map[queue.ID]bool)
	for id, entry := range r.known {
		if !entry.inGroup && r.s.Unwritten.LacksFor(r.group(entry.choice, false).key.account) {
			entries[id] = true
		}
	}
	return entries
}

// sleep waits until next (zero: no limit), until a group has ended, or until the
// queue's folder has changed since the time seen. It also measures the wait with the
// monotonic clock, because the system's clock may be set back meanwhile.
func (r *run) sleep(ctx context.Context, next, seen time.Time) error {
	poll := min(maxPoll, max(r.s.Config.Retry[0].Duration/4, 50*time.Millisecond))
	begin, fullWait := time.Now(), time.Until(next) // fullWait has a meaning only if next is not zero
	for {
		wait := poll
		if !next.IsZero() {
			wait = min(poll, max(fullWait-time.Since(begin), 10*time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wakeUp:
			return nil
		case <-time.After(wait):
		}
		r.alarm(ctx, false)
		now, err := r.s.Queue.Changed()
		if err != nil {
			return err // somebody has removed the queue's folder
		}
		if now != seen || !next.IsZero() && (time.Since(begin) >= fullWait || !time.Now().Before(next)) {
			return nil
		}
	}
}

// Every calls pass, which runs the queue once, and again after each interval, until
// ctx ends or pass returns an error. If all says that pass tries all entries, Every
// holds the lock of the runner meanwhile, so that no other process runs the queue.
func (r *Runner) Every(ctx context.Context, interval time.Duration, all bool, pass func() error) error {
	var release func()
	defer func() {
		if release != nil {
			release()
		}
	}()
	for {
		if release == nil && all && r.s.Queue != nil {
			release, _ = r.s.Queue.State.Lock(spool.RunnerLock) // another runner may have it until it ends
			r.locked = release != nil
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
