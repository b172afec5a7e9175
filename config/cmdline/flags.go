package cmdline

import (
	"iter"
	"slices"
	"strings"

	"sendoff/submit/status"
)

// A Flag is a row of the table of options.
type Flag struct {
	Letter byte   // 0: only a long name
	Long   string // "": only a letter
	Arg    Arg
	Value  string // the name of the argument in the manual
	Help   string // one line; "": hidden, because only sendoff itself uses the option

	group     group
	at        position
	mode      Mode   // the mode that the option selects; 0: none, or set selects it
	belongsTo []Mode // the modes that the option is for; nil: all
	set       func(value string) error
}

// Arg says whether an option has an argument.
type Arg uint8

// The forms of an argument.
const (
	None     Arg = iota
	Required     // -fX, -f X, --from=X, --from X
	Attached     // -qX or bare -q; the next word is never its argument
)

// A group says what the option is for, to find it in --help=all.
type group uint8

const (
	sending group = iota
	settingUp
	diagnosing
	queueing
	serving
	sendmails // the letters of sendmail
	helping
	daily group = 0x80 // is added to another group: most people need the option
)

// groups has the headings of --help=all, in order.
var groups = [...]string{
	sending:    "Sending",
	settingUp:  "Setting up",
	diagnosing: "Diagnosing",
	queueing:   "Queue (sendoff -bp lists it)",
	serving:    "Server",
	sendmails:  "Letters of sendmail",
	helping:    "Help",
}

// A position says where an option is allowed; see the package comment.
type position uint8

const (
	anywhere position = iota
	mayPrecedeFirst
	early
	first
	firstOrIgnored
	firstOrSole
)

