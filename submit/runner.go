package submit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sendoff/submit/queue"
	"sendoff/submit/spool"
)

// Runner runs the queue until it is empty, at the times that its entries have;
// at once if another process does so already. Nobody reads its error but who
// reads the log.
func (s *Submitter) Runner(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			s.Log.Fault(fmt.Errorf("the runner has ended: %w", err))
		}
	}()
	for {
		release, err := s.reign()
		if errors.Is(err, queue.ErrBusy) {
			return nil
		}
		if err != nil {
			return err
		}
		left, err := s.runUntilEmpty(ctx)
		release()
		if err != nil || ctx.Err() != nil {
			return err
		}
		if !s.Queue.Waits(left) {
			return nil
		}
	}
}

// reign takes the lock of the runner. Somebody may only be at its end.
func (s *Submitter) reign() (release func(), err error) {
	for range 10 {
		if release, err = s.Queue.State.Lock(spool.RunnerLock); !errors.Is(err, queue.ErrBusy) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return release, err
}

// maxPoll is how long the runner does not look for new entries.
const maxPoll = time.Second

// runUntilEmpty is a run without an end but that of the queue: it looks again
// whenever something may have become due. It leaves entries for which only another
// process can have the secret, so that such a one can start a runner.
func (s *Submitter) runUntilEmpty(ctx context.Context) (left map[queue.ID]bool, err error) {
	r := s.newRun(Selection{})
	defer r.all.Wait()
	for {
		seen, err := s.Queue.Changed()
		if err != nil {
			return nil, err
		}
		next, n, err := r.look(ctx, true)
		if err == nil {
			r.alarm(ctx, n == 0)
		}
		if left := r.lacking(); err != nil || n == len(left) && !r.s.memory.events.IsTelling() || ctx.Err() != nil {
			return left, err
		}
		if err := r.sleep(ctx, next, seen); err != nil {
			return nil, err
		}
	}
}

// lacking returns the entries for which this process lacks something.
func (r *run) lacking() map[queue.ID]bool {
	if !r.s.memory.unwrittenFaults().Lacks() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make(map[queue.ID]bool)
	for id, k := range r.known {
		if !k.taken && r.s.memory.unwrittenFaults().LacksFor(r.group(k.by, false).key.account) {
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

// Repeat calls pass, which runs the queue, each interval until ctx ends. If it is
// about all entries it takes the place of a runner meanwhile.
func (s *Submitter) Repeat(ctx context.Context, interval time.Duration, all bool, pass func() error) error {
	var release func()
	defer func() {
		if release != nil {
			release()
		}
	}()
	for {
		if release == nil && all && s.Queue != nil {
			release, _ = s.Queue.State.Lock(spool.RunnerLock) // or a runner is still there
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
