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

// A limit of the provider's is a fault of the account, but no login's: the server
// says that it takes no more of its mail for now, whatever the message.
//
//	refused ── suspicion ──── another message is taken ──> it was that message's
//	               │          fault: no limit
//	               │ another message is refused, or three more, if the words
//	               │ may be a verdict on the message
//	           limit: the account rests, its entries are left as they are
//	               │ the rest is over: one probe, whoever comes first
//	               ├─ refused: the account rests, for longer
//	               └─ taken: the limit is over
//
// One message alone proves nothing: some servers say of greylisting and of spam
// what others say of a limit.

// longestLimit is how long an account rests at most for a limit in temporary
// words, which is one of a minute or an hour.
const longestLimit = 5 * time.Minute

// Held is the error of a message that was not tried, because its account takes no
// message before a time, or because all its sessions are taken.
type Held struct {
	Err   error
	Until time.Time // zero: the account's fault says it, or nobody knows
}

// Error returns why, in words.
func (h *Held) Error() string { return h.Err.Error() }

// Unwrap returns why.
func (h *Held) Unwrap() error { return h.Err }

// Untried reports whether err says that a message was not tried: its session or
// its account was not free. until is when it may be tried, if that is known.
func Untried(err error) (until time.Time, ok bool) {
	h := new(Held)
	ok = errors.As(err, &h)
	return h.Until, ok
}

// Suspected reports whether f is a limit that too few messages have met to be sure.
func (f *Fault) Suspected() bool {
	return f.Limit && len(f.MetBy) > 0 && !strings.HasPrefix(f.MetBy[0], sessionMark)
}

// sessionMark stands in place of a message's ID for a session that was refused
// before any message.
const sessionMark = "session-"

// halts reports whether the account takes nothing now for a limit that it has met.
func (t *Throttle) halts(f *Fault) bool {
	return f.Limit && len(f.MetBy) == 0 && f.Failures > 0 && !t.Due(f)
}

// Limit returns the limit that the account with a key has met; nil if there is none.
func (t *Throttle) Limit(key string) *Fault {
	if f := t.Fault(key); f != nil && f.Limit {
		return f
	}
	return nil
}

// How many messages in a row must be refused, where another limit has not just been
// met, for what they are refused for to be a limit.
const (
	enough        = 2
	enoughInDoubt = 4
)

// Met notes that a message of a was refused with err for a limit of the account's; ""
// stands for a session that was refused before any message. It reports whether a rests
// now. An error is the disk's.
func (t *Throttle) Met(a *config.Account, refusal error, message queue.ID) (rests bool, err error) {
	if t == nil {
		return false, nil
	}
	key, now := Key(a), time.Now()
	f := t.Fault(key)
	if f == nil || !f.Limit {
		f = &Fault{Account: a.Name, Since: now, Limit: true}
	}
	if t.halts(f) {
		return true, nil // the message was on its way when others met the limit
	}
	by := string(message)
	if by == "" {
		by = sessionMark + string(queue.NewID(now))
	}
	most := enough
	switch probed := f.Failures > 0 && len(f.MetBy) == 0; {
	case smtp.MayBeVerdict(refusal):
		most = enoughInDoubt
	case probed:
		most = 1
	}
	if !slices.Contains(f.MetBy, by) {
		f.MetBy = append(f.MetBy, by)
	}
	f.At, f.Reason = now, status.OneLine(refusal)
	if rests = len(f.MetBy) >= most; rests {
		f.MetBy = nil
		f.Failures++
	}
	f.Next = now.Add(t.limitRest(max(1, f.Failures), refusal))
	return rests, t.setFault(key, f)
}

// Judge tells a limit of a from words of a limit that are about one message, the
// entry e: those it returns as the message's own failure, the others as they are. It
// reports whether a rests now. A fault is the disk's.
func (t *Throttle) Judge(a *config.Account, refusal error, e *queue.Entry) (own error, rests bool, fault error) {
	own = refusal
	switch since := time.Since(e.Limited); {
	case !t.isAlone(a, e.ID):
		rests, fault = t.Met(a, refusal, e.ID)
	case !e.Limited.IsZero() && (since < aloneTime || queue.TooFew(e.Attempts)):
		if own = smtp.AboutMessage(refusal); !status.Of(own).Temporary() {
			c := status.Of(own)
			c.Class = 4
			own = status.Deferred.With(c, own)
		}
	default:
		own = smtp.AboutMessage(refusal)
	}
	if e.Limited.IsZero() {
		e.Limited = time.Now()
	}
	return own, rests, fault
}

