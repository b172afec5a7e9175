// Package doctor goes the way of a mail, step by step, without one, and says of each
// step whether all is well, or what is not and what to do about it.
//
//	files … cron         what is on this machine, before anything is connected to (place.go)
//	name … EHLO          each address of each server, without a login (way.go)
//	AUTH, login, sender  one session, opened as every delivery opens it (way.go)
//	root … sendmail      what a mail needs that cannot be sent at once, or is the system's (place.go)
//
// It does not know how to send. Package smarthost takes each step.
//
// Errors: that some checks failed, with the kind of the worst; that of a writer.
package doctor

import (
	"context"
	"fmt"
	"io"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/dial"
	"sendoff/submit/envelope"
	"sendoff/submit/login"
	"sendoff/submit/queue"
	"sendoff/submit/rewrite"
	"sendoff/submit/smtp"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// checks is what Run looks at, in the order in which a delivery needs it.
//
// To add a check: a row here, which names what the check needs of those before it, and
// an item and a line of the sample in sendoff(1). A check without what it needs, or
// without a finding, is shown as not tried.
var checks = [...]struct {
	name  string
	needs func(*doctor) bool
	find  func(*doctor, context.Context) []finding
}{
	{"files", nil, (*doctor).files},
	{"account", (*doctor).hasConfiguration, (*doctor).choice},
	{"secret", (*doctor).hasAccount, (*doctor).secret},
	{"cron", (*doctor).mayLogIn, (*doctor).secretAsCron},
	{"name", (*doctor).hasAccount, (*doctor).names},
	{"connect", nil, (*doctor).connections},
	{"TLS", nil, (*doctor).certificates},
	{"EHLO", nil, (*doctor).greetings},
	{"AUTH", (*doctor).hasMeeting, (*doctor).mechanism},
	{"login", (*doctor).hasMeeting, (*doctor).loggedIn},
	{"sender", (*doctor).hasSession, (*doctor).senderTaken},
	{"root", (*doctor).hasAccount, (*doctor).rootsMail},
	{"queue", nil, (*doctor).queue},
	{"runner", (*doctor).hasQueue, (*doctor).runner},
	{"waiting", (*doctor).hasQueue, (*doctor).waiting},
	{"failed", (*doctor).hasQueue, (*doctor).failed},
	{"sendmail", nil, (*doctor).sendmail},
}

func (d *doctor) hasConfiguration() bool { return d.Fault == nil }
func (d *doctor) hasAccount() bool       { return d.account != nil }
func (d *doctor) mayLogIn() bool         { return d.account != nil && !d.noLogin }
func (d *doctor) hasMeeting() bool       { return d.goodMeeting() != nil && !d.noLogin }
func (d *doctor) hasSession() bool       { return d.session != nil }
func (d *doctor) hasQueue() bool         { return d.s.Queue != nil }

// A result says how bad a finding is.
type result string

const (
	resultOK   result = "ok"
	resultNote result = "note" // mail leaves all the same
	resultFail result = "fail"
	resultSkip result = "skip" // not looked at
)

// A finding is what a check has to say.
type finding struct {
	result result
	text   string // if it is good
	err    error  // else
}

func fine(format string, args ...any) finding {
	return finding{resultOK, fmt.Sprintf(format, args...), nil}
}
func noted(err error) finding   { return finding{resultNote, "", err} }
func failing(err error) finding { return finding{resultFail, "", err} }

func single(f finding) []finding { return []finding{f} }

func (f finding) words() string {
	if f.err != nil {
		return status.OneLine(f.err)
	}
	return status.Printable(f.text)
}

// A Checkup is what Run is asked for.
type Checkup struct {
	By     config.Choice // what the account is chosen by
	Fault  error         // why the configuration cannot be used; nil if it can
	Unread []string      // what config.Unread says of the environment
	JSON   bool          // one JSON object a line, instead of text
}

// Run makes every check, and writes a line for each finding to w as soon as
// it is known: whether all is well, or what is not and what to do about it. None
// has a secret in it, in any form, and nothing is sent. When it returns nil, no
// check failed, though there may be notes; otherwise its error says how many
// did, with the status of the worst of them, the one with the highest exit code.
func Run(ctx context.Context, s *submit.Submitter, w io.Writer, c Checkup) error {
	d := newDoctor(s, c)
	defer d.close()
	var worst error
	failures := 0
	for _, check := range checks {
		var found []finding
		if check.needs == nil || check.needs(d) {
			found = check.find(d, ctx)
		}
		if ctx.Err() != nil {
			return status.Temporary.Wrap(context.Cause(ctx))
		}
		if found == nil {
			found = single(finding{resultSkip, "not tried", nil})
		}
		for _, f := range found {
			if err := d.write(w, check.name, f); err != nil {
				return err
			}
			if f.result != resultFail {
				continue
			}
			failures++
			if status.Exit(f.err) > status.Exit(worst) {
				worst = f.err
			}
		}
	}
	if failures == 0 {
		return nil
	}
	return status.KindOf(worst).Errorf("%d check%s failed", failures, status.Plural(failures))
}

// A doctor is one run of the checks, with what the checks made so far have found for
// those that follow.
type doctor struct {
	Checkup
	s       *submit.Submitter // without a log, and with a queue if there is one
	account *config.Account   // nil: none
	why     string            // why it was chosen, in words
	fault   error             // why there is no account
	rules   *rewrite.Rules

	sender    envelope.Address
	origin    string // of sender, in words
	senderErr error  // why there is no sender
	hello     string // our name in EHLO

	login   *login.Login // nil: the account wants none
	noLogin bool         // a check has found that no login is possible

	hops     []dial.Hop
	meetings []*meeting    // one for each hop
	session  *smtp.Session // ready for mail

	noQueue   error          // why there is no queue
	oddQueue  string         // why the queue is not in its usual folder
	elsewhere []*queue.Queue // others in which mail waits
}

// newDoctor chooses the account and opens the queue, as a submission does.
func newDoctor(s *submit.Submitter, c Checkup) *doctor {
	own := s.Apart()
	own.Console, own.Spool = s.Console.WithoutPerson(), s.Spool // a finding tells the person
	d := &doctor{Checkup: c, s: own, fault: c.Fault}
	if d.fault == nil {
		d.account, d.why, d.fault = s.Config.Choose(c.By)
	}
	if d.account != nil {
		d.rules = rewrite.New(s.Config, s.Identity, d.account)
		d.sender, d.origin, d.senderErr = d.rules.DefaultSender()
		d.hello = d.rules.HelloName(d.sender)
	}
	q, err := spool.Open(s.Config, s.Identity, func(text string) { d.oddQueue = text })
	own.Queue, own.Spool.Runner, d.noQueue = q, s.Config.Runner, err
	d.elsewhere = spool.Elsewhere(s.Identity, q)
	return d
}

func (d *doctor) close() {
	d.login.Close()
	if d.session != nil {
		d.session.Close()
	}
}

// name returns the account's name; "" if there is no account, or no file has it.
func (d *doctor) name() string {
	if d.account == nil || d.account.File == "" {
		return ""
	}
	return d.account.Name
}

func (d *doctor) write(w io.Writer, check string, f finding) error {
	line := struct {
		Check  string `json:"check"`
		Result result `json:"result"`
		Text   string `json:"text"`
		Hint   string `json:"hint,omitempty"`
		Exit   int    `json:"exit,omitempty"`
	}{Check: check, Result: f.result, Text: f.words()}
	if f.err != nil {
		line.Hint = status.HintFor(f.err, d.name())
	}
	if f.result == resultFail {
		line.Exit = status.Exit(f.err)
	}
	if d.JSON {
		return status.WriteJSON(w, line)
	}
	if line.Hint != "" {
		line.Text += "; hint: " + line.Hint
	}
	_, err := fmt.Fprintf(w, "%-4s  %-8s  %s\n", line.Result, line.Check, line.Text)
	return err
}
