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
//	               │ another message is refused
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

// sessionMark begins the by of a limit that a session has met before any message.
const sessionMark = "session "

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
	first := f == nil || !f.limit
	if first {
		f = &fault{account: account, since: now, limit: true, by: by}
	}
	sure := f.by != "" && f.by != by
	if sure {
		f.by = ""
	}
	if due := f.isDue(s); first || due {
		f.failures++
	} else if !sure {
		f.reason = oneLine(err)
		s.setFault(key, f)
		return f.by == ""
	}
	f.tries, f.at = tried(f.tries, now), now
	f.next = now.Add(s.limitRest(f.failures, err))
	f.reason = oneLine(err)
	s.setFault(key, f)
	return f.by == ""
}

// limitRest returns how long an account rests that has met a limit so often.
func (s *Submitter) limitRest(failures int, err error) time.Duration {
	rest := s.backoff(failures)
	if refusal := new(smtp.Refusal); !errors.As(err, &refusal) || refusal.Reply.Class() == 4 {
		rest = min(rest, jitter(longestLimit))
	}
	return rest
}

// admit reports by a held error that the account rests, and returns otherwise what
// is to be called when the message, by, has had its outcome. Where a limit was met,
// one message at a time finds out whether it is over.
func (s *Submitter) admit(a *config.Account, by string) (done func(), err error) {
	key := accountKey(a)
	f := s.limit(key)
	if f == nil || f.by == by && by != "" {
		return func() {}, nil
	}
	if f.by == "" && !f.isDue(s) {
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
	if f := s.limit(key); f != nil && !begun.Before(f.at) {
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
	if words := strings.Fields(t.alone); alone != "" && !slices.Contains(words, alone) {
		t.alone = strings.Join(append(words[max(0, len(words)-maxAlone+1):], alone), " ")
	}
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
