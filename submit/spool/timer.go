package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A timer that runs a queue leaves a note of when it came, and how often it comes,
// so that nobody starts a runner: root's timer in a note for all queues in the
// folder that root has made, a user's timer in that user's queue.
const timerState = "timer"

// TimerInterval is how often the timer of MakeSpool runs the queue.
const TimerInterval = 5 * time.Minute

// announces reports whether a timer that has left that note still comes. A note of
// the future may be from before the clock was set right.
func announces(note []byte) bool {
	var at int64
	var every int32
	if _, err := fmt.Sscanf(string(note), "%d %d end\n", &at, &every); err != nil {
		return false
	}
	ago := time.Since(time.Unix(at, 0))
	return ago >= 0 && ago <= 2*time.Duration(every)*time.Second+2*time.Minute // timers come late
}

// MarkTimer notes that a timer runs the queue each interval; if it is root's, for
// all users, the note is for everybody, unless nothing can be done for the others.
func (s *Spool) MarkTimer(every time.Duration, all bool) error {
	note := fmt.Appendf(nil, "%d %d end\n", time.Now().Unix(), int(every.Seconds()))
	if s.Queue != nil {
		s.Queue.State.Write(timerState, note)
	}
	if users, _ := queue.Users(); all && CanServe(users) == nil {
		return status.Temporary.Wrap(queue.MarkTimer(note))
	}
	return nil
}

// Timed reports whether a timer runs the queue.
func (s *Spool) Timed() bool {
	return announces(s.Queue.State.Read(timerState)) || announces(s.Queue.TimerMark())
}

// CanServe returns an error if nothing can be done in the queues of users: only a
// process that has no key of root's may become one of them.
func CanServe(users []queue.User) error {
	if len(users) == 0 {
		return nil
	}
	if err := process.KeepsKeys(); err != nil {
		return status.Temporary.Errorf("the queues of other users are left out: %w", err)
	}
	return nil
}

// unitFolders is where systemd's units are.
var unitFolders = []string{unitFolder, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// HasUserUnit reports whether systemd runs, and knows the unit that runs the queue of
// one user.
func HasUserUnit() bool { return hasUnit(userUnit) }

func hasUnit(name string) bool {
	if _, err := os.Stat(systemdRuns); err != nil {
		return false
	}
	return slices.ContainsFunc(unitFolders, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, name))
		return err == nil
	})
}
