// Package mailq shows and manages the queue of a user, and for root the queues of all
// users.
//
//	list.go       mailq: each entry, why it waits, and the faults of accounts
//	overview.go   --status: the state of each account
//	manage.go     shows, deletes or retries one entry or all; selects entries for -q
//	users.go      root: does the same for each other user, in a process that becomes
//	              that user
//	timer.go      root's timer: runs the queues of all users
//
// The package knows nothing of sessions and secrets, and sends nothing.
//
// Errors: status.Usage if there is no entry with the given ID; otherwise status.Temporary,
// for what could not be read.
package mailq

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// List writes the queue to w as mailq does, in Postfix's columns: first the faults of
// accounts; then for each entry its size, arrival and sender, why it waits and when the
// next attempt is, and its recipients. An asterisk marks an entry that a process holds, an
// exclamation mark a notice of failure. If the queue is empty, List writes nothing. entries
// is the number of entries shown. An entry that cannot be read is in the error, and does
// not hide the others.
func List(w io.Writer, q *queue.Queue, hints Hints) (entries int, err error) {
	out := newLister(w, hints)
	var bad []error
	octets := int64(0)
	suspended := suspensions(q)
	for e, err := range q.Entries() {
		if err != nil {
			bad = append(bad, err)
			continue
		}
		if entries++; entries == 1 {
			out.faults(q)
			out.WriteString("-Queue ID-------- --Size-- ----Arrival Time---- -Sender/Recipient-------\n")
		}
		octets += e.Size
		out.entry(e, markOf(q, e), whyWaits(e, suspended))
		if entries == 1 {
			out.Flush()
		}
		if _, err := out.Write(nil); err != nil { // the reader has closed the pipe
			return entries, err
		}
	}
	if entries > 0 {
		fmt.Fprintf(out, "-- %d Kbytes in %d Request%s.\n", (octets+1023)/1024, entries, status.Plural(entries))
	}
	return entries, errors.Join(out.Flush(), status.Temporary.Wrap(errors.Join(bad...)))
}

// Hints is the beginning of each line that says what to do about a fault. "": write no such
// lines, because a program reads the list, and expects only the other lines.
type Hints string

// HintsFor returns Hints for a person. user is the user whose queue it is; "": the person's
// own.
func HintsFor(user string) Hints {
	if user == "" {
		return "hint: "
	}
	return Hints("hint (do it as user " + user + "): ")
}

// before returns the beginning of the line for hint. A command for root is root's, whosever
// queue it is about.
func (h Hints) before(hint string) Hints {
	if strings.Contains(hint, ": sudo ") {
		return HintsFor("")
	}
	return h
}

// A lister writes a list.
type lister struct {
	*bufio.Writer
	hints   Hints
	written map[string]bool // the hints written so far: each is written once per list
}

func newLister(w io.Writer, hints Hints) *lister {
	return &lister{bufio.NewWriter(w), hints, map[string]bool{"": true}}
}

// hint writes what to do about the line before it, unless the hint has been written
// already.
func (l *lister) hint(find func() string) {
	if l.hints == "" {
		return
	}
	if text := find(); !l.written[text] {
		l.written[text] = true
		fmt.Fprintf(l, "    %s%s\n", l.hints.before(text), status.Printable(text))
	}
}

// faults writes the faults that keep an entry waiting. It leaves out faults of accounts
// that no entry uses: the caller has been told of them, or the account is gone.
func (l *lister) faults(q *queue.Queue) {
	faults := slices.DeleteFunc(throttle.Faults(q), (*throttle.Fault).Suspected)
	if len(faults) == 0 {
		return
	}
	names := make(map[string]bool) // "" if an entry does not name its account: a message or the environment names it
	waited := func(f *throttle.Fault) bool { return names[f.Account] || names[""] }
	for e, err := range q.Entries() {
		if err == nil {
			names[config.ParseChoice(e.Account).AccountName()] = true
		}
		if !slices.ContainsFunc(faults, func(f *throttle.Fault) bool { return !waited(f) }) {
			break
		}
	}
	written := make(map[string]bool)
	for _, f := range faults {
		name := "account " + f.Account
		if f.Account == "" {
			name = "configuration"
		}
		line := fmt.Sprintf("(%s: %s; %d failure%s since %s, %s)\n", name, f.Reason, f.Failures, status.Plural(f.Failures),
			f.Since.Local().Format("Jan _2 15:04"), nextAttempt(f.At, f.Next))
		if waited(f) && !written[line] {
			written[line] = true
			l.WriteString(line)
			l.hint(f.Hint)
		}
	}
}

