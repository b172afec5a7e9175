// Package config reads the configuration files and selects the account of a message. It
// also reads the alias file, which says where mail for local names goes.
//
//	/etc/sendoff/config.toml ─┐                       SENDOFF_*  --server …
//	                          ├─ Load ─ Config ─ Choose ──┴──────────┴─ Account
//	~/.config/sendoff/… ──────┘            name, -f, From, default
//
//	outline   all keys of a file with their places   finds unknown keys and wrong types
//	go-toml   decodes the same file into structs     finds bad syntax and bad values
//	check     the decoded accounts and settings      finds values that do not fit together
//	alias     the alias file                         ignores and reports what is no alias
//
// A setting is a field of Config or Account. Its tags have the TOML name and a sentence of
// documentation. There is no other list of settings: keys are checked against the tags, and
// a test compares sendoff.toml(5) with the tags.
//
// Errors: of kind status.Config, but status.Temporary if the machine lacks memory or
// descriptors, and status.Usage for an option of the command line. An error about a file
// begins with FILE:LINE:COLUMN, or with FILE if it is about the whole file. No error quotes
// a line of a file, because a secret may be in the wrong place; only a server that is
// clearly a host name is quoted.
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

// Values of settings. Off is a value of aliases, queue, runner and log: there is none.
const (
	Off       = "off"
	LogSyslog = "syslog"
	LogStderr = "stderr"
	LogJSON   = "json" // log-format
)

// A Config is the content of all configuration files together.
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

	Listen      string       `toml:"listen" doc:"The Unix socket or the port of --listen, if neither the command line nor a socket unit has one."`
	ListenUsers List[string] `toml:"listen-users" doc:"The users who may submit mail to the Unix socket of --listen, by name or number; without it all users."`
	UserRate    Rate         `toml:"user-rate" doc:"How many messages a user, except root, may submit to --listen per interval; further messages are queued."`

	// Accounts has the user's accounts before the system's, and those of a file in the
	// order of the file.
	Accounts []*Account `toml:"-"`

	// Providers has the providers of access tokens, in the same order.
	Providers []*OAuth2 `toml:"-"`

	// Files are the files that were read, in the order in which they were read.
	Files []string `toml:"-"`

	defaultAt    string                   // FILE:LINE:COLUMN of the setting account
	namesAliases bool                     // a file has the setting aliases
	aliases      func() (*Aliases, error) // reads the alias file at its first call
}

// Load reads the files of p. After a nil error, every account can be used. If there is no
// file, the Config has no account, and only Choose returns an error.
func Load(p Paths) (*Config, error) { return load(p, read) }

// Check is like Load, but text is the content of the file at path, one of p's, which may be
// missing. After a nil error, Load will accept the file if it is trusted.
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

// Default returns the configuration of a system without files: no account, and a queue.
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

// missing reports whether err says that a file does not exist.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// aboutFile adds the name of the file and a kind to err, unless err has them because it is
// about a place in the file.
func aboutFile(path string, err error) error {
	switch {
	case status.KindOf(err) == status.Config:
		return err
	case missing(err):
		return status.Config.Errorf("%s: no such file", path)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EIO):
		return status.Temporary.Errorf("%s: %w", path, err) // a temporary fault of the machine
	}
	if e := new(fs.PathError); errors.As(err, &e) && e.Path == path {
		err = e.Err
	}
	return status.Config.Errorf("%s: %w", path, err)
}

// maxFile is the largest size of a configuration file, in octets.
const maxFile = 1 << 20

var errTooLarge = errors.New("larger than 1 MiB, so it is something else")

// read returns the content of the file at path. It is an error if another user could have
// written the file, or if it has more than most octets. The file that is judged is the open
// file, which is then read.
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

// add adds the file at path to c. Its top-level settings replace those of c; its accounts
// replace those of the same name. A relative path in the file is below the file's folder;
// one that begins with ~/ is below home.
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
	for _, earlier := range c.Accounts {
		if doc.Accounts[earlier.Name] == nil {
			accounts = append(accounts, earlier)
		}
	}
	var providers []*OAuth2
	for _, name := range o.names(oauth2Table) {
		p := doc.OAuth2[name]
		p.Name = name
		resolveRefs(folder, p.ClientSecret)
		if err := p.complete(); err != nil {
			return o.errorf(o.find(oauth2Table, name), "%s %w", dotted([]string{oauth2Table, name}), err)
		}
		providers = append(providers, p)
	}
	for _, earlier := range c.Providers {
		if doc.OAuth2[earlier.Name] == nil {
			providers = append(providers, earlier)
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

// resolvePaths makes the paths of the top-level settings absolute. Those of an earlier file
// are absolute already.
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

// resolveRefs makes the relative paths of refs absolute, below folder.
func resolveRefs(folder string, refs []secret.Ref) {
	for i, ref := range refs {
		refs[i] = ref.In(folder)
	}
}

// Secrets returns the references to all secrets in the files.
func (c *Config) Secrets() (refs []secret.Ref) {
	for _, a := range c.Accounts {
		refs = append(append(refs, a.Secret...), a.ProxySecret...)
	}
	for _, p := range c.Providers {
		refs = append(refs, p.ClientSecret...)
	}
	return refs
}

// resolve returns the absolute path of p, in a file of the given folder.
func resolve(p, folder, home string) string {
	if rest, ok := strings.CutPrefix(p, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(folder, p)
}

// checkTop checks the top-level settings of the file of o.
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

// checkNames checks that names refer to something: the default account, and the providers
// of all accounts. One file may name what another file defines.
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

// find returns the account with this name; nil: there is none.
func (c *Config) find(name string) *Account {
	for _, a := range c.Accounts {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// known lists the names of the accounts, for an error.
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
