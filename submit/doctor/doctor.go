// Package doctor makes all steps of a delivery without a mail, and says of each step
// whether it works; if not, what is wrong and what to do about it.
//
//	files … cron         checks on this machine, before the first connection (place.go)
//	name … EHLO          each address of each server, without a login (way.go)
//	AUTH, login, sender  one session, opened as every delivery opens it (way.go)
//	root … sendmail      what mail needs that cannot be sent at once, and system mail (place.go)
//	                     and for root how other users do (root.go)
//
// It does not know how to send: package smarthost makes the steps.
//
// Errors: if checks failed, their number, with the kind of the worst; an error of the
// writer.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

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

// checks has all checks that Run makes, in the order in which a delivery needs them.
//
// To add a check: add a row, with the needs that earlier checks must have met, and an item
// and a line of the sample in sendoff(1). A check is skipped if a need is not met, or if it
// returns no finding.
var checks = [...]struct {
	name  string
	needs []need
	find  func(*doctor, context.Context) []finding
}{
	{"files", nil, (*doctor).files},
	{"account", []need{aConfiguration}, (*doctor).choice},
	{"secret", []need{anAccount}, (*doctor).secret},
	{"cron", []need{anAccount, theSecret}, (*doctor).secretAsCron},
	{"name", []need{anAccount}, (*doctor).names},
	{"connect", []need{anAccount, anAddress}, (*doctor).connections},
	{"TLS", []need{anAccount, anAddress}, (*doctor).certificates},
	{"EHLO", []need{anAccount, anAddress}, (*doctor).greetings},
	{"AUTH", []need{anAccount, anAddress, aConnection, theSecret}, (*doctor).mechanism},
	{"login", []need{anAccount, anAddress, aConnection, theSecret, aMechanism}, (*doctor).loggedIn},
	{"sender", []need{anAccount, anAddress, aConnection, theSecret, aMechanism, aLogin}, (*doctor).senderTaken},
	{"root", []need{anAccount}, (*doctor).rootsMail},
	{"queue", nil, (*doctor).queue},
	{"runner", []need{aQueue}, (*doctor).runner},
	{"waiting", []need{aQueue}, (*doctor).waiting},
	{"failed", []need{aQueue}, (*doctor).failed},
	{"sendmail", nil, (*doctor).sendmail},
}

// A need is what a check requires, and an earlier check has to find.
type need struct {
	words string
	isMet func(*doctor) bool
}

var (
	aConfiguration = need{"a configuration without faults", func(d *doctor) bool { return d.Fault == nil }}
	anAccount      = need{"an account", func(d *doctor) bool { return d.account != nil }}
	theSecret      = need{"the secret", func(d *doctor) bool { return !d.noSecret }}
	anAddress      = need{"an address of the server", func(d *doctor) bool { return len(d.hops) > 0 }}
	aConnection    = need{"a working connection", func(d *doctor) bool { return d.goodMeeting() != nil }}
	aMechanism     = need{"a mechanism to log in with", func(d *doctor) bool { return !d.noMechanism }}
	aLogin         = need{"a successful login", func(d *doctor) bool { return d.session != nil }}
	aQueue         = need{"a queue", func(d *doctor) bool { return d.s.Queue != nil }}
)

// A result is the grade of a finding.
type result string

const (
	resultOK   result = "ok"
	resultNote result = "note" // mail is sent nevertheless
	resultFail result = "fail"
	resultSkip result = "skip" // the check was not made
)

// A finding is what a check has found.
type finding struct {
	result result
	text   string // if err is nil
	err    error  // what is wrong
	hint   string // what to do about err; "": the hint of package status for err
}

func fine(format string, args ...any) finding {
	return finding{result: resultOK, text: fmt.Sprintf(format, args...)}
}
func noted(err error) finding   { return finding{result: resultNote, err: err} }
func failing(err error) finding { return finding{result: resultFail, err: err} }

// advised returns f with a hint: a sentence that ends with the command or the setting to
// use.
func (f finding) advised(format string, args ...any) finding {
	f.hint = fmt.Sprintf(format, args...)
	return f
}

// single returns a list of one finding.
//
//go:noinline
func single(f finding) []finding { return []finding{f} }

func (f finding) words() string {
	if f.err != nil {
		return status.OneLine(f.err)
	}
	return status.Printable(f.text)
}

// A Checkup has the arguments of Run.
type Checkup struct {
	By     config.Choice // the options and variables that choose the account
	Fault  error         // why the configuration cannot be used; nil: it can
	Unread []string      // the results of config.Unread: variables that are ignored
	JSON   bool          // write a JSON object per line, not text
}

