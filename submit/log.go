package submit

import (
	"fmt"
	"os"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/queue"
)

// logSubmission writes who submits what, once for each message.
func (s *Submitter) logSubmission(r *Request) {
	if s.Log == nil {
		return
	}
	var from any
	switch {
	case r.Sender != nil:
		from = *r.Sender
	case r.Account != nil:
		if own, ok := r.Account.Address(); ok {
			from = own
		}
	}
	var size, id any
	if r.Message != nil {
		size, id = r.Message.Survey().Size, r.Message.MessageID()
		if id == "" && r.id != "" {
			id = "<" + r.id + ">" // complete adds it
		}
	}
	uid, caller, dir := r.Peer.UID, r.Peer.Program(), ""
	if r.Peer == (process.Peer{}) {
		uid, caller = os.Getuid(), process.Caller()
		dir, _ = os.Getwd()
	}
	s.Log.Line(r.ID(), false,
		"from", from,
		"uid", uid,
		"login", r.Login,
		"caller", caller,
		"dir", dir,
		"size", size,
		"message-id", id)
}

// ID returns the ID of the message in the log, which is also that of its queue
// entry if there is one.
func (r *Request) ID() queue.ID {
	if r.queueID == "" {
		r.queueID = queue.NewID(time.Now())
	}
	return r.queueID
}

// LogDiscarded writes the recipients whose mail an alias throws away.
func (s *Submitter) LogDiscarded(j *Job) {
	if s.Log == nil {
		return
	}
	for _, d := range j.discarded {
		s.Log.Line(j.Request.ID(), false, "to", d.Address, "account", j.account.Name, "status", "sent", "reply", "discarded")
	}
}

// logQueued writes that a message waits.
func (s *Submitter) logQueued(e *queue.Entry) {
	s.Log.Line(e.ID, false, "status", "queued", "reply", fmt.Sprintf("%d recipients, next attempt at %s", len(e.To), e.Next.Format(time.RFC3339)))
}

// LogNotice writes that an entry became a notice to its sender.
func (s *Submitter) LogNotice(e *queue.Entry) {
	s.Log.Line(e.ID, false, "status", "notice", "reply", "to "+e.Sender.String())
}
