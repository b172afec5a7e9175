package runner

import (
	"slices"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/outcome"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// An attempt is one try to send an entry, which is claimed meanwhile.
type attempt struct {
	g       *group
	s       *submit.Submitter
	claim   *queue.Claim
	request *submit.Request
	job     *submit.Job
	ended   bool // the attempt was settled, released or aborted

	answered bool // the session did not break off before the outcome
}

// attempt prepares an entry to be sent. It settles the entry and returns nil if the
// entry cannot be prepared, or has no recipient to send to.
func (g *group) attempt(c *queue.Claim) *attempt {
	t := &attempt{g: g, s: g.s, claim: c, request: requestOf(c.Entry)}
	if err := status.Guarded(t.prepare); err != nil {
		t.job = submit.FailedJob(t.request, err)
		t.settle()
		return nil
	}
	if len(t.job.To) == 0 { // aliases have changed, and throw the message away
		t.s.LogDiscarded(t.job)
		t.settle()
		return nil
	}
	return t
}

// release ends the attempt without an outcome: the entry stays as it was, and this run
// or another tries it.
func (t *attempt) release() {
	t.ended = true
	t.close()
	t.claim.Release()
	t.g.push(t.claim.Entry)
}

// errUntried is the outcome of a mail that the server wanted in a new session, if no
// new session could be opened.
var errUntried = error(&throttle.Held{Err: status.Lost.Errorf("the server accepted no more messages in this session")})

// mail returns the attempt in the form that a session sends. When every recipient has
// a result, the entry is settled, or released if the server was asked for no recipient.
func (t *attempt) mail() smtp.Mail {
	tried := false // the server was asked for at least one recipient
	return t.s.Mail(t.job, func(r smtp.Result) {
		if t.ended { // abort has ended the attempt
			return
		}
		tried = tried || r.Err != errUntried
		if r.Err == nil {
			t.g.probing.Store(false) // the server took the message: the limit is over
		}
		switch {
		case !t.job.IsOver():
		case tried:
			t.settle()
		default:
			t.release()
		}
	})
}

// prepare opens the message of the entry, or makes the notice if the entry has become
// one. It chooses the account, and applies aliases and the account's rules.
func (t *attempt) prepare() (err error) {
	if t.claim.Notice.IsZero() {
		t.request.Message, err = message.Open(t.claim.Message(), t.claim.Size)
	} else {
		t.request, err = notice(t.s, t.claim)
	}
	if err == nil {
		t.request.By = choiceOf(t.claim.Entry)
		t.request.Account, t.request.Why, err = t.s.Config.Choose(t.request.By)
	}
	if err == nil {
		t.job, err = t.s.Resume(t.request)
	}
	return err
}

// choiceOf returns the choice of an account that an entry has recorded.
func choiceOf(e *queue.Entry) config.Choice {
	choice := config.ParseChoice(e.Account)
	if e.Sender != nil {
		choice.Sender = *e.Sender
	}
	if e.Author != nil {
		choice.Header = *e.Author
	}
	return choice
}

// requestOf returns the request that the caller of an entry made, for the recipients
// that still wait. Message and account are left out.
func requestOf(e *queue.Entry) *submit.Request {
	r := &submit.Request{Sender: e.Sender, FullName: e.FullName, UserName: e.UserName}
	r.Envelope = envelope.Envelope{Body: e.Body, Return: e.Return, ID: e.Envelope, RequireTLS: e.TLS}
	for _, to := range e.To {
		if !to.Refused {
			r.To = append(r.To, submit.Wanted{Recipient: to.Recipient, Origin: "queue", NoAliases: to.NoAliases})
		}
	}
	return r
}

func (t *attempt) close() {
	if t.job != nil {
		t.job.Close()
	}
	if t.request.Message != nil {
		t.request.Message.Close()
	}
}

// settle ends the attempt, and writes its outcome into the queue.
func (t *attempt) settle() {
	t.ended = true
	defer t.claim.Release()
	defer t.close()
	t.record()
}

// record writes the outcome of the attempt into the queue: the entry is removed,
// updated, turned into a notice, or moved to failed.
func (t *attempt) record() {
	e := t.claim.Entry
	if t.s.SettleEntry(t.job, e) {
		t.g.suspended.Store(true)
	}
	t.answered = !t.broken()
	switch {
	case !e.Notice.IsZero():
		t.settleNotice()
	case e.Waiting() > 0:
		t.postpone("")
	case len(e.To) > 0:
		t.g.r.givenUp.Add(1)
		t.giveUp()
	default:
		t.g.r.sent.Add(1)
		t.g.record(e.ID, t.claim.Done(), true)
	}
}

// abort ends an attempt that has met a bug. Its outcome is unknown: the entry is tried
// again, or given up if it is too old.
func (t *attempt) abort(err error) {
	if t.ended {
		return
	}
	t.s.Log.Fault(err)
	t.ended = true
	defer t.claim.Release()
	defer t.close()
	if t.s.CountTry(t.claim.Entry) {
		t.claim.Reason = "failed: " + status.OneLine(err)
		t.g.fail(t.claim)
		return
	}
	t.claim.Unknown = true
	t.postpone(status.OneLine(err))
}

// broken reports whether the session broke off, or the connection failed, before the
// outcome.
func (t *attempt) broken() bool {
	return slices.ContainsFunc(t.job.Failures(), func(f outcome.Failure) bool {
		k := status.KindOf(f.Err)
		return k == status.Lost || k == status.Connection
	})
}

// postpone leaves the entry for a later attempt. reason says why, for the whole entry;
// "": each recipient has a reason of its own.
func (t *attempt) postpone(reason string) {
	e := t.claim.Entry
	e.Attempts++
	e.Tried = time.Now()
	e.Reason = reason
	e.Next = time.Now().Add(t.s.Schedule().Backoff(e.Attempts))
	t.g.record(e.ID, t.claim.Update(), false)
}
