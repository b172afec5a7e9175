package runner

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/notify"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/throttle"
)

// A person is told when the mail of an account does not leave: once when the account's
// fault, or the oldest message that waits for the account, is older than
// queue.AlarmTime, and once when both are over. A file for the account keeps what the
// person was told, so that all runs of the queue together tell it once.

// A delay says why the mail of an account does not leave. Once a person was told, a
// file in the queue's folder keeps the delay in JSON.
type delay struct {
	Account string
	Event   string    // notify.Fault or notify.Waiting
	Since   time.Time // when the fault began, or the oldest message was queued
	At      time.Time // when the file was written
	Reason  string
	Place   config.Override // the files of the account's configuration
}

// toldPrefix begins the names of the files that keep a delay.
const toldPrefix = "told-"

func (r *run) writeTold(name string, d delay) error {
	d.Since, d.At = d.Since.UTC(), time.Now().UTC()
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return r.s.Queue.State.Write(name, text)
}

// alarmLock is the lock of the run that compares delays with what a person was told.
const alarmLock = "alarm"

// toldStep is the age at which the file of a delay is written again, because a sweep
// removes old files.
const toldStep = 24 * time.Hour

// alarmStep is how often a runner looks for new delays.
const alarmStep = time.Minute

// alarm tells a person of delays that are new, or over. It looks for them once in
// alarmStep, or at once if now is set. It does not wait for the command that tells.
func (r *run) alarm(ctx context.Context, now bool) {
	defer r.startTelling(ctx)
	if r.selection.Match != nil || !now && time.Since(r.lastAlarm).Abs() < alarmStep {
		return
	}
	r.lastAlarm = time.Now()
	release, err := r.s.Queue.State.LockWithin(alarmLock, time.Second)
	if err != nil {
		return // another run looks for delays now, or the folder cannot keep files
	}
	defer release()
	delays, wasTold := r.delays(), make(map[string]bool) // by the account's name
	for _, name := range r.s.Queue.State.List() {
		if !strings.HasPrefix(name, toldPrefix) {
			continue
		}
		var told delay
		unreadable := json.Unmarshal(r.s.Queue.State.Read(name), &told)
		if unreadable == nil && delays[told.Account] != nil {
			if wasTold[told.Account] = true; time.Since(told.At) > toldStep {
				r.writeTold(name, told)
			}
			continue
		}
		// While the disk takes no change of the file, tell nothing: each run would tell it again.
		if err := r.s.Queue.State.Write(name, nil); err == nil && unreadable == nil {
			r.tell(notify.Recovered, &told)
		}
	}
	for account, d := range delays {
		if !wasTold[account] && r.writeTold(toldPrefix+throttle.KeyOf(account), *d) == nil {
			r.tell(d.Event, d)
		}
	}
}

// delays returns the delays that are older than queue.AlarmTime, by the account's name.
// Of an account with a fault and an old message it returns the fault.
func (r *run) delays() map[string]*delay {
	r.mu.Lock()
	defer r.mu.Unlock()
	isLong := func(since time.Time) bool { return !since.IsZero() && time.Since(since) >= queue.AlarmTime }
	oldest, files := make(map[string]time.Time), make(map[string]config.Override)
	for _, entry := range r.known {
		name := entry.choice.AccountName()
		if at, ok := oldest[name]; !ok || entry.born.Before(at) {
			oldest[name], files[name] = entry.born, entry.choice.Place()
		}
	}
	all := make(map[string]*delay)
	for name, at := range oldest {
		if isLong(at) {
			reason := "the oldest message has waited since " + at.Local().Format("Jan _2 15:04")
			all[name] = &delay{Account: name, Event: notify.Waiting, Since: at, Reason: reason, Place: files[name]}
		}
	}
	for _, f := range throttle.Faults(r.s.Queue) {
		if _, waits := oldest[f.Account]; waits && !f.Suspected() && (isLong(f.Since) || all[f.Account] != nil) {
			reason := f.Reason
			if hint := f.Hint(); hint != "" {
				reason += "; hint: " + hint
			}
			all[f.Account] = &delay{Account: f.Account, Event: notify.Fault, Since: f.Since, Reason: reason, Place: files[f.Account]}
		}
	}
	return all
}

// startTelling starts a goroutine that runs the command for each event, if there are
// events: no session waits for the command.
func (r *run) startTelling(ctx context.Context) {
	if r.events.Begin() {
		r.goroutines.Go(func() {
			r.events.TellAll(ctx)
			r.wake()
		})
	}
}

// tell logs an event and adds it to r.events, with the log and the notify-command of the
// account's configuration. A bug is only logged.
func (r *run) tell(event string, d *delay) {
	r.s.Log.Fault(process.Guarded(func() {
		s, err := r.s.Of(d.Place)
		if err != nil {
			s = r.s
		}
		s.Log.Line("account", event != notify.Recovered, "account", d.Account, "status", event, "reply", d.Reason)
		r.events.Add(s.Event(event, "SENDOFF_EVENT_ACCOUNT="+d.Account, "SENDOFF_EVENT_SINCE="+d.Since.Format(time.RFC3339), "SENDOFF_REASON="+d.Reason))
	}))
}
