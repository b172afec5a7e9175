// Package config reads the configuration files, and finds the account that a
// message goes through; and the alias file, which says whose mail goes to whom.
//
//	/etc/sendoff/config.toml ─┐                       SENDOFF_*  --server …
//	                          ├─ Load ─ Config ─ Choose ──┴──────────┴─ Account
//	~/.config/sendoff/… ──────┘            name, -f, From, default
//
//	outline   every key of a file and its place     what is not known, or of the wrong type
//	go-toml   the same file, decoded into structs   what is not TOML, or a value that makes no sense
//	check     accounts and top together             what does not fit together
//	alias     the alias file                        what is no alias: left out, and told
//
// A setting is a field of Config or Account with its TOML name and one line of
// documentation in its tag. Nothing else lists the settings: keys are checked
// against the tags, and a test holds sendoff.toml(5) against them.
//
// Errors: everything is of kind status.Config (status.Temporary where the machine
// is short of something), and an error about a file begins with FILE:LINE:COLUMN,
// or with FILE if it is about the file as a whole. No error quotes a file's
// lines, which may hold a secret in the wrong place; only a server that is
// plainly a host name is shown again. A bad option on the command line is
// status.Usage.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2"

	"sendoff/submit/process"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// Values of settings. Off is one of aliases, queue, runner and log: there is
// none.
const (
	Off       = "off"
	LogSyslog = "syslog"
	LogStderr = "stderr"
	LogJSON   = "json" // log-format
)

// A Config is what the files say, together.
type Config struct {
	Account  string `toml:"account" doc:"The default account, if no rule selects another one."`
	Hostname string `toml:"hostname" doc:"The name to greet servers with, instead of this host's."`
	Domain   string `toml:"domain" doc:"The domain that is added to bare names, of senders and recipients alike."`
	Aliases  string `toml:"aliases" doc:"The alias file, which says where mail for local names goes, or off."`
	Queue    string `toml:"queue" doc:"The folder of the queue, for mail that cannot be sent now, or off."`

	QueueLimit    Size           `toml:"queue-limit" doc:"How many octets a user's queue may have, all messages together."`
	Lifetime      Duration       `toml:"lifetime" doc:"How long a message is tried before it fails."`
	Retry         List[Duration] `toml:"retry" doc:"How long to wait before the next attempt: the first interval, and the longest one."`
	Sessions      int            `toml:"sessions" doc:"How many sessions with one account a user can have at once."`
	Runner        string         `toml:"runner" doc:"Whether a process is started that sends queued mail: auto, on or off."`
	Log           string         `toml:"log" doc:"Where deliveries are logged: syslog, stderr, off or a file."`
	LogFormat     string         `toml:"log-format" doc:"The format of the log: text or json."`
	NotifyCommand string         `toml:"notify-command" doc:"A command to run when a person should know: a message failed and nobody could be told by mail, or mail has not left for an hour."`

	ListenUsers List[string] `toml:"listen-users" doc:"The users who may submit mail to the Unix socket of --listen, by name or number; without it all users."`
	UserRate    Rate         `toml:"user-rate" doc:"How many messages a user, except root, may submit to --listen per interval; further messages are queued."`

	// Accounts holds the user's accounts before the system's, and those of
	// one file in its order.
	Accounts []*Account `toml:"-"`

	// Providers holds those of access tokens, likewise.
	Providers []*OAuth2 `toml:"-"`

	// Files are the files that were read, in that order.
	Files []string `toml:"-"`

	defaultAt    string                   // where account was set, as FILE:LINE:COLUMN
	namesAliases bool                     // aliases was set
	aliases      func() (*Aliases, error) // reads them once
}

// Load reads the files of p. When its error is nil, every account in the Config
// can be used as it is. Without any file the Config is empty, which only Choose
// minds.
func Load(p Paths) (*Config, error) { return load(p, read) }

