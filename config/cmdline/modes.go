package cmdline

// A Face is the behaviour of the program: as sendoff or as sendmail.
type Face uint8

// The faces. Only the names sendoff and sendoff.exe select Sendoff.
const (
	Sendmail Face = iota
	Sendoff
)

// A Mode is what the process has to do.
type Mode uint8

// The modes.
const (
	Submit      Mode = iota + 1 // submit the message on stdin
	Nothing                     // exit with 0, without output
	Version                     // print the version
	Help                        // print Usage
	CheckConfig                 // load the configuration and report errors
	Login                       // store the secret of Account
	Logout                      // delete the secret of Account
	Remove                      // remove Account, or for machine the service
	List                        // list the queue as mailq does
	Count                       // print how many entries the queue has
	ListJSON                    // list the queue, a JSON object per line
	Status                      // print the state of each account, for a monitor
	Show                        // print the entry Entry
	Delete                      // remove the entry Entry, or ALL
	Retry                       // retry the entry Entry, or ALL
	Run                         // run the queue, as the field Run says
	Runner                      // run the queue in the folder Entry until it is empty
	RunOthers                   // run the queues of the users for whom systemd has no unit
	MakeSpool                   // make the folder for the queues of all users
	Server                      // accept mail by SMTP on stdin and stdout
	Listen                      // accept mail by SMTP on the socket Entry; "": on the sockets of a socket unit
	Verify                      // print where mail to Recipients would go
	Aliases                     // report errors in the alias file
	Setup                       // make an account for the address Entry; "": ask for the address; uses Answers
	Accounts                    // list the accounts
	Doctor                      // find out why mail of Account does not leave; "": of the account that is selected
	AsCron                      // read the secret of an account in cron's environment
	Import                      // import the configuration Entry of another program; "": the one that is found
	Completions                 // print the completions for the shell Entry
	Complete                    // print the candidates for the last of Words
	Unavailable                 // a mode of other sendmails; Parse returns an error with it
)

// modes has the modes that -b can select, without those that are unavailable.
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

// unavailable says why sendoff refuses the other modes of -b, with exit code 64.
var unavailable = map[string]string{
	"d": noDaemon, "D": noDaemon, "l": noDaemon,
	"t": "test mode is not supported; use sendoff --dry-run",
	"S": "batched SMTP is not supported",
	"z": "a frozen configuration is not supported",
}

// operands says, for each mode that takes an operand, what the operand is.
var operands = map[Mode]string{Setup: "an address", Listen: "an address", Import: "a file", Doctor: "an account", Remove: "an account", Help: "all"}

// names has the options for which other names of the program stand: the option is put
// before the arguments. Every other name, except sendoff, is sendmail.
var names = map[string]string{
	"mailq":      "-bp",
	"newaliases": "-bi",
	"runq":       "-q",
	"rmail":      "-i",
	"hoststat":   "-bh",
	"purgestat":  "-bH",
	"smtpd":      "-bd",
}
