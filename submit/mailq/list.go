// Package mailq shows and manages what waits in a user's queue, and for root in
// everybody's.
//
//	list.go       mailq: each entry, why it waits, and the faults of accounts
//	overview.go   --status: how each account does
//	manage.go     one entry, or all: show, delete, retry; which ones -q tries
//	users.go      root: the same in the queue of each other user, by a process that
//	              becomes that user
//	timer.go      root's timer: has the queues of all users run
//
// The package must not know sessions or secrets, and sends nothing.
//
// Errors: status.Usage if an entry that somebody names is not there; otherwise
// status.Temporary, with what could not be read.
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

// List writes the queue to w as mailq does, in Postfix's columns: each entry
// with its size, arrival and sender, the reason why it waits and when it is
// tried again, and its recipients. Above it stands what is wrong with an
// account. An asterisk marks an entry that somebody is at work on, an
// exclamation mark a notice of a failure. Entries that cannot be read are in the
// error, and hide no other. Of an empty queue it writes nothing; it returns how
// many entries there are.
func List(w io.Writer, q *queue.Queue, hints Hints) (entries int, err error) {
	out := newLister(w, hints)
	var bad []error
	octets := int64(0)
	rests := restsOf(q)
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
		out.entry(e, markOf(q, e), whyWaits(e, rests))
		if entries == 1 {
			out.Flush()
		}
		if _, err := out.Write(nil); err != nil { // whoever reads has seen enough
			return entries, err
		}
	}
	if entries > 0 {
		fmt.Fprintf(out, "-- %d Kbytes in %d Request%s.\n", (octets+1023)/1024, entries, status.Plural(entries))
	}
	return entries, errors.Join(out.Flush(), status.Temporary.Wrap(errors.Join(bad...)))
}

// Hints are how the lines begin that say what to do about a fault; "" if nobody reads
// them: programs know the other lines.
type Hints string

// HintsFor returns Hints for a person; user is whose queue it is, "" if it is the
// person's own.
func HintsFor(user string) Hints {
	if user == "" {
		return "hint: "
	}
	return Hints("hint (do it as user " + user + "): ")
}

// A lister writes a list.
type lister struct {
	*bufio.Writer
	hints Hints
	said  map[string]bool // the hints of this list: each is said once
}

func newLister(w io.Writer, hints Hints) *lister {
	return &lister{bufio.NewWriter(w), hints, map[string]bool{"": true}}
}

// hint writes what to do about the line before.
func (l *lister) hint(find func() string) {
	if l.hints == "" {
		return
	}
	if text := find(); !l.said[text] {
		l.said[text] = true
		fmt.Fprintf(l, "    %s%s\n", l.hints, status.Printable(text))
	}
}

