package submit

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// A Report is the error of a submission with failures that the caller must know of. It
// unwraps to the failure that decides the exit code.
type Report struct {
	// NotQueued is why mail that should wait is not in the queue; "": it is there, or
	// none should wait.
	NotQueued string
	// Kept is the entry among the failed ones with a copy of the message; nil: there is
	// none. Copy is the path of its message.
	Kept *queue.Entry
	Copy string
	// NotKept is why there is no copy of a message that a person has typed.
	NotKept string

	job *Job
}

// A Failure is an outcome that one or more recipients share.
type Failure struct {
	Outcome
	to []envelope.Address
}

// Failures returns the failures of j in the order in which they happened. Recipients
// that follow each other with the same words share a Failure.
func (j *Job) Failures() []Failure {
	var list []Failure
	if j.fault.Err != nil {
		list = append(list, Failure{Outcome: j.fault})
	}
	for _, o := range j.bad {
		list = append(list, Failure{Outcome: o})
	}
	first := len(list) // index of the first failure that a server has named
	for _, i := range j.order {
		to := &j.To[i]
		if to.Err == nil {
			continue
		}
		if last := len(list) - 1; last >= first && list[last].Unknown == to.Unknown && list[last].Err.Error() == to.Err.Error() {
			list[last].to = append(list[last].to, to.Address)
			continue
		}
		list = append(list, Failure{Outcome: to.Outcome, to: []envelope.Address{to.Address}})
	}
	return list
}

// err returns r, or nil if every failure waits in the queue or was told to the sender.
func (r *Report) err() error {
	for _, f := range r.job.Failures() {
		if f.Verdict != Waits && f.Verdict != Told {
			return r
		}
	}
	return nil
}

// Error returns the lines of a report, one for each failure.
func (r *Report) Error() string {
	var lines []string
	var sent []envelope.Address
	for _, i := range r.job.order {
		if to := &r.job.To[i]; to.Verdict == Sent {
			sent = append(sent, to.Address)
		}
	}
	failures := r.job.Failures()
	for _, f := range failures {
		line := smtp.Brief(f.Err)
		if f.Unknown {
			line += "; it may have been delivered to " + addresses(f.to)
		} else if len(f.to) > 0 && len(sent)+len(failures) > 1 && !strings.Contains(line, f.to[0].String()) {
			line += "; not sent to " + addresses(f.to)
		}
		if f.Verdict == Waits {
			line += "; queued as " + string(r.job.id)
		}
		lines = append(lines, line)
	}
	if len(sent) > 0 {
		lines = append(lines, "already sent to "+addresses(sent)+"; do not send it to them again")
	}
	if len(r.job.bad) > 0 && r.job.has(Waits) && !slices.ContainsFunc(failures, func(f Failure) bool { return f.Verdict == Waits }) {
		lines = append(lines, "the other recipients' mail is queued as "+string(r.job.id))
	}
	if r.Copy != "" {
		lines = append(lines, "a copy is in "+r.Copy)
	}
	if r.NotKept != "" {
		lines = append(lines, "no copy of the message was kept: "+r.NotKept)
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the failure that decides the exit code: the first for which the
// caller has to try again, or else the first that was refused.
func (r *Report) Unwrap() error {
	failures := r.job.Failures()
	for _, state := range [...]Verdict{Returned, Refused} {
		for _, f := range failures {
			if f.Verdict == state {
				return f.Err
			}
		}
	}
	return failures[0].Err
}

// shown is how many addresses a line of a report names.
const shown = 10

func addresses(to []envelope.Address) string {
	var words []string
	for _, a := range to[:min(len(to), shown)] {
		words = append(words, "<"+a.String()+">")
	}
	if more := len(to) - shown; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

// confirm tells a person that all of j was sent, to whom, and through which account.
func (s *Submitter) confirm(j *Job) {
	var sent []envelope.Address
	for i := range j.To {
		if j.To[i].Verdict == Sent {
			sent = append(sent, j.To[i].Address)
		}
	}
	if len(sent) == 0 || len(j.Failures()) > 0 || j.has(Waits) {
		return // what became of j has been told
	}
	through := "account " + j.account.Name
	if by := j.Request.By; by.CommandLine.Server != "" || by.Environment.Server != "" {
		through = j.account.Servers[0].String()
	}
	s.Console.Confirm("sent to " + addresses(sent) + " through " + through)
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
		if to := &j.To[i]; to.Verdict == Sent {
			line(to.Address, "sent", to.Reply.Status, to.Reply.String(), false, "")
		}
	}
	for _, f := range j.Failures() {
		word, code := "deferred", status.Of(f.Err)
		switch {
		case f.Unknown:
			word = "unknown"
		case f.Verdict == Refused:
			word = "bounced"
		}
		text := strings.ReplaceAll(f.Err.Error(), "\n", "; ")
		bad, hint := status.KindOf(f.Err).Scope() == status.Account, ""
		if bad { // somebody has to mend it, and may see nothing but the log
			hint = status.HintFor(f.Err, config.NameInFile(name), relay)
		}
		for _, to := range f.to {
			line(to, word, code, text, bad, hint)
		}
		if len(f.to) == 0 {
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