// Run makes all checks, and writes a line for each finding to w as soon as it is known. Run
// sends no mail, and no line contains a secret. The error is nil if no check failed; there
// may be notes. Otherwise the error says how many checks failed, and has the kind of the
// worst failure: the one with the highest exit code.
func Run(ctx context.Context, s *submit.Submitter, w io.Writer, c Checkup) error {
	d := newDoctor(s, c)
	defer d.close()
	var worst error
	failures := 0
	for _, check := range checks {
		missing := aConnection // for a check that finds nothing
		var found []finding
		if i := slices.IndexFunc(check.needs, func(n need) bool { return !n.isMet(d) }); i >= 0 {
			missing = check.needs[i]
		} else {
			found = check.find(d, ctx)
		}
		if ctx.Err() != nil {
			return status.Temporary.Wrap(context.Cause(ctx))
		}
		if found == nil {
			found = single(finding{result: resultSkip, text: missing.words})
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
	if err := d.writeSkipped(w); err != nil || failures == 0 {
		return err
	}
	return status.KindOf(worst).Errorf("%d check%s failed", failures, status.Plural(failures))
}

// A doctor is one run of the checks. It keeps what the earlier checks have found for the
// later ones.
type doctor struct {
	Checkup
	s       *submit.Submitter // has no log; has a queue if there is one
	account *config.Account   // nil: there is none
	why     string            // why this account was chosen, in words
	fault   error             // why there is no account
	rules   *rewrite.Rules

	sender    envelope.Address
	origin    string // where sender comes from, in words
	senderErr error  // why there is no sender
	hello     string // our name in EHLO

	login       *login.Login // nil: the account needs no login
	noSecret    bool         // the secret cannot be read
	noMechanism bool         // the server offers no mechanism that we can use

	hops     []dial.Hop
	meetings []*meeting    // one per hop that was tried
	session  *smtp.Session // logged in, and ready for MAIL

	noQueue     error          // why there is no queue
	oddQueue    string         // why the queue is not in its usual folder
	otherQueues []*queue.Queue // other folders with queued mail

	skipped []string // the checks that were skipped since the last line
	missing string   // the need that the first of them lacks
}

// newDoctor chooses the account and opens the queue, as the submission of a mail does.
func newDoctor(s *submit.Submitter, c Checkup) *doctor {
	apart := s.Apart()
	apart.Console, apart.Spool = s.Console.WithoutPerson(), s.Spool // the findings tell the person everything
	d := &doctor{Checkup: c, s: apart, fault: c.Fault}
	if d.fault == nil {
		d.account, d.why, d.fault = s.Config.Choose(c.By)
	}
	if d.account != nil {
		d.rules = rewrite.New(s.Config, s.Identity, d.account)
		d.sender, d.origin, d.senderErr = d.rules.DefaultSender()
		d.hello = d.rules.HelloName(d.sender)
	}
	q, err := spool.Open(s.Config, s.Identity, func(text string) { d.oddQueue = text })
	apart.Queue, apart.Spool.Runner, d.noQueue = q, s.Config.Runner, err
	d.otherQueues = spool.Elsewhere(s.Identity, q)
	return d
}

func (d *doctor) close() {
	d.login.Close()
	if d.session != nil {
		d.session.Close()
	}
}

// name returns the account's name; "" if there is no account, or if it is in no file.
func (d *doctor) name() string {
	if d.account == nil || d.account.File == "" {
		return ""
	}
	return d.account.Name
}

// server returns the host of the account's first server; "" if there is none.
func (d *doctor) server() string {
	if d.account == nil {
		return ""
	}
	return d.account.Servers[0].Host
}

// write writes a finding: as JSON, or as a line of text, with the hint on the next line. In
// the text, consecutive skipped checks share a line.
func (d *doctor) write(w io.Writer, check string, f finding) error {
	line := struct {
		Check  string `json:"check"`
		Result result `json:"result"`
		Text   string `json:"text"`
		Hint   string `json:"hint,omitempty"`
		Exit   int    `json:"exit,omitempty"`
	}{Check: check, Result: f.result, Text: f.words()}
	if f.err != nil {
		line.Hint = cmp.Or(f.hint, status.HintFor(f.err, d.name(), d.server()))
	}
	if f.result == resultFail {
		line.Exit = status.Exit(f.err)
	}
	switch {
	case d.JSON && f.result == resultSkip:
		line.Text = "skipped: it needs " + f.text
		fallthrough
	case d.JSON:
		return status.WriteJSON(w, line)
	case f.result == resultSkip:
		d.skipped, d.missing = append(d.skipped, check), cmp.Or(d.missing, f.text)
		return nil
	}
	if err := d.writeSkipped(w); err != nil {
		return err
	}
	text := fmt.Sprintf(format, line.Result, line.Check, line.Text)
	if line.Hint != "" {
		text += fmt.Sprintf(format, "", "", "hint: "+line.Hint)
	}
	_, err := io.WriteString(w, text)
	return err
}

// format is the format of a line: result, check, text.
const format = "%-4s  %-8s  %s\n"

// writeSkipped writes a line about the checks that were skipped since the last line.
func (d *doctor) writeSkipped(w io.Writer) (err error) {
	switch n := len(d.skipped); n {
	case 0:
	case 1:
		_, err = fmt.Fprintf(w, format, resultSkip, d.skipped[0], "skipped: it needs "+d.missing)
	default:
		_, err = fmt.Fprintf(w, format, resultSkip, "", fmt.Sprintf("%d checks skipped: they need %s", n, d.missing))
	}
	d.skipped, d.missing = nil, ""
	return err
}
