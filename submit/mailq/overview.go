package mailq

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// failedTime is how long a message that has failed counts in --status. A person may leave
// older ones in the folder failed on purpose.
const failedTime = 7 * 24 * time.Hour

// An Overview is the state of an account, for a monitor. The account "" has the entries
// that name no account. Times are in seconds since 1970; 0 means never.
type Overview struct {
	User       string `json:"user,omitempty"`    // the user whose queue it is, if root asks
	Service    bool   `json:"service,omitempty"` // it is the queue of the machine's service
	Account    string `json:"account"`
	State      State  `json:"state"`
	Entries    int    `json:"entries"`
	Oldest     int64  `json:"oldest,omitempty"` // the arrival of the oldest entry
	Fault      string `json:"fault,omitempty"`
	Hint       string `json:"hint,omitempty"` // what to do about the fault
	Since      int64  `json:"fault_since,omitempty"`
	Next       int64  `json:"next_attempt,omitempty"` // only if there is a fault
	Taken      int64  `json:"last_accepted,omitempty"`
	Failed     int    `json:"failed,omitempty"` // messages that have failed within failedTime
	LastFailed int64  `json:"last_failed,omitempty"`
	Unreadable int    `json:"unreadable,omitempty"` // entries that only a person can repair
}

// A State is the state of an account.
type State string

const (
	StateFine   State = "ok"
	StateLate   State = "late"   // mail waits, and the oldest entry or the fault is older than queue.AlarmTime
	StateFailed State = "failed" // a message has failed, or cannot be read
)

// States has all states, the worst last.
var States = [...]State{StateFine, StateLate, StateFailed}

func (o *Overview) judge() {
	long := func(since int64) bool { return since > 0 && time.Since(time.Unix(since, 0)) >= queue.AlarmTime }
	switch {
	case o.Failed > 0 || o.Unreadable > 0:
		o.State = StateFailed
	case o.Entries > 0 && (long(o.Oldest) || long(o.Since)):
		o.State = StateLate
	default:
		o.State = StateFine
	}
}

// overviews returns an Overview for each account that the queue knows, by its name. It
// reads one entry at a time: memory does not grow with the queue.
func overviews(q *queue.Queue) map[string]*Overview {
	all := make(map[string]*Overview)
	overview := func(name string) *Overview {
		if all[name] == nil {
			all[name] = &Overview{Account: name}
		}
		return all[name]
	}
	for e, err := range q.Entries() {
		if err != nil {
			overview("").Unreadable++
			continue
		}
		o := overview(config.ParseChoice(e.Account).AccountName())
		o.Entries++
		if at := e.Born().Unix(); o.Oldest == 0 || at < o.Oldest {
			o.Oldest = at
		}
	}
	for e, err := range q.Failed() {
		if err != nil {
			continue // the time of failure is unknown here, and the person has been told
		}
		if at := q.FailedAt(e.ID); time.Since(at) < failedTime {
			o := overview(config.ParseChoice(e.Account).AccountName())
			o.Failed++
			o.LastFailed = max(o.LastFailed, at.Unix())
		}
	}
	for _, f := range throttle.Faults(q) {
		if o := overview(f.Account); !f.Suspected() && (o.Since == 0 || f.Since.Unix() < o.Since) {
			o.Fault, o.Hint, o.Since, o.Next = f.Reason, f.Hint(), f.Since.Unix(), f.Next.Unix()
		}
	}
	for account, at := range throttle.LastTaken(q) {
		overview(account).Taken = at.Unix()
	}
	return all
}

// StatusJSON writes the Overviews of the queue to w, one JSON object per line.
func StatusJSON(w io.Writer, q *queue.Queue) error {
	all := overviews(q)
	out := bufio.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := status.WriteJSON(out, all[name]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// ReadStatus returns the Overviews that StatusJSON has written. Another user may have
// written them: ReadStatus computes the State itself, and replaces control characters.
func ReadStatus(r io.Reader) ([]*Overview, error) {
	var all []*Overview
	for d := json.NewDecoder(r); ; {
		o := new(Overview)
		err := d.Decode(o)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, status.Temporary.Wrap(err)
		}
		for _, text := range []*string{&o.User, &o.Account, &o.Fault, &o.Hint} {
			*text = status.Printable(*text)
		}
		o.judge()
		all = append(all, o)
	}
}

func dated(seconds int64) string { return time.Unix(seconds, 0).Local().Format("Jan _2 15:04") }

// Summary returns a line about the account, without the fault.
func (o *Overview) Summary() string {
	name := "account " + o.Account
	if o.Account == "" {
		name = "no account named"
	}
	if o.User != "" {
		name = "user " + o.User + ", " + name
	}
	parts := []string{fmt.Sprintf("%s: %s; %d queued", name, o.State, o.Entries)}
	if o.Oldest > 0 {
		parts[0] += fmt.Sprintf(", the oldest for %s", status.Lasted(max(0, time.Since(time.Unix(o.Oldest, 0)))))
	}
	if o.Taken > 0 {
		parts = append(parts, "last accepted "+dated(o.Taken))
	}
	if o.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed, the last %s", o.Failed, dated(o.LastFailed)))
	}
	if o.Unreadable > 0 {
		parts = append(parts, fmt.Sprintf("%d unreadable", o.Unreadable))
	}
	return strings.Join(parts, "; ")
}

// String returns a few lines about the account, for a person.
func (o *Overview) String() string {
	text := o.Summary() + "\n"
	if o.Fault != "" {
		text += fmt.Sprintf("  fault since %s: %s; %s\n", dated(o.Since), o.Fault, nextAttempt(time.Time{}, time.Unix(o.Next, 0)))
	}
	if o.Hint != "" {
		user := o.User
		if o.Service {
			user = "" // root's configuration, so root follows the hint
		}
		text += fmt.Sprintf("  %s%s\n", HintsFor(user).before(o.Hint), o.Hint)
	}
	return text
}
