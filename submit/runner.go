package submit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// Heartbeats tell of a timer or a daemon that runs the queue, so that nobody
// starts a runner.
const heartbeatState = "heartbeat"

// TimerInterval is how often a timer should run the queue, and so how long its
// heartbeat counts, twice.
const TimerInterval = 5 * time.Minute

// Beat notes that something runs the queue each interval.
func (s *Submitter) Beat(interval time.Duration) {
	now := time.Now()
	s.Queue.SetState(heartbeatState, fmt.Appendf(nil, "%d %d end\n", now.Unix(), now.Add(2*interval).Unix()))
}

// beats reports whether there is a fresh heartbeat. One that was written in
// the future is not.
func (s *Submitter) beats() bool {
	words := strings.Fields(string(s.Queue.State(heartbeatState)))
	if len(words) != 3 {
		return false
	}
	written, err1 := strconv.ParseInt(words[0], 10, 64)
	until, err2 := strconv.ParseInt(words[1], 10, 64)
	now := time.Now().Unix()
	return err1 == nil && err2 == nil && written <= now && now <= until
}

// runs reports whether something runs the queue already, or an administrator
// has said so.
func (s *Submitter) runs() bool {
	if s.Config.Runner == config.Off || s.beats() {
		return true
	}
	release, err := s.Queue.Lock(runnerLock)
	if err == nil {
		release()
	}
	return errors.Is(err, queue.ErrBusy)
}

// runnerTrouble says why nothing would run the queue; "" if something would.
func (s *Submitter) runnerTrouble() string {
	switch {
	case s.runs():
		return ""
	case s.Start == nil:
		return "nothing can be started here that runs the queue"
	case s.Config.Runner == "auto" && s.Outlives != nil:
		return s.Outlives()
	}
	return ""
}

// startRunner sees to it that something runs the queue. If it cannot, it says
// why.
func (s *Submitter) startRunner() string {
	if trouble := s.runnerTrouble(); trouble != "" {
		return trouble + `; run "sendoff --queue-run" from a timer`
	}
	if s.runs() {
		return ""
	}
	if err := s.Start(s.Queue.String()); err != nil {
		return "no process could be started that runs the queue: " + err.Error()
	}
	return ""
}

// Wake starts a runner if there are entries and nothing runs the queue, as
// after a restart of the machine.
func (s *Submitter) Wake() {
	for _, q := range s.queues() {
		if ids, _ := q.IDs(); len(ids) > 0 {
			s.with(q).startRunner()
		}
	}
}

// queues are those that there are.
func (s *Submitter) queues() []*queue.Queue {
	return slices.DeleteFunc([]*queue.Queue{s.Queue, s.Old}, func(q *queue.Queue) bool { return q == nil })
}

// with returns s with another queue.
func (s *Submitter) with(q *queue.Queue) *Submitter {
	other := *s
	other.Queue = q
	return &other
}

// Runner runs the queue until it is empty, at the times that its entries have;
// at once if another process does so already.
func (s *Submitter) Runner(ctx context.Context) error {
	for {
		release, err := s.Queue.Lock(runnerLock)
		if errors.Is(err, queue.ErrBusy) {
			return nil
		}
		if err != nil {
			return err
		}
		err = s.runUntilEmpty(ctx)
		release()
		if err != nil || ctx.Err() != nil {
			return err
		}
		if ids, err := s.Queue.IDs(); err != nil || len(ids) == 0 {
			return err
		}
	}
}

// maxPoll is how long the runner does not look for new entries: the shortest
// wait that it can be sure of.
const maxPoll = 10 * time.Second

func (s *Submitter) runUntilEmpty(ctx context.Context) error {
	for {
		seen, err := s.Queue.Changed()
		if err != nil {
			return err
		}
		next, left, err := s.Run(ctx, Selection{})
		if err != nil || left == 0 || ctx.Err() != nil {
			return err
		}
		if err := s.sleep(ctx, next, seen); err != nil {
			return err
		}
	}
}

// sleep waits until next, or until something in the queue's folder has changed
// since it was seen.
func (s *Submitter) sleep(ctx context.Context, next, seen time.Time) error {
	poll := min(maxPoll, max(s.Config.Retry[0].Duration/4, 50*time.Millisecond))
	for {
		wait := min(poll, max(time.Until(next), 10*time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		now, err := s.Queue.Changed()
		if err != nil {
			return err // the folder is gone
		}
		if now != seen || s.due(next) {
			return nil
		}
	}
}

// Repeat runs the queue each interval until ctx ends.
func (s *Submitter) Repeat(ctx context.Context, interval time.Duration, match func(*queue.Entry) bool) error {
	for {
		s.Beat(interval)
		if _, _, err := s.Run(ctx, Selection{Now: true, Match: match}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}
