package throttle

import (
	"encoding/json"
	"fmt"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A pace counts the messages of an account, or of a user, that were begun within the
// last period of a rate. The period is divided into paceSteps steps of equal length.
// No period, whenever it starts, has more messages than the rate allows.
type pace struct {
	Last   int64                // the number of the newest step, counted since 1970
	Counts [paceSteps + 1]int64 // messages in each step, the newest last
}

// paceSteps is the number of steps in the period of a rate.
const paceSteps = 60

// The names of a pace's file, and of its lock, begin with these.
const (
	pacePrefix     = "rate-"
	paceLockPrefix = "pace-"
)

// paceLockTime is how long to wait for the lock of a pace, which others hold briefly.
const paceLockTime = time.Second

// Pace returns a Held if the rate of a allows no message now. Otherwise, if begin is
// set, it counts one more message.
func (t *Throttle) Pace(a *config.Account, begin bool) error {
	until, ok := t.pace(Key(a), a.Rate, begin)
	if ok {
		return nil
	}
	return &Held{status.Limited.Errorf("account %s has reached its rate of %s; the next message leaves at %s", a.Name, a.Rate, until.Local().Format("15:04:05")), until}
}

// UserPace reports whether the setting user-rate lets a client of --listen submit a
// message now; if not, until is when it does. uid is the client's; root has no limit.
// If ok is true and begin is set, UserPace counts one more message.
func (t *Throttle) UserPace(uid int, begin bool) (until time.Time, ok bool) {
	if t == nil || uid == 0 {
		return time.Time{}, true
	}
	return t.pace(fmt.Sprintf("uid-%d", process.CountedAs(uid)), t.config.UserRate, begin)
}

// pace is UserPace for any key and rate.
func (t *Throttle) pace(key string, rate config.Rate, begin bool) (until time.Time, ok bool) {
	if t == nil || rate.Messages == 0 {
		return time.Time{}, true
	}
	release, err := t.queue.State.LockWithin(paceLockPrefix+key, paceLockTime)
	if err != nil {
		return time.Time{}, true // without a lock, rather send too many messages than none
	}
	defer release()
	step := rate.Time / paceSteps
	p := readPace(t.queue.State.Read(pacePrefix + key))
	p.advance(time.Now().UnixNano() / int64(step))
	if p.sum() >= int64(rate.Messages) {
		return time.Unix(0, p.nextFree()*int64(step)), false
	}
	if begin {
		p.Counts[paceSteps]++
		writeJSON(t.queue.State.Overwrite, pacePrefix+key, p)
	}
	return time.Time{}, true
}

// advance moves p to the step with the number to. If Last is a later step, a wrong clock
// wrote it, and all counts are dropped.
func (p *pace) advance(to int64) {
	steps := to - p.Last
	switch {
	case steps < 0 || steps > paceSteps:
		p.Counts = [paceSteps + 1]int64{}
	default:
		copy(p.Counts[:], p.Counts[steps:])
		clear(p.Counts[paceSteps+1-steps:])
	}
	p.Last = to
}

func (p *pace) sum() (n int64) {
	for _, c := range p.Counts {
		n += c
	}
	return n
}

// nextFree returns the first step in which the oldest messages no longer count.
func (p *pace) nextFree() int64 {
	for i, c := range p.Counts {
		if c > 0 {
			return p.Last + int64(i) + 1
		}
	}
	return p.Last
}

// readPace reads the text of a file. A text that is no pace is a pace without messages.
func readPace(text []byte) *pace {
	p := new(pace)
	if err := json.Unmarshal(text, p); err != nil {
		return new(pace)
	}
	return p
}
