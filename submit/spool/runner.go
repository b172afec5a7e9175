package spool

import (
	"sendoff/config"
)

// RunnerLock is the lock of the runner. The process that holds the lock is the only
// runner of a queue. A process that queues an entry starts the runner, and the runner
// ends when the queue is empty:
//
//	the process that queues           the runner
//	add the entry                     …
//	is the lock taken? then there     list the queue: no entry
//	is a runner; else start one       release the lock
//	                                  list again: an entry? take the lock, go on
//
// In whatever order these steps happen, the runner sees the entry, or the process that
// queues finds no runner and starts one.
const RunnerLock = "runner"

// Runs reports whether a runner or a timer runs the queue already; with runner = "off"
// the configuration says so. An error says why no process could run it.
func (s *Spool) Runs() (bool, error) {
	if s.Runner == config.Off || s.Timed() {
		return true, nil
	}
	return s.Queue.State.Locked(RunnerLock)
}

// Trouble returns why nothing would run the queue, or not for long; "": something runs
// it, or a runner can be started. try says that starting a runner is worth while.
func (s *Spool) Trouble() (trouble string, try bool) {
	running, err := s.Runs()
	switch {
	case running:
		return "", false
	case err != nil:
		return "no process can lock its folder: " + err.Error(), false
	}
	return s.startTrouble()
}

// startTrouble is Trouble if nothing runs the queue yet.
func (s *Spool) startTrouble() (trouble string, try bool) {
	switch {
	case s.Start == nil:
		return "no process can be started here to run the queue", false
	case s.Runner == "auto" && s.Outlives != nil:
		return s.Outlives()
	}
	return "", true
}

// Hasten starts a runner for an entry that is due now if only a timer runs the queue.
// Otherwise the smarthost would be idle until the timer's next run.
func (s *Spool) Hasten() {
	if s.Runner == config.Off || !s.Timed() {
		return
	}
	if running, err := s.Queue.State.Locked(RunnerLock); running || err != nil {
		return
	}
	if _, try := s.startTrouble(); try {
		s.Start(s.Queue.String()) // if that fails, the timer still sends the entry
	}
}

// StartRunner starts a runner if nothing runs the queue. It returns why nothing will run
// the queue, or not for long; "": something will.
func (s *Spool) StartRunner() (trouble string) {
	trouble, try := s.Trouble()
	if try {
		if err := s.Start(s.Queue.String()); err != nil {
			return "no process could be started to run the queue: " + err.Error()
		}
	}
	return trouble
}

// Wake starts a runner if the queue has entries and nothing runs it, as after a restart
// of the machine.
func (s *Spool) Wake() {
	if s.Queue != nil && s.Queue.Waits(nil) {
		s.StartRunner()
	}
}

// Detach is for a timer: it starts a runner if there are entries and no runner, so that
// the timer's process can end before they are sent. It returns false, and starts
// nothing, if the runner would end with that process.
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
