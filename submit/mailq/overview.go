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

// failedTime is how long an entry that was given up is a reason to alarm a person,
// who may have left it in failed on purpose.
const failedTime = 7 * 24 * time.Hour

// An Overview is what a monitor wants to know of one account, or of the entries
// that say of none. Times are in seconds since 1970; 0 is never.
type Overview struct {
	User       string `json:"user,omitempty"` // whose queue it is, if root asks
	Account    string `json:"account"`
	State      State  `json:"state"`
	Entries    int    `json:"entries"`
	Oldest     int64  `json:"oldest,omitempty"` // when the oldest of them came
	Fault      string `json:"fault,omitempty"`
	Hint       string `json:"hint,omitempty"` // what to do about the fault
	Since      int64  `json:"fault_since,omitempty"`
	Next       int64  `json:"next_attempt,omitempty"` // of an account with a fault
	Taken      int64  `json:"last_accepted,omitempty"`
	Failed     int    `json:"failed,omitempty"` // that were given up lately
	LastFailed int64  `json:"last_failed,omitempty"`
	Unreadable int    `json:"unreadable,omitempty"` // entries that only a person can mend
}

// A State is how an account does; the worst of them is the last.
type State string

const (
	StateFine   State = "ok"
	StateLate   State = "late"   // something waits for too long
	StateFailed State = "failed" // something was given up, or cannot be read
)

// States are all of them, the worst last.
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

// overviews returns an Overview of each account of which the queue knows
// something, by its name. It keeps nothing of single entries.
func overviews(q *queue.Queue) map[string]*Overview {
	all := make(map[string]*Overview)
	of := func(name string) *Overview {
		if all[name] == nil {
			all[name] = &Overview{Account: name}
		}
		return all[name]
	}
	for e, err := range q.Entries() {
		if err != nil {
			of("").Unreadable++
			continue
		}
		o := of(config.ParseChoice(e.Account).AccountName())
		o.Entries++
		if at := e.Born().Unix(); o.Oldest == 0 || at < o.Oldest {
			o.Oldest = at
		}
	}
	for e, err := range q.Failed() {
		if err != nil {
			continue // FailedAt does not tell of these, and a person has been told
		}
		if at := q.FailedAt(e.ID); time.Since(at) < failedTime {
			o := of(config.ParseChoice(e.Account).AccountName())
			o.Failed++
			o.LastFailed = max(o.LastFailed, at.Unix())
		}
	}
	for _, f := range throttle.Faults(q) {
		if o := of(f.Account); !f.Suspected() && (o.Since == 0 || f.Since.Unix() < o.Since) {
			o.Fault, o.Hint, o.Since, o.Next = f.Reason, f.Hint(), f.Since.Unix(), f.Next.Unix()
		}
	}
	for account, at := range throttle.LastTaken(q) {
		of(account).Taken = at.Unix()
	}
	return all
}

// StatusJSON writes the Overviews of the queue to w, one JSON object a line.
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

// ReadStatus returns the Overviews that StatusJSON has written, by whomever: the
// State is judged anew, and what could act on a terminal is replaced.
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

// String says for a person how the account does, in a few lines.
func (o *Overview) String() string {
	name := "account " + o.Account
	if o.Account == "" {
		name = "no account named"
	}
	if o.User != "" {
		name = "user " + o.User + ", " + name
	}
	at := func(seconds int64) string { return time.Unix(seconds, 0).Local().Format("Jan _2 15:04") }
	parts := []string{fmt.Sprintf("%s: %s; %d queued", name, o.State, o.Entries)}
	if o.Oldest > 0 {
		parts[0] += fmt.Sprintf(", the oldest for %s", status.Lasted(max(0, time.Since(time.Unix(o.Oldest, 0)))))
	}
	if o.Taken > 0 {
		parts = append(parts, "last accepted "+at(o.Taken))
	}
	if o.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed, the last %s", o.Failed, at(o.LastFailed)))
	}
	if o.Unreadable > 0 {
		parts = append(parts, fmt.Sprintf("%d unreadable", o.Unreadable))
	}
	text := strings.Join(parts, "; ") + "\n"
	if o.Fault != "" {
		text += fmt.Sprintf("  fault since %s: %s; %s\n", at(o.Since), o.Fault, nextAttempt(time.Time{}, time.Unix(o.Next, 0)))
	}
	if o.Hint != "" {
		text += fmt.Sprintf("  %s%s\n", HintsFor(o.User), o.Hint)
	}
	return text
}