// aloneTime is how long a message may meet permanent words of a limit, while others
// pass, until it fails. A clock alone makes it fail no sooner than queue.TooFew allows.
const aloneTime = 24 * time.Hour

// limitRest returns how long an account rests that has met a limit so often.
func (t *Throttle) limitRest(failures int, err error) time.Duration {
	rest := t.schedule().Backoff(failures)
	if refusal := new(smtp.Refusal); !errors.As(err, &refusal) || refusal.Reply.Class() == 4 {
		rest = min(rest, queue.Jitter(longestLimit))
	}
	return rest
}

// probePrefix begins the names of the locks of those who find out whether a limit
// is over.
const probePrefix = "probe-"

// Probe makes the caller the one that finds out whether the limit of the account
// with a key is over, until release is called: queue.ErrBusy if somebody else is.
func (t *Throttle) Probe(key string) (release func(), err error) {
	return t.queue.State.Lock(probePrefix + key)
}

// Admit returns a Held if a rests, and otherwise a function to call when the message
// has had its outcome. Where a limit was met, one message at a time finds out
// whether the limit is over.
func (t *Throttle) Admit(a *config.Account) (done func(), err error) {
	key := Key(a)
	f := t.Limit(key)
	if f == nil || len(f.MetBy) > 0 {
		return func() {}, nil
	}
	if t.halts(f) {
		return nil, f.held()
	}
	release, err := t.Probe(key)
	switch {
	case errors.Is(err, queue.ErrBusy):
		return nil, f.held()
	case err != nil: // better one probe too many than none
		return func() {}, nil
	}
	return release, nil
}

func (f *Fault) held() error {
	return &Held{Err: status.Limited.Errorf("%s; the account rests until %s", f.Reason, f.Next.Local().Format("15:04:05"))}
}

// Resting says of each account that rests until when, and why. Even a run that
// does not wait for the times of entries leaves such an account alone, or asks once.
func (t *Throttle) Resting() (lines []string) {
	for _, f := range Faults(t.queue) {
		if !t.Due(f) && !f.Suspected() && (f.Login || f.Limit) {
			lines = append(lines, fmt.Sprintf("account %s rests until %s: %s", f.Account, f.Next.Local().Format("15:04:05"), f.Reason))
		}
	}
	return lines
}

// A taken says when a server last took a message of an account, and which messages
// have met a limit that others did not.
type taken struct {
	Account string
	At      time.Time
	Alone   []string // the IDs of those messages
}

// takenPrefix begins the names of its files.
const takenPrefix = "taken-"

// takenStep is how exactly the time is known: it is not written for each message.
const takenStep = 5 * time.Second

// maxAlone is how many messages are known that met a limit alone.
const maxAlone = 100

func readTaken(q *queue.Queue, name string) (t taken) {
	json.Unmarshal(q.State.Read(name), &t) // or nothing is known
	return t
}

// Taken notes that the server has taken a message of a whose transaction began at
// begun: a limit met before is over. If only one message has met the limit, it was
// that message's own fault. Nothing follows from a message that was on its way
// already.
func (t *Throttle) Taken(a *config.Account, begun time.Time) {
	if t == nil {
		return
	}
	key, now := Key(a), time.Now()
	var alone []string
	if f := t.Limit(key); f != nil && (!begun.Before(f.At) || f.At.After(now)) { // by a wrong clock
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

// isAlone reports whether a message of a has met a limit before that others did not.
func (t *Throttle) isAlone(a *config.Account, message queue.ID) bool {
	return t != nil && slices.Contains(readTaken(t.queue, takenPrefix+Key(a)).Alone, string(message))
}

// LastTaken returns when a server last took a message, by the names of accounts.
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
