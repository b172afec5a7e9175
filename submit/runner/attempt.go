package runner

import (
	"slices"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// An attempt is an entry on its way.
type attempt struct {
	g       *group
	s       *submit.Submitter
	claim   *queue.Claim
	request *submit.Request
	job     *submit.Job
	over    bool // it was settled, or given back

	answered bool // the session did not end before the outcome
}

// attempt prepares an entry to be sent. If that cannot be done, or there is nobody
// left to send it to, the entry is settled.
func (g *group) attempt(c *queue.Claim) *attempt {
	t := &attempt{g: g, s: g.s, claim: c, request: requestOf(c.Entry)}
	if err := status.Guarded(t.prepare); err != nil {
		t.job = submit.FailedJob(t.request, err)
		t.settle()
		return nil
	}
	if len(t.job.To) == 0 { // aliases throw it away by now
		t.s.LogDiscarded(t.job)
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
	asked := false
	return t.s.Mail(t.job, func(r smtp.Result) {
		if t.over { // after a bug
			return
		}
		asked = asked || r.Err != errLeft
		if r.Err == nil {
			t.g.probing.Store(false) // a limit is over
		}
		switch {
		case !t.job.IsOver():
		case asked:
			t.settle()
		default:
			t.release()
		}
	})
}

// prepare reads the message of the entry, or makes the notice that the entry has
// become, and applies aliases and rules to it.
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

// choiceOf returns what chooses the account of an entry.
func choiceOf(e *queue.Entry) config.Choice {
	by := config.ParseChoice(e.Account)
	if e.Sender != nil {
		by.Sender = *e.Sender
	}
	if e.Author != nil {
		by.Header = *e.Author
	}
	return by
}

// requestOf makes of an entry what its caller asked for, but message and account.
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

// settle writes down what came of an attempt, which is over.
func (t *attempt) settle() {
	t.over = true
	defer t.claim.Release()
	defer t.close()
	t.record()
}

// record writes down what came of an attempt.
func (t *attempt) record() {
	e := t.claim.Entry
	if t.s.SettleEntry(t.job, e) {
		t.g.halted.Store(true)
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

// abort ends an attempt that has met a bug: nobody knows what became of it.
func (t *attempt) abort(err error) {
	if t.over {
		return
	}
	t.s.Log.Fault(err)
	t.over = true
	defer t.claim.Release()
	defer t.close()
	if t.s.CountTry(t.claim.Entry) {
		t.claim.Reason = "given up: " + status.OneLine(err)
		t.g.fail(t.claim)
		return
	}
	t.claim.Unknown = true
	t.postpone(status.OneLine(err))
}

// broken reports whether the session ended in the middle.
func (t *attempt) broken() bool {
	return slices.ContainsFunc(t.job.Failures(), func(f submit.Failure) bool {
		k := status.KindOf(f.Err)
		return k == status.Lost || k == status.Connection
	})
}

// postpone leaves the entry for another attempt, for a reason that is not one of its
// recipients', if there is one.
func (t *attempt) postpone(reason string) {
	e := t.claim.Entry
	e.Attempts++
	e.Tried = time.Now()
	e.Reason = reason
	e.Next = time.Now().Add(t.s.Schedule().Backoff(e.Attempts))
	t.g.record(e.ID, t.claim.Update(), false)
}
