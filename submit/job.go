package submit

import (
	"slices"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
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

	account  *config.Account // nil only beside fault
	fallback *substitute     // where the server refuses the null sender; may be nil

	order []int     // the recipients that have an outcome, by index, in the order in which they got it
	fault Outcome   // of all recipients, if no server was asked about any; Err is nil if one was, or is to be
	bad   []Outcome // of what the caller named as recipients, and are no addresses: Request.Bad
	id    queue.ID  // of the queue entry for those that wait; "" if there is none
	copy  string    // the file with a copy of what was refused for good; "" if there is none
}

// A Recipient of a Job is one that the server is to be given, and what became of it.
type Recipient struct {
	envelope.Recipient
	Named []int  // indexes in Request.To of the names that stand for it
	Why   string // where it comes from, for --dry-run
	Outcome
}

// An Outcome is what the server said of a recipient, and what follows of that.
type Outcome struct {
	Verdict Verdict
	Err     error      // why the server has not taken the message; nil if it has, or was not asked
	Unknown bool       // beside Err: the server may have taken it all the same (RFC 1047)
	Reply   smtp.Reply // by which it has taken it
}

func (o *Outcome) isKnown() bool { return o.Verdict != Open || o.Err != nil }

func newJob(r *Request) *Job {
	j := &Job{Request: r, account: r.Account, Envelope: r.Envelope}
	j.Envelope.To = nil
	for _, err := range r.Bad {
		j.bad = append(j.bad, Outcome{Err: err})
	}
	return j
}

// FailedJob returns the job of a request about which no server is asked, because
// of err: that is the outcome of all whom the caller has named.
func FailedJob(r *Request, err error) *Job {
	j := newJob(r)
	j.fault = Outcome{Err: err}
	for i, w := range r.To {
		j.To = append(j.To, Recipient{Recipient: w.Recipient, Named: []int{i}, Outcome: j.fault})
	}
	return j
}

// Close ends the use of the job's message. The request's stays open.
func (j *Job) Close() {
	if j.fallback != nil {
		j.fallback.message.Close()
	}
	if j.Message != nil {
		j.Message.Close()
	}
}

// MakeNotice makes e the notice to its sender that the message has failed. It reports
// false if nobody is to be told, because the caller named the null sender, whoever
// stood in for it, or wants no notice, or the message is a notice itself.
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

// add gives recipients of a mail from that sender their outcome.
func (j *Job) add(from envelope.Address, r smtp.Result) {
	o := Outcome{Err: r.Err, Unknown: r.Unknown, Reply: r.Reply}
	if o.Err == nil {
		o.Verdict = Sent
	} else {
		o.Err = smarthost.Blame(j.account, from, o.Err)
	}
	for _, i := range r.To {
		if j.To[i].isKnown() {
			j.To[i].Outcome = Outcome{Err: status.Bug.Errorf("two outcomes for %s", j.To[i].Address), Unknown: true}
			continue
		}
		j.To[i].Outcome = o
		j.order = append(j.order, i)
	}
}

// IsOver reports whether all recipients have their outcome.
func (j *Job) IsOver() bool { return j.fault.Err != nil || len(j.order) == len(j.To) }

// Abort gives the recipients that have no outcome yet one of which nobody knows what
// it was, because of a bug.
func (j *Job) Abort(bug error) {
	if j.fault.Err != nil {
		return
	}
	for i := range j.To {
		if to := &j.To[i]; !to.isKnown() {
			to.Outcome = Outcome{Err: bug, Unknown: true}
			j.order = append(j.order, i)
		}
	}
}

// reset forgets all outcomes, before another session is tried.
func (j *Job) reset() {
	for _, i := range j.order {
		j.To[i].Outcome = Outcome{}
	}
	j.order = nil
}

// isUntouched reports whether the server has said nothing about any recipient but
// that it leaves, and has no whole message.
func (j *Job) isUntouched() bool {
	return len(j.order) > 0 && !slices.ContainsFunc(j.order, func(i int) bool {
		to := &j.To[i]
		return to.Verdict == Sent || to.Unknown || status.KindOf(to.Err) != status.Lost && !smarthost.Leaves(to.Err)
	})
}

// whole returns the job as it was before any server was asked, all of whose
// recipients wait. It may be called while the job is delivered.
func (j *Job) whole() *Job {
	w := &Job{Request: j.Request}
	for i := range j.To {
		to := &j.To[i]
		w.To = append(w.To, Recipient{Recipient: to.Recipient, Named: to.Named, Outcome: Outcome{Verdict: Waits}})
	}
	return w
}

// outcomes calls f with each outcome there is.
func (j *Job) outcomes(f func(*Outcome)) {
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

// move gives all that are in one state another.
func (j *Job) move(from, to Verdict) {
	j.outcomes(func(o *Outcome) {
		if o.Verdict == from {
			o.Verdict = to
		}
	})
}

// has reports whether some recipient is in one of states.
func (j *Job) has(states ...Verdict) bool {
	return slices.ContainsFunc(j.To, func(to Recipient) bool { return slices.Contains(states, to.Verdict) })
}

// named returns the recipients in some states as the caller named them, so that
// aliases and the account's rules are applied anew at each attempt. A name stays
// resolved if not all that it stands for are in the same state: who has got the
// message, or never will, is not tried again. Of some it may be unknown whether they
// have the message all the same.
func (j *Job) named(states ...Verdict) (list []queue.Recipient, unknown bool) {
	const mixed = Verdict(255)
	common := make(map[int]Verdict) // of all that a name stands for, by its index
	for i := range j.To {
		for _, n := range j.To[i].Named {
			state := j.To[i].Verdict
			if other, ok := common[n]; ok && other != state {
				state = mixed
			}
			common[n] = state
		}
	}
	type key struct {
		address   string
		noAliases bool
	}
	have := make(map[key]bool) // what has the same key has come to the same
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
			if k := (key{name.Address.Key(), name.NoAliases}); !have[k] {
				have[k] = true
				list = append(list, name.queued(&to.Outcome))
			}
		}
	}
	return list, unknown
}

// queued returns w as an entry has it that it has come to o with.
func (w Wanted) queued(o *Outcome) queue.Recipient {
	q := queue.Recipient{Recipient: w.Recipient, NoAliases: w.NoAliases, Refused: o.Verdict == Refused}
	if o.Err != nil {
		q.Code, q.Reason = status.Of(o.Err), status.OneLine(o.Err)
		if !q.Refused {
			q.Code.Class = 4
		}
	}
	return q
}