// suspensions returns the last fault of each account that is suspended, by the account's
// name.
func suspensions(q *queue.Queue) map[string]*throttle.Fault {
	suspended := make(map[string]*throttle.Fault)
	for _, f := range throttle.Faults(q) {
		if known := suspended[f.Account]; !f.Suspected() && (known == nil || known.At.Before(f.At)) {
			suspended[f.Account] = f
		}
	}
	return suspended
}

// accountOf returns the name of the account that the entry itself names; "": none.
func accountOf(e *queue.Entry) string {
	choice := config.ParseChoice(e.Account)
	choice.Environment.Account = "" // the fault of a configuration that cannot be loaded has no account name either
	return choice.AccountName()
}

// nextAttempt says when the next attempt is. If the last attempt seems to be in the future,
// the clock was set back, and the next attempt is due.
func nextAttempt(last, next time.Time) string {
	wait := time.Until(next).Round(time.Second)
	if wait <= 0 || time.Now().Before(last) {
		return "next attempt is due"
	}
	return "next attempt in " + wait.String()
}

// indent is the width of the columns before a recipient.
const indent = 50

// busyMark follows the ID of an entry that a process holds.
const busyMark = '*'

// markOf returns the mark after the ID of an entry.
func markOf(q *queue.Queue, e *queue.Entry) rune {
	switch {
	case q.Busy(e.ID):
		return busyMark
	case !e.Notice.IsZero():
		return '!'
	}
	return ' '
}

// whyWaits returns a function that says why the entry e has not been delivered to a
// recipient.
func whyWaits(e *queue.Entry, suspended map[string]*throttle.Fault) func(queue.Recipient) string {
	wait := nextAttempt(e.LastTried(), e.Next)
	if f := suspended[accountOf(e)]; f != nil && time.Now().Before(f.Next) && !time.Now().Before(f.At) && (f.Next.After(e.Next) || time.Now().Before(e.LastTried())) {
		wait = nextAttempt(f.At, f.Next)
	}
	return func(to queue.Recipient) string {
		switch {
		case !e.Notice.IsZero():
			return join(to.Reason, e.Reason, wait)
		case to.Refused:
			return "refused: " + to.Reason
		}
		return join(cmp.Or(to.Reason, e.Reason), wait)
	}
}

// entry writes an entry. Before its recipients it writes why they have not received the
// message, and what to do about that.
func (l *lister) entry(e *queue.Entry, mark rune, why func(queue.Recipient) string) {
	fmt.Fprintf(l, "%s%c %8d %s  %s\n", e.ID, mark, e.Size, e.ID.Time().Local().Format("Mon Jan _2 15:04:05"), senderOf(e))
	lastReason := ""
	say := func(to queue.Recipient, reason string) {
		if reason != lastReason && reason != "" {
			fmt.Fprintf(l, "%*s(%s)\n", 4, "", status.Printable(reason))
			lastReason = reason
			l.hint(func() string {
				return status.HintFor(status.Recall(to.Code, to.Reason), config.NameInFile(accountOf(e)), "")
			})
		}
	}
	if len(e.To) == 0 {
		say(queue.Recipient{}, why(queue.Recipient{}))
	}
	for _, to := range e.To[:min(len(e.To), maxShown)] {
		say(to, why(to))
		fmt.Fprintf(l, "%*s%s\n", indent, "", to.Address)
	}
	if more := len(e.To) - maxShown; more > 0 {
		fmt.Fprintf(l, "%*sand %d more recipient%s\n", indent, "", more, status.Plural(more))
	}
	if e.Unknown && mark != busyMark { // a process that holds the entry may still receive the answer
		say(queue.Recipient{}, "an attempt ended without an answer: the message may have been delivered")
	}
	l.WriteByte('\n')
}

// ListFailed writes the messages that failed to w, in the columns of List, for a person who
// may retry them. If there are none, it writes nothing. entries is the number of messages
// shown. An entry that cannot be read is in the error.
func ListFailed(w io.Writer, q *queue.Queue, hints Hints) (entries int, err error) {
	out := newLister(w, hints)
	var bad []error
	for e, err := range q.Failed() {
		if err != nil {
			bad = append(bad, err)
			continue
		}
		if entries++; entries == 1 {
			fmt.Fprintf(out, "-Failed, in %s-\n", q.FailedFolder())
			out.hint(func() string {
				return "sendoff --queue-retry ID tries one again; sendoff --queue-delete ID removes one"
			})
		}
		at := "failed " + q.FailedAt(e.ID).Local().Format("Jan _2 15:04")
		out.entry(e, ' ', func(to queue.Recipient) string { return join(at, to.Reason, e.Reason) })
	}
	return entries, errors.Join(out.Flush(), status.Temporary.Wrap(errors.Join(bad...)))
}

