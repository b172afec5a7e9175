package submit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// Postpone queues the whole of r, if fault is one that the queue is for. When
// it returns nil, the message is in the queue; otherwise the error is fault, in
// a Report that says why it was not queued.
func (s *Submitter) Postpone(r *Request, fault error) error {
	if len(r.To) == 0 && len(r.Bad) > 0 {
		return s.Refuse(r, nil)
	}
	s.logSubmission(r)
	return s.keep(r, &Report{Failures: []Failure{{Err: fault}}}, everyone(r))
}

// Refuse leaves a trace of r, which cannot be submitted: lines in the log and, in
// the sendmail face, a copy, unless r is not whole. The error is why, in a
// Report; err may be nil if r.Bad says it all.
func (s *Submitter) Refuse(r *Request, err error) error {
	var d message.Defaults
	r.stamp(&d, s.Identity.FQDN)
	s.logSubmission(r)
	report := new(Report)
	if err != nil {
		report.addBad(r)
		report.Failures = append([]Failure{{Err: err}}, report.Failures...)
	}
	if k := status.KindOf(err); r.Message == nil && (k == status.NoInput || status.Of(err).Temporary()) {
		s.logReport(r.logID(), r.Account, r.logID().Time(), report)
		return err
	}
	return s.keep(r, report, everyone(r))
}

// everyone maps any failure to all recipients of r.
func everyone(r *Request) func(Failure) []Wanted {
	return func(f Failure) []Wanted {
		if f.bad {
			return nil
		}
		return r.To
	}
}

// waits reports whether a message that failed with err is to be tried again
// from the queue, instead of by the caller.
func (s *Submitter) waits(err error) bool {
	var stopped process.Stopped
	switch k := status.KindOf(err); {
	case errors.As(err, &stopped) && stopped.Signal == os.Interrupt: // a person changed their mind
		return false
	case !status.Of(err).Temporary():
		return false
	case k.Scope() == status.Account && k != status.Connection && k != status.Limited: // a person has to mend it
		return s.Sendmail
	}
	return true
}

// keep queues what is worth another try, and in the sendmail face keeps a copy
// of what was refused for good, what is no address among it. It returns what is
// left for the caller to know. whom gives the recipients of a failure, as the
// caller named them.
func (s *Submitter) keep(r *Request, report *Report, whom func(Failure) []Wanted) error {
	if !slices.ContainsFunc(report.Failures, func(f Failure) bool { return f.bad }) {
		report.addBad(r)
	}
	s.logReport(r.logID(), r.Account, r.logID().Time(), report)
	for i := range report.Failures {
		report.Failures[i].queued = s.waits(report.Failures[i].Err)
	}
	wait, refused := s.entriesOf(r, report, whom)
	if len(wait.To) > 0 {
		due := s.attempted(r, report, wait)
		if err := s.enqueue(r, wait, due); err != nil {
			report.NotQueued = err.Error()
			for i := range report.Failures {
				report.Failures[i].queued = false
			}
		}
		report.id = wait.ID
	}
	if report.id != "" {
		refused.ID = "" // it is another entry
	}
	some := len(report.Accepted) > 0 || len(wait.To) > 0
	switch {
	case r.OneReply && len(refused.To) > 0 && some && report.NotQueued == "":
		s.tellSender(r, report, refused)
	case s.Sendmail && s.Queue != nil && (len(refused.To) > 0 || refused.Reason != ""):
		if s.store(r, refused, s.Queue.AddFailed) == nil {
			report.copy = filepath.Join(s.Queue.FailedFolder(), string(refused.ID)+".eml")
			if r.Sender != nil && r.Sender.IsNull() { // so its caller hears of no failure by mail, and cron of none at all
				s.notifyCommand(refused)
			}
		}
	}
	s.dropped()
	err := report.err()
	if err == nil && len(report.Failures) > 0 {
		s.Console.Tell(report.Error(), report.Failures[0].Err)
	}
	return err
}

// attempted notes in an entry what its first attempt came to. It reports whether
// the entry is due, because it was not tried at all.
func (s *Submitter) attempted(r *Request, report *Report, wait *queue.Entry) (due bool) {
	due = true
	for _, f := range report.Failures {
		until, notTried := throttle.Untried(f.Err)
		switch {
		case !f.queued:
		case notTried && due:
			wait.Next = until
		case !notTried:
			due = false
			if status.KindOf(f.Err) == status.Limited {
				wait.Limited = time.Now()
				s.meetLimit(r.Account, f.Err, wait.ID)
			}
		}
	}
	if !due {
		wait.Attempts, wait.Tried, wait.Next = 1, time.Now(), time.Time{}
	}
	return due
}