// faults writes the faults on which something waits: others were a caller's, who
// has been told, or are of accounts that are gone.
func (l *lister) faults(q *queue.Queue) {
	faults := slices.DeleteFunc(throttle.Faults(q), (*throttle.Fault).Suspected)
	if len(faults) == 0 {
		return
	}
	names := make(map[string]bool) // ""; an entry has its account from a message or the environment
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

// restsOf returns until when accounts rest, by their names.
func restsOf(q *queue.Queue) map[string]*throttle.Fault {
	rests := make(map[string]*throttle.Fault)
	for _, f := range throttle.Faults(q) {
		if known := rests[f.Account]; !f.Suspected() && (known == nil || known.At.Before(f.At)) {
			rests[f.Account] = f
		}
	}
	return rests
}

// accountOf returns the name of the account that an entry has, as far as the entry
// says so by itself.
func accountOf(e *queue.Entry) string {
	by := config.ParseChoice(e.Account)
	by.Environment.Account = "" // the fault of a configuration that cannot be loaded has no name, either
	return by.AccountName()
}

// nextAttempt says when the next attempt is made, as dueAfter has it.
func nextAttempt(last, next time.Time) string {
	wait := time.Until(next).Round(time.Second)
	if wait <= 0 || time.Now().Before(last) {
		return "next attempt is due"
	}
	return "next attempt in " + wait.String()
}

// indent is the width of the columns before recipients.
const indent = 50

// busyMark stands behind the ID of an entry that somebody is at work on.
const busyMark = '*'

// markOf is what stands behind the ID of an entry that waits.
func markOf(q *queue.Queue, e *queue.Entry) rune {
	switch {
	case q.Busy(e.ID):
		return busyMark
	case !e.Notice.IsZero():
		return '!'
	}
	return ' '
}

// whyWaits returns what says why an entry has not reached a recipient yet.
func whyWaits(e *queue.Entry, rests map[string]*throttle.Fault) func(queue.Recipient) string {
	wait := nextAttempt(e.LastTried(), e.Next)
	if f := rests[accountOf(e)]; f != nil && time.Now().Before(f.Next) && !time.Now().Before(f.At) && (f.Next.After(e.Next) || time.Now().Before(e.LastTried())) {
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

// entry writes an entry, with the reasons why its recipients have not got it, and what
// to do about them.
func (l *lister) entry(e *queue.Entry, mark rune, why func(queue.Recipient) string) {
	fmt.Fprintf(l, "%s%c %8d %s  %s\n", e.ID, mark, e.Size, e.ID.Time().Local().Format("Mon Jan _2 15:04:05"), senderOf(e))
	said := ""
	say := func(to queue.Recipient, reason string) {
		if reason != said && reason != "" {
			fmt.Fprintf(l, "%*s(%s)\n", 4, "", status.Printable(reason))
			said = reason
			l.hint(func() string {
				return status.HintFor(status.Recall(to.Code, to.Reason), config.NameInFile(accountOf(e)))
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
	if e.Unknown && mark != busyMark { // or the answer may be on its way
		say(queue.Recipient{}, "an attempt ended without an answer: the message may have been delivered")
	}
	l.WriteByte('\n')
}

// ListFailed writes the messages that failed to w, in the columns of List, for a person
// who may try them again; nothing if there are none. It returns how many there are.
// Entries that cannot be read are in the error.
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

// maxShown is how many recipients of an entry a list shows: there may be more than
// anybody reads, and root lists what others have.
const maxShown = 1000

func join(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "; ")
}

// senderOf names who sent an entry.
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

// A listed is an entry as ListJSON writes it.
type listed struct {
	ID         queue.ID          `json:"queue_id"`
	State      string            `json:"state"`
	Arrival    int64             `json:"arrival_time"`
	Size       int64             `json:"message_size"`
	MessageID  string            `json:"message_id,omitempty"`
	Sender     *string           `json:"sender"` // null: the account's own
	Account    string            `json:"account,omitempty"`
	User       string            `json:"user"` // whose queue it is in
	UID        int               `json:"uid"`
	Notice     bool              `json:"notice,omitempty"`
	Active     bool              `json:"active,omitempty"`
	Unknown    bool              `json:"unknown,omitempty"`
	Attempts   int               `json:"attempts"`
	Next       int64             `json:"next_attempt,omitempty"`
	Failed     int64             `json:"failed_time,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Recipients []listedRecipient `json:"recipients"` // the first of them
	More       int               `json:"more_recipients,omitempty"`
}

type listedRecipient struct {
	Address string `json:"address"`
	Refused bool   `json:"refused,omitempty"`
	Status  string `json:"status,omitempty"`
	Reason  string `json:"delay_reason,omitempty"`
}

const (
	stateQueued = "queued" // it waits
	stateFailed = "failed" // it was given up
)

// ListJSON writes the queue of a user to w, and then what was given up, one JSON
// object a line; times are in seconds since 1970.
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

// listedOf is what an entry itself says.
func listedOf(e *queue.Entry) listed {
	l := listed{
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
