package submit

import (
	"context"
	"io"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// replyTime is how long the smarthost has before a client of ours is answered
// without it. RFC 5321 section 4.5.3.2.6 gives clients ten minutes, but some
// programs wait for half a one. Who gives up sends the message again, and has
// made two of it (RFC 1047).
//
//	0 s     the message is whole; the session with the smarthost begins
//	20 s    no outcome yet: all of the message goes into the queue, as an entry
//	        that this process is at work on, and the client hears 250
//	later   what comes of the session is what comes of the entry
//
// So nobody else sends the message while it is on its way; and if this process
// ends before the session does, the queue has it.
var replyTime = 20 * time.Second // less only in tests

// reply submits r, and returns what the reply is to say: the outcome, or nil if
// the message is in the queue without one.
func (v *Service) reply(r *Request, submit func() error) error {
	reply := make(chan error, 2) // nobody may wait for the second
	r.kept = func() { reply <- nil }
	v.pending.Go(func() { reply <- status.Guarded(submit) }) // one client's message must not end the others' sessions
	return <-reply
}

// Wait waits until it is known what becomes of all messages, some of whose
// clients may have had their reply before.
func (v *Service) Wait() { v.pending.Wait() }

// keepMeanwhile sees to it that r, as j, is in the queue when replyTime is over.
// The returned function is called when the session is over: it returns the entry
// as an attempt that lacks its report, or nil if there is none.
func (s *Submitter) keepMeanwhile(r *Request, j *job) (over func() *attempt) {
	if r.kept == nil {
		return func() *attempt { return nil }
	}
	entered := make(chan *queue.Claim, 1)
	timer := time.AfterFunc(replyTime, func() {
		var c *queue.Claim
		if bug := process.Guarded(func() { c = s.enqueueClaimed(r, j) }); bug != nil {
			s.Log.Fault(bug)
		}
		if c != nil {
			r.kept()
		}
		entered <- c
	})
	return func() *attempt {
		if timer.Stop() {
			return nil
		}
		c := <-entered
		if c == nil {
			return nil
		}
		own := *s // others use s meanwhile
		return &attempt{g: &group{r: own.newRun(Selection{}), s: &own}, s: &own, claim: c, request: r, job: j}
	}
}

// enqueueClaimed puts all of r into the queue, for this process to go on with.
// It returns nil if that cannot be done: then the client has to wait.
func (s *Submitter) enqueueClaimed(r *Request, j *job) *queue.Claim {
	if s.mayQueue() != nil {
		return nil
	}
	e := s.wholeEntry(r, j)
	e.Next = time.Now().Add(s.schedule().Backoff(1))
	e.Reason, e.Unknown = "the server has not answered yet", true // if this process ends
	var c *queue.Claim
	err := s.store(r, e, func(e *queue.Entry, content io.Reader) (err error) {
		c, err = s.Queue.AddClaimed(e, content)
		return err
	})
	if err != nil {
		s.Log.Fault(err)
		return nil
	}
	e.Reason, e.Unknown = "", false
	s.queued(e)
	return c
}

// end writes down what came of the session. The entry stays claimed.
func (t *attempt) end(report *Report, err error) {
	if err != nil {
		t.again(status.OneLine(err))
		return
	}
	t.report = report
	t.record()
	t.g.r.spread(context.Background())
	t.g.r.all.Wait()
}
