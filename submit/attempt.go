package submit

import (
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// An attempt is an entry on its way.
type attempt struct {
	g       *group
	s       *Submitter
	claim   *queue.Claim
	request *Request
	job     *job
	report  *Report
	left    []int // of job.envelope.To, whom no server was asked for
	over    bool  // it was settled, or given back
}

// attempt prepares an entry to be sent. If that cannot be done, the entry is
// settled.
func (g *group) attempt(c *queue.Claim) *attempt {
	t := &attempt{g: g, s: g.s, claim: c}
	err := status.Guarded(t.prepare)
	t.report = &Report{job: t.job}
	if err != nil {
		t.report.Failures = []Failure{{Err: err}}
		t.settle()
		return nil
	}
	if len(t.job.envelope.To) == 0 { // aliases throw it away by now
		t.s.logDiscarded(c.ID, t.job)
		t.settle()
		return nil
	}
	return t
}

// release gives the entry back as it was, to be tried in this run or another.
func (t *attempt) release() {
	t.over = true
	t.close()
	t.claim.Release()
	t.g.push(t.claim.Entry)
}

// errLeft is the outcome of a mail that a server left to a new session, and for
// which there was none.
var errLeft = error(&throttle.Held{Err: status.Lost.Errorf("the server took no more mails in the session")})

// mail is the attempt as a session takes it. When it is over, the entry is
// settled; or given back, if no server was asked for anybody.
func (t *attempt) mail() smtp.Mail {
	return t.s.mail(t.job, func(from envelope.Address, r smtp.Result) {
		if t.over { // after a bug
			return
		}
		if r.Err == errLeft {
			t.left = append(t.left, r.To...)
		} else {
			t.report.add(from, r)
		}
		if r.Err == nil {
			t.g.passed()
		}
		switch {
		case t.report.total()+len(t.left) < len(t.job.envelope.To):
		case t.report.total() == 0:
			t.release()
		default:
			if len(t.left) > 0 {
				t.report.add(from, smtp.Result{To: t.left, Err: errLeft})
			}
			t.settle()
		}
	})
}

func (t *attempt) prepare() (err error) {
	if t.claim.Notice.IsZero() {
		t.request, err = t.s.request(t.claim)
	} else {
		t.request, err = t.s.notice(t.claim)
	}
	if err == nil {
		t.job, err = t.s.prepare(t.request)
	}
	return err
}

func (t *attempt) close() {
	if t.job != nil {
		t.job.close()
	}
	if t.request != nil {
		t.request.Message.Close()
	}
}

// settle writes down what came of an attempt, which is over.
func (t *attempt) settle() {
	t.over = true
	defer t.close()
	defer t.claim.Release()
	t.record()
}

// record writes down what came of an attempt.
func (t *attempt) record() {
	e := t.claim.Entry
	t.judge()
	t.s.logAttempt(t)
	if !t.broken() {
		t.g.progress(1)
	}
	if !e.Notice.IsZero() {
		t.settleNotice()
		return
	}
	e.To = t.outcome()
	if e.Waiting() > 0 && t.tooOld() {
		for i := range e.To {
			if to := &e.To[i]; !to.Refused {
				to.Refused, to.Reason = true, "given up after "+e.Age().String()+": "+to.Reason
			}
		}
	}
	switch {
	case e.Waiting() > 0:
		t.again("")
	case len(e.To) > 0:
		t.s.Tally.countGivenUp()
		t.giveUp()
	default:
		t.s.Tally.countSent()
		t.g.record(e.ID, t.claim.Done(), true)
	}
}

// judge tells a limit of the account's, for which the group comes to rest, from
// words of a limit that are about this message.
func (t *attempt) judge() {
	e := t.claim.Entry
	for i := range t.report.Failures {
		f := &t.report.Failures[i]
		if status.KindOf(f.Err) != status.Limited || t.job == nil {
			continue
		}
		a := t.job.account
		switch {
		case !t.s.throttle().Alone(a, e.ID):
			if t.s.meetLimit(a, f.Err, e.ID) {
				t.g.halt()
			}
		case (time.Since(e.Limited) < aloneTime || queue.TooFew(e.Attempts)) && !e.Limited.IsZero():
			f.Err = deferred(smtp.AboutMessage(f.Err))
		default:
			f.Err = smtp.AboutMessage(f.Err)
		}
		if e.Limited.IsZero() {
			e.Limited = time.Now()
		}
	}
}

// aloneTime is how long a message may meet permanent words of a limit, while others
// pass, until it fails. Only after several attempts: the clock may be wrong.
const aloneTime = 24 * time.Hour

// deferred makes a refusal a temporary one.
func deferred(err error) error {
	c := status.Of(err)
	if c.Temporary() {
		return err
	}
	c.Class = 4
	return status.Deferred.With(c, err)
}

// tooOld counts the attempt, and reports whether it was one too many.
func (t *attempt) tooOld() bool {
	e := t.claim.Entry
	e.Tries = queue.AddTry(e.Tries, time.Now())
	return t.s.schedule().TooOld(e.Born(), e.Tries)
}

// abort ends an attempt that has met a bug: nobody knows what became of it.
func (t *attempt) abort(err error) {
	if t.over {
		return
	}
	t.s.Log.Fault(err)
	t.over = true
	defer t.close()
	defer t.claim.Release()
	if t.tooOld() {
		t.claim.Reason = "given up: " + status.OneLine(err)
		t.g.fail(t.claim)
		return
	}
	t.claim.Unknown = true
	t.again(status.OneLine(err))
}

// broken reports whether the session ended in the middle.
func (t *attempt) broken() bool {
	for _, f := range t.report.Failures {
		if k := status.KindOf(f.Err); k == status.Lost || k == status.Connection {
			return true
		}
	}
	return false
}

// outcome returns the recipients that have not got the message.
func (t *attempt) outcome() []queue.Recipient {
	e := t.claim.Entry
	var left []queue.Recipient
	var named func(Failure) []Wanted
	if t.job != nil {
		named = t.job.asNamed(t.request, t.report)
	}
	for _, to := range e.To {
		if to.Refused { // long ago
			left = append(left, to)
		}
	}
	for _, f := range t.report.Failures {
		e.Unknown = e.Unknown || f.Unknown
		refused := !status.Of(f.Err).Temporary() && status.KindOf(f.Err) != status.Bug // which says nothing about the message
		if named == nil {
			for _, to := range e.To {
				if !to.Refused {
					left = append(left, failedRecipient(Wanted{Recipient: to.Recipient, NoAliases: to.NoAliases}, f.Err, refused))
				}
			}
			continue
		}
		for _, to := range named(f) {
			left = append(left, failedRecipient(to, f.Err, refused))
		}
	}
	return left
}

// again leaves the entry for another attempt, for a reason that is not one of its
// recipients', if there is one.
func (t *attempt) again(reason string) {
	e := t.claim.Entry
	e.Attempts++
	e.Tried = time.Now()
	e.Reason = reason
	e.Next = time.Now().Add(t.s.schedule().Backoff(e.Attempts))
	t.g.record(e.ID, t.claim.Update(), false)
}
