package submit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/notify"
	"sendoff/submit/outcome"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// Postpone queues r for all recipients, if the policy says that mail with this fault
// waits. When it returns nil, the message is in the queue; otherwise the error is fault,
// in a Report that says why the message is not in the queue.
func (s *Submitter) Postpone(r *Request, fault error) error {
	if len(r.To) == 0 && len(r.Bad) > 0 {
		return s.Refuse(r, nil)
	}
	s.logSubmission(r)
	return s.Keep(FailedJob(r, fault))
}

// Refuse handles a request that cannot be submitted, because of err or of r.Bad: it writes
// to the log, and, if we are called as sendmail, keeps a copy of a message that is whole
// and refused for good; of a message that a person has typed, it keeps all there is. The
// error is a Report, or err.
func (s *Submitter) Refuse(r *Request, err error) error {
	s.logSubmission(r)
	j := FailedJob(r, err)
	if r.Message == nil && !r.Typed && (status.KindOf(err) == status.NoInput || status.Of(err).Temporary()) {
		s.settle(j, s.entry(r), false)
		return err
	}
	return s.Keep(j)
}

// Later queues j without an attempt, if its caller or its account wants that. If it
// reports false, the job is to be delivered now.
func (s *Submitter) Later(j *Job) bool {
	r := j.Request
	if j.IsOver() || s.Queue == nil || !r.IsForLater() {
		return false
	}
	e := s.entry(r)
	e.To = j.all()
	if s.enqueue(r, e, r.Account.Deliver == config.DeliverBackground && !r.QueueOnly) != nil {
		return false
	}
	for i := range j.To {
		j.To[i].Verdict = outcome.Waits
	}
	j.id = e.ID
	s.Console.Tell("queued as "+string(e.ID), nil)
	return true
}

// Enqueue queues j for all recipients while another goroutine delivers it: if this
// process dies, the queue has the message. No other process tries the entry until the
// claim is released.
func (s *Submitter) Enqueue(j *Job) (*queue.Claim, error) {
	if err := s.mayQueue(); err != nil {
		return nil, err
	}
	e := s.entry(j.Request)
	e.To = j.all()
	e.Next = time.Now().Add(s.Schedule().Backoff(1))
	e.Reason, e.Unknown = "the server has not answered yet", true // what the entry says if this process dies
	var c *queue.Claim
	err := s.store(j.Request, e, func(e *queue.Entry, content io.Reader) (err error) {
		c, err = s.Queue.AddClaimed(e, content)
		return err
	})
	if err != nil {
		return nil, err
	}
	e.Reason, e.Unknown = "", false
	s.queued(e)
	return c, nil
}

// Keep ends the first attempt at j. It queues the message for the recipients that wait.
// If we are called as sendmail, it keeps a copy of a message that was refused; of a message
// that a person has typed, also if it was returned. The error is a Report of the failures
// that the caller must know of.
func (s *Submitter) Keep(j *Job) error {
	r, report := j.Request, new(outcome.Report)
	wait, refused := s.entry(r), s.entry(r)
	s.settle(j, wait, false)
	if j.id == "" {
		if err := s.queueWaiting(j, wait); err != nil {
			report.NotQueued = err.Error()
		}
	}
	lost := []outcome.Verdict{outcome.Refused}
	if r.Typed {
		lost = append(lost, outcome.Returned)
	}
	refused.To, _ = j.named(lost...)
	refused.Reason = j.reason(lost)
	if j.id != "" || len(wait.To) > 0 {
		refused.ID = "" // the ID is that of the entry that waits
	}
	switch {
	case r.OneReply && len(refused.To) > 0 && j.has(outcome.Sent, outcome.Waits) && report.NotQueued == "":
		s.tellSender(j, refused)
	case (s.Sendmail || r.Typed) && (len(refused.To) > 0 || refused.Reason != ""):
		if err := s.keepCopy(r, report, refused); err != nil && r.Typed {
			report.NotKept = err.Error()
		}
	}
	if s.Queue != nil {
		s.Event(notify.Dropped).TakeDropped(s.Queue).Tell()
	}
	report.Failures, report.Sent, report.Queued = j.Failures(), j.sent(), j.id
	report.OthersWait = len(j.bad) > 0 && j.has(outcome.Waits)
	err := report.Err()
	if err == nil && len(report.Failures) > 0 {
		s.Console.Tell(report.Error(), report.Failures[0].Err)
	}
	return err
}

// keepCopy adds refused, with a copy of the message, to the failed entries.
func (s *Submitter) keepCopy(r *Request, report *outcome.Report, refused *queue.Entry) error {
	if s.Queue == nil {
		return spool.Absent(cmp.Or(s.NoQueue, "there is no queue"))
	}
	if err := s.store(r, refused, s.Queue.AddFailed); err != nil {
		return err
	}
	report.Kept, report.Copy = refused, filepath.Join(s.Queue.FailedFolder(), string(refused.ID)+".eml")
	if r.Sender != nil && r.Sender.IsNull() { // no mail tells of this failure, and cron ignores exit codes
		s.Event(notify.Failed, notify.AboutEntry(refused)...).Tell()
	}
	return nil
}

// queueWaiting queues the message for the recipients that wait. If that fails, they are
// outcome.Returned, and the error is the reason.
func (s *Submitter) queueWaiting(j *Job, wait *queue.Entry) error {
	wait.To, wait.Unknown = j.named(outcome.Waits)
	if len(wait.To) == 0 {
		j.move(outcome.Waits, outcome.Returned) // the fault of a request without recipients has nothing to wait for
		return nil
	}
	untried := j.isUntried(wait)
	if err := s.enqueue(j.Request, wait, untried); err != nil {
		j.move(outcome.Waits, outcome.Returned)
		return err
	}
	if untried {
		s.Queue.NoteUntried(wait.ID)
	}
	j.id = wait.ID
	return nil
}

