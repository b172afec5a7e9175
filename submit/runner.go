package submit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
)

// The queue of a user has one runner at a time, the holder of a lock. It is
// started by whoever queues, and ends with the last entry:
//
//	who queues                        the runner
//	Add                               …
//	lock taken? then there is one     list: no entry
//	                                  release the lock
//	                                  list again: an entry? take the lock, go on
//
// In each order of these either the runner sees the entry, or who queues finds
// no runner and starts one.
const runnerLock = "runner"

// runs reports whether something runs the queue already, or an administrator
// has said so. An error says why nothing could.
func (s *Submitter) runs() (bool, error) {
	if s.Config.Runner == config.Off || s.timed() {
		return true, nil
	}
	return s.Queue.Locked(runnerLock)
}

// runnerTrouble says why nothing would run the queue, or not for long; "" if
// something would. A process may be started all the same if try says so.
func (s *Submitter) runnerTrouble() (trouble string, try bool) {
	running, err := s.runs()
	switch {
	case running:
		return "", false
	case err != nil:
		return "its folder does not let a process run it: " + err.Error(), false
	}
	return s.startTrouble()
}

// startTrouble says of what would be started what runnerTrouble says.
func (s *Submitter) startTrouble() (trouble string, try bool) {
	switch {
	case s.Start == nil:
		return "nothing can be started here that runs the queue", false
	case s.Config.Runner == "auto" && s.Outlives != nil:
		return s.Outlives()
	}
	return "", true
}

// hasten starts a runner for what is due now if only a timer runs the queue: in a
// burst of mail the smarthost would be idle until it comes.
func (s *Submitter) hasten() {
	if s.Config.Runner == config.Off || !s.timed() {
		return
	}
	if running, err := s.Queue.Locked(runnerLock); running || err != nil {
		return
	}
	if _, try := s.startTrouble(); try {
		s.Start(s.Queue.String()) // or the timer does it
	}
}

// startRunner sees to it that something runs the queue. If it cannot, it says
// why.
func (s *Submitter) startRunner() string {
	trouble, try := s.runnerTrouble()
	if try {
		if err := s.Start(s.Queue.String()); err != nil {
			return "no process could be started that runs the queue: " + err.Error()
		}
	}
	if trouble != "" {
		trouble += `; run "sendoff --queue-run=5m" from a timer`
	}
	return trouble
}

// Wake starts a runner if there are entries and nothing runs the queue, as
// after a restart of the machine.
func (s *Submitter) Wake() {
	for _, q := range s.queues() {
		if waiting(q) {
			s.with(q).startRunner()
		}
	}
}

// waiting reports whether there is an entry for a runner. One that cannot be
// read is for a person.
func waiting(q *queue.Queue) bool { return waitingBut(q, nil) }

// waitingBut is waiting but for some entries.
func waitingBut(q *queue.Queue, some map[queue.ID]bool) bool {
	for e, err := range q.Entries() {
		if err == nil && !some[e.ID] {
			return true
		}
	}
	return false
}

// queues are those that there are.
func (s *Submitter) queues() []*queue.Queue {
	if s.Queue == nil {
		return s.Old
	}
	return append([]*queue.Queue{s.Queue}, s.Old...)
}

// with returns s with another queue.
func (s *Submitter) with(q *queue.Queue) *Submitter {
	other := *s
	other.Queue = q
	return &other
}

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
		if !waitingBut(s.Queue, left) {
			return nil
		}
	}
}

// reign takes the lock of the runner. Somebody may only be at its end.
func (s *Submitter) reign() (release func(), err error) {
	for range 10 {
		if release, err = s.Queue.Lock(runnerLock); !errors.Is(err, queue.ErrBusy) {
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
		if left := r.lacking(); err != nil || n == len(left) && !r.isSpreading() || ctx.Err() != nil {
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
			release, _ = s.Queue.Lock(runnerLock) // or a runner is still there
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
