package submit

import (
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

// A held is the error of a message that was not tried, because its account takes
// none before a time.
type held struct {
	error
	until time.Time // zero: the account knows
}

func (h *held) Unwrap() error { return h.error }

// suspected reports whether f is a limit that only one message has met.
func (f *fault) suspected() bool {
	return f.limit && f.by != "" && !strings.HasPrefix(f.by, sessionMark)
}

// halts reports whether the account takes nothing now for a limit that it has met.
func (f *fault) halts(s *Submitter) bool {
	return f.limit && f.by == "" && f.failures > 0 && !f.isDue(s)
}

// sessionMark begins the by of a limit that a session has met before any message.
const sessionMark = "session-"

// untried reports whether err says that the message was not tried: its session or
// its account was not free. until is when it may be, if that is known.
func untried(err error) (until time.Time, ok bool) {
	if h := new(held); errors.As(err, &h) {
		return h.until, true
	}
	return until, errors.As(err, new(*busy))
}

// limit returns the limit that the account has met; nil if there is none.
func (s *Submitter) limit(key string) *fault {
	if s.Queue == nil {
		return nil
	}
	if f := s.fault(key); f != nil && f.limit {
		return f
	}
	return nil
}

// meetLimit remembers that a message, by, was refused for a limit of the account's. It
// reports whether the account is to rest.
func (s *Submitter) meetLimit(key, account string, err error, by string) bool {
	if s.Queue == nil {
		return false
	}
	now := time.Now()
	f := s.fault(key)
	if f == nil || !f.limit {
		f = &fault{account: account, since: now, limit: true}
	}
	if f.halts(s) {
		return true // on its way when others met it
	}
	most := enough
	switch probed := f.failures > 0 && f.by == ""; {
	case smtp.MayBeVerdict(err):
		most = enoughInDoubt
	case probed:
		most = 1
	}
	met := strings.Fields(f.by)
	if !slices.Contains(met, by) {
		met = append(met, by)
	}
	f.by, f.at, f.reason = strings.Join(met, " "), now, oneLine(err)
	sure := len(met) >= most
	if sure {
		f.by = ""
		f.failures++
	}
	f.next = now.Add(s.limitRest(max(1, f.failures), err))
	s.setFault(key, f)
	return sure
}

// How many messages in a row must be refused, where another limit has not just been
// met, for what they are refused for to be a limit.
const (
	enough        = 2
	enoughInDoubt = 4
)

// limitRest returns how long an account rests that has met a limit so often.
func (s *Submitter) limitRest(failures int, err error) time.Duration {
	rest := s.schedule().Backoff(failures)
	if refusal := new(smtp.Refusal); !errors.As(err, &refusal) || refusal.Reply.Class() == 4 {
		rest = min(rest, queue.Jitter(longestLimit))
	}
	return rest
}

// admit reports by a held error that the account rests, and returns otherwise what
// is to be called when the message has had its outcome. Where a limit was met, one
// message at a time finds out whether it is over.
func (s *Submitter) admit(a *config.Account) (done func(), err error) {
	key := accountKey(a)
	f := s.limit(key)
	if f == nil || f.by != "" {
		return func() {}, nil
	}
	if f.halts(s) {
		return nil, f.holds()
	}
	release, err := s.Queue.Lock(probePrefix + key)
	switch {
	case errors.Is(err, queue.ErrBusy):
		return nil, f.holds()
	case err != nil: // better one probe too many than none
		return func() {}, nil
	}
	return release, nil
}

// Rests says of each account that rests until when, and why. Even a run that does
// not wait for the times of entries leaves it alone, or asks once.
func (s *Submitter) Rests() (lines []string) {
	for _, q := range s.queues() {
		for _, f := range faults(q) {
			if f.isDue(s) || f.suspected() || !f.login && !f.limit {
				continue
			}
			lines = append(lines, fmt.Sprintf("account %s rests until %s: %s", f.account, f.next.Local().Format("15:04:05"), f.reason))
		}
	}
	return lines
}

// probePrefix begins the names of the locks of those who find out whether a limit
// is over.
const probePrefix = "probe-"

func (f *fault) holds() error {
	return &held{error: status.Limited.Errorf("%s; the account rests until %s", f.reason, f.next.Local().Format("15:04:05"))}
}

// takenPrefix begins the names of the files that say when a server has last taken
// a message from an account; they are like those of faults.
const takenPrefix = "taken-"

// takenStep is how exactly that is known: it is not written for each message.
const takenStep = 5 * time.Second

// taken notes that the server has taken a message from a that was begun at that
// time: a limit met before is over. If only one message has met it, that was the
// message's own fault. Of a message that was on its way already nothing follows.
func (s *Submitter) taken(a *config.Account, begun time.Time) {
	if s.Queue == nil || s.rehearsal != nil {
		return
	}
	key, now, alone := accountKey(a), time.Now(), ""
	if f := s.limit(key); f != nil && (!begun.Before(f.at) || f.at.After(now)) { // by a clock that was wrong
		if f.suspected() {
			alone = f.by
		}
		s.forget(key)
	}
	t := s.lastTaken(key)
	if alone == "" && now.Sub(t.at).Abs() < takenStep {
		return
	}
	t.account, t.at = a.Name, now
	all := append(strings.Fields(t.alone), strings.Fields(alone)...)
	t.alone = strings.Join(all[max(0, len(all)-maxAlone):], " ")
	s.Queue.Note(takenPrefix+key, t.marshal())
}

// maxAlone is how many messages are known that met a limit alone.
const maxAlone = 100

// isAlone reports whether a message has met a limit before that others did not.
func (s *Submitter) isAlone(key string, id queue.ID) bool {
	return slices.Contains(strings.Fields(s.lastTaken(key).alone), string(id))
}

// lastTaken returns what is known of the last message that was taken.
func (s *Submitter) lastTaken(key string) *fault {
	if s.Queue != nil {
		if t := readFault(s.Queue, takenPrefix+key); t != nil {
			return t
		}
	}
	return new(fault)
}
