// Package cmdline turns an argument vector into a Command, the sendmail way.
//
//	argv ── read ──> options and operands ── flags ──> Command
//	         │                                 │
//	         unbundles and permutes as         one row a flag: its letter, its
//	         getopt(3) does                    name, where it may stand, what it does
//
// The program has two faces. Called as sendoff, it takes its own long options
// beside sendmail's letters. Called by any other name, it is sendmail, whose
// callers put addresses from strangers on the command line: there no argument
// names a file, a server, an account or a command. In neither face does an
// argument that slipped in behind others turn a submission into "exit 0,
// nothing sent".
//
//	                     sendmail face            sendoff face
//	anywhere             the letter               the letter, the long name
//	first                64                       before any other letter or operand
//	firstOrIgnored  -C   taken, without effect    likewise
//	firstOrSole          the only argument        likewise
//	ends without         64 with -t, -f, -F or -i, after an operand,
//	sending              beside another mode, before an operand unless it is -bv
//
// Errors: Parse returns errors of kind status.Usage, each one line. Text from
// argv is quoted in them where it could not be printed as it is.
package cmdline

import (
	"path/filepath"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Command is what a command line asks for.
type Command struct {
	Face    Face
	Name    string // the base name of argv[0], for messages
	Mode    Mode
	Submits bool // it is, or tries to be, a submission: stdin is the caller's message

	From       *string  // -f, -r; nil if not given; "" and "<>" are the null sender
	FullName   string   // -F; holds no control character
	Recipients []string // the operands, as given; of the modes, only Submit and Verify have any
	Extract    bool     // -t

	IgnoreDots   bool   // -i
	DeliveryMode byte   // -od: b, i, f, q or d
	ErrorMode    byte   // -oe: m, p, q, w or e
	Verbose      bool   // -v
	NoAliases    bool   // -n
	QueueOnly    bool   // -bq, or a DeliveryMode of q or d
	SyslogTag    string // -L; printable ASCII, at most 100 characters

	Notify envelope.Notify // -N
	Return envelope.Return // -R
	EnvID  string          // -V; printable ASCII, at most 100 characters
	Body   envelope.Body   // -B

	// These are never set in the sendmail face.
	Config, Account, Server string
	User, Secret            string // Secret is a source, not a password
	Flow                    string // of Login and Setup: one of ways
	For                     string // likewise: what the account is for
	DryRun, Rehearse        bool
	JSON                    bool // of the modes Doctor and Status
	RequireTLS              bool // REQUIRETLS (RFC 8689)

	Run     QueueRun // of the mode Run
	As      int      // of a mode of the queue: the uid of another user, who the process is to become; 0: none
	Entry   string   // what Show, Delete, Retry, Runner, Listen, Setup, Import and Completions are about
	Answers Answers  // of the mode Setup
	Write   string   // of the mode Import: "", --write or --add

	Warnings []string // what was ignored and should not have been written
}

// Answers are what --setup need not ask.
type Answers struct {
	PasswordFile string

	ClientID, ClientSecretFile, Tenant string // a registration with a provider of access tokens

	ISPDB  bool // Mozilla may be asked
	Yes    bool // what is found is right
	Force  bool // write what does not work, too
	NoTest bool // send no mail
}

// Parse reads a command line, argv[0] included, which may also be missing. The
// Command is never nil: after an error it still says Face, Name, Mode and
// Submits.
func Parse(argv []string) (*Command, error) {
	p := &parser{Command: Command{DeliveryMode: 'i', ErrorMode: 'p'}}
	args := p.name(argv)
	operands, err := read(args, p.option)
	if p.Face == Sendoff { // the other has no long options to suggest
		err = suggest(err)
	}
	p.Recipients = operands
	if e := p.finish(); err == nil {
		err = e
	}
	return &p.Command, err
}

// A parser knows what has been read of a command line so far.
type parser struct {
	Command
	alias   string // the name that stands for the first option
	sole    bool   // there is only one argument
	begun   bool   // something stood that must not precede account options
	free    bool   // it began with a mode of the sendoff face
	asked   []asked
	answer  string // the form of an option that sets one of Answers
	subject int    // 1 + the number of operands before -s
}

// asked is an option that names a mode.
type asked struct {
	form  string
	mode  Mode
	after int // operands before it
}

// name reads argv[0] and returns the arguments, headed by those that the name
// stands for.
func (p *parser) name(argv []string) []string {
	p.Name = "sendmail"
	if len(argv) == 0 {
		return nil
	}
	if argv[0] != "" {
		p.Name = legible(filepath.Base(argv[0]))
	}
	args := argv[1:]
	name := strings.TrimSuffix(p.Name, ".exe")
	if name == "sendoff" {
		p.Face = Sendoff
	}
	p.sole = len(args) == 1
	for _, n := range names {
		if n.name == name && !(p.sole && isSole(args[0])) {
			p.alias = name
			return append([]string{n.stands}, args...)
		}
	}
	return args
}

// isSole reports whether arg is an option that any name takes as its only
// argument.
func isSole(arg string) bool {
	name, long := strings.CutPrefix(arg, "--")
	f := longFlag(name)
	return long && f != nil && f.at == firstOrSole
}

// option takes one option: it may stand where it stands, or else is refused.
func (p *parser) option(o option) error {
	if p.alias != "" && o.index == 0 {
		o.form = p.alias
	}
	if p.Face == Sendmail {
		switch {
		case o.flag.at == firstOrIgnored && !o.long():
			return nil
		case o.flag.at == firstOrSole && p.sole:
		case o.flag.at != anywhere || o.long():
			return status.Usage.Errorf("%s is refused under the name %s: it belongs to the sendoff command", o.form, p.Name)
		}
	} else if o.flag.at != anywhere && !p.free && (p.begun || o.after > 0) {
		return status.Usage.Errorf("%s must come first: write %s before any other option", o.form, o.synopsis())
	}
	return p.take(o)
}

// take lets the option do its work, and notes which mode it asks for, if any.
func (p *parser) take(o option) error {
	p.Mode = 0
	before := p.Answers
	if o.flag.set != nil {
		if err := o.flag.set(&p.Command, o.value); err != nil {
			return status.Usage.Errorf("%s: %w", o.form, err)
		}
	}
	if p.Answers != before {
		p.answer = o.form
	}
	if o.flag.at == anywhere {
		p.begun = true
	} else if p.Mode != 0 && p.Mode != Submit {
		p.free = true
	}
	if p.Mode != 0 {
		if o.flag.Letter == 'b' && o.form != p.alias {
			o.form += legible(o.value)
		}
		p.asked = append(p.asked, asked{o.form, p.Mode, o.after})
	}
	if o.flag.Letter == 's' {
		p.subject = 1 + o.after
	}
	return nil
}

// finish settles the mode, and refuses a command line that asks for two things
// or for one that is not to be had.
func (p *parser) finish() error {
	p.Mode, p.Submits = Submit, true
	queued := p.DeliveryMode == 'q' || p.DeliveryMode == 'd'
	for _, end := range p.asked {
		if end.mode != Submit {
			p.QueueOnly = queued && end.mode == Server
			return p.finishWithoutSending(end)
		}
	}
	if p.answer != "" {
		return notWithoutSetup(p.answer)
	}
	if p.Write != "" {
		return notWithoutImport(p.Write)
	}
	p.warnSubject()
	p.QueueOnly = p.QueueOnly || queued
	if err := p.checkLogin(); err != nil {
		return err
	}
	if p.DryRun && p.Rehearse {
		return status.Usage.Errorf("--dry-run and --rehearse exclude each other")
	}
	return p.checkJSON()
}

// checkJSON refuses --json where it means nothing.
func (p *parser) checkJSON() error {
	if p.As != 0 && !p.Mode.ofQueue() {
		return status.Usage.Errorf("--queue-as is for the process of another user's queue")
	}
	if p.JSON && p.Mode != Doctor && p.Mode != Status {
		return status.Usage.Errorf("--json belongs to --doctor and --status; a list of the queue is --queue-json")
	}
	return nil
}

// finishWithoutSending settles the mode that end asked for. What speaks of a
// message on stdin, or stands before end where only a submission has it,
// shows that the caller has a message, and that end slipped in.
func (p *parser) finishWithoutSending(end asked) error {
	p.Mode = end.mode
	with := p.aboutMessage()
	p.Submits = with != "" || end.after > 0
	switch {
	case with != "":
		return status.Usage.Errorf("%s sends nothing, so it cannot stand with %s", end.form, with)
	case end.after > 0:
		return status.Usage.Errorf("%s sends nothing, so it cannot follow a recipient", end.form)
	}
	for _, a := range p.asked {
		if a.mode != end.mode {
			return status.Usage.Errorf("%s cannot stand beside %s", a.form, end.form)
		}
	}
	if p.answer != "" && p.Mode != Setup {
		return notWithoutSetup(p.answer)
	}
	if p.Write != "" && p.Mode != Import {
		return notWithoutImport(p.Write)
	}
	if err := p.checkLogin(); err != nil {
		return err
	}
	if why := end.mode.refusal(); why != "" {
		return status.Usage.Errorf("%s: %s", end.form, why)
	}
	if err := p.checkJSON(); err != nil {
		return err
	}
	switch {
	case end.mode == Setup && len(p.Recipients) > 0:
		return p.takeOperand(end.form, "an address", &p.Entry)
	case end.mode == Listen && len(p.Recipients) > 0:
		return p.takeOperand(end.form, "an address", &p.Entry)
	case end.mode == Import && len(p.Recipients) > 0:
		return p.takeOperand(end.form, "a file", &p.Entry)
	case end.mode == Doctor && len(p.Recipients) > 0:
		return p.takeOperand(end.form, "an account", &p.Account)
	case end.mode == Verify && len(p.Recipients) == 0:
		return status.Usage.Errorf("%s: no address; name those to verify", end.form)
	case end.mode != Verify && len(p.Recipients) > 0:
		return status.Usage.Errorf("%s sends nothing, so it takes no recipient: %s", end.form, legible(p.Recipients[0]))
	}
	return nil
}

func notWithoutSetup(form string) error {
	return status.Usage.Errorf("%s is an answer to --setup, and stands only with it", form)
}

func notWithoutImport(form string) error {
	return status.Usage.Errorf("%s says what --import does, and stands only with it", form)
}

// takeOperand makes the one word beside a mode its operand.
func (p *parser) takeOperand(form, takes string, operand *string) error {
	if *operand != "" || len(p.Recipients) > 1 {
		return status.Usage.Errorf("%s takes %s, and nothing besides: %s", form, takes, legible(p.Recipients[len(p.Recipients)-1]))
	}
	*operand, p.Recipients = p.Recipients[0], nil
	return nil
}

// checkLogin refuses what says how to log in where nobody does.
func (p *parser) checkLogin() error {
	for _, o := range []struct{ form, value string }{{"--flow", p.Flow}, {"--for", p.For}} {
		if o.value != "" && p.Mode != Login && p.Mode != Setup {
			return status.Usage.Errorf("%s stands only with --login ACCOUNT or --setup", o.form)
		}
	}
	return nil
}

// aboutMessage returns an option given that only makes sense for a message on
// stdin, or "". Mail programs write -i beside -bs.
func (p *parser) aboutMessage() string {
	switch {
	case p.Extract:
		return "-t"
	case p.From != nil:
		return "-f"
	case p.FullName != "":
		return "-F"
	case p.IgnoreDots && p.Mode != Server:
		return "-i"
	}
	return ""
}

// warnSubject says so when -s seems to be meant as in mail(1). There the next
// word is the subject; here it is a recipient.
func (p *parser) warnSubject() {
	if p.subject == 0 || p.subject > len(p.Recipients) {
		return
	}
	rest := p.Recipients[p.subject-1:]
	if word := rest[0]; !strings.Contains(word, "@") && (len(rest) > 1 || strings.Contains(word, " ")) {
		p.warn("-s takes no argument, so %q is a recipient; a subject belongs into the message, as a line Subject:", word)
	}
}
