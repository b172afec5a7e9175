package submit

import (
	"errors"
	"os"
	"time"

	"sendoff/submit/outcome"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// What becomes of a recipient
//
// A recipient has one outcome in an attempt: the server has the message, or there is
// an error. The error says what failed (status.Kind), whom that is about (its Scope),
// and whether another try may help (the class of its code). This file decides what
// follows of that, and nothing else does: exit code, stderr, log, queue entry, notice
// and reply read the Verdict.
//
// A message that is not in the queue yet, in the first attempt:
//
//	the server has it                            Sent
//	permanent                                    Refused
//	temporary, but a person pressed Ctrl-C       Returned
//	temporary, a fault of the account that a     Returned; but Waits if we are called as
//	person must mend (a login, a certificate,    sendmail: those callers can mend no
//	a secret, the configuration)                 account, and drop what they cannot send
//	temporary otherwise                          Waits
//	Waits, but nothing can be queued             Returned
//
// A message in the queue, in a later attempt, whose caller has gone:
//
//	the server has it                            Sent
//	a bug of ours                                Waits: it says nothing about the message
//	permanent                                    Refused
//	temporary                                    Waits, whoever is at fault
//	Waits, but the entry is too old              Refused, "not delivered within …"
//
// A limit of the account's is words of the server that it takes no more of its mail
// for now, temporary or permanent. They count as temporary, and the account rests
// (limit.go). Some servers say the same of one message that they do not like. A
// message that meets a limit alone, while others pass, is refused by those words
// after a day and some attempts.
//
// What is Refused is told to somebody, once:
//
//	the caller still listens, and hears          the exit code and stderr, or the reply; the
//	of each recipient                            sendmail face keeps a copy in failed/, too
//	the caller hears of one outcome for all      a notice to the sender, if another recipient
//	(SMTP)                                       is Sent or Waits: Told
//	the caller has gone                          the entry becomes a notice to the sender; or
//	                                             goes to failed/, if nobody wants a notice or
//	                                             the account could not send one
//
// No recipient is without an outcome, and none has two: either is a bug. In the first
// attempt the caller hears of it, and in the queue the message waits. Nothing that is
// Sent is ever tried again. What may have been sent although there is an error
// (Outcome.Unknown) is tried again: better twice than not at all (RFC 1047).

// settle sets the verdict of each recipient after an attempt, and writes it to the log.
// queued says that the attempt was at the entry e; otherwise e is the entry for those
// that will wait. It reports whether the account has met a limit and must rest.
func (s *Submitter) settle(j *Job, e *queue.Entry, queued bool) (rests bool) {
	j.Abort(status.Bug.Errorf("no outcome")) // changes nothing unless there is a bug
	rests = s.meetLimits(j, e)
	j.outcomes(func(o *outcome.Outcome) {
		if o.Verdict == outcome.Open {
			o.Verdict = s.becomes(o.Err, queued)
		}
	})
	s.logOutcomes(j, e)
	return rests
}

// becomes returns the verdict about a recipient that failed with err: the policy above.
func (s *Submitter) becomes(err error, queued bool) outcome.Verdict {
	k := status.KindOf(err)
	switch {
	case queued && k == status.Bug:
		return outcome.Waits
	case !status.Of(err).Temporary():
		return outcome.Refused
	case queued:
		return outcome.Waits
	case IsInterrupt(err):
		return outcome.Returned
	case !s.Sendmail && k.Scope() == status.Account && k != status.Connection && k != status.Limited:
		return outcome.Returned
	}
	return outcome.Waits
}

// IsInterrupt reports whether err says that a person pressed Ctrl-C.
func IsInterrupt(err error) bool {
	var stopped process.Stopped
	return errors.As(err, &stopped) && stopped.Signal == os.Interrupt
}

// SettleEntry settles an attempt at the entry e, and leaves in e the recipients that do
// not have the message. It reports whether the account must rest.
func (s *Submitter) SettleEntry(j *Job, e *queue.Entry) (rests bool) {
	rests = s.settle(j, e, true)
	if !e.Notice.IsZero() { // the recipients of a notice's entry are those that the notice lists
		return rests
	}
	var left []queue.Recipient
	for _, to := range e.To {
		if to.Refused { // in an earlier attempt
			left = append(left, to)
		}
	}
	others, unknown := j.named(outcome.Waits, outcome.Refused)
	e.To, e.Unknown = append(left, others...), e.Unknown || unknown
	if e.Waiting() == 0 || !s.CountTry(e) {
		return rests
	}
	j.move(outcome.Waits, outcome.Refused)
	age := time.Since(e.Born()).Round(time.Second)
	for i := range e.To {
		if to := &e.To[i]; !to.Refused {
			to.Refused, to.Reason = true, "not delivered within "+age.String()+": "+to.Reason
		}
	}
	return rests
}

// CountTry counts an attempt at an entry, and reports whether the entry is too old for
// another.
func (s *Submitter) CountTry(e *queue.Entry) bool {
	e.Tries = queue.AddTry(e.Tries, time.Now())
	return s.Schedule().TooOld(e.Born(), e.Tries)
}

// meetLimits decides, for each recipient whose error is a limit, whether the limit is the
// account's or a refusal of this message in the words of a limit, and sets the error
// accordingly. It reports whether the account must rest.
func (s *Submitter) meetLimits(j *Job, e *queue.Entry) (rests bool) {
	if j.fault.Err != nil {
		return false
	}
	judged := make(map[string]error) // by the error's text
	for i := range j.To {
		to := &j.To[i]
		if _, untried := throttle.Untried(to.Err); untried || status.KindOf(to.Err) != status.Limited {
			continue
		}
		text := to.Err.Error()
		if judged[text] == nil {
			var met bool
			var fault error
			judged[text], met, fault = s.Throttle().Judge(j.account, to.Err, e)
			s.Log.Fault(fault)
			rests = rests || met
		}
		to.Err = judged[text]
	}
	return rests
}