// flags returns the table of options: the parser, --help, the completions and the manual
// use it. The options write their values to c.
//
// To add an option, add a row here, and an item in sendoff(1). For a new mode, also add a
// row to the modes in package program.
func flags(c *Command) []Flag {
	ofQueue := []Mode{List, Count, Status, ListJSON, Show, Delete, Retry, Run}
	return []Flag{
		{'a', "account", Required, "ACCOUNT", "send through this account, not the default one", sending | daily, early, 0, nil, text(&c.Account)},
		{'s', "subject", Required, "TEXT", "subject; stdin is then the text, without a header", sending | daily, early, 0, nil, c.subject},
		{0, "attach", Required, "FILE", "attach FILE (repeatable; - is stdin)", sending | daily, first, 0, nil, c.attach},
		{'t', "read-recipients", None, "", "also send to the addresses in To, Cc and Bcc", sending | daily, anywhere, 0, nil, yes(&c.Extract)},
		{'v', "verbose", None, "", "show the dialogue with the server", sending | daily, mayPrecedeFirst, 0, nil, yes(&c.Verbose)},
		{0, "dry-run", None, "", "show what would be sent and why; send nothing", sending | daily, first, Submit, nil, yes(&c.DryRun)},
		{0, "rehearse", None, "", "send to a built-in test server, show what it received", sending | daily, first, Submit, nil, yes(&c.Rehearse)},
		{0, "cc", Required, "ADDRESS", "also send to this address, named in Cc", sending, early, 0, nil, c.addressList("--cc", &c.Cc)},
		{0, "bcc", Required, "ADDRESS", "also send to this address; no reader sees it", sending, early, 0, nil, c.addressList("--bcc", &c.Bcc)},
		{0, "reply-to", Required, "ADDRESS", "address for replies", sending, early, 0, nil, c.addressList("--reply-to", &c.ReplyTo)},
		{'C', "config", Required, "FILE", "read this configuration file only", sending, firstOrIgnored, 0, nil, text(&c.Config)},
		{0, "file", Required, "FILE", "same as --config (msmtp's name for it)", sending, first, 0, nil, text(&c.Config)},
		{0, "server", Required, "URL", "use this server, such as smtps://smtp.example.org", sending, first, 0, nil, text(&c.Server)},
		{0, "user", Required, "NAME", "log in with this user name", sending, first, 0, nil, text(&c.User)},
		{0, "secret", Required, "SOURCE", "read the password from here, such as file:PATH", sending, first, 0, nil, text(&c.Secret)},
		{'f', "from", Required, "ADDRESS", "envelope sender, who is told of failures (\"\": nobody)", sending, anywhere, 0, nil, c.from},
		{0, "read-envelope-from", None, "", "take the envelope sender from the field From", sending, early, 0, nil, yes(&c.FromHeader)},
		{'F', "full-name", Required, "NAME", "sender's name, for a message without From", sending, anywhere, 0, nil, c.fullName},
		{'i', "ignore-dots", None, "", "do not end the message at a line with only a dot", sending, anywhere, 0, nil, yes(&c.IgnoreDots)},
		{'n', "no-aliases", None, "", "do not apply the alias file", sending, anywhere, 0, nil, yes(&c.NoAliases)},
		{'N', "notify", Required, "EVENTS", "request reports: never, or success,failure,delay", sending, anywhere, 0, nil, c.notify},
		{'R', "return", Required, "PART", "what reports return: full message or hdrs only", sending, anywhere, 0, nil, c.returnPart},
		{'V', "envelope-id", Required, "ENVID", "identifier that reports quote", sending, anywhere, 0, nil, c.printable("-V", &c.EnvID)},
		{0, "require-tls", None, "", "require verified TLS on every hop (REQUIRETLS)", sending, anywhere, 0, nil, yes(&c.RequireTLS)},
		{'B', "body", Required, "TYPE", "declare the body as 7BIT or 8BITMIME", sending, anywhere, 0, nil, c.bodyType},
		{'L', "syslog-tag", Required, "TAG", "name in the system log", sending, anywhere, 0, nil, c.printable("-L", &c.SyslogTag)},

		{0, "setup", Attached, "ADDRESS", "create an account: find the server, test it, save", settingUp | daily, first, Setup, nil, text(&c.Entry)},
		{0, "login", Required, "ACCOUNT", "store an account's password, or log in with OAuth", settingUp | daily, first, Login, nil, text(&c.Account)},
		{0, "import", Attached, "FILE", "import accounts from msmtp, Postfix and others", settingUp | daily, first, Import, nil, text(&c.Entry)},
		{0, "list", None, "", "list the accounts", settingUp, first, Accounts, nil, nil},
		{0, "logout", Required, "ACCOUNT", "delete an account's stored password or token", settingUp, first, Logout, nil, text(&c.Account)},
		{0, "remove", Attached, "ACCOUNT", "remove an account, or with --for machine the service", settingUp, first, Remove, nil, text(&c.Account)},
		{0, "for", Required, "USE", "use: desktop, cron, service, container or machine", settingUp, first, 0, []Mode{Login, Setup, Import, Remove}, text(&c.For)},
		{0, "flow", Required, "WAY", "log in with OAuth by browser, device or paste", settingUp, first, 0, []Mode{Login, Setup}, c.flow},
		{0, "password-file", Required, "FILE", "--setup: read the password from FILE; - is stdin", settingUp, first, 0, []Mode{Setup}, text(&c.Answers.PasswordFile)},
		{0, "providers", None, "", "--setup: list the providers that it knows by name", settingUp, first, 0, []Mode{Setup}, yes(&c.Table)},
		{0, "client-id", Required, "CLIENT", "--setup: OAuth client ID", settingUp, first, 0, []Mode{Setup}, text(&c.Answers.ClientID)},
		{0, "client-secret-file", Required, "FILE", "--setup: file with the OAuth client secret", settingUp, first, 0, []Mode{Setup}, text(&c.Answers.ClientSecretFile)},
		{0, "tenant", Required, "NAME", "--setup: Microsoft tenant", settingUp, first, 0, []Mode{Setup}, text(&c.Answers.Tenant)},
		{0, "ispdb", None, "", "--setup: allow asking Thunderbird's server database", settingUp, first, 0, []Mode{Setup}, yes(&c.Answers.ISPDB)},
		{0, "yes", None, "", "--setup: accept the settings that were found", settingUp, first, 0, []Mode{Setup}, yes(&c.Answers.Yes)},
		{0, "no-test", None, "", "--setup: send no test mail; --login: do not log in", settingUp, first, 0, []Mode{Setup, Login}, yes(&c.Answers.NoTest)},
		{0, "force", None, "", "--setup: save the account even if the test fails", settingUp, first, 0, []Mode{Setup}, yes(&c.Answers.Force)},
		{0, "write", None, "", "--import: save the configuration and the passwords", settingUp, first, 0, []Mode{Import}, yes(&c.Write)},
		{0, "add", None, "", "--import: append to an existing configuration", settingUp, first, 0, []Mode{Import}, yes(&c.Add)},
		{0, "completions", Required, "SHELL", "print completions for bash, zsh or fish", settingUp, first, Completions, nil, text(&c.Entry)},

		{0, "doctor", Attached, "ACCOUNT", "find out why mail does not leave, and what to do", diagnosing | daily, first, Doctor, nil, text(&c.Account)},
		{0, "status", None, "", "show each account's queue and errors (for monitoring)", diagnosing, first, Status, nil, nil},
		{0, "json", None, "", "--doctor, --status: print one JSON object per line", diagnosing, first, 0, []Mode{Doctor, Status}, yes(&c.JSON)},

		{'q', "", Attached, "INTERVAL", "send queued mail now, or every INTERVAL (-q30m)", queueing | daily, anywhere, Run, nil, c.queueNow},
		{0, "queue-show", Required, "ID", "print a queued or failed message", queueing, first, Show, nil, text(&c.Entry)},
		{0, "queue-retry", Required, "ID", "retry a queued or failed message, or ALL queued", queueing, first, Retry, nil, text(&c.Entry)},
		{0, "queue-delete", Required, "ID", "delete a queued or failed message, or ALL queued", queueing, first, Delete, nil, text(&c.Entry)},
		{0, "queue-json", None, "", "list queued and failed messages as JSON", queueing, first, ListJSON, nil, nil},
		{0, "queue-run", Attached, "INTERVAL", "send queued mail that is due (for timers)", queueing, first, Run, nil, c.queueRun},

		{0, "make-spool", None, "", "as root: create a queue for each user, and a timer", serving, first, MakeSpool, nil, nil},
		{0, "listen", Attached, "ADDRESS", "accept mail by SMTP on a local socket or port", serving, first, Listen, nil, text(&c.Entry)},

		{'r', "", Required, "ADDRESS", "same as -f", sendmails, anywhere, 0, nil, c.from},
		{'o', "", Required, "OPTION", "sendmail option; only d, e, i and v have an effect", sendmails, anywhere, 0, nil, c.letterOption},
		{'O', "", Required, "OPTION=VALUE", "the same by name, such as ErrorMode=q", sendmails, anywhere, 0, nil, c.namedOption},
		{'e', "", Required, "MODE", "same as -oe", sendmails, anywhere, 0, nil, func(v string) error { return c.letterOption("e" + v) }},
		{'b', "", Required, "MODE", "m: send, s: SMTP on stdin, p: list queue, v: verify", sendmails, anywhere, 0, nil, c.letterMode},
		{'I', "", None, "", "check the alias file", sendmails, anywhere, Aliases, nil, nil},
		{'d', "", Attached, "LEVEL", "same as -v; -d0.1 prints the version", sendmails, anywhere, 0, nil, c.debug},

		{'A', "", Required, "FILE", "sendmail: choice of its configuration", sendmails, anywhere, 0, nil, nil},
		{'c', "", None, "", "sendmail: hold expensive mail", sendmails, anywhere, 0, nil, nil},
		{'D', "", Required, "FILE", "sendmail: file for debugging output", sendmails, anywhere, 0, nil, nil},
		{'E', "", Attached, "WHAT", "vendors' builds", sendmails, anywhere, 0, nil, nil},
		{'G', "", None, "", "sendmail: relayed through a gateway", sendmails, anywhere, 0, nil, nil},
		{'h', "", Required, "N", "sendmail: hop count", sendmails, anywhere, 0, nil, nil},
		{'J', "", Attached, "WHAT", "vendors' builds", sendmails, anywhere, 0, nil, nil},
		{'m', "", None, "", "sendmail: send to me too", sendmails, anywhere, 0, nil, nil},
		{'M', "", Required, "MACRO", "sendmail: define a macro", sendmails, anywhere, 0, nil, nil},
		{'p', "", Required, "PROTOCOL", "sendmail: protocol and host it came from", sendmails, anywhere, 0, nil, nil},
		{'Q', "", Attached, "REASON", "sendmail: quarantine", sendmails, anywhere, 0, nil, nil},
		{'s', "", None, "", "sendmail: save the From line; not mail's subject", sendmails, mayPrecedeFirst, 0, nil, nil},
		{'T', "", None, "", "sendmail: trace", sendmails, anywhere, 0, nil, nil},
		{'U', "", None, "", "sendmail: SMTPUTF8, which is used when it is needed", sendmails, anywhere, 0, nil, nil},
		{'x', "", None, "", "vendors' builds", sendmails, anywhere, 0, nil, nil},
		{'X', "", Required, "FILE", "sendmail: file for the dialogue", sendmails, anywhere, 0, nil, nil},
		{'4', "", None, "", "ssmtp: IPv4 only", sendmails, anywhere, 0, nil, nil},
		{'6', "", None, "", "ssmtp: IPv6 only", sendmails, anywhere, 0, nil, nil},

		{0, "help", Attached, "all", "print this text, or all options", helping | daily, firstOrSole, Help, nil, text(&c.Entry)},
		{0, "version", None, "", "print the version", helping, firstOrSole, Version, nil, nil},

		{0, "queue-runner", Required, "FOLDER", "", queueing, first, Runner, nil, text(&c.Entry)},
		{0, "queue-as", Required, "UID", "", queueing, first, 0, ofQueue, c.queueAs},
		{0, "queue-folder", Required, "FOLDER", "", queueing, first, 0, ofQueue, text(&c.Folder)},
		{0, "queue-tend", None, "", "", queueing, first, RunOthers, nil, nil},
		{0, "secret-as-cron", Required, "ACCOUNT", "", diagnosing, first, AsCron, nil, text(&c.Account)},
		{0, "complete", None, "", "", settingUp, first, Complete, nil, nil},
	}
}