// Check is Load with text as the content of the file at path, which is one of
// p's and need not be there. When its error is nil, Load takes that file if it
// can be trusted.
func Check(p Paths, path, text string) (*Config, error) {
	return load(p, func(name string, most int) ([]byte, error) {
		if name == path {
			return []byte(text), nil
		}
		return read(name, most)
	})
}

func load(p Paths, read func(path string, most int) ([]byte, error)) (*Config, error) {
	c := Default()
	files := []string{p.System, p.User}
	if p.Explicit != "" {
		files = []string{p.Explicit}
	}
	for _, path := range files {
		if path == "" {
			continue
		}
		data, err := read(path, maxFile)
		if missing(err) && p.Explicit == "" {
			continue
		}
		if err == nil {
			err = c.add(path, data, p.Home)
		}
		if err != nil {
			return nil, aboutFile(path, err)
		}
	}
	return c, c.checkNames()
}

// Default returns what holds without any file: no account, and a queue.
func Default() *Config {
	c := &Config{
		Aliases:    defaultAliases,
		QueueLimit: 1 << 30,
		Lifetime:   Duration{5 * 24 * time.Hour},
		Retry:      List[Duration]{{time.Minute}, {time.Hour}},
		Sessions:   2,
		Runner:     "auto",
		Log:        LogSyslog,
		LogFormat:  "text",
	}
	c.aliases = sync.OnceValues(c.readAliases)
	return c
}

// missing reports whether err says that there is no such file.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// aboutFile gives an error about a file as a whole the file's name and its kind;
// one about a place in it has them.
func aboutFile(path string, err error) error {
	switch {
	case status.KindOf(err) == status.Config:
		return err
	case missing(err):
		return status.Config.Errorf("%s: no such file", path)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EIO):
		return status.Temporary.Errorf("%s: %w", path, err) // the machine's fault, and not for long
	}
	if e := new(fs.PathError); errors.As(err, &e) && e.Path == path {
		err = e.Err
	}
	return status.Config.Errorf("%s: %w", path, err)
}

// maxFile is the size at which a file is taken for something else.
const maxFile = 1 << 20

var errTooLarge = errors.New("larger than 1 MiB, so it is something else")

// read returns the content of the file at path, which nobody but root and the
// user could have written, and has at most that many octets. The descriptor
// that was judged is the one read.
func read(path string, most int) ([]byte, error) {
	f, err := process.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := process.Trust(f, path); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if len(data) > most {
		return nil, errTooLarge
	}
	return data, err
}

// add puts what the file at path says on top of c: its top-level settings
// replace c's, and so does an account of the same name. A relative path in it
// is below its folder, and one that begins with ~/ below home.
func (c *Config) add(path string, data []byte, home string) error {
	o := newOutline(path, data)
	if err := o.check(); err != nil {
		return err
	}
	var doc struct {
		Config
		Accounts map[string]*Account `toml:"accounts"`
		OAuth2   map[string]*OAuth2  `toml:"oauth2"`
	}
	doc.Config = *c
	if err := toml.Unmarshal(data, &doc); err != nil {
		return o.decodeError(err)
	}
	if err := doc.checkTop(o, home); err != nil {
		return err
	}
	where, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	folder := filepath.Dir(where)
	doc.resolvePaths(folder, home)
	doc.namesAliases = doc.namesAliases || o.has("aliases")
	var accounts []*Account
	for _, name := range o.names(accountsTable) {
		a := doc.Accounts[name]
		a.Name, a.File = name, where
		a.resolvePaths(folder, home)
		if err := a.check(o); err != nil {
			return err
		}
		accounts = append(accounts, a)
	}
	for _, old := range c.Accounts {
		if doc.Accounts[old.Name] == nil {
			accounts = append(accounts, old)
		}
	}
	var providers []*OAuth2
	for _, name := range o.names(oauth2Table) {
		p := doc.OAuth2[name]
		p.Name = name
		below(folder, p.ClientSecret)
		if err := p.complete(); err != nil {
			return o.errorf(o.find(oauth2Table, name), "%s %w", dotted([]string{oauth2Table, name}), err)
		}
		providers = append(providers, p)
	}
	for _, old := range c.Providers {
		if doc.OAuth2[old.Name] == nil {
			providers = append(providers, old)
		}
	}
	*c = doc.Config
	c.Accounts, c.Providers = accounts, providers
	c.Files = append(c.Files, path)
	if o.has("account") {
		c.defaultAt = o.place(o.find("account"))
	}
	return nil
}

