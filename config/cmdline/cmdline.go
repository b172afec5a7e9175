// Package cmdline turns an argument vector into a Command, the sendmail way.
//
//	argv ── read ──> options and operands ── flags ──> Command
//	        │                                │
//	        sendmail's letters as getopt(3)  one row a flag: its
//	        reads them, long options by      letter, name, position,
//	        pflag, operands anywhere         modes, and setter
//
// Called as sendoff, the program takes its own long options beside sendmail's
// letters: the face Sendoff. Called by any other name it is sendmail, whose
// callers put addresses from strangers on the command line: there no argument
// names a file, a server, an account or a command. In neither face does an
// argument that slipped in behind others turn a submission into "exit 0,
// nothing sent". The manual has this under "As sendoff and as sendmail".
//
//	                     as sendmail              as sendoff
//	anywhere             the letter               the letter, the long name
//	passing              the letter               likewise; what is first may follow
//	early                64                       before any operand; likewise
//	first                64                       before any operand and any letter
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
	"slices"
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
	FromHeader bool     // the envelope sender is the address in the field From; From is nil then
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
	Config, Account, Server  string
	User, Secret             string // Secret is a source, not a password
	Composed                 string // "": stdin is a message; else the first option that makes one of stdin
	Subject                  string
	Attach, Cc, Bcc, ReplyTo []string // as given, and without control characters
	Flow                     string   // of Login and Setup: one of flows
	For                      string   // of Login and Setup: what the account is for
	DryRun, Rehearse         bool
	JSON                     bool // of the modes Doctor and Status
	RequireTLS               bool // REQUIRETLS (RFC 8689)

	Run     QueueRun // of the mode Run
	As      int      // of a mode of the queue: the uid of another user, who the process is to become; 0: none
	Entry   string   // what Show, Delete, Retry, Runner, Listen, Setup, Import and Completions are about
	Answers Answers  // of the mode Setup
	Table   bool     // of the mode Setup: list the providers, and do nothing else
	Write   bool     // of the mode Import: write a configuration
	Add     bool     // of the mode Import: write to a configuration that is there
	Words   []string // of the mode Complete: those behind the program's name, up to the one to complete

	Warnings []string // what was ignored and should not have been written
}

// Answers are what --setup need not ask.
type Answers struct {
	PasswordFile string // "-" is standard input

	ClientID, ClientSecretFile, Tenant string // the registration with a provider of access tokens that has no table yet

	ISPDB  bool // Mozilla may be told the domain
	Yes    bool // what is found is taken, if something proves it, and nothing is asked
	Force  bool // the account is written although it did not work
	NoTest bool // no mail is sent
}

// Parse reads a command line, argv[0] included, which may also be missing. The
// Command is never nil: after an error it still says Face, Name, Mode and
// Submits.
func Parse(argv []string) (*Command, error) {
	p := &parser{Command: Command{DeliveryMode: 'i', ErrorMode: 'p'}}
	p.flags = flags(&p.Command)
	args := p.name(argv)
	p.flags = forFace(p.Face, p.flags)
	operands, err := read(p.flags, args, p.option)
	if p.Face == Sendoff { // the sendmail face has no long options to suggest
		err = suggest(err)
	}
	p.Recipients = operands
	if e := p.finish(); err == nil {
		err = e
	}
	return &p.Command, err
}

// A parser is what has been read of a command line so far.
type parser struct {
	Command
	flags     []Flag // which set Command
	alias     string // the name that stands for the first option
	alone     bool   // there is only one argument
	begun     bool   // an option stood that none may follow which must be first
	ownMode   bool   // the first option was a mode of the sendoff face: all that follows is the caller's
	modes     []modeOption
	belonging []option // those that belong to some modes
	subject   int      // 1 + the number of operands before -s
}

// A modeOption is an option that asks for a mode.
type modeOption struct {
	option
	mode Mode
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
	p.alone = len(args) == 1
	if option, ok := names[name]; ok && !(p.alone && p.standsAlone(args[0])) {
		p.alias = name
		return append([]string{option}, args...)
	}
	return args
}

// standsAlone reports whether arg is an option that any name takes as its only
// argument.
func (p *parser) standsAlone(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	f := find(p.flags, name)
	return f != nil && f.at == firstOrSole
}

// option takes one option if it may stand where it stands, and refuses it if not.
func (p *parser) option(o option) error {
	if p.alias != "" && o.index == 0 {
		o.form = p.alias
	}
	at := o.flag.at
	if p.Face == Sendmail {
		switch {
		case at == firstOrIgnored && !o.long():
			return nil
		case at == firstOrSole && p.alone:
		case at > passing || o.long():
			return status.Usage.Errorf("%s is not allowed under the name %s, only under the name sendoff", o.form, p.Name)
		}
		return p.take(o)
	}
	switch {
	case o.empty && !o.flag.mayBeEmpty():
		return status.Usage.Errorf("the argument of %s is empty (is a variable not set?)", o.form)
	case p.ownMode:
	case at >= early && o.after > 0:
		return status.Usage.Errorf("%s must come before recipients: sendoff %s …", o.form, o.synopsis())
	case at >= first && p.begun:
		return status.Usage.Errorf("%s must come first: sendoff %s …", o.form, o.synopsis())
	}
	return p.take(o)
}

