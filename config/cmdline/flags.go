package cmdline

import (
	"iter"
	"strings"

	"sendoff/submit/status"
)

// A Flag is one row of the table of options.
type Flag struct {
	Letter byte   // 0: it has only a long name
	Long   string // "": it has only a letter
	Arg    Arg
	Value  string // what the manual calls its argument
	Help   string // one line; "" hides a flag that only sendoff itself writes

	at   position
	mode Mode   // the mode that it asks for; 0: none, or set knows which
	of   []Mode // the modes that it belongs to; nil: all
	set  func(value string) error
}

// Arg is how an option takes an argument.
type Arg uint8

// The forms of an argument.
const (
	None     Arg = iota
	Required     // -fX, -f X, --from=X, --from X
	Attached     // -qX or bare -q; the next word is never its argument
)

// A position is where an option may stand; see the package comment.
type position uint8

const (
	anywhere position = iota
	first
	firstOrIgnored
	firstOrSole
)

// flags is the table of options: what is parsed, what --help shows, what shells
// complete, and what the manual documents. What the options say is written to c.
//
// To add an option: a row here, and an item in sendoff(1). A row that asks for a
// new mode goes with a row of the modes in package program.
func flags(c *Command) []Flag {
	return []Flag{
		{'a', "account", Required, "ACCOUNT", "use this account", first, 0, nil, text(&c.Account)},
		{'C', "config", Required, "FILE", "read this configuration, and no other", firstOrIgnored, 0, nil, text(&c.Config)},
		{0, "server", Required, "URL", "use this server instead of an account's", first, 0, nil, text(&c.Server)},
		{0, "user", Required, "NAME", "log in under this name", first, 0, nil, text(&c.User)},
		{0, "secret", Required, "SOURCE", "log in with the secret from this source", first, 0, nil, text(&c.Secret)},
		{0, "dry-run", None, "", "show what would be sent, and why; send nothing", first, Submit, nil, yes(&c.DryRun)},
		{0, "rehearse", None, "", "send to a server of our own; show what it got", first, Submit, nil, yes(&c.Rehearse)},
		{0, "queue-run", Attached, "INTERVAL", "send queued mail that is due (for timers)", first, Run, nil, c.queueRun},
		{0, "queue-json", None, "", "list what waits and what was given up, in JSON", first, ListJSON, nil, nil},
		{0, "status", None, "", "show each account's queue and fault, for monitors", first, Status, nil, nil},
		{0, "queue-show", Required, "ID", "print a message that waits or was given up", first, Show, nil, text(&c.Entry)},
		{0, "queue-delete", Required, "ID", "remove such a message, or ALL that wait", first, Delete, nil, text(&c.Entry)},
		{0, "queue-retry", Required, "ID", "try such a message now, or ALL that wait", first, Retry, nil, text(&c.Entry)},
		{0, "make-spool", None, "", "make a queue for each user, and a timer; as root", first, MakeSpool, nil, nil},
		{0, "listen", Attached, "ADDRESS", "take mail by SMTP on a socket, for many", first, Listen, nil, text(&c.Entry)},
		{0, "setup", Attached, "ADDRESS", "set up an account: find, try, write", first, Setup, nil, text(&c.Entry)},
		{0, "providers", None, "", "--setup: list the providers that it knows by name", first, 0, []Mode{Setup}, yes(&c.Table)},
		{0, "list", None, "", "list the accounts", first, Accounts, nil, nil},
		{0, "login", Required, "ACCOUNT", "store the secret of an account", first, Login, nil, text(&c.Account)},
		{0, "logout", Required, "ACCOUNT", "forget the secret of an account", first, Logout, nil, text(&c.Account)},
		{0, "for", Required, "USE", "made for: desktop, cron, service or container", first, 0, []Mode{Login, Setup, Import}, text(&c.For)},
		{0, "flow", Required, "WAY", "consent by: browser, device or paste", first, 0, []Mode{Login, Setup}, c.flow},
		{0, "password-file", Required, "FILE", "--setup: read the password there; - is stdin", first, 0, []Mode{Setup}, text(&c.Answers.PasswordFile)},
		{0, "client-id", Required, "CLIENT", "--setup: what an OAuth2 provider knows us by", first, 0, []Mode{Setup}, text(&c.Answers.ClientID)},
		{0, "client-secret-file", Required, "FILE", "--setup: the secret that goes with it", first, 0, []Mode{Setup}, text(&c.Answers.ClientSecretFile)},
		{0, "tenant", Required, "NAME", "--setup: whose registration it is, at Microsoft", first, 0, []Mode{Setup}, text(&c.Answers.Tenant)},
		{0, "ispdb", None, "", "--setup: Mozilla may be told the domain", first, 0, []Mode{Setup}, yes(&c.Answers.ISPDB)},
		{0, "yes", None, "", "--setup: take what is found", first, 0, []Mode{Setup}, yes(&c.Answers.Yes)},
		{0, "no-test", None, "", "--setup: log in, but send no test mail", first, 0, []Mode{Setup}, yes(&c.Answers.NoTest)},
		{0, "force", None, "", "--setup: write the account if it fails, too", first, 0, []Mode{Setup}, yes(&c.Answers.Force)},
		{0, "doctor", Attached, "ACCOUNT", "look for what keeps mail from leaving", first, Doctor, nil, text(&c.Account)},
		{0, "json", None, "", "with --doctor, --status: a JSON object a line", first, 0, []Mode{Doctor, Status}, yes(&c.JSON)},
		{0, "import", Attached, "FILE", "take over msmtp's, ssmtp's, nullmailer's, dma's", first, Import, nil, text(&c.Entry)},
		{0, "write", None, "", "--import: write it, and store the passwords", first, 0, []Mode{Import}, yes(&c.Write)},
		{0, "add", None, "", "--import: the same, to a file that is there", first, 0, []Mode{Import}, yes(&c.Add)},
		{0, "completions", Required, "SHELL", "print completions for bash, zsh or fish", first, Completions, nil, text(&c.Entry)},
		{0, "version", None, "", "print the version", firstOrSole, Version, nil, nil},
		{0, "help", None, "", "print this text", firstOrSole, Help, nil, nil},

		{'t', "read-recipients", None, "", "take recipients from To, Cc and Bcc too", anywhere, 0, nil, yes(&c.Extract)},
		{'f', "from", Required, "ADDRESS", "the envelope's sender; empty for none", anywhere, 0, nil, c.from},
		{'r', "", Required, "ADDRESS", "same as -f", anywhere, 0, nil, c.from},
		{'F', "full-name", Required, "NAME", "the sender's name, where From is missing", anywhere, 0, nil, c.fullName},
		{'i', "ignore-dots", None, "", "a line with a single dot does not end the message", anywhere, 0, nil, yes(&c.IgnoreDots)},
		{'v', "verbose", None, "", "show the dialogue with the server on stderr", anywhere, 0, nil, yes(&c.Verbose)},
		{'n', "no-aliases", None, "", "do not look recipients up in the alias file", anywhere, 0, nil, yes(&c.NoAliases)},
		{'N', "notify", Required, "EVENTS", "ask for notices: never, or success,failure,delay", anywhere, 0, nil, c.notify},
		{'R', "return", Required, "PART", "what a notice returns: full or hdrs", anywhere, 0, nil, c.returnPart},
		{'V', "envelope-id", Required, "ENVID", "the identifier that a notice quotes", anywhere, 0, nil, c.printable("-V", &c.EnvID)},
		{0, "require-tls", None, "", "send only if TLS is sure on the whole way", anywhere, 0, nil, yes(&c.RequireTLS)},
		{'B', "body", Required, "TYPE", "the body's type: 7BIT or 8BITMIME", anywhere, 0, nil, c.bodyType},
		{'L', "syslog-tag", Required, "TAG", "the name in the system's log", anywhere, 0, nil, c.printable("-L", &c.SyslogTag)},
		{'o', "", Required, "OPTION", "a sendmail option; only d, e, i and v have effect", anywhere, 0, nil, c.letterOption},
		{'O', "", Required, "OPTION=VALUE", "the same by its name, such as ErrorMode=q", anywhere, 0, nil, c.namedOption},
		{'e', "", Required, "MODE", "same as -oe", anywhere, 0, nil, func(v string) error { return c.letterOption("e" + v) }},
		{'b', "", Required, "MODE", "sendmail's mode: m sends, s speaks SMTP, p lists", anywhere, 0, nil, c.letterMode},
		{'q', "", Attached, "WHAT", "try what waits now, or again and again each WHAT", anywhere, Run, nil, c.queueNow},
		{'I', "", None, "", "check the alias file", anywhere, Aliases, nil, nil},
		{'d', "", Attached, "WHAT", "same as -v; -d0.1 prints the version", anywhere, 0, nil, c.debug},

		{'A', "", Required, "FILE", "sendmail: choice of its configuration", anywhere, 0, nil, nil},
		{'c', "", None, "", "sendmail: hold expensive mail", anywhere, 0, nil, nil},
		{'D', "", Required, "FILE", "sendmail: file for debugging output", anywhere, 0, nil, nil},
		{'E', "", Attached, "WHAT", "vendors' builds", anywhere, 0, nil, nil},
		{'G', "", None, "", "sendmail: relayed through a gateway", anywhere, 0, nil, nil},
		{'h', "", Required, "N", "sendmail: hop count", anywhere, 0, nil, nil},
		{'J', "", Attached, "WHAT", "vendors' builds", anywhere, 0, nil, nil},
		{'m', "", None, "", "sendmail: send to me too", anywhere, 0, nil, nil},
		{'M', "", Required, "MACRO", "sendmail: define a macro", anywhere, 0, nil, nil},
		{'p', "", Required, "PROTOCOL", "sendmail: protocol and host it came from", anywhere, 0, nil, nil},
		{'Q', "", Attached, "REASON", "sendmail: quarantine", anywhere, 0, nil, nil},
		{'s', "", None, "", "sendmail: save the From line; not mail's subject", anywhere, 0, nil, nil},
		{'T', "", None, "", "sendmail: trace", anywhere, 0, nil, nil},
		{'U', "", None, "", "sendmail: SMTPUTF8, which is used when it is needed", anywhere, 0, nil, nil},
		{'x', "", None, "", "vendors' builds", anywhere, 0, nil, nil},
		{'X', "", Required, "FILE", "sendmail: file for the dialogue", anywhere, 0, nil, nil},
		{'4', "", None, "", "ssmtp: IPv4 only", anywhere, 0, nil, nil},
		{'6', "", None, "", "ssmtp: IPv6 only", anywhere, 0, nil, nil},

		{0, "queue-runner", Required, "FOLDER", "", first, Runner, nil, text(&c.Entry)},
		{0, "queue-as", Required, "UID", "", first, 0, []Mode{List, Count, Status, ListJSON, Show, Delete, Retry, Run}, c.queueAs},
		{0, "queue-tend", None, "", "", first, Tend, nil, nil},
		{0, "secret-as-cron", Required, "ACCOUNT", "", first, AsCron, nil, text(&c.Account)},
		{0, "complete", None, "", "", first, Complete, nil, nil},
	}
}

// Flags returns the options that are to be documented, in the order of --help.
func Flags() iter.Seq[Flag] {
	return func(yield func(Flag) bool) {
		for _, f := range flags(new(Command)) {
			if f.Help != "" && !yield(f) {
				return
			}
		}
	}
}

// Ignored reports whether f is accepted without effect.
func (f Flag) Ignored() bool { return f.set == nil && f.mode == 0 }

// forms returns the option as it may be written.
func (f Flag) forms() (forms []string) {
	if f.Letter != 0 {
		forms = append(forms, "-"+string(rune(f.Letter)))
	}
	if f.Long != "" {
		forms = append(forms, "--"+f.Long)
	}
	return forms
}

// misplaced returns the error of an option o that belongs to other modes than the
// one that is asked for.
func misplaced(o option, table []Flag) error {
	var forms []string
	for _, m := range o.flag.of {
		for _, f := range table {
			if f.mode == m && f.Long != "" {
				forms = append(forms, option{flag: &f, form: "--" + f.Long}.synopsis())
			}
		}
	}
	return status.Usage.Errorf("%s stands only with %s", o.form, strings.Join(forms, " or "))
}
