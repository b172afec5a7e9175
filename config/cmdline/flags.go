package cmdline

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// A Flag is one row of the table of options.
type Flag struct {
	Letter byte   // 0: it has only a long name
	Long   string // "": it has only a letter
	Arg    Arg
	Value  string // what the manual calls its argument
	Help   string // one line; "" hides a flag of a mode that is not there yet

	at  place
	set func(c *Command, value string) error // nil: accepted without effect
}

// Arg is how an option takes an argument.
type Arg uint8

// The forms of an argument.
const (
	None     Arg = iota
	Required     // -fX, -f X, --from=X, --from X
	Attached     // -qX or bare -q; the next word is never its argument
)

// A place is where an option may stand; see the package comment.
type place uint8

const (
	anywhere place = iota
	first
	firstOrIgnored
	firstOrSole
)

// flags is the table of options: what is parsed, what --help shows, and what
// the manual documents.
var flags = [...]Flag{
	{'a', "account", Required, "ACCOUNT", "use this account", first, account},
	{'C', "config", Required, "FILE", "read this configuration, and no other", firstOrIgnored, config},
	{0, "server", Required, "URL", "use this server instead of an account's", first, server},
	{0, "user", Required, "NAME", "log in under this name", first, user},
	{0, "secret", Required, "SOURCE", "log in with the secret from this source", first, secret},
	{0, "dry-run", None, "", "show what would be sent, and why; send nothing", first, dryRun},
	{0, "rehearse", None, "", "send to a server of our own; show what it got", first, rehearse},
	{0, "queue-run", Attached, "INTERVAL", "send queued mail that is due (for timers)", first, queueRun},
	{0, "queue-json", None, "", "list what waits and what was given up, in JSON", first, become(ListJSON)},
	{0, "status", None, "", "show each account's queue and fault, for monitors", first, become(Status)},
	{0, "queue-show", Required, "ID", "print a message that waits or was given up", first, entry(Show)},
	{0, "queue-delete", Required, "ID", "remove such a message, or ALL that wait", first, entry(Delete)},
	{0, "queue-retry", Required, "ID", "try such a message now, or ALL that wait", first, entry(Retry)},
	{0, "make-spool", None, "", "make a queue for each user, and a timer; as root", first, become(MakeSpool)},
	{0, "listen", Attached, "ADDRESS", "take mail by SMTP on a socket, for many", first, entry(Listen)},
	{0, "setup", Attached, "ADDRESS", "set up an account: find, try, write", first, entry(Setup)},
	{0, "login", Required, "ACCOUNT", "store the secret of an account", first, login},
	{0, "logout", Required, "ACCOUNT", "forget the secret of an account", first, logout},
	{0, "for", Required, "USE", "made for: desktop, cron, service or container", first, use},
	{0, "flow", Required, "WAY", "consent by: browser, device or paste", first, flow},
	{0, "password-file", Required, "FILE", "--setup: read the password there; - is stdin", first, answerPasswordFile},
	{0, "client-id", Required, "ID", "--setup: what an OAuth2 provider knows us by", first, answerClientID},
	{0, "client-secret-file", Required, "FILE", "--setup: the secret that goes with it", first, answerClientSecretFile},
	{0, "tenant", Required, "NAME", "--setup: whose registration it is, at Microsoft", first, answerTenant},
	{0, "ispdb", None, "", "--setup: Mozilla may be told the domain", first, answerISPDB},
	{0, "yes", None, "", "--setup: take what is found", first, answerYes},
	{0, "no-test", None, "", "--setup: log in, but send no test mail", first, answerNoTest},
	{0, "force", None, "", "--setup: write the account if it fails, too", first, answerForce},
	{0, "doctor", Attached, "ACCOUNT", "look for what keeps mail from leaving", first, doctor},
	{0, "json", None, "", "with --doctor, --status: a JSON object a line", first, asJSON},
	{0, "import", Attached, "FILE", "take over msmtp's, ssmtp's, nullmailer's, dma's", first, entry(Import)},
	{0, "write", None, "", "--import: write it, and store the passwords", first, writing},
	{0, "add", None, "", "--import: the same, to a file that is there", first, adding},
	{0, "completions", Required, "SHELL", "print completions for bash, zsh or fish", first, entry(Completions)},
	{0, "version", None, "", "print the version", firstOrSole, become(Version)},
	{0, "help", None, "", "print this text", firstOrSole, become(Help)},

	{'t', "read-recipients", None, "", "take recipients from To, Cc and Bcc too", anywhere, extract},
	{'f', "from", Required, "ADDRESS", "the envelope's sender; empty for none", anywhere, from},
	{'r', "", Required, "ADDRESS", "same as -f", anywhere, from},
	{'F', "full-name", Required, "NAME", "the sender's name, where From is missing", anywhere, fullName},
	{'i', "ignore-dots", None, "", "a line with a single dot does not end the message", anywhere, ignoreDots},
	{'v', "verbose", None, "", "show the dialogue with the server on stderr", anywhere, verbose},
	{'n', "no-aliases", None, "", "do not look recipients up in the alias file", anywhere, noAliases},
	{'N', "notify", Required, "EVENTS", "ask for notices: never, or success,failure,delay", anywhere, notify},
	{'R', "return", Required, "PART", "what a notice returns: full or hdrs", anywhere, returnPart},
	{'V', "envelope-id", Required, "ID", "the identifier that a notice quotes", anywhere, envelopeID},
	{0, "require-tls", None, "", "send only if TLS is sure on the whole way", anywhere, requireTLS},
	{'B', "body", Required, "TYPE", "the body's type: 7BIT or 8BITMIME", anywhere, bodyType},
	{'L', "syslog-tag", Required, "TAG", "the name in the system's log", anywhere, syslogTag},
	{'o', "", Required, "OPTION", "a sendmail option; only d, e, i and v have effect", anywhere, letterOption},
	{'O', "", Required, "OPTION=VALUE", "the same by its name, such as ErrorMode=q", anywhere, namedOption},
	{'e', "", Required, "MODE", "same as -oe", anywhere, errorMode},
	{'b', "", Required, "MODE", "sendmail's mode: m sends, s speaks SMTP, p lists", anywhere, mode},
	{'q', "", Attached, "WHAT", "try what waits now, or again and again each WHAT", anywhere, queueNow},
	{'I', "", None, "", "check the alias file", anywhere, become(Aliases)},
	{'d', "", Attached, "WHAT", "same as -v; -d0.1 prints the version", anywhere, debug},

	{'A', "", Required, "FILE", "sendmail: choice of its configuration", anywhere, nil},
	{'c', "", None, "", "sendmail: hold expensive mail", anywhere, nil},
	{'D', "", Required, "FILE", "sendmail: file for debugging output", anywhere, nil},
	{'E', "", Attached, "WHAT", "vendors' builds", anywhere, nil},
	{'G', "", None, "", "sendmail: relayed through a gateway", anywhere, nil},
	{'h', "", Required, "N", "sendmail: hop count", anywhere, nil},
	{'J', "", Attached, "WHAT", "vendors' builds", anywhere, nil},
	{'m', "", None, "", "sendmail: send to me too", anywhere, nil},
	{'M', "", Required, "MACRO", "sendmail: define a macro", anywhere, nil},
	{'p', "", Required, "PROTOCOL", "sendmail: protocol and host it came from", anywhere, nil},
	{'Q', "", Attached, "REASON", "sendmail: quarantine", anywhere, nil},
	{'s', "", None, "", "sendmail: save the From line; not mail's subject", anywhere, nil},
	{'T', "", None, "", "sendmail: trace", anywhere, nil},
	{'U', "", None, "", "sendmail: SMTPUTF8, which is used when it is needed", anywhere, nil},
	{'x', "", None, "", "vendors' builds", anywhere, nil},
	{'X', "", Required, "FILE", "sendmail: file for the dialogue", anywhere, nil},
	{'4', "", None, "", "ssmtp: IPv4 only", anywhere, nil},
	{'6', "", None, "", "ssmtp: IPv6 only", anywhere, nil},

	{0, "queue-runner", Required, "FOLDER", "", first, entry(Runner)},
	{0, "queue-as", Required, "UID", "", first, queueAs},
	{0, "queue-tend", None, "", "", first, become(Tend)},
	{0, "secret-as-cron", None, "", "", first, become(AsCron)},
}

