package submit

import (
	"fmt"
	"os"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/dial"
	"sendoff/submit/envelope"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
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
	s.Log.Line(r.logID(), false,
		"from", from,
		"uid", uid,
		"login", r.Login,
		"caller", caller,
		"dir", dir,
		"size", size,
		"message-id", id)
}

// logID returns the ID of the message in the log, which is also that of its queue
// entry if there is one.
func (r *Request) logID() queue.ID {
	if r.queueID == "" {
		r.queueID = queue.NewID(time.Now())
	}
	return r.queueID
}

// logReport writes what became of each recipient in an attempt.
func (s *Submitter) logReport(id queue.ID, a *config.Account, since time.Time, report *Report) {
	if s.Log == nil {
		return
	}
	name, relay := "", ""
	if a != nil {
		name = a.Name
		if len(a.Servers) > 0 {
			relay = a.Servers[0].Name()
		}
	}
	line := func(to envelope.Address, word string, code status.Code, reply string, bad bool) {
		s.Log.Line(id, bad,
			"to", to, "account", name, "relay", relay,
			"delay", time.Since(since).Round(time.Millisecond),
			"dsn", code, "status", word, "reply", reply)
	}
	for _, result := range report.taken {
		for _, i := range result.To {
			line(report.job.envelope.To[i].Address, "sent", result.Reply.Status, result.Reply.String(), false)
		}
	}
	for _, f := range report.Failures {
		word, code := "bounced", status.Of(f.Err)
		switch {
		case f.Unknown:
			word = "unknown"
		case code.Temporary():
			word = "deferred"
		}
		text := strings.ReplaceAll(f.Err.Error(), "\n", "; ")
		bad := status.KindOf(f.Err).Scope() == status.Account
		for _, to := range f.To {
			line(to, word, code, text, bad)
		}
		if len(f.To) == 0 {
			s.Log.Line(id, bad || !code.Temporary(), "account", name, "dsn", code, "status", word, "reply", text)
		}
	}
}

// logDiscarded writes the recipients whose mail an alias throws away.
func (s *Submitter) logDiscarded(id queue.ID, j *job) {
	if s.Log == nil {
		return
	}
	for _, d := range j.discarded {
		s.Log.Line(id, false, "to", d.Address, "account", j.account.Name, "status", "sent", "reply", "discarded")
	}
}

// logQueued writes that a message waits.
func (s *Submitter) logQueued(e *queue.Entry) {
	s.Log.Line(e.ID, false, "status", "queued", "reply", fmt.Sprintf("%d recipients, next attempt at %s", len(e.To), e.Next.Format(time.RFC3339)))
}

// logUserRate writes that a user has submitted more than user-rate allows.
func (s *Submitter) logUserRate(r *Request, until time.Time) {
	text := fmt.Sprintf("uid %d has reached user-rate, %s; the message waits until %s", r.Peer.UID, s.Config.UserRate, until.Format(time.RFC3339))
	s.Log.Line(r.logID(), true, "status", "held", "reply", text)
}

// logAddress writes what was found out about an address.
func (s *Submitter) logAddress(h dial.Hop, text string) {
	s.Log.Line("address", false, "relay", h.Name, "address", h.Endpoint(), "warning", text)
}

func (s *Submitter) logAttempt(t *attempt) {
	var a *config.Account
	if t.request != nil {
		a = t.request.Account
	}
	s.logReport(t.claim.ID, a, t.claim.Entry.Born(), t.report)
}

func (s *Submitter) logNotice(e *queue.Entry) {
	s.Log.Line(e.ID, false, "status", "notice", "reply", "to "+e.Sender.String())
}

func (s *Submitter) logFailed(e *queue.Entry) {
	s.Log.Line(e.ID, true, "status", "failed", "reply", "in "+s.Queue.FailedFolder()+": "+e.Why())
}
