package throttle

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// A limit of the provider is a fault of the account: the server says that it takes no
// more mail of the account for now, whatever the message.
//
//	refused ── suspicion ──── another message is taken ──> the first message was
//	               │          at fault: there is no limit
//	               │ another message is refused; or three more, if the reply
//	               │ may be a verdict on the message
//	           limit: the account rests, its entries are left as they are
//	               │ the rest is over: one message is the probe
//	               ├─ refused: the account rests, for longer
//	               └─ taken: the limit is over
//
// One refused message proves nothing: some servers use the same words for greylisting
// and for spam.

// longestLimit is how long an account rests at most if the server refused with a
// temporary reply. The limit then is one of a minute or an hour.
const longestLimit = 5 * time.Minute

// Held is the error of a message that was not tried, because its account takes no
// message now, or because all sessions of the account are busy.
type Held struct {
	Err   error     // why
	Until time.Time // when to try again; zero: Fault.Next says it, or it is unknown
}

// Error implements error.
func (h *Held) Error() string { return h.Err.Error() }

// Unwrap returns the reason.
func (h *Held) Unwrap() error { return h.Err }

// Untried reports whether err is a Held: the message was not tried. until is when it
// may be tried; zero: unknown.
func Untried(err error) (until time.Time, ok bool) {
	h := new(Held)
	ok = errors.As(err, &h)
	return h.Until, ok
}

// Suspected reports whether f is a limit that too few messages have met to be sure.
func (f *Fault) Suspected() bool {
	return f.Limit && len(f.MetBy) > 0 && !strings.HasPrefix(f.MetBy[0], sessionMark)
}

// sessionMark begins the entry in Fault.MetBy for a session that was refused before any
// message.
const sessionMark = "session-"

// suspends reports whether f is a limit for which the account takes no mail now.
func (t *Throttle) suspends(f *Fault) bool {
	return f.Limit && len(f.MetBy) == 0 && f.Failures > 0 && !t.Due(f)
}

// Limit returns the limit that the account with a key has met; nil if there is none.
func (t *Throttle) Limit(key string) *Fault {
	if f := t.Fault(key); f != nil && f.Limit {
		return f
	}
	return nil
}

// How many messages must be refused for a limit, while none is taken, before the account
// rests. After the rest one refused probe is enough, unless enoughInDoubt applies.
const (
	enough        = 2
	enoughInDoubt = 4 // if the reply may be a verdict on the message
)

// Met notes that the server refused a message of a because of a limit of the account;
// message is its ID, or "" if a session was refused before any message. It reports
// whether a rests now. The error is the disk's.
func (t *Throttle) Met(a *config.Account, refusal error, message queue.ID) (rests bool, err error) {
	if t == nil {
		return false, nil
	}
	key, now := Key(a), time.Now()
	f := t.Fault(key)
	if f == nil || !f.Limit {
		f = &Fault{Account: a.Name, Since: now, Limit: true}
	}
	if t.suspends(f) {
		return true, nil // the message was being sent when others met the limit
	}
	id := string(message)
	if id == "" {
		id = sessionMark + string(queue.NewID(now))
	}
	needed := enough
	switch isProbe := f.Failures > 0 && len(f.MetBy) == 0; {
	case smtp.MayBeVerdict(refusal):
		needed = enoughInDoubt
	case isProbe:
		needed = 1
	}
	if !slices.Contains(f.MetBy, id) {
		f.MetBy = append(f.MetBy, id)
	}
	f.At = now
	f.setReason(refusal)
	if rests = len(f.MetBy) >= needed; rests {
		f.MetBy = nil
		f.Failures++
	}
	f.Next = now.Add(t.limitRest(max(1, f.Failures), refusal))
	return rests, t.setFault(key, f)
}

// Judge decides whether refusal, a reply in words of a limit to the entry e, is about
// the account a or only about this message. If it is about the account, Judge notes it
// as Met does, and judged is refusal. If other messages pass, judged is a failure of the
// message. rests reports whether a rests now; fault is an error of the disk.
func (t *Throttle) Judge(a *config.Account, refusal error, e *queue.Entry) (judged error, rests bool, fault error) {
	judged = refusal
	switch since := time.Since(e.Limited); {
	case !t.isAlone(a, e.ID):
		rests, fault = t.Met(a, refusal, e.ID)
	case !e.Limited.IsZero() && (since < aloneTime || queue.TooFew(e.Attempts)):
		if judged = smtp.AboutMessage(refusal); !status.Of(judged).Temporary() {
			c := status.Of(judged)
			c.Class = 4
			judged = status.Deferred.With(c, judged)
		}
	default:
		judged = smtp.AboutMessage(refusal)
	}
	if e.Limited.IsZero() {
		e.Limited = time.Now()
	}
	return judged, rests, fault
}