// Flags returns the options that are to be documented, in the order of --help.
func Flags() iter.Seq[Flag] {
	return func(yield func(Flag) bool) {
		for _, f := range flags {
			if f.Help != "" && !yield(f) {
				return
			}
		}
	}
}

// Ignored reports whether f is accepted without effect.
func (f Flag) Ignored() bool { return f.set == nil }

// entry returns what an option does that names a mode, and what it is about.
func entry(m Mode) func(*Command, string) error {
	return func(c *Command, v string) error {
		c.Mode, c.Entry = m, v
		return nil
	}
}

// become returns what an option does that only names a mode.
func become(m Mode) func(*Command, string) error {
	return func(c *Command, _ string) error {
		c.Mode = m
		return nil
	}
}

func account(c *Command, v string) error  { c.Account = v; return nil }
func config(c *Command, v string) error   { c.Config = v; return nil }
func server(c *Command, v string) error   { c.Server = v; return nil }
func user(c *Command, v string) error     { c.User = v; return nil }
func secret(c *Command, v string) error   { c.Secret = v; return nil }
func dryRun(c *Command, _ string) error   { c.Mode, c.DryRun = Submit, true; return nil }
func rehearse(c *Command, _ string) error { c.Mode, c.Rehearse = Submit, true; return nil }
func login(c *Command, v string) error    { c.Mode, c.Account = Login, v; return nil }
func logout(c *Command, v string) error   { c.Mode, c.Account = Logout, v; return nil }