// isUntried reports true if there was no attempt, because the account takes no message
// now: then the entry wait is due when it may. Otherwise isUntried counts the first attempt.
func (j *Job) isUntried(wait *queue.Entry) (due bool) {
	due = true
	j.outcomes(func(o *outcome.Outcome) {
		until, notTried := throttle.Untried(o.Err)
		switch {
		case o.Verdict != outcome.Waits:
		case notTried && due:
			wait.Next = until
		case !notTried:
			due = false
		}
	})
	if !due {
		wait.Attempts, wait.Tried, wait.Next = 1, time.Now(), time.Time{}
	}
	return due
}

// reason returns, in one line, the errors that are about no valid recipient. A fault counts
// if it has one of the verdicts.
func (j *Job) reason(states []outcome.Verdict) string {
	var reasons []string
	if len(j.To) == 0 && j.fault.Err != nil && slices.Contains(states, j.fault.Verdict) {
		reasons = append(reasons, j.fault.Err.Error())
	}
	for _, o := range j.bad {
		reasons = append(reasons, o.Err.Error())
	}
	return status.OneLine(errors.New(strings.Join(reasons, "; ")))
}

// tellSender queues a notice to the sender of j about the refused recipients, or keeps a
// copy if there is to be no notice. If that works, the refused recipients are Told; if
// not, they stay outcome.Refused, and the reply to the caller says so.
func (s *Submitter) tellSender(j *Job, refused *queue.Entry) {
	if s.Queue == nil {
		return
	}
	if j.MakeNotice(refused) {
		if s.enqueue(j.Request, refused, true) != nil {
			return
		}
		s.Log.Line(refused.ID, false, "status", "notice", "reply", "to "+refused.Sender.String())
	} else {
		if s.store(j.Request, refused, s.Queue.AddFailed) != nil {
			return
		}
		s.Event(notify.Failed, notify.AboutEntry(refused)...).Tell()
	}
	j.move(outcome.Refused, outcome.Told)
}

// mayQueue says why nothing may be queued; nil if it may.
func (s *Submitter) mayQueue() error {
	if s.Queue == nil {
		return spool.Absent(cmp.Or(s.NoQueue, "there is no queue"))
	}
	if !s.Sendmail {
		if trouble, try := s.Trouble(); trouble != "" && !try {
			return spool.Absent(trouble)
		}
	}
	return nil
}

// enqueue puts an entry for r into the queue, and makes sure that something runs the
// queue. An entry without a time Next is tried at once if due, or else after the first
// retry interval.
func (s *Submitter) enqueue(r *Request, e *queue.Entry, due bool) error {
	if err := s.mayQueue(); err != nil {
		return err
	}
	if e.Next.IsZero() {
		e.Next = time.Now()
		if !due {
			e.Next = e.Next.Add(s.Schedule().Backoff(1))
		}
	}
	if err := s.store(r, e, s.Queue.Add); err != nil {
		return err
	}
	s.queued(e)
	return nil
}

// queued writes to the log that an entry is in the queue, and makes sure that something
// runs the queue.
func (s *Submitter) queued(e *queue.Entry) {
	s.Log.Line(e.ID, false, "status", "queued", "reply", fmt.Sprintf("%d recipients, next attempt at %s", len(e.To), e.Next.Format(time.RFC3339)))
	if s.Schedule().IsDue(e) {
		s.Hasten()
	}
	if trouble := s.StartRunner(); trouble != "" {
		s.Log.Fault(errors.New(trouble))
		s.warnOfConfiguration(e)
		s.Console.Warn("queued as " + string(e.ID) + ", but " + trouble)
		s.Console.Warn("hint: let a timer run every 5 minutes: sendoff --queue-run=5m")
	}
}

// warnOfConfiguration says why e waits, if no attempt can succeed before somebody changes the
// configuration or the environment: nothing else says that where nothing runs the queue.
func (s *Submitter) warnOfConfiguration(e *queue.Entry) {
	if len(e.To) == 0 || e.To[0].Reason == "" {
		return
	}
	fault := status.Recall(e.To[0].Code, e.To[0].Reason)
	if status.KindOf(fault) != status.Config {
		return
	}
	s.Console.Warn(fault.Error())
	if hint := status.HintFor(fault, "", ""); hint != "" {
		s.Console.Warn("hint: " + hint)
	}
}

// store adds an entry with the message of r to the queue: the message as the caller
// gave it, with Date and Message-ID, before the account's rules.
func (s *Submitter) store(r *Request, e *queue.Entry, add func(*queue.Entry, io.Reader) error) error {
	if r.Message == nil {
		return add(e, bytes.NewReader(r.Unread))
	}
	original := r.Message.Copy()
	defer original.Close()
	var d message.Defaults
	r.stamp(&d, s.Identity.FQDN)
	original.Complete(d)
	e.MessageID = original.MessageID()
	content, size, err := original.Open(envelope.Form{EightBit: true, UTF8: true})
	if err != nil {
		return err
	}
	e.Size = size
	if err := add(e, content); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// Event returns an event of that name, for the configuration's notify-command.
func (s *Submitter) Event(name string, about ...string) notify.Event {
	return notify.Event{
		Command: s.Config.NotifyCommand, Home: s.Smarthosts.Secrets.Store.Home, Folder: s.Queue.FailedFolder(), Log: s.Log,
		Name: name, About: about,
	}
}
