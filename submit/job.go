package submit

import (
	"slices"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/outcome"
	"sendoff/submit/queue"
	"sendoff/submit/rewrite"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// A Job is a Request after aliases and the account's rules: what is sent to whom,
// and what has become of each recipient.
type Job struct {
	Request *Request
	To      []Recipient // each address once

	Envelope  envelope.Envelope // without recipients
	Message   *message.Message
	Hello     string              // our name in EHLO
	From      string              // where the sender came from, in words
	Discarded []rewrite.Recipient // what aliases throw away
	Changes   []string            // what was changed in the message, and why
	Warnings  []string            // what is wrong with the alias file

	account  *config.Account // nil only if there is a fault
	fallback *substitute     // the mail to send where the server refuses the null sender; nil: there is none

	order []int             // indexes in To of the recipients that have an outcome, in the order in which they got it
	fault outcome.Outcome   // the outcome of all recipients if no server is asked about any; Err is nil if a server is asked
	bad   []outcome.Outcome // one for each of Request.Bad
	id    queue.ID          // of the queue entry with the recipients that wait; "": there is none
}

// A Recipient of a Job is one address for RCPT, and its outcome.
type Recipient struct {
	envelope.Recipient
	Named []int  // indexes in Request.To of the names that resolve to this address
	Why   string // where the address comes from, in words, for --dry-run
	outcome.Outcome
}

func newJob(r *Request) *Job {
	j := &Job{Request: r, account: r.Account, Envelope: r.Envelope}
	j.Envelope.To = nil
	for _, err := range r.Bad {
		j.bad = append(j.bad, outcome.Outcome{Err: err})
	}
	return j
}

// FailedJob returns a job of r for which no server is asked. All recipients that the
// caller named have the outcome err.
func FailedJob(r *Request, err error) *Job {
	j := newJob(r)
	j.fault = outcome.Outcome{Err: err}
	for i, w := range r.To {
		j.To = append(j.To, Recipient{Recipient: w.Recipient, Named: []int{i}, Outcome: j.fault})
	}
	return j
}

// Close closes the job's message. The message of the request stays open.
func (j *Job) Close() {
	if j.fallback != nil {
		j.fallback.message.Close()
	}
	if j.Message != nil {
		j.Message.Close()
	}
}

// MakeNotice turns the entry e into a notice to the sender that the message has failed.
// It reports false if there is to be no notice: the caller named the null sender (even
// if the account's address was used in its place) or asked for no notice, or the message
// is a notice itself.
func (j *Job) MakeNotice(e *queue.Entry) bool {
	if j.fault.Err != nil || j.Envelope.From.IsNull() || e.Sender != nil && e.Sender.IsNull() || j.Message.IsReport() {
		return false
	}
	wanted := slices.ContainsFunc(e.To, func(to queue.Recipient) bool {
		return to.Notify == 0 || to.Notify&envelope.NotifyFailure != 0
	})
	if wanted {
		e.Sender, e.Notice = &j.Envelope.From, time.Now()
	}
	return wanted
}

func (j *Job) recipients() []envelope.Recipient {
	list := make([]envelope.Recipient, len(j.To))
	for i := range j.To {
		list[i] = j.To[i].Recipient
	}
	return list
}

// add sets the outcome of the recipients in r, of a mail whose sender was from.
func (j *Job) add(from envelope.Address, r smtp.Result) {
	o := outcome.Outcome{Err: r.Err, Unknown: r.Unknown}
	if reply := r.Reply; o.Err == nil {
		o.Verdict, o.Reply = outcome.Sent, &reply
	} else {
		o.Err = smarthost.Blame(j.account, from, o.Err)
	}
	for _, i := range r.To {
		if j.To[i].IsKnown() {
			j.To[i].Outcome = outcome.Outcome{Err: status.Bug.Errorf("two outcomes for %s", j.To[i].Address), Unknown: true}
			continue
		}
		j.To[i].Outcome = o
		j.order = append(j.order, i)
	}
}

// IsOver reports whether all recipients have their outcome.
func (j *Job) IsOver() bool { return j.fault.Err != nil || len(j.order) == len(j.To) }

// Abort sets the outcome of the recipients that have none to bug: the server may have
// taken the message.
func (j *Job) Abort(bug error) {
	if j.fault.Err != nil {
		return
	}
	for i := range j.To {
		if to := &j.To[i]; !to.IsKnown() {
			to.Outcome = outcome.Outcome{Err: bug, Unknown: true}
			j.order = append(j.order, i)
		}
	}
}

// reset forgets all outcomes, before another session is tried.
func (j *Job) reset() {
	for _, i := range j.order {
		j.To[i].Outcome = outcome.Outcome{}
	}
	j.order = nil
}

// isUntouched reports whether all outcomes only say that the session has ended, and the
// server cannot have the whole message: then another session may try.
func (j *Job) isUntouched() bool {
	return len(j.order) > 0 && !slices.ContainsFunc(j.order, func(i int) bool {
		to := &j.To[i]
		return to.Verdict == outcome.Sent || to.Unknown || status.KindOf(to.Err) != status.Lost && !smarthost.Leaves(to.Err)
	})
}

// outcomes calls f with the fault, if there is one, and with the outcome of each
// recipient, also of those that are no addresses.
func (j *Job) outcomes(f func(*outcome.Outcome)) {
	if j.fault.Err != nil {
		f(&j.fault)
	}
	for i := range j.bad {
		f(&j.bad[i])
	}
	for i := range j.To {
		f(&j.To[i].Outcome)
	}
}

// move changes the verdict of all outcomes that have the verdict from.
func (j *Job) move(from, to outcome.Verdict) {
	j.outcomes(func(o *outcome.Outcome) {
		if o.Verdict == from {
			o.Verdict = to
		}
	})
}

// has reports whether some recipient has one of the verdicts.
func (j *Job) has(states ...outcome.Verdict) bool {
	return slices.ContainsFunc(j.To, func(to Recipient) bool { return slices.Contains(states, to.Verdict) })
}

// named returns the recipients with one of the verdicts, for an entry of the queue: as
// the caller named them, so that aliases and the account's rules are applied anew at
// each attempt. Only where the addresses of one name (an alias) have different verdicts,
// the addresses themselves are in the list: whoever has the message gets it once. unknown
// says that some of them may have the message already.
func (j *Job) named(states ...outcome.Verdict) (list []queue.Recipient, unknown bool) {
	const mixed, none = outcome.Verdict(255), outcome.Verdict(254)
	common := slices.Repeat([]outcome.Verdict{none}, len(j.Request.To)) // the verdict of all addresses of a name, or mixed
	for i := range j.To {
		for _, n := range j.To[i].Named {
			state := j.To[i].Verdict
			if other := common[n]; other != none && other != state {
				state = mixed
			}
			common[n] = state
		}
	}
	names := j.newNames()
	for i := range j.To {
		to := &j.To[i]
		if !slices.Contains(states, to.Verdict) {
			continue
		}
		unknown = unknown || to.Unknown
		for _, n := range to.Named {
			name := j.Request.To[n]
			if common[n] != to.Verdict {
				name = Wanted{Recipient: to.Recipient, NoAliases: true}
			}
			names.add(name, &to.Outcome)
		}
	}
	return names.list, unknown
}

// all returns all recipients as the caller named them, as if no server had been asked. It
// reads no outcome: another goroutine may be delivering the job meanwhile.
func (j *Job) all() []queue.Recipient {
	names := j.newNames()
	for i := range j.To {
		for _, n := range j.To[i].Named {
			names.add(j.Request.To[n], &outcome.Outcome{Verdict: outcome.Waits})
		}
	}
	return names.list
}

// names are recipients for an entry of the queue, each once.
type names struct {
	list []queue.Recipient
	have map[nameKey]bool
}

type nameKey struct {
	address   string
	noAliases bool
}

func (j *Job) newNames() *names {
	return &names{make([]queue.Recipient, 0, len(j.To)), make(map[nameKey]bool, len(j.To))}
}

func (n *names) add(name Wanted, o *outcome.Outcome) {
	if k := (nameKey{name.Address.Key(), name.NoAliases}); !n.have[k] {
		n.have[k] = true
		n.list = append(n.list, name.queued(o))
	}
}

// queued returns w with the outcome o, for an entry of the queue. A recipient that waits
// has a temporary code, whatever its error says.
func (w Wanted) queued(o *outcome.Outcome) queue.Recipient {
	q := queue.Recipient{Recipient: w.Recipient, NoAliases: w.NoAliases, Refused: o.Verdict == outcome.Refused}
	if o.Err != nil {
		q.Code, q.Reason = status.Of(o.Err), status.OneLine(o.Err)
		if !q.Refused {
			q.Code.Class = 4
		}
	}
	return q
}