func use(c *Command, v string) error                { c.For = v; return nil }
func answerPasswordFile(c *Command, v string) error { c.Answers.PasswordFile = v; return nil }
func answerClientID(c *Command, v string) error     { c.Answers.ClientID = v; return nil }
func answerTenant(c *Command, v string) error       { c.Answers.Tenant = v; return nil }
func answerClientSecretFile(c *Command, v string) error {
	c.Answers.ClientSecretFile = v
	return nil
}
func answerISPDB(c *Command, _ string) error  { c.Answers.ISPDB = true; return nil }
func answerYes(c *Command, _ string) error    { c.Answers.Yes = true; return nil }
func answerNoTest(c *Command, _ string) error { c.Answers.NoTest = true; return nil }
func answerForce(c *Command, _ string) error  { c.Answers.Force = true; return nil }

func asJSON(c *Command, _ string) error { c.JSON = true; return nil }

func doctor(c *Command, v string) error {
	c.Mode = Doctor
	if v != "" {
		c.Account = v
	}
	return nil
}
func writing(c *Command, _ string) error { c.Write = "--write"; return nil }
func adding(c *Command, _ string) error  { c.Write = "--add"; return nil }

// ways is the ways to a person's consent (OAuth2).
const ways = "browser device paste"

func flow(c *Command, v string) error {
	if !slices.Contains(strings.Fields(ways), v) {
		return fmt.Errorf("there is no way %q; it is %s", v, strings.ReplaceAll(ways, " ", ", "))
	}
	c.Flow = v
	return nil
}

func extract(c *Command, _ string) error    { c.Extract = true; return nil }
func from(c *Command, v string) error       { c.From = &v; return nil }
func ignoreDots(c *Command, _ string) error { c.IgnoreDots = true; return nil }
func verbose(c *Command, _ string) error    { c.Verbose = true; return nil }
func noAliases(c *Command, _ string) error  { c.NoAliases = true; return nil }

func requireTLS(c *Command, _ string) error { c.RequireTLS = true; return nil }

func debug(c *Command, v string) error {
	if v == "0.1" {
		c.Mode = Version
	} else {
		c.Verbose = true
	}
	return nil
}

func mode(c *Command, v string) error {
	for _, row := range modes {
		for _, letter := range row.letters {
			if v == string(letter) {
				c.Mode = row.mode
				c.QueueOnly = v == "q"
				return nil
			}
		}
	}
	return fmt.Errorf("there is no mode %q", v)
}
