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

// A timer that runs a queue leaves a note: when it last ran, and its interval. While
// the note is fresh, no process starts a runner. The timer of root leaves one note for
// all queues in the folder for all users; the timer of a user leaves it in the state of
// the user's queue, under this name.
const timerState = "timer"

// TimerInterval is how often the timer of MakeSpool runs the queue.
const TimerInterval = 5 * time.Minute

// isFresh reports whether the timer that has left a note still runs: its last run is
// less than two intervals ago. A note from the future was written by a wrong clock, and
// does not count.
func isFresh(note []byte) bool {
	var at int64
	var every int32
	if _, err := fmt.Sscanf(string(note), "%d %d end\n", &at, &every); err != nil {
		return false
	}
	ago := time.Since(time.Unix(at, 0))
	return ago >= 0 && ago <= 2*time.Duration(every)*time.Second+2*time.Minute // timers come late
}

// MarkTimer leaves the note of a timer that runs the queue each interval. all says that
// it is the timer of root, which runs the queues of all users; then it also leaves the
// note for all of them, if it can run their queues (CanServe).
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

// Timed reports whether a timer runs the queue, the user's or that of root.
func (s *Spool) Timed() bool {
	return isFresh(s.Queue.State.Read(timerState)) || isFresh(s.Queue.TimerMark())
}

// CanServe returns an error if this process, which is root, must not run the queues of
// users, because it would take keys of root's kernel keyring along (process.KeepsKeys).
func CanServe(users []queue.User) error {
	if len(users) == 0 {
		return nil
	}
	if err := process.KeepsKeys(); err != nil {
		return status.Temporary.Errorf("the queues of other users are skipped: %w", err)
	}
	return nil
}

// unitFolders are the folders of systemd's units.
var unitFolders = []string{UnitFolder, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// HasUserUnit reports whether systemd runs, and has the unit that runs one user's queue.
func HasUserUnit() bool { return Systemd() && has(unitFolders, userUnit) }

// IsPackaged reports whether a package has the unit, and the administrator has no other of
// that name. A unit that we write would replace the package's for ever.
func IsPackaged(unit string) bool { return !has(unitFolders[:1], unit) && has(unitFolders[1:], unit) }

// HasSysuser reports whether a package has the system user (sysusers.d(5)).
func HasSysuser(name string) bool {
	return has([]string{"/usr/local/lib/sysusers.d", "/usr/lib/sysusers.d"}, name+".conf")
}

// has reports whether one of the folders has a file of that name.
func has(folders []string, name string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, name))
		return err == nil
	})
}