// take lets the option do its work, and notes which mode it asks for, if any.
func (p *parser) take(o option) error {
	p.Mode = o.flag.mode
	if o.flag.set != nil {
		if err := o.flag.set(o.value); err != nil {
			return status.Usage.Errorf("%s: %w", o.form, err)
		}
	}
	if o.flag.at == anywhere {
		p.begun = true
	} else if o.flag.at >= first && p.Mode != 0 && p.Mode != Submit {
		p.ownMode = true
	}
	if p.Mode != 0 {
		if o.flag.Letter == 'b' && o.form != p.alias {
			o.form += legible(o.value)
		}
		p.modes = append(p.modes, modeOption{o, p.Mode})
	}
	if o.flag.of != nil {
		p.belonging = append(p.belonging, o)
	}
	if o.flag.Letter == 's' && o.flag.Ignored() {
		p.subject = 1 + o.after
	}
	return nil
}

// finish settles the mode, and refuses a command line that asks for two things
// or for one that is not to be had.
func (p *parser) finish() error {
	p.Mode, p.Submits = Submit, true
	queued := p.DeliveryMode == 'q' || p.DeliveryMode == 'd'
	for _, end := range p.modes {
		if end.mode != Submit {
			p.QueueOnly = queued && end.mode == Server
			return p.finishWithoutSending(end)
		}
	}
	p.warnSubject()
	p.QueueOnly = p.QueueOnly || queued
	switch {
	case p.DryRun && p.Rehearse:
		return status.Usage.Errorf("--dry-run cannot be used with --rehearse")
	case p.FromHeader && p.From != nil:
		return status.Usage.Errorf("--read-envelope-from cannot be used with -f")
	}
	if p.Extract && p.Composed != "" {
		return status.Usage.Errorf("-t cannot be used with %s: standard input is the text then, and has no header", p.Composed)
	}
	return p.checkBelonging()
}

// finishWithoutSending settles the mode that end asked for. What speaks of a
// message on stdin, or stands before end where only a submission has it,
// shows that the caller has a message, and that end slipped in.
func (p *parser) finishWithoutSending(end modeOption) error {
	p.Mode = end.mode
	with := p.aboutMessage()
	p.Submits = with != "" || end.after > 0
	switch {
	case with != "":
		return status.Usage.Errorf("%s does not send the message on stdin, so it cannot be used with %s", end.form, with)
	case end.after > 0:
		return status.Usage.Errorf("%s does not send the message on stdin, so it cannot follow a recipient", end.form)
	}
	for _, m := range p.modes {
		if m.mode != end.mode {
			return status.Usage.Errorf("%s cannot be used with %s", m.form, end.form)
		}
	}
	if err := p.checkBelonging(); err != nil {
		return err
	}
	if end.mode == Unavailable {
		return status.Usage.Errorf("%s: %s", end.form, unavailable[end.value])
	}
	return p.takeOperands(end)
}

// checkBelonging refuses the options that belong to other modes.
func (p *parser) checkBelonging() error {
	for _, o := range p.belonging {
		if !slices.Contains(o.flag.of, p.Mode) {
			return misplaced(o, p.flags)
		}
	}
	return nil
}

// takeOperands gives the words beside a mode that sends nothing their meaning.
func (p *parser) takeOperands(end modeOption) error {
	words := p.Recipients
	takes := operands[end.mode]
	operand := &p.Entry
	if end.mode == Doctor {
		operand = &p.Account
	}
	switch {
	case end.mode == Complete:
		p.Words, p.Recipients = words, nil
	case end.mode == Verify && len(words) == 0:
		return status.Usage.Errorf("%s requires an address to verify", end.form)
	case end.mode == Verify || len(words) == 0:
	case takes == "":
		return status.Usage.Errorf("%s does not send the message on stdin, so it takes no recipient: %s", end.form, legible(words[0]))
	case *operand != "" || len(words) > 1:
		return status.Usage.Errorf("%s takes %s and nothing else: %s", end.form, takes, legible(words[len(words)-1]))
	default:
		*operand, p.Recipients = words[0], nil
	}
	return nil
}

// aboutMessage returns an option given that only makes sense for a message on
// stdin, or "". Mail programs write -i beside -bs.
func (p *parser) aboutMessage() string {
	switch {
	case p.Extract:
		return "-t"
	case p.Composed != "":
		return p.Composed
	case p.From != nil:
		return "-f"
	case p.FromHeader:
		return "--read-envelope-from"
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
	behind := p.Recipients[p.subject-1:]
	if word := behind[0]; !strings.Contains(word, "@") && (len(behind) > 1 || strings.Contains(word, " ")) {
		p.warn("-s takes no argument, so %q is a recipient; write the subject into the message, as a line Subject:", word)
	}
}
