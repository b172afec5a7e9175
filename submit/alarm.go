package submit

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/throttle"
)

// Somebody learns of it when mail does not leave: once when the fault of an account
// for which something waits, or the oldest message that waits for it, passes
// queue.AlarmTime, and once when neither is so any more. What was told is in a file of the
// account's name, so that all runs of the queue together tell it once.

// The events for which notify-command runs, as SENDOFF_EVENT has them.
const (
	eventFailed    = "failed"    // a message was given up, and nobody could be told by mail
	eventDropped   = "dropped"   // what was given up is removed, because there is too much of it
	eventFault     = "fault"     // an account has had a fault for an hour
	eventWaiting   = "waiting"   // a message has waited for an hour
	eventRecovered = "recovered" // neither is so any more
)

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
			r.tell(t.Account, late{eventRecovered, t.Since, t.Reason, t.Place})
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
			all[name] = &late{eventWaiting, at, "the oldest message has waited since " + at.Local().Format("Jan _2 15:04"), places[name]}
		}
	}
	for _, f := range throttle.Faults(r.s.Queue) {
		if _, waits := oldest[f.Account]; waits && !f.Suspected() && (long(f.Since) || all[f.Account] != nil) {
			all[f.Account] = &late{eventFault, f.Since, f.Reason, places[f.Account]}
		}
	}
	return all
}

// spread runs the commands that tell a person what there is to tell, apart from the
// sessions: others' mail waits for no command.
func (r *run) spread(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.spreading && r.s.memory.hasNews() {
		r.spreading = true
		r.all.Go(func() { r.tellAll(ctx) })
	}
}

// tellAll tells one thing after the other. After a command that hangs, or at our
// end, the rest is only counted: each would take as long.
func (r *run) tellAll(ctx context.Context) {
	for late := false; ; {
		r.mu.Lock()
		some := r.s.memory.takeNews(1)
		r.spreading = len(some) > 0
		r.mu.Unlock()
		if len(some) == 0 {
			r.wake()
			return
		}
		n := some[0]
		if late || ctx.Err() != nil {
			rest := r.s.memory.takeNews(math.MaxInt)
			n.s.Log.Fault(fmt.Errorf("notify-command was not run for %d more events; they are in the log", 1+len(rest)))
			continue
		}
		if bug := process.Guarded(func() { late = n.s.notify(n.event, n.about...) }); bug != nil {
			n.s.Log.Fault(bug)
		}
	}
}

// isSpreading reports whether a person is still to be told of something.
func (r *run) isSpreading() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spreading
}

// tell writes a line to the log and has the command run, as the configuration of the
// account says.
func (r *run) tell(account string, l late) {
	s := r.s.configured(l.place).s
	s.Log.Line("account", l.event != eventRecovered, "account", account, "status", l.event, "reply", l.reason)
	s.announce(l.event, "SENDOFF_EVENT_ACCOUNT="+account, "SENDOFF_EVENT_SINCE="+l.since.Format(time.RFC3339), "SENDOFF_REASON="+l.reason)
}

// dropped tells of what has left failed by its bounds: a line of the log each, and
// one command for all.
func (s *Submitter) dropped() {
	if s.Queue == nil {
		return
	}
	all := s.Queue.TakeDropped()
	for _, e := range all {
		s.Log.Line(e.ID, true, "status", eventDropped, "reply", "from failed, where there is too much, or it is too old: "+e.Why())
	}
	if len(all) > 0 {
		s.announce(eventDropped, append(aboutEntry(all[0]), fmt.Sprintf("SENDOFF_EVENT_COUNT=%d", len(all)))...)
	}
}

// aboutEntry is what a command hears of an entry.
func aboutEntry(e *queue.Entry) []string {
	sender := ""
	if e.Sender != nil {
		sender = e.Sender.String()
	}
	return []string{"SENDOFF_ID=" + string(e.ID), "SENDOFF_SENDER=" + sender, "SENDOFF_REASON=" + e.Why()}
}
