package cmdline

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A QueueRun says which entries a run of the queue tries, and how often.
type QueueRun struct {
	Due    bool          // only entries that are due
	Every  time.Duration // the interval of repeated runs; 0: run once
	Filter byte          // entries whose ID ('I'), sender ('S') or a recipient ('R') contains Text; 0: all entries
	Not    bool          // entries that do not match Filter
	Text   string
	None   bool // entries that sendoff never has, such as quarantined ones

	Timer time.Duration // the interval of the timer that starts this run; 0: unknown
}

// defaultEvery is the interval of -qp.
const defaultEvery = 30 * time.Minute

// maxTimer is the longest interval of a timer.
const maxTimer = 24 * time.Hour

// queueRun reads the argument of --queue-run: none, or the interval of the timer that
// starts the run.
func (c *Command) queueRun(v string) (err error) {
	c.Run = QueueRun{Due: true}
	if v == "" {
		return nil
	}
	if c.Run.Timer, err = queueTime(v); err != nil || c.Run.Timer > maxTimer {
		return fmt.Errorf("%q is not an interval such as 5m, of at most a day", v)
	}
	return nil
}

// queueAs reads the uid of the user whose queue is meant.
func (c *Command) queueAs(v string) error {
	uid, err := strconv.ParseUint(v, 10, 31)
	if err != nil || uid == 0 {
		return fmt.Errorf("%q is not a user ID", v)
	}
	c.As = int(uid)
	return nil
}

// queueNow reads the argument of -q: none; f; an interval; p and perhaps an interval; or a
// letter and a text to search for, perhaps with an exclamation mark before the letter.
func (c *Command) queueNow(v string) error {
	c.Run = QueueRun{}
	rest, exclude := strings.CutPrefix(v, "!")
	kind := byte(0)
	if rest != "" {
		kind = rest[0]
	}
	switch {
	case v == "" || v == "f" || kind == 'G' && !exclude:
	case kind == 'I' || kind == 'R' || kind == 'S':
		c.Run = QueueRun{Filter: kind, Not: exclude, Text: rest[1:]}
	case kind == 'L' || kind == 'Q':
		c.Run.None = true
	case v == "p":
		c.Run.Every = defaultEvery
	default:
		every, err := queueTime(strings.TrimPrefix(v, "p"))
		if err != nil {
			return err
		}
		c.Run.Every = every
	}
	return nil
}

// String returns the argument of -q for the filter of r; "": no filter.
func (r QueueRun) String() string {
	switch {
	case r.Filter == 0:
		return ""
	case r.Not:
		return "!" + string(rune(r.Filter)) + r.Text
	}
	return string(rune(r.Filter)) + r.Text
}

// queueTime reads an interval in sendmail's form: numbers with the units w, d, h, m and s.
// A number without a unit means minutes.
func queueTime(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'w': 7 * 24 * time.Hour, 'd': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}
	var sum time.Duration
	for rest := s; rest != ""; {
		n := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsDigit(r) })
		digits, unit := rest, time.Minute
		rest = ""
		if n >= 0 {
			unit, rest = units[digits[n]], digits[n+1:]
			digits = digits[:n]
		}
		count, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || unit == 0 || len(digits) > 6 {
			return 0, fmt.Errorf("%q is neither a time such as 30m, nor I, R or S followed by a text", s)
		}
		sum += time.Duration(count) * unit
	}
	if sum <= 0 {
		return 0, fmt.Errorf("%q is not a time such as 30m", s)
	}
	return sum, nil
}
