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

// Announced is what a person was told of an account, as a file in the queue's folder
// keeps it in JSON.
type announced struct {
	Account   string
	Since, At time.Time
	Reason    string
	Place     config.Override // of the configuration
}

// toldPrefix begins the names of these files.
const toldPrefix = "told-"

// readTold returns what is in a file; nil if it cannot be read.
func (r *run) readTold(name string) *announced {
	t := new(announced)
	if json.Unmarshal(r.s.Queue.State.Read(name), t) != nil {
		return nil
	}
	return t
}

func (r *run) writeTold(name string, t *announced) error {
	t.Since, t.At = t.Since.UTC(), time.Now().UTC()
	text, err := json.Marshal(t)
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

// late is what waits for an account, as far as it is a reason to tell of it.
type late struct {
	event  string
	since  time.Time
	reason string
	place  config.Override // of the configuration
}

// alarm tells what is new to a person, once a minute or if now says so. Nothing
// waits for that.
func (r *run) alarm(ctx context.Context, now bool) {
	defer r.spread(ctx)
	if r.which.Match != nil || !now && time.Since(r.alarmed).Abs() < alarmStep {
		return
	}
	r.alarmed = time.Now()
	release, err := r.s.Queue.State.LockWithin(alarmLock, time.Second)
	if err != nil {
		return // another run tells it, or nothing could be kept of what is told
	}
	defer release()
	news, known := r.late(), make(map[string]bool)
	for _, name := range r.s.Queue.State.List() {
		if !strings.HasPrefix(name, toldPrefix) {
			continue
		}
		t := r.readTold(name)
		if t != nil && news[t.Account] != nil {
			if known[t.Account] = true; time.Since(t.At) > toldStep { // or it would be swept
				r.writeTold(name, t)
			}
			continue
		}
		if err := r.s.Queue.State.Write(name, nil); err == nil && t != nil { // or it would be told again and again
			r.tell(t.Account, late{notify.Recovered, t.Since, t.Reason, t.Place})
		}
	}
	for account, l := range news {
		if known[account] {
			continue
		}
		t := &announced{Account: account, Since: l.since, Reason: l.reason, Place: l.place}
		if r.writeTold(toldPrefix+throttle.KeyOf(account), t) == nil { // or it would be told again and again
			r.tell(account, *l)
		}
	}
}

// late returns what there is to tell, by the account's name.
func (r *run) late() map[string]*late {
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
	all := make(map[string]*late)
	for name, at := range oldest {
		if long(at) {
			all[name] = &late{notify.Waiting, at, "the oldest message has waited since " + at.Local().Format("Jan _2 15:04"), places[name]}
		}
	}
	for _, f := range throttle.Faults(r.s.Queue) {
		if _, waits := oldest[f.Account]; waits && !f.Suspected() && (long(f.Since) || all[f.Account] != nil) {
			all[f.Account] = &late{notify.Fault, f.Since, f.Reason, places[f.Account]}
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
func (r *run) tell(account string, l late) {
	r.s.Log.Fault(process.Guarded(func() {
		s, err := r.s.Of(l.place)
		if err != nil {
			s = r.s
		}
		s.Log.Line("account", l.event != notify.Recovered, "account", account, "status", l.event, "reply", l.reason)
		r.events.Add(s.Event(l.event, "SENDOFF_EVENT_ACCOUNT="+account, "SENDOFF_EVENT_SINCE="+l.since.Format(time.RFC3339), "SENDOFF_REASON="+l.reason))
	}))
}
