package submit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A timer that runs a queue says so, and how often it does, so that nobody starts
// a runner: root's in a note for all queues in the folder that it has made, a
// user's in the queue. Root's timer waits for no user's mail:
//
//	sendoff --queue-run=5m ─┬─ sendoff-queue@UID.service, for a known user who has mail
//	                        └─ sendoff --queue-tend: who has no passwd entry, or all
//	                           where there is no systemd
const timerState = "timer"

// TimerInterval is how often the timer of MakeSpool runs the queue.
const TimerInterval = 5 * time.Minute

// timerSlack is how much later than announced a timer may come.
const timerSlack = 2 * time.Minute

// noteOf is what is kept of a timer.
func noteOf(at time.Time, every time.Duration) []byte {
	return fmt.Appendf(nil, "%d %d end\n", at.Unix(), int(every.Seconds()))
}

// announces reports whether a timer that has left that note still comes. One from
// the future may be from before the clock was set right.
func announces(note []byte) bool {
	words := strings.Fields(string(note))
	if len(words) != 3 || words[2] != "end" {
		return false
	}
	at, err1 := strconv.ParseInt(words[0], 10, 64)
	every, err2 := strconv.ParseInt(words[1], 10, 32)
	ago := time.Since(time.Unix(at, 0))
	return err1 == nil && err2 == nil && ago >= 0 && ago <= 2*time.Duration(every)*time.Second+timerSlack
}

// MarkTimer notes that a timer runs the queues each interval; if it is root's, for
// all, the note is for everybody, unless nothing can be done for them.
func (s *Submitter) MarkTimer(every time.Duration, all bool) error {
	note := noteOf(time.Now(), every)
	for _, q := range s.queues() {
		q.SetState(timerState, note)
	}
	if users, _ := queue.Users(); all && canAsk(users) == nil {
		return status.Temporary.Wrap(queue.MarkTimer(note))
	}
	return nil
}

// timed reports whether a timer runs the queue.
func (s *Submitter) timed() bool {
	return announces(s.Queue.State(timerState)) || announces(s.Queue.TimerMark())
}

// unitFolders is where systemd's units are.
var unitFolders = []string{unitFolder, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// hasUnit reports whether systemd runs, and knows a unit of that name.
func hasUnit(name string) bool {
	if _, err := os.Stat(systemdRuns); err != nil {
		return false
	}
	return slices.ContainsFunc(unitFolders, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, name))
		return err == nil
	})
}

// valid parts users, without root, by whether their accounts have expired.
func valid(users []queue.User) (valid, expired []queue.User) {
	out := process.Expired(time.Now())
	for _, u := range users {
		if out[u.UID] {
			expired = append(expired, u)
		} else {
			valid = append(valid, u)
		}
	}
	return valid, expired
}

// countErrand asks how many entries users have.
var countErrand = Errand{Args: []string{"-bP"}, Shape: Number}

// LockedOut says, for root, for which users' mail nothing is done, because their
// accounts have expired.
func LockedOut(ctx context.Context) []string {
	users, _ := queue.Users()
	_, expired := valid(users)
	return waitingOf(ctx, expired)
}

func waitingOf(ctx context.Context, expired []queue.User) (texts []string) {
	for _, a := range countErrand.ask(ctx, expired, nil) {
		if n := a.number(); n > 0 {
			texts = append(texts, fmt.Sprintf("the account of user %s has expired: %d message%s in the queue till it is valid again", process.UserName(a.UID), n, map[bool]string{true: " waits", false: "s wait"}[n == 1]))
		}
	}
	return texts
}

// StartEach has the queue of each other user run, and waits for none; but where all
// that we start ends with us, as in some containers, tend is not nil, and has to
// be called, which takes a while. Odd names in the folder are for lists to tell.
func (s *Submitter) StartEach(ctx context.Context) (tend func(), err error) {
	users, _ := queue.Users()
	if err := canAsk(users); err != nil {
		return nil, err
	}
	users, expired := valid(users)
	for _, text := range waitingOf(ctx, expired) {
		s.Log.Fault(fmt.Errorf("%s", text))
	}
	units, rest := byUnit(users)
	if _, lasts := s.Outlives(); len(rest) > 0 && !lasts {
		tend = func() { Tend(ctx) }
	} else if len(rest) > 0 {
		if _, err := process.Start("--queue-tend"); err != nil {
			return nil, status.Temporary.Wrap(err)
		}
	}
	return tend, startUnits(ctx, units)
}

// startUnits starts the units of those users who have mail.
func startUnits(ctx context.Context, users []queue.User) error {
	var failures manyErrors
	countErrand.ask(ctx, users, func(a *saying) {
		if a.err == nil && a.number() == 0 {
			return
		}
		out, err := exec.CommandContext(ctx, "systemctl", "start", "--no-block", fmt.Sprintf("sendoff-queue@%d.service", a.UID)).CombinedOutput()
		if err != nil {
			failures.add(fmt.Errorf("systemctl start: %w: %s", err, status.Printable(strings.TrimSpace(string(out)))))
		}
	})
	return status.Temporary.Wrap(failures.join())
}

// byUnit parts users by whether a unit runs their queue.
func byUnit(users []queue.User) (units, rest []queue.User) {
	if !hasUnit(userUnit) {
		return nil, users
	}
	for _, u := range users {
		if process.IsKnown(u.UID) {
			units = append(units, u)
		} else {
			rest = append(rest, u)
		}
	}
	return units, rest
}

// StartOwn starts a runner for each of the queues that has mail, so that a timer
// need not wait for it. It reports false where none would outlive us.
func (s *Submitter) StartOwn() bool {
	if _, lasts := s.Outlives(); !lasts {
		return false
	}
	for _, q := range s.queues() {
		if running, err := q.Locked(runnerLock); waiting(q) && !running && err == nil {
			s.Start(q.String())
		}
	}
	return true
}

// Tend runs the queues of the users that StartEach leaves to it. Nobody is kept
// waiting for long by one whose mail takes long.
func Tend(ctx context.Context) error {
	users, _ := queue.Users()
	users, _ = valid(users)
	_, users = byUnit(users)
	run := Errand{Args: []string{"--queue-run"}, Sends: true, Patience: 10 * time.Second}
	run.ask(ctx, users, nil)
	return nil
}