// aloneTime is how long a message is tried again that is refused with a permanent reply
// in words of a limit, while others pass. As the clock may be wrong, the message also
// needs as many attempts as queue.TooFew demands before it fails.
const aloneTime = 24 * time.Hour

// limitRest returns how long an account rests that has met a limit failures times.
func (t *Throttle) limitRest(failures int, err error) time.Duration {
	rest := t.schedule().Backoff(failures)
	if refusal := new(smtp.Refusal); !errors.As(err, &refusal) || refusal.Reply.Class() == 4 {
		rest = min(rest, queue.Jitter(longestLimit))
	}
	return rest
}

// probePrefix begins the names of the locks of Probe.
const probePrefix = "probe-"

// Probe makes the caller the only one to try a message of the account with that key,
// until release is called, to find out whether its limit is over. The error is
// queue.ErrBusy if another process does so.
func (t *Throttle) Probe(key string) (release func(), err error) {
	return t.queue.State.Lock(probePrefix + key)
}

// Admit returns a Held if a takes no message now; otherwise the caller sends one
// message, and calls done when its outcome is known. After a limit it admits one
// message at a time, the probe, until the server takes one.
func (t *Throttle) Admit(a *config.Account) (done func(), err error) {
	key := Key(a)
	f := t.Limit(key)
	if f == nil || len(f.MetBy) > 0 {
		return func() {}, nil
	}
	if t.suspends(f) {
		return nil, f.held()
	}
	release, err := t.Probe(key)
	switch {
	case errors.Is(err, queue.ErrBusy):
		return nil, f.held()
	case err != nil: // without a lock, rather send too many probes than none
		return func() {}, nil
	}
	return release, nil
}

func (f *Fault) held() error {
	return &Held{Err: status.Limited.Errorf("%s; the account is paused until %s", f.Reason, f.Next.Local().Format("15:04:05"))}
}

// Resting returns a line for each account that rests: until when, and why. A run that
// tries all entries at once sends nothing for these accounts, or only a probe.
func (t *Throttle) Resting() (lines []string) {
	for _, f := range Faults(t.queue) {
		if !t.Due(f) && !f.Suspected() && (f.Login || f.Limit) {
			lines = append(lines, fmt.Sprintf("account %s is paused until %s: %s", f.Account, f.Next.Local().Format("15:04:05"), f.Reason))
		}
	}
	return lines
}

// A taken records when a server last took a message of an account, and which messages
// were refused in words of a limit while others passed.
type taken struct {
	Account string // the account's name
	At      time.Time
	Alone   []string // the IDs of those messages
}

// takenPrefix begins the names of the files that keep a taken.
const takenPrefix = "taken-"

// takenStep is how much At may lag behind, so that not every message writes the file.
const takenStep = 5 * time.Second

// maxAlone is how many IDs a taken keeps.
const maxAlone = 100

func readTaken(q *queue.Queue, name string) (t taken) {
	json.Unmarshal(q.State.Read(name), &t) // zero if the file cannot be read
	return t
}

// Taken notes that the server took a message of a. begun is when its transaction began:
// a limit that was met before is over. If the limit was only suspected, the messages
// that met it were at fault. A limit that was met after begun stays.
func (t *Throttle) Taken(a *config.Account, begun time.Time) {
	if t == nil {
		return
	}
	key, now := Key(a), time.Now()
	var alone []string
	if f := t.Limit(key); f != nil && (!begun.Before(f.At) || f.At.After(now)) { // a wrong clock wrote a time in the future
		if f.Suspected() {
			alone = f.MetBy
		}
		t.Forget(key)
	}
	last := readTaken(t.queue, takenPrefix+key)
	if len(alone) == 0 && now.Sub(last.At).Abs() < takenStep {
		return
	}
	last.Account, last.At = a.Name, now
	last.Alone = append(last.Alone, alone...)
	last.Alone = last.Alone[max(0, len(last.Alone)-maxAlone):]
	writeJSON(t.queue.State.Overwrite, takenPrefix+key, last)
}

// isAlone reports whether a message of a was refused in words of a limit before, while
// others passed.
func (t *Throttle) isAlone(a *config.Account, message queue.ID) bool {
	return t != nil && slices.Contains(readTaken(t.queue, takenPrefix+Key(a)).Alone, string(message))
}

// LastTaken returns when a server last took a message of each account, by its name.
func LastTaken(q *queue.Queue) map[string]time.Time {
	last := make(map[string]time.Time)
	for _, name := range q.State.List() {
		if strings.HasPrefix(name, takenPrefix) {
			if t := readTaken(q, name); t.At.After(last[t.Account]) {
				last[t.Account] = t.At
			}
		}
	}
	return last
}
