// Package cmdline parses an argument vector as sendmail does, and returns a Command.
//
//	argv ── read ──> options and operands ── flags ──> Command
//	        │                                │
//	        sendmail's letters as getopt(3)  a row for each flag:
//	        reads them; long options by      letter, name, position,
//	        pflag; operands anywhere         modes, and setter
//
// The name decides about the face. Under the name sendoff (Sendoff), the program accepts
// its own long options as well as sendmail's letters. Under any other name it is sendmail
// (Sendmail). Callers of sendmail put addresses of strangers on the command line, so there
// no argument can name a file, a server, an account or a command. Under both names, an
// option that a stranger has added cannot turn a submission into "exit 0, nothing sent".
// The manual explains this under "As sendoff and as sendmail".
//
//	position             as sendmail              as sendoff
//	anywhere             the letter               the letter and the long name
//	mayPrecedeFirst      the letter               as anywhere; options of first may follow
//	early                refused (64)             before all operands
//	first                refused (64)             before all operands and letters
//	firstOrIgnored  -C   accepted, no effect      as first
//	firstOrSole          as the only argument     as first
//	an option that       refused (64) with -t, -f, -F or -i, after an operand, with
//	sends nothing        another mode, and before an operand (but not -bv)
//
// Errors: Parse returns errors of kind status.Usage, of one line each. Text from argv is
// quoted in an error if it has characters that cannot be printed.
package cmdline

import (
	"path/filepath"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Command is the meaning of a command line.
type Command struct {
	Face    Face
	Name    string // the base name of argv[0], for messages
	Mode    Mode
	Submits bool // the command line is a submission, perhaps a malformed one: stdin is the caller's message

	From       *string  // -f, -r; nil: not given; "" and "<>" are the null sender
	FromHeader bool     // take the envelope sender from the field From; From is nil then
	FullName   string   // -F; without control characters
	Recipients []string // the operands, as given; only the modes Submit and Verify have recipients
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

	// Fields that are never set under the name sendmail.
	Config, Account, Server  string
	User, Secret             string // Secret is a reference, not a password
	Composed                 string // the first option that makes a message from the text on stdin; "": stdin is a whole message
	Subject                  string
	Attach, Cc, Bcc, ReplyTo []string // as given; without control characters
	Flow                     string   // for Login and Setup: a word of flows
	For                      string   // for Login and Setup: what the account is used for
	DryRun, Rehearse         bool
	JSON                     bool // for Doctor and Status
	RequireTLS               bool // REQUIRETLS (RFC 8689)

	Run     QueueRun // for Run
	As      int      // for a mode of the queue: the uid of the user that the process has to become; 0: none
	Folder  string   // the folder of that user's queue; "": below the folder of all queues
	Entry   string   // the argument of Show, Delete, Retry, Runner, Listen, Setup, Import and Completions
	Answers Answers  // for Setup
	Table   bool     // for Setup: only list the providers
	Write   bool     // for Import: write a configuration
	Add     bool     // for Import: add to an existing configuration
	Words   []string // for Complete: the words after the program's name, up to the word to complete

	Warnings []string // what was ignored, and the caller should correct
}

// Answers are the answers of options to questions of --setup.
type Answers struct {
	PasswordFile string // "-": standard input

	ClientID, ClientSecretFile, Tenant string // the registration with a provider that has no table in the configuration yet

	ISPDB  bool // Mozilla's database may be asked, which then knows the domain
	Yes    bool // accept the settings that were found and proved, and ask nothing
	Force  bool // write the account even if the test has failed
	NoTest bool // send no test mail
}

// Parse parses a command line, including argv[0], which may be missing. The Command is
// never nil: after an error, its Face, Name, Mode and Submits are still valid.
func Parse(argv []string) (*Command, error) {
	p := &parser{Command: Command{DeliveryMode: 'i', ErrorMode: 'p'}}
	p.flags = flags(&p.Command)
	args := p.name(argv)
	p.flags = forFace(p.Face, p.flags)
	operands, err := read(p.flags, args, p.option)
	if p.Face == Sendoff { // under the name sendmail there are no long options to propose
		err = suggest(err)
	}
	p.Recipients = operands
	if e := p.finish(); err == nil {
		err = e
	}
	return &p.Command, err
}

// A parser has the state while a command line is parsed.
type parser struct {
	Command
	flags     []Flag // their setters write to Command
	alias     string // the program's name, if that stands for the first option
	onlyArg   bool   // there is only one argument
	pastFirst bool   // options of the position first are not allowed any more
	ownMode   bool   // the first option was a mode of sendoff: all other arguments come from the same caller
	modes     []modeOption
	belonging []option // the options that are only for some modes
	subject   int      // 1 + the number of operands before -s
}

// A modeOption is an option that selects a mode.
type modeOption struct {
	option
	mode Mode
}

// name reads argv[0] and returns the arguments. If the name stands for an option, that
// option comes before them.
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
	p.onlyArg = len(args) == 1
	if option, ok := names[name]; ok && !(p.onlyArg && p.standsAlone(args[0])) {
		p.alias = name
		return append([]string{option}, args...)
	}
	return args
}

