package serve

import (
	"context"
	"errors"
	"time"

	"sendoff/submit"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// replyTime is how long a client waits for the outcome at the smarthost. After that it
// gets the reply 250. RFC 5321 section 4.5.3.2.6 lets clients wait for ten minutes, but
// some programs give up after half a minute, and send the message again: the recipient
// then gets it twice (RFC 1047).
//
//	0 s     the message is complete; the session with the smarthost begins
//	20 s    no outcome yet: the message is queued for all its recipients, as an
//	        entry that this process has claimed, and the client gets 250
//	later   the outcome of the session becomes the outcome of the entry
//
// The claim keeps other processes from sending the message meanwhile. If this process
// ends before the session does, the queue still has the message.
var replyTime = 20 * time.Second // tests shorten it

// submit submits r, and closes its message. The reply to the client reports the error:
// the outcome, or nil if the message was queued before there was an outcome.
func (v *Service) submit(ctx context.Context, s *submit.Submitter, r *submit.Request) error {
	j := s.Prepare(r)
	v.pending.Add(1)
	end := func() {
		j.Close()
		r.Message.Close()
		v.pending.Done()
	}
	isQueuedEarly := false // the client gets its reply before the outcome
	defer func() {
		if !isQueuedEarly {
			end()
		}
	}()
	if s.Later(j) {
		return s.Keep(j)
	}
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		if bug := status.Guarded(func() error { s.Deliver(ctx, j); return nil }); bug != nil {
			s.Log.Fault(bug)
			j.Abort(bug)
		}
	}()
	var claim *queue.Claim
	select {
	case <-delivered:
	case <-time.After(replyTime):
		claim = enqueueEarly(s, j)
	}
	if claim == nil { // delivered, or nothing could be queued: the client waits for the outcome
		<-delivered
		return s.Keep(j)
	}
	isQueuedEarly = true
	go func() {
		defer end()
		defer claim.Release()
		<-delivered
		if bug := status.Guarded(func() error { v.runner().Settle(claim, j); return nil }); bug != nil {
			s.Log.Fault(bug)
		}
	}()
	return nil
}

// enqueueEarly queues j for all recipients while Deliver is at work, and returns the
// claim of the entry; nil: j could not be queued.
func enqueueEarly(s *submit.Submitter, j *submit.Job) (claim *queue.Claim) {
	bug := status.Guarded(func() (err error) {
		claim, err = s.Enqueue(j)
		return err
	})
	if bug != nil && !errors.As(bug, new(spool.Absent)) {
		s.Log.Fault(bug)
	}
	return claim
}

// Wait waits until all messages have an outcome, even if their clients already have a
// reply.
func (v *Service) Wait() { v.pending.Wait() }
