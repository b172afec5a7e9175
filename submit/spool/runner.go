package spool

import (
	"sendoff/config"
)

// RunnerLock is the lock of the runner. The queue of a user has one runner at a
// time, the holder of the lock. A process that queues starts it, and it ends with
// the last entry:
//
//	who queues                        the runner
//	Add                               …
//	lock taken? then there is one     list: no entry
//	                                  release the lock
//	                                  list again: an entry? take the lock, go on
//
// In each order of these either the runner sees the entry, or the process that
// queues finds no runner and starts one.
const RunnerLock = "runner"

// Runs reports whether something runs the queue already, or an administrator has
// said that something does. An error says why nothing could.
func (s *Spool) Runs() (bool, error) {
	if s.Runner == config.Off || s.Timed() {
		return true, nil
	}
	return s.Queue.State.Locked(RunnerLock)
}

// Trouble says why nothing would run the queue, or not for long; "" if something
// would. A process may be started all the same if try is set.
func (s *Spool) Trouble() (trouble string, try bool) {
	running, err := s.Runs()
	switch {
	case running:
		return "", false
	case err != nil:
		return "its folder does not let a process run it: " + err.Error(), false
	}
	return s.startTrouble()
}

// startTrouble is Trouble where nothing runs the queue.
func (s *Spool) startTrouble() (trouble string, try bool) {
	switch {
	case s.Start == nil:
		return "nothing can be started here that runs the queue", false
	case s.Runner == "auto" && s.Outlives != nil:
		return s.Outlives()
	}
	return "", true
}

// Hasten starts a runner for an entry that is due now if only a timer runs the
// queue: in a burst of mail the smarthost would be idle until the timer comes.
func (s *Spool) Hasten() {
	if s.Runner == config.Off || !s.Timed() {
		return
	}
	if running, err := s.Queue.State.Locked(RunnerLock); running || err != nil {
		return
	}
	if _, try := s.startTrouble(); try {
		s.Start(s.Queue.String()) // or the timer does it
	}
}

// StartRunner sees to it that something runs the queue. If it cannot, it says why.
func (s *Spool) StartRunner() (trouble string) {
	trouble, try := s.Trouble()
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

// Wake starts a runner if there are entries and nothing runs the queue, as after a
// restart of the machine.
func (s *Spool) Wake() {
	if s.Queue != nil && s.Queue.Waits(nil) {
		s.StartRunner()
	}
}

// Detach starts a runner if there are entries and no runner, so that a timer need
// not wait for their mail. It reports false where no runner would outlive the timer.
func (s *Spool) Detach() bool {
	if _, lasts := s.Outlives(); !lasts {
		return false
	}
	if s.Queue != nil && s.Queue.Waits(nil) {
		if running, err := s.Queue.State.Locked(RunnerLock); !running && err == nil {
			s.Start(s.Queue.String())
		}
	}
	return true
}
