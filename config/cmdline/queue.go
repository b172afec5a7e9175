package cmdline

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A QueueRun says what a run of the queue is about.
type QueueRun struct {
	Due    bool          // only what is due
	Every  time.Duration // again and again; 0: once
	Filter byte          // 'I': the ID, 'S': the sender, 'R': a recipient holds Text; 0: all
	Not    bool          // or holds it not
	Text   string
	None   bool // it is about entries that there are never, such as quarantined ones

	Timer time.Duration // a timer asks for this run, and for another one each Timer; 0: who knows
}

// defaultEvery is how often -qp runs the queue.
const defaultEvery = 30 * time.Minute

// maxTimer is the longest time between two runs of a timer that counts as one.
const maxTimer = 24 * time.Hour

// queueRun takes what stands behind --queue-run: nothing, or how often a timer
// asks for the run.
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

// queueAs takes the uid of the user whose queue is meant.
func (c *Command) queueAs(v string) error {
	uid, err := strconv.ParseUint(v, 10, 31)
	if err != nil || uid == 0 {
		return fmt.Errorf("%q is not a user ID", v)
	}
	c.As = int(uid)
	return nil
}

// queueNow takes what stands behind -q: nothing, f, a time, p and perhaps a
// time, or a letter and a text to look for, perhaps behind an exclamation mark.
func (c *Command) queueNow(v string) error {
	c.Run = QueueRun{}
	rest, not := strings.CutPrefix(v, "!")
	kind := byte(0)
	if rest != "" {
		kind = rest[0]
	}
	switch {
	case v == "" || v == "f" || kind == 'G' && !not:
	case kind == 'I' || kind == 'R' || kind == 'S':
		c.Run = QueueRun{Filter: kind, Not: not, Text: rest[1:]}
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

// String returns what stands behind -q for the filter of r, or "".
func (r QueueRun) String() string {
	switch {
	case r.Filter == 0:
		return ""
	case r.Not:
		return "!" + string(rune(r.Filter)) + r.Text
	}
	return string(rune(r.Filter)) + r.Text
}

// queueTime reads a time as sendmail writes it: numbers with the units w, d,
// h, m and s; a number alone is minutes.
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