// addBad puts what is no address before the other failures.
func (r *Report) addBad(of *Request) {
	var bad []Failure
	for _, err := range of.Bad {
		bad = append(bad, Failure{Err: err, bad: true})
	}
	r.Failures = append(bad, r.Failures...)
}

// entriesOf returns an entry for those that report says are to be tried again,
// and one for those that were refused for good; a refusal that is about no
// recipient is the reason of that.
func (s *Submitter) entriesOf(r *Request, report *Report, whom func(Failure) []Wanted) (wait, refused *queue.Entry) {
	wait, refused = s.entry(r), s.entry(r)
	var reasons []string
	for _, f := range report.Failures {
		e := refused
		if f.queued {
			e, wait.Unknown = wait, wait.Unknown || f.Unknown
		} else if status.Of(f.Err).Temporary() {
			continue
		}
		named := whom(f)
		for _, to := range named {
			e.To = append(e.To, failedRecipient(to, f.Err, !f.queued))
		}
		if len(f.To)+len(named) == 0 && e == refused {
			reasons = append(reasons, f.Err.Error())
		}
	}
	if len(reasons) > 0 {
		refused.Reason = status.OneLine(errors.New(strings.Join(reasons, "; ")))
	}
	return wait, refused
}

// tellSender queues a notice to the sender of r of what was refused while others
// did well, or keeps a copy where nobody is to be told. Where it cannot be
// done, the caller has to hear of the failure.
func (s *Submitter) tellSender(r *Request, report *Report, refused *queue.Entry) {
	err := error(spool.Absent("nowhere"))
	switch {
	case s.Queue == nil:
	case report.job.wantsNotice(refused):
		refused.Sender, refused.Notice = &report.job.envelope.From, time.Now()
		if err = s.enqueue(r, refused, true); err == nil {
			s.logNotice(refused)
		}
	default:
		if err = s.store(r, refused, s.Queue.AddFailed); err == nil {
			s.notifyCommand(refused)
		}
	}
	for i := range report.Failures {
		f := &report.Failures[i]
		f.told = err == nil && !status.Of(f.Err).Temporary()
	}
}

func failedRecipient(to Wanted, err error, refused bool) queue.Recipient {
	c := status.Of(err)
	if !refused {
		c.Class = 4
	}
	return queue.Recipient{Recipient: to.Recipient, NoAliases: to.NoAliases, Refused: refused, Code: c, Reason: status.OneLine(err)}
}

// asNamed returns what maps the recipients of a failure, one of report's, back
// to what the caller named, so that aliases and the account's rules are applied
// anew at each attempt. A name stays resolved if not all that it stands for has
// the same fate: what has got the message, or never will, is not tried again.
func (j *job) asNamed(r *Request, report *Report) func(Failure) []Wanted {
	byFate := make(map[fate]map[string][]Wanted)
	return func(f Failure) []Wanted {
		names := byFate[f.fate()]
		if names == nil {
			names = j.names(r, report, f.fate())
			byFate[f.fate()] = names
		}
		var named []Wanted
		for _, a := range f.To {
			named = append(named, names[a.Key()]...)
		}
		return named
	}
}

// A fate is what becomes of the recipients of a Failure.
type fate struct{ queued, temporary bool }

func (f Failure) fate() fate { return fate{f.queued, status.Of(f.Err).Temporary()} }