// maxShown is how many recipients of an entry a list shows. An entry may have more than
// anybody reads, and root also lists the queues of others.
const maxShown = 1000

func join(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "; ")
}

// senderOf returns the sender of an entry in the form of the list.
func senderOf(e *queue.Entry) string {
	switch {
	case !e.Notice.IsZero():
		return "MAILER-DAEMON (notice to " + e.Sender.String() + ")"
	case e.Sender == nil:
		return "(the account's own)"
	case e.Sender.IsNull():
		return "MAILER-DAEMON"
	}
	return e.Sender.String()
}

// A listedEntry is an entry as ListJSON writes it.
type listedEntry struct {
	ID         queue.ID          `json:"queue_id"`
	State      string            `json:"state"`
	Arrival    int64             `json:"arrival_time"`
	Size       int64             `json:"message_size"`
	MessageID  string            `json:"message_id,omitempty"`
	Sender     *string           `json:"sender"` // null: the account's from address
	Account    string            `json:"account,omitempty"`
	User       string            `json:"user"` // the user whose queue it is
	UID        int               `json:"uid"`
	Notice     bool              `json:"notice,omitempty"`
	Active     bool              `json:"active,omitempty"`
	Unknown    bool              `json:"unknown,omitempty"`
	Attempts   int               `json:"attempts"`
	Next       int64             `json:"next_attempt,omitempty"`
	Failed     int64             `json:"failed_time,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Recipients []listedRecipient `json:"recipients"` // at most maxShown
	More       int               `json:"more_recipients,omitempty"`
}

type listedRecipient struct {
	Address string `json:"address"`
	Refused bool   `json:"refused,omitempty"`
	Status  string `json:"status,omitempty"`
	Reason  string `json:"delay_reason,omitempty"`
}

const (
	stateQueued = "queued" // waits in the queue
	stateFailed = "failed" // has failed for good
)

// ListJSON writes the entries of a user's queue to w, and then the messages that failed,
// one JSON object per line. Times are in seconds since 1970.
func ListJSON(w io.Writer, q *queue.Queue, uid int) error {
	user := process.UserName(uid)
	out := bufio.NewWriter(w)
	var bad []error
	for _, part := range [...]struct {
		state   string
		entries iter.Seq2[*queue.Entry, error]
	}{{stateQueued, q.Entries()}, {stateFailed, q.Failed()}} {
		for e, err := range part.entries {
			if err != nil {
				bad = append(bad, err)
				continue
			}
			l := listedOf(e)
			l.User, l.UID = user, uid
			if l.State = part.state; part.state == stateQueued {
				l.Active, l.Next = q.Busy(e.ID), e.Next.Unix()
			} else {
				l.Failed = q.FailedAt(e.ID).Unix()
			}
			if err := status.WriteJSON(out, l); err != nil {
				return err
			}
		}
	}
	return errors.Join(out.Flush(), status.Temporary.Wrap(errors.Join(bad...)))
}

// listedOf returns what the entry itself says; the caller adds the rest.
func listedOf(e *queue.Entry) listedEntry {
	l := listedEntry{
		ID: e.ID, Arrival: e.ID.Time().Unix(), Size: e.Size, MessageID: e.MessageID, Account: config.ParseChoice(e.Account).CommandLine.Account,
		Notice: !e.Notice.IsZero(), Unknown: e.Unknown, Attempts: e.Attempts, Reason: e.Reason,
		Recipients: []listedRecipient{}, More: max(0, len(e.To)-maxShown),
	}
	if e.Sender != nil {
		sender := e.Sender.String()
		l.Sender = &sender
	}
	for _, to := range e.To[:min(len(e.To), maxShown)] {
		r := listedRecipient{Address: to.Address.String(), Refused: to.Refused, Reason: to.Reason}
		if to.Reason != "" {
			r.Status = to.Code.String()
		}
		l.Recipients = append(l.Recipients, r)
	}
	return l
}