// standsAlone reports whether arg is an option that any name accepts as the only argument.
func (p *parser) standsAlone(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	f := find(p.flags, name)
	return f != nil && f.at == firstOrSole
}

// option accepts an option if its position is allowed, and returns an error if not.
func (p *parser) option(o option) error {
	if p.alias != "" && o.index == 0 {
		o.form = p.alias
	}
	at := o.flag.at
	if p.Face == Sendmail {
		switch {
		case at == firstOrIgnored && !o.long():
			return nil
		case at == firstOrSole && p.onlyArg:
		case at > mayPrecedeFirst || o.long():
			return status.Usage.Errorf("%s is not allowed under the name %s, only under the name sendoff", o.form, p.Name)
		}
		return p.take(o)
	}
	switch {
	case o.empty && !o.flag.mayBeEmpty():
		return status.Usage.Errorf("the argument of %s is empty (is a variable not set?)", o.form)
	case p.ownMode:
	case o.flag.Letter == 'A' && strings.Trim(o.value, "cm") != "": // sendmail has -Ac and -Am, mail(1) -A FILE
		return status.Usage.Errorf("%s does not attach a file; use --attach FILE", o.form)
	case at >= early && o.after > 0:
		return status.Usage.Errorf("%s must come before recipients: sendoff %s …", o.form, o.synopsis())
	case at >= first && p.pastFirst:
		return status.Usage.Errorf("%s must come first: sendoff %s …", o.form, o.synopsis())
	}
	return p.take(o)
}

// take calls the option's setter, and notes which mode the option selects.
func (p *parser) take(o option) error {
	p.Mode = o.flag.mode
	if o.flag.set != nil {
		if err := o.flag.set(o.value); err != nil {
			return status.Usage.Errorf("%s: %w", o.form, err)
		}
	}
	if o.flag.at == anywhere {
		p.pastFirst = true
	} else if o.flag.at >= first && p.Mode != 0 && p.Mode != Submit {
		p.ownMode = true
	}
	if p.Mode != 0 {
		if o.flag.Letter == 'b' && o.form != p.alias {
			o.form += legible(o.value)
		}
		p.modes = append(p.modes, modeOption{o, p.Mode})
	}
	if o.flag.belongsTo != nil {
		p.belonging = append(p.belonging, o)
	}
	if o.flag.Letter == 's' && o.flag.Ignored() {
		p.subject = 1 + o.after
	}
	return nil
}

// finish sets the mode. It returns an error if the command line asks for two things, or for
// something unavailable.
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

// finishWithoutSending sets the mode of end, an option that sends nothing. If the command
// line has an option about a message, or if end comes after a recipient, the caller wants
// to submit a message, and somebody else has added end.
func (p *parser) finishWithoutSending(end modeOption) error {
	p.Mode = end.mode
	messageOption := p.aboutMessage()
	p.Submits = messageOption != "" || end.after > 0
	switch {
	case messageOption != "":
		return status.Usage.Errorf("%s does not send the message on stdin, so it cannot be used with %s", end.form, messageOption)
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

// checkBelonging returns an error for an option that does not belong to the mode.
func (p *parser) checkBelonging() error {
	for _, o := range p.belonging {
		if !slices.Contains(o.flag.belongsTo, p.Mode) {
			return misplaced(o, p.flags)
		}
	}
	return nil
}

// takeOperands gives the operands to the mode of end, which sends nothing.
func (p *parser) takeOperands(end modeOption) error {
	words := p.Recipients
	takes := operands[end.mode]
	operand := &p.Entry
	if takes == operands[Doctor] {
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

// aboutMessage returns an option of the command line that is only for a message on stdin;
// "": there is none. With -bs, -i is not such an option: mail programs use both together.
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

// warnSubject warns if a recipient is probably a word of the subject: because the subject
// has no quotes, or because -s was meant as in mail(1), but has no argument here.
func (p *parser) warnSubject() {
	isAddress := func(word string) bool { return strings.Contains(word, "@") }
	if i := slices.IndexFunc(p.Recipients, func(word string) bool { return !isAddress(word) }); p.Subject != "" && p.Attach == nil && i >= 0 && slices.ContainsFunc(p.Recipients, isAddress) {
		p.warn("%q is a recipient; a subject of several words needs quotes: -s \"Disk report\"", p.Recipients[i])
	}
	if p.subject == 0 || p.subject > len(p.Recipients) {
		return
	}
	rest := p.Recipients[p.subject-1:]
	if word := rest[0]; !strings.Contains(word, "@") && (len(rest) > 1 || strings.Contains(word, " ")) {
		p.warn("-s takes no argument, so %q is a recipient; write the subject into the message, as a line Subject:", word)
	}
}
