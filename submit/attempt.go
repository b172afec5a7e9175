package submit

import (
	"time"

	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// An attempt is an entry on its way.
type attempt struct {
	g       *group
	s       *Submitter
	claim   *queue.Claim
	request *Request
	job     *job
	report  *Report
	started time.Time
}

// attempt prepares an entry to be sent. If that cannot be done, the entry is
// settled.
func (g *group) attempt(c *queue.Claim) *attempt {
	t := &attempt{g: g, s: g.s, claim: c, started: time.Now()}
	err := t.prepare()
	t.report = &Report{job: t.job}
	if err != nil {
		t.report.Failures = []Failure{{Err: err}}
		t.settle()
		return nil
	}
	return t
}

// release gives the entry back as it was, to be tried in this run or another.
func (t *attempt) release() {
	t.close()
	t.claim.Release()
	t.g.push(t.claim.ID)
}

// mail is the attempt as a session takes it. When it is over, the entry is
// settled.
func (t *attempt) mail() smtp.Mail {
	mail := t.s.mail(t.job, t.report)
	done := mail.Done
	mail.Done = func(r smtp.Result) {
		done(r)
		if t.report.total() == len(t.job.envelope.To) {
			t.settle()
		}
	}
	return mail
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
		t.job.message.Close()
	}
	if t.request != nil {
		t.request.Message.Close()
	}
}

// settle writes down what came of an attempt, which is over.
func (t *attempt) settle() {
	defer t.close()
	defer t.claim.Release()
	t.record()
}

// record writes down what came of an attempt.
func (t *attempt) record() {
	e := t.claim.Entry
	t.s.logAttempt(t)
	if !t.broken() {
		t.g.progress(1)
	}
	if !e.Notice.IsZero() {
		t.settleNotice()
		return
	}
	e.To = t.outcome()
	if e.Waiting() > 0 && t.s.tooOld(e, t.started) && t.s.tooOld(e, e.Tried) {
		for i := range e.To {
			if to := &e.To[i]; !to.Refused {
				to.Refused, to.Reason = true, "given up after "+t.s.age(e)+": "+to.Reason
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
		t.s.record(e.ID, t.claim.Done(), true)
	}
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
		refused := !status.Of(f.Err).Temporary()
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
	e.Tried = t.started
	e.Reason = reason
	e.Next = time.Now().Add(t.s.backoff(e.Attempts))
	t.s.record(e.ID, t.claim.Update(), false)
}