// forFace returns table in the order in which find searches it for face. A letter with two
// rows, -s, has the row of Sendoff first and that of Sendmail second.
func forFace(face Face, table []Flag) []Flag {
	if face == Sendmail {
		slices.Reverse(table)
	}
	return table
}

// Flags returns the documented options, in the order of --help.
func Flags() iter.Seq[Flag] {
	return func(yield func(Flag) bool) {
		for _, f := range flags(new(Command)) {
			if f.Help != "" && !yield(f) {
				return
			}
		}
	}
}

// Ignored reports whether f is accepted but has no effect.
func (f Flag) Ignored() bool { return f.set == nil && f.mode == 0 }

// mayBeEmpty reports whether f is -f, -r or -F: for these, an empty argument has a meaning.
func (f Flag) mayBeEmpty() bool { return strings.IndexByte("frF", f.Letter) >= 0 }

// forms returns the option as it can be written: -f, --from.
func (f Flag) forms() (forms []string) {
	if f.Letter != 0 {
		forms = append(forms, "-"+string(rune(f.Letter)))
	}
	if f.Long != "" {
		forms = append(forms, "--"+f.Long)
	}
	return forms
}

// misplaced returns the error for an option o that belongs to other modes.
func misplaced(o option, table []Flag) error {
	var forms []string
	for _, m := range o.flag.belongsTo {
		for _, f := range table {
			if f.mode == m && f.Long != "" {
				forms = append(forms, option{flag: &f, form: "--" + f.Long}.synopsis())
			}
		}
	}
	return status.Usage.Errorf("%s can only be used with %s", o.form, status.Either(forms))
}
