package throttle

import (
	"encoding/json"
	"fmt"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A pace is how many messages of an account were begun lately, in each of the
// steps that the time of its rate has. What is older than that time is over. In no
// such time, whenever it begins, are there more than the rate allows.
type pace struct {
	Last   int64 // the number of the newest step, since 1970
	Counts [paceSteps + 1]int64
}

// paceSteps is how exactly a rate is kept.
const paceSteps = 60

// The names of the file of a pace and of its lock begin so.
const (
	pacePrefix     = "rate-"
	paceLockPrefix = "pace-"
)

// paceLockTime is how long to wait for others who look at a pace.
const paceLockTime = time.Second

// Pace returns a Held if the rate of a allows no message now. Otherwise, if begin is
// set, one more message counts.
func (t *Throttle) Pace(a *config.Account, begin bool) error {
	until, ok := t.pace(Key(a), a.Rate, begin)
	if ok {
		return nil
	}
	return &Held{status.Limited.Errorf("account %s has reached its rate, %s; more from %s", a.Name, a.Rate, until.Local().Format("15:04:05")), until}
}

// UserPace reports whether a user, a client of --listen, may submit another message
// by the setting user-rate, or when. Otherwise it is as Pace.
func (t *Throttle) UserPace(uid int, begin bool) (until time.Time, ok bool) {
	if t == nil || uid == 0 {
		return time.Time{}, true
	}
	return t.pace(fmt.Sprintf("uid-%d", process.CountedAs(uid)), t.config.UserRate, begin)
}

// pace reports whether the owner of a key may begin a message now, or when. If so,
// and begin is set, one more message counts.
func (t *Throttle) pace(key string, rate config.Rate, begin bool) (until time.Time, ok bool) {
	if t == nil || rate.Messages == 0 {
		return time.Time{}, true
	}
	release, err := t.queue.State.LockWithin(paceLockPrefix+key, paceLockTime)
	if err != nil {
		return time.Time{}, true // better one message too many than none
	}
	defer release()
	step := rate.Time / paceSteps
	p := readPace(t.queue.State.Read(pacePrefix + key))
	p.advance(time.Now().UnixNano() / int64(step))
	if p.sum() >= int64(rate.Messages) {
		return time.Unix(0, p.over()*int64(step)), false
	}
	if begin {
		p.Counts[paceSteps]++
		writeJSON(t.queue.State.Overwrite, pacePrefix+key, p)
	}
	return time.Time{}, true
}

// advance lets time go on to a step. A step in the future was written by a clock
// that was wrong.
func (p *pace) advance(to int64) {
	by := to - p.Last
	switch {
	case by < 0 || by > paceSteps:
		p.Counts = [paceSteps + 1]int64{}
	default:
		copy(p.Counts[:], p.Counts[by:])
		clear(p.Counts[paceSteps+1-by:])
	}
	p.Last = to
}

func (p *pace) sum() (n int64) {
	for _, c := range p.Counts {
		n += c
	}
	return n
}

// over returns the step in which the oldest messages are over.
func (p *pace) over() int64 {
	for i, c := range p.Counts {
		if c > 0 {
			return p.Last + int64(i) + 1
		}
	}
	return p.Last
}

// readPace reads the text of a file. What is no pace counts nothing.
func readPace(text []byte) *pace {
	p := new(pace)
	if err := json.Unmarshal(text, p); err != nil {
		return new(pace)
	}
	return p
}