// resolvePaths resolves the paths of the top-level settings. One of an earlier file
// is absolute, and stays.
func (c *Config) resolvePaths(folder, home string) {
	paths := []*string{&c.Aliases, &c.Queue}
	if c.Log != LogSyslog && c.Log != LogStderr {
		paths = append(paths, &c.Log)
	}
	for _, p := range paths {
		if *p != Off {
			*p = resolve(*p, folder, home)
		}
	}
}

// below makes the relative paths of refs those below folder.
func below(folder string, refs []secret.Ref) {
	for i, ref := range refs {
		refs[i] = ref.In(folder)
	}
}

// Secrets returns where the secrets are that the files name.
func (c *Config) Secrets() (refs []secret.Ref) {
	for _, a := range c.Accounts {
		refs = append(append(refs, a.Secret...), a.ProxySecret...)
	}
	for _, p := range c.Providers {
		refs = append(refs, p.ClientSecret...)
	}
	return refs
}

// resolve returns the path that p means in a file of the given folder.
func resolve(p, folder, home string) string {
	if rest, ok := strings.CutPrefix(p, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(folder, p)
}

// checkTop checks the values of the top-level settings that o's file has.
func (c *Config) checkTop(o *outline, home string) error {
	if _, err := process.Argv(c.NotifyCommand, home); o.has("notify-command") && err != nil {
		return o.errorf(o.find("notify-command"), "notify-command: %w", err)
	}
	return o.firstOf([]mistake{
		{"hostname", !isDomain(c.Hostname), "is not a host name"},
		{"domain", !isDomain(c.Domain), "is not a domain"},
		{"aliases", c.Aliases == "", `is a file, or "off"`},
		{"queue", c.Queue == "", `is a folder, or "off"`},
		{"log", c.Log == "", `is "syslog", "stderr", "off" or a file`},
		{"log-format", c.LogFormat != "text" && c.LogFormat != LogJSON, `is "text" or "json"`},
		{"queue-limit", c.QueueLimit < 0, "must not be negative"},
		{"retry", len(c.Retry) != 2 || c.Retry[0].Duration > c.Retry[1].Duration, `is two times, the first wait and the longest, as in ["1m", "1h"]`},
		{"sessions", c.Sessions < 1, "must be 1 or more"},
		{"runner", !isRunner(c.Runner), `is "auto", "on" or "off"`},
	})
}

// checkNames checks that what is named exists, which one file may name and another
// define: the default account, and the providers of all accounts.
func (c *Config) checkNames() error {
	if c.defaultAt != "" && c.find(c.Account) == nil {
		return status.Config.Errorf("%s: account = %q names no account; %s", c.defaultAt, c.Account, c.known())
	}
	for _, a := range c.Accounts {
		if err := c.checkProviders(a); err != nil {
			return fmt.Errorf("%s: secret %w", a.secretAt, err)
		}
	}
	return nil
}

// find returns the account of that name, or nil.
func (c *Config) find(name string) *Account {
	for _, a := range c.Accounts {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// known lists the accounts for an error that has to do without one.
func (c *Config) known() string {
	if len(c.Accounts) == 0 {
		return "no account is configured"
	}
	names := make([]string, len(c.Accounts))
	for i, a := range c.Accounts {
		names[i] = a.Name
	}
	return "known accounts: " + strings.Join(names, ", ")
}