// names returns the names of the resolved recipients, by their key, that have
// that fate. A name that stands for several is with the first of them.
func (j *job) names(r *Request, report *Report, which fate) map[string][]Wanted {
	names := make(map[string][]Wanted)
	for _, f := range report.Failures {
		for _, a := range f.To {
			if f.fate() == which {
				names[a.Key()] = []Wanted{}
			}
		}
	}
	partly := make(map[int]bool) // of r.To
	for i, resolved := range j.envelope.To {
		for _, n := range j.wanted[i] {
			partly[n] = partly[n] || names[resolved.Address.Key()] == nil
		}
	}
	type key struct {
		address   string
		noAliases bool
	}
	have := make(map[key]bool)
	for i, resolved := range j.envelope.To {
		at := resolved.Address.Key()
		if names[at] == nil {
			continue
		}
		for _, n := range j.wanted[i] {
			w := r.To[n]
			if partly[n] {
				w = Wanted{Recipient: resolved, NoAliases: true}
			}
			if k := (key{w.Address.Key(), w.NoAliases}); !have[k] {
				have[k] = true
				names[at] = append(names[at], w)
			}
		}
	}
	return names
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

// enqueue puts an entry for r into the queue, to be tried when it says, or else at
// once or after the first wait, and sees to it that something will.
func (s *Submitter) enqueue(r *Request, e *queue.Entry, due bool) error {
	if err := s.mayQueue(); err != nil {
		return err
	}
	if e.Next.IsZero() {
		e.Next = time.Now()
		if !due {
			e.Next = e.Next.Add(s.schedule().Backoff(1))
		}
	}
	if err := s.store(r, e, s.Queue.Add); err != nil {
		return err
	}
	s.queued(e)
	return nil
}

// queued says that an entry is in the queue, and sees to it that something runs
// that.
func (s *Submitter) queued(e *queue.Entry) {
	s.logQueued(e)
	if s.schedule().IsDue(e) {
		s.Hasten()
	}
	if trouble := s.StartRunner(); trouble != "" {
		s.Log.Fault(errors.New(trouble))
		s.Console.Warn("queued as " + string(e.ID) + ", but " + trouble)
	}
}

// store writes the message of r as it was read, with an entry, to the queue.
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

// entry makes an entry of r, without recipients.
func (s *Submitter) entry(r *Request) *queue.Entry {
	author := envelope.Address{}
	if r.Message != nil { // else it could not be read
		from, _ := r.Message.From()
		author = from.Address
	}
	var client *int
	if r.Peer != (process.Peer{}) {
		client = &r.Peer.UID
	}
	return &queue.Entry{
		ID:       r.logID(),
		Sender:   r.Sender,
		Author:   &author,
		Client:   client,
		FullName: r.FullName,
		UserName: r.UserName,
		Body:     r.Envelope.Body,
		Return:   r.Envelope.Return,
		Envelope: r.Envelope.ID,
		TLS:      r.Envelope.RequireTLS,
		Account:  r.By.Lines(r.Account),
	}
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

// request makes of an entry what its caller asked for.
func (s *Submitter) request(c *queue.Claim) (*Request, error) {
	m, err := message.Open(c.Message(), c.Size)
	if err != nil {
		return nil, err
	}
	r := &Request{Sender: c.Sender, FullName: c.FullName, UserName: c.UserName, Message: m}
	r.Envelope = envelope.Envelope{Body: c.Body, Return: c.Return, ID: c.Envelope, RequireTLS: c.TLS}
	for _, to := range c.To {
		if !to.Refused {
			r.To = append(r.To, Wanted{to.Recipient, "queue", to.NoAliases})
		}
	}
	by := choiceOf(c.Entry)
	loaded, err := s.load(by.CommandLine)
	if err == nil {
		r.By = by
		r.Account, r.Why, err = loaded.Choose(by)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return r, nil
}

// submitLater queues r without an attempt, if that is what caller or account
// want, and returns the entry's ID. Where it cannot be done, it reports false.
func (s *Submitter) submitLater(r *Request, j *job) (id queue.ID, queued bool) {
	background := r.Account.Deliver == config.DeliverBackground
	if s.Queue == nil || !background && !r.QueueOnly && r.Account.Deliver != config.DeliverQueue {
		return "", false
	}
	e := s.wholeEntry(r, j)
	if err := s.enqueue(r, e, background && !r.QueueOnly); err != nil {
		return "", false
	}
	s.Console.Tell("queued as "+string(e.ID), nil)
	return e.ID, true
}

// wholeEntry makes an entry of r, which is j, for all of its recipients.
func (s *Submitter) wholeEntry(r *Request, j *job) *queue.Entry {
	e := s.entry(r)
	all := Failure{To: addressesOf(j.envelope.To)}
	for _, to := range j.asNamed(r, &Report{Failures: []Failure{all}})(all) {
		e.To = append(e.To, queue.Recipient{Recipient: to.Recipient, NoAliases: to.NoAliases})
	}
	return e
}

func addressesOf(to []envelope.Recipient) []envelope.Address {
	var list []envelope.Address
	for _, r := range to {
		list = append(list, r.Address)
	}
	return list
}

// deliverOrKeep sends j now, and queues what of it has to wait.
func (s *Submitter) deliverOrKeep(ctx context.Context, r *Request, j *job) error {
	over := sync.OnceValue(s.keepMeanwhile(r, j))
	defer func() { // after a panic, too
		if t := over(); t != nil {
			t.claim.Release()
		}
	}()
	report, err := s.deliver(ctx, j)
	if t := over(); t != nil {
		t.end(report, err)
		return nil
	}
	if err != nil {
		return err
	}
	return s.keep(r, report, j.asNamed(r, report))
}
