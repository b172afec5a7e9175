package submit

import (
	"os"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/outcome"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// Failures returns the failures of j in the order in which they happened. Recipients
// that follow each other with the same words share a Failure.
func (j *Job) Failures() []outcome.Failure {
	var list []outcome.Failure
	if j.fault.Err != nil {
		list = append(list, outcome.Failure{Outcome: j.fault})
	}
	for _, o := range j.bad {
		list = append(list, outcome.Failure{Outcome: o})
	}
	first := len(list) // index of the first failure that a server has named
	for _, i := range j.order {
		to := &j.To[i]
		if to.Err == nil {
			continue
		}
		if last := len(list) - 1; last >= first && list[last].Unknown == to.Unknown && list[last].Err.Error() == to.Err.Error() {
			list[last].To = append(list[last].To, to.Address)
			continue
		}
		list = append(list, outcome.Failure{Outcome: to.Outcome, To: []envelope.Address{to.Address}})
	}
	return list
}

// sent returns the recipients whose message the server has taken, in that order.
func (j *Job) sent() (to []envelope.Address) {
	for _, i := range j.order {
		if j.To[i].Verdict == outcome.Sent {
			to = append(to, j.To[i].Address)
		}
	}
	return to
}

// confirm tells a person that all of j was sent, to whom, and through which account.
func (s *Submitter) confirm(j *Job) {
	sent := j.sent()
	if len(sent) == 0 || len(j.Failures()) > 0 || j.has(outcome.Waits) {
		return // what became of j has been told
	}
	through := "account " + j.account.Name
	if by := j.Request.By; by.CommandLine.Server != "" || by.Environment.Server != "" {
		through = j.account.Servers[0].String()
	}
	s.Console.Confirm("sent to " + outcome.Addresses(sent) + " through " + through)
}

// logOutcomes writes what became of each recipient in an attempt at e.
func (s *Submitter) logOutcomes(j *Job, e *queue.Entry) {
	name, relay := "", ""
	if a := j.account; a != nil {
		name = a.Name
		if len(a.Servers) > 0 {
			relay = a.Servers[0].Name()
		}
	}
	line := func(to envelope.Address, word string, code status.Code, reply string, bad bool, hint string) {
		s.Log.Line(e.ID, bad,
			"to", to, "account", name, "relay", relay,
			"delay", time.Since(e.Born()).Round(time.Millisecond),
			"dsn", code, "status", word, "reply", reply, "hint", hint)
	}
	for _, i := range j.order {
		if to := &j.To[i]; to.Verdict == outcome.Sent {
			line(to.Address, "sent", to.Reply.Status, to.Reply.String(), false, "")
		}
	}
	for _, f := range j.Failures() {
		word, code := "deferred", status.Of(f.Err)
		switch {
		case f.Unknown:
			word = "unknown"
		case f.Verdict == outcome.Refused:
			word = "bounced"
		}
		text := strings.ReplaceAll(f.Err.Error(), "\n", "; ")
		bad, hint := status.KindOf(f.Err).Scope() == status.Account, ""
		if bad { // somebody has to mend it, and may see nothing but the log
			hint = status.HintFor(f.Err, config.NameInFile(name), relay)
		}
		for _, to := range f.To {
			line(to, word, code, text, bad, hint)
		}
		if len(f.To) == 0 {
			s.Log.Line(e.ID, bad || !code.Temporary(), "account", name, "dsn", code, "status", word, "reply", text, "hint", hint)
		}
	}
}

// logSubmission writes the line of the log that says who submits the message.
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
		if id == "" {
			r.stamp(new(message.Defaults), s.Identity.FQDN)
			id = "<" + r.id + ">" // the ID that the message gets before it is sent
		}
	}
	uid, caller, dir := r.Peer.UID, r.Peer.Program(), ""
	if r.Peer == (process.Peer{}) {
		uid, caller = os.Getuid(), process.Caller()
		dir, _ = os.Getwd()
	}
	var user any = uid
	if uid < 0 { // Windows has no uids
		user = nil
	}
	s.Log.Line(r.ID(), false,
		"from", from,
		"uid", user,
		"login", r.Login,
		"caller", caller,
		"dir", dir,
		"size", size,
		"message-id", id)
}

// LogDiscarded writes the recipients whose mail an alias throws away.
func (s *Submitter) LogDiscarded(j *Job) {
	for _, d := range j.Discarded {
		s.Log.Line(j.Request.ID(), false, "to", d.Address, "account", j.account.Name, "status", "sent", "reply", "discarded")
	}
}
