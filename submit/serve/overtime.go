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

// submit submits r, whose message it closes, and returns what the reply is to say:
// the outcome, or nil if the message is in the queue without one.
func (v *Service) submit(ctx context.Context, s *submit.Submitter, r *submit.Request) error {
	j := s.Prepare(r)
	v.pending.Add(1)
	end := func() {
		j.Close()
		r.Message.Close()
		v.pending.Done()
	}
	late := false // the client has its reply before the end
	defer func() {
		if !late {
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
		claim = enqueueLate(s, j)
	}
	if claim == nil { // the client has to wait
		<-delivered
		return s.Keep(j)
	}
	late = true
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

// enqueueLate queues the whole of j while it is delivered; nil if that cannot be done.
func enqueueLate(s *submit.Submitter, j *submit.Job) (claim *queue.Claim) {
	bug := status.Guarded(func() (err error) {
		claim, err = s.Enqueue(j)
		return err
	})
	if bug != nil && !errors.As(bug, new(spool.Absent)) {
		s.Log.Fault(bug)
	}
	return claim
}

// Wait waits until it is known what becomes of all messages, some of whose
// clients may have had their reply before.
func (v *Service) Wait() { v.pending.Wait() }
