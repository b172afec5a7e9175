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

// Somebody learns of it when mail does not leave: once when the fault of an account
// for which something waits, or the oldest message that waits for it, passes
// queue.AlarmTime, and once when neither is so any more. What was told is in a file of the
// account's name, so that all runs of the queue together tell it once.

// A delay is why mail does not leave by an account, as a file in the queue's folder keeps
// it in JSON once a person was told.
type delay struct {
	Account   string
	Event     string    // notify.Fault or notify.Waiting
	Since, At time.Time // At: when the file was written
	Reason    string
	Place     config.Override // of the configuration
}

// toldPrefix begins the names of these files.
const toldPrefix = "told-"

func (r *run) writeTold(name string, d delay) error {
	d.Since, d.At = d.Since.UTC(), time.Now().UTC()
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return r.s.Queue.State.Write(name, text)
}

// alarmLock is the lock of the run that tells what there is to tell.
const alarmLock = "alarm"

// toldStep is after what time the file is written again.
const toldStep = 24 * time.Hour

// alarmStep is how often a runner looks for what a person should be told.
const alarmStep = time.Minute

// alarm tells what is new to a person, once a minute or if now says so. Nothing
// waits for that.
func (r *run) alarm(ctx context.Context, now bool) {
	defer r.spread(ctx)
	if r.selection.Match != nil || !now && time.Since(r.alarmed).Abs() < alarmStep {
		return
	}
	r.alarmed = time.Now()
	release, err := r.s.Queue.State.LockWithin(alarmLock, time.Second)
	if err != nil {
		return // another run tells it, or nothing could be kept of what is told
	}
	defer release()
	delays, known := r.delays(), make(map[string]bool)
	for _, name := range r.s.Queue.State.List() {
		if !strings.HasPrefix(name, toldPrefix) {
			continue
		}
		var told delay
		unread := json.Unmarshal(r.s.Queue.State.Read(name), &told)
		if unread == nil && delays[told.Account] != nil {
			if known[told.Account] = true; time.Since(told.At) > toldStep { // or it would be swept
				r.writeTold(name, told)
			}
			continue
		}
		if err := r.s.Queue.State.Write(name, nil); err == nil && unread == nil { // or it would be told again and again
			r.tell(notify.Recovered, &told)
		}
	}
	for account, d := range delays {
		if !known[account] && r.writeTold(toldPrefix+throttle.KeyOf(account), *d) == nil { // or it would be told again and again
			r.tell(d.Event, d)
		}
	}
}

// delays returns what there is to tell, by the account's name.
func (r *run) delays() map[string]*delay {
	r.mu.Lock()
	defer r.mu.Unlock()
	long := func(since time.Time) bool { return !since.IsZero() && time.Since(since) >= queue.AlarmTime }
	oldest, places := make(map[string]time.Time), make(map[string]config.Override)
	for _, k := range r.known {
		name := k.by.AccountName()
		if at, ok := oldest[name]; !ok || k.born.Before(at) {
			oldest[name], places[name] = k.born, k.by.Place()
		}
	}
	all := make(map[string]*delay)
	for name, at := range oldest {
		if long(at) {
			reason := "the oldest message has waited since " + at.Local().Format("Jan _2 15:04")
			all[name] = &delay{Account: name, Event: notify.Waiting, Since: at, Reason: reason, Place: places[name]}
		}
	}
	for _, f := range throttle.Faults(r.s.Queue) {
		if _, waits := oldest[f.Account]; waits && !f.Suspected() && (long(f.Since) || all[f.Account] != nil) {
			all[f.Account] = &delay{Account: f.Account, Event: notify.Fault, Since: f.Since, Reason: f.Reason, Place: places[f.Account]}
		}
	}
	return all
}

// spread runs the commands that tell a person what there is to tell, apart from the
// sessions: others' mail waits for no command.
func (r *run) spread(ctx context.Context) {
	if r.events.Begin() {
		r.all.Go(func() {
			r.events.TellAll(ctx)
			r.wake()
		})
	}
}

// tell writes a line to the log and has the command run, as the configuration of the
// account says. A bug on the way ends nothing else.
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
