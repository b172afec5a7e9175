package cmdline

// A Face is what the program is to its caller, by the name it was called.
type Face uint8

// The faces. Only the names sendoff and sendoff.exe are the sendoff face.
const (
	Sendmail Face = iota
	Sendoff
)

// A Mode is what a command line asks for.
type Mode uint8

// The modes.
const (
	Submit      Mode = iota + 1 // send the message on stdin
	Nothing                     // end with 0, without output
	Version                     // print the version
	Help                        // print Usage
	CheckConfig                 // load the configuration and say whether it is good
	Login                       // store the secret of Account
	Logout                      // forget the secret of Account
	List                        // list the queue as mailq does
	Count                       // print how many entries it has
	ListJSON                    // list it, a JSON object a line
	Status                      // say how each account does, for a monitor
	Show                        // print the entry Entry
	Delete                      // remove the entry Entry, or ALL
	Retry                       // try the entry Entry, or ALL, now
	Run                         // run the queue as Run says
	Runner                      // run the queue in the folder Entry until it is empty
	Tend                        // run the queues of users that no service runs
	MakeSpool                   // make the folder of all users' queues
	Server                      // take mail by SMTP on stdin and stdout
	Listen                      // take it on the socket Entry, or on those of a socket unit if that is empty
	Verify                      // say where the mail for Recipients would go
	Aliases                     // say what is wrong with the alias file
	Setup                       // make an account for the address Entry, or ask whose; Answers goes with it
	Accounts                    // list the accounts
	Doctor                      // look for what keeps mail from leaving by Account, or by the one that is chosen
	AsCron                      // fetch the secret of an account, as cron would
	Import                      // take over the configuration Entry of another program, or the one that is found
	Completions                 // print what the shell Entry needs to complete a command line
	Complete                    // print what the last of Words can be
	Unavailable                 // one of other sendmails, which Parse returns only together with an error
)

// modes is what may follow -b, beside what is unavailable.
var modes = map[string]Mode{
	"m": Submit, "a": Submit, "q": Submit,
	"h": Nothing, "H": Nothing,
	"V": Version,
	"C": CheckConfig, "O": CheckConfig,
	"p": List,
	"P": Count,
	"s": Server,
	"v": Verify,
	"i": Aliases,
}

const noDaemon = "sendoff only sends mail and cannot run as a mail server"

// unavailable says why what else may follow -b ends with 64.
var unavailable = map[string]string{
	"d": noDaemon, "D": noDaemon, "l": noDaemon,
	"t": "test mode is not supported; use sendoff --dry-run",
	"S": "batched SMTP is not supported",
	"z": "a frozen configuration is not supported",
}

// operands says what one word beside a mode can be, for the modes that take one.
var operands = map[Mode]string{Setup: "an address", Listen: "an address", Import: "a file", Doctor: "an account", Help: "all"}

// names is what the program's other names stand for: the option that is put
// before the arguments. Every name that is not here, and is not sendoff, is
// sendmail.
var names = map[string]string{
	"mailq":      "-bp",
	"newaliases": "-bi",
	"runq":       "-q",
	"rmail":      "-i",
	"hoststat":   "-bh",
	"purgestat":  "-bH",
	"smtpd":      "-bd",
}
