package outcome

import (
	"fmt"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
)

// A Report is the error of a submission with failures that the caller must know of. It
// unwraps to the failure that decides the exit code.
type Report struct {
	Failures []Failure          // in the order in which they happened
	Sent     []envelope.Address // the recipients that have the message
	Queued   queue.ID           // the entry for the recipients that wait; "": there is none

	// OthersWait says that some recipients are no addresses, and that the mail for others
	// waits.
	OthersWait bool
	// NotQueued is why mail that should wait is not in the queue; "": it is there, or
	// none should wait.
	NotQueued string
	// Kept is the entry among the failed ones with a copy of the message; nil: there is
	// none. Copy is the path of its message.
	Kept *queue.Entry
	Copy string
	// NotKept is why there is no copy of a message that a person has typed.
	NotKept string
}

// Err returns r, or nil if every failure waits in the queue or was told to the sender.
func (r *Report) Err() error {
	for _, f := range r.Failures {
		if f.Verdict != Waits && f.Verdict != Told {
			return r
		}
	}
	return nil
}

// Error returns the lines of a report, one for each failure.
func (r *Report) Error() string {
	var lines []string
	waits := false
	for _, f := range r.Failures {
		line := smtp.Brief(f.Err)
		if f.Unknown {
			line += "; it may have been delivered to " + Addresses(f.To)
		} else if len(f.To) > 0 && len(r.Sent)+len(r.Failures) > 1 && !strings.Contains(line, f.To[0].String()) {
			line += "; not sent to " + Addresses(f.To)
		}
		if f.Verdict == Waits {
			line += "; queued as " + string(r.Queued)
			waits = true
		}
		lines = append(lines, line)
	}
	if len(r.Sent) > 0 {
		lines = append(lines, "already sent to "+Addresses(r.Sent)+"; do not send it to them again")
	}
	if r.OthersWait && !waits {
		lines = append(lines, "the other recipients' mail is queued as "+string(r.Queued))
	}
	if r.Copy != "" {
		lines = append(lines, "a copy is in "+r.Copy)
	}
	if r.NotKept != "" {
		lines = append(lines, "no copy of the message was kept: "+r.NotKept)
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the failure that decides the exit code: the first for which the
// caller has to try again, or else the first that was refused.
func (r *Report) Unwrap() error {
	for _, state := range [...]Verdict{Returned, Refused} {
		for _, f := range r.Failures {
			if f.Verdict == state {
				return f.Err
			}
		}
	}
	return r.Failures[0].Err
}

// shown is how many addresses a line of a report names.
const shown = 10

// Addresses returns the first of to in angle brackets, and the number of the others.
func Addresses(to []envelope.Address) string {
	var words []string
	for _, a := range to[:min(len(to), shown)] {
		words = append(words, "<"+a.String()+">")
	}
	if more := len(to) - shown; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
