package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"sendoff/submit/envelope"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// An Override has settings of the environment or the command line that replace those of the
// files. An empty field replaces nothing.
type Override struct {
	Config   string // the configuration file, as an absolute path
	UserFile string // the user's own file, if it is not at the path that the system implies
	Home     string // the folder that ~ in the files means, if it is not the system's home
	Account  string // the name of an account
	Server   string // as in a file
	User     string
	Secret   string // a source, never a password
	From     string // an address or pattern, as in a file; only in the environment
	Queue    string // as in a file; only in the environment; not a setting of an account
	Runner   string // as Queue
}

// Locate returns an Override with the paths that the environment now implies, so that they
// can be found again in another environment. explicit is the argument of --config or
// SENDOFF_CONFIG, or "".
func Locate(explicit string, getenv func(string) string, id Identity) Override {
	withEnv, withoutEnv := Find(explicit, getenv, id), Find(explicit, func(string) string { return "" }, id)
	o := Override{Config: explicit}
	if path, err := filepath.Abs(explicit); err == nil && explicit != "" {
		o.Config = path
	}
	if withEnv.User != withoutEnv.User {
		o.UserFile = withEnv.User
	}
	if withEnv.Home != withoutEnv.Home {
		o.Home = withEnv.Home
	}
	return o
}

// Paths returns the paths of o. It does not use the environment.
func (o Override) Paths(id Identity) Paths {
	p := Find(o.Config, func(string) string { return "" }, id)
	p.User, p.Home = cmp.Or(o.UserFile, p.User), cmp.Or(o.Home, p.Home)
	return p
}

// A Choice has all that selects the account of a message.
type Choice struct {
	Sender      envelope.Address // the argument of -f; zero if there is none, or for <>
	Header      envelope.Address // the address in the From field; zero if there is none
	CommandLine Override
	Environment Override
}

// The names of the accounts made from --server and SENDOFF_SERVER.
const (
	OfCommandLine = "command-line"
	OfEnvironment = "environment"
)

// NameInFile returns name if it can be the argument of --account; "" if the account is in
// no file.
func NameInFile(name string) string {
	if name == OfCommandLine || name == OfEnvironment {
		return ""
	}
	return name
}

// Choose returns the account that choice selects, and the reason in words. The first that
// applies counts: the account that is named; an account selected by the sender of -f; an
// account selected by the address in the From field; the default account. If an address
// selects several accounts, an account with the full address comes before one with a
// pattern, the default account before others, and the earlier in the files before the
// later.
//
// The account is a copy with the overrides of choice. If no account is selected, a server
// of choice makes an account. Otherwise the server replaces the account's servers; if its
// host is not one of theirs, all settings for the old hosts are removed: user, secret,
// certificate, fingerprint. Then why says whose user and secret are not used. In the
// result, all references are valid, and their providers exist.
func (c *Config) Choose(choice Choice) (a *Account, why string, err error) {
	chosen, why, err := c.choose(choice)
	if err != nil {
		return nil, "", err
	}
	account := *chosen
	env := choice.Environment
	switch {
	case env.Account != "" && env.Account != account.Name:
		env = Override{} // the variables are about another account
	case env.Account == "" && env.Server == "" && c.Standard() != chosen:
		env.User, env.Secret = "", "" // these variables are for the default account
	}
	source, text := "secret", ""
	for _, row := range []struct {
		override Override
		from     origin
	}{
		{env, origin{status.Config, "SENDOFF_SERVER", "SENDOFF_USER", "SENDOFF_SECRET"}},
		{choice.CommandLine, origin{status.Usage, "--server", "--user", "--secret"}},
	} {
		host, err := account.apply(row.override, row.from)
		if err != nil {
			return nil, "", err
		}
		if host != "" {
			why += fmt.Sprintf("; user and secret belong to %s and are not used", host)
		}
		if row.override.Secret != "" {
			source, text = row.from.secret, row.override.Secret
		}
	}
	if slices.Contains(account.Secret, secret.Ref{}) {
		_, err := secret.Parse(text)
		return nil, "", status.Config.Errorf("%s: %w", source, err)
	}
	if err := c.checkProviders(&account); err != nil {
		return nil, "", fmt.Errorf("%s %w", source, err)
	}
	account.setDefaults()
	return &account, why, nil
}

// madeOfServer is the reason for an account made from SENDOFF_SERVER.
const madeOfServer = "made from SENDOFF_SERVER"

// choose returns the account without overrides.
func (c *Config) choose(choice Choice) (*Account, string, error) {
	for _, row := range []struct{ name, why string }{
		{choice.CommandLine.Account, "named by --account"},
		{choice.Environment.Account, "named by SENDOFF_ACCOUNT"},
	} {
		if row.name == "" {
			continue
		}
		if a := c.find(row.name); a != nil {
			return a, row.why, nil
		}
		if env := choice.Environment; row.name == OfEnvironment && env.Server != "" && env.Account == "" {
			return &Account{Name: OfEnvironment}, madeOfServer, nil
		}
		return nil, "", status.Config.Errorf("no account %q; %s", row.name, c.known())
	}
	for _, row := range []struct {
		addr envelope.Address
		why  string
	}{
		{choice.Sender, "the envelope sender %s selects it"},
		{choice.Header, "the From field's %s selects it"},
	} {
		if a := c.matching(row.addr); a != nil {
			return a, fmt.Sprintf(row.why, row.addr), nil
		}
	}
	if a := c.Standard(); a != nil {
		switch {
		case c.Account != "":
			return a, "the default account", nil
		case len(c.Accounts) > 1:
			return a, "the only account in " + a.File, nil
		}
		return a, "the only account", nil
	}
	switch {
	case choice.CommandLine.Server != "":
		return &Account{Name: OfCommandLine}, "made from --server", nil
	case choice.Environment.Server != "":
		return &Account{Name: OfEnvironment}, madeOfServer, nil
	case len(c.Accounts) == 0 && choice.Environment == Override{} && inContainer():
		return nil, "", status.Config.Errorf("no account configured, and this process has no variable SENDOFF_SERVER")
	case len(c.Accounts) == 0:
		return nil, "", status.Config.Errorf("no account configured")
	}
	return nil, "", status.Config.Errorf("no default account; %s", c.known())
}

// Standard returns the default account: the one that a file names; otherwise the only
// account of the user's file; otherwise, if the user's file has no account, the only one of
// the system's file. nil: there is none.
func (c *Config) Standard() *Account {
	if c.Account != "" || len(c.Accounts) == 0 {
		return c.find(c.Account)
	}
	first := c.Accounts[0] // the user's accounts come before the system's
	if slices.ContainsFunc(c.Accounts[1:], func(a *Account) bool { return a.File == first.File }) {
		return nil
	}
	return first
}

// matching returns the account that the sender addr selects; nil: none.
func (c *Config) matching(addr envelope.Address) *Account {
	if addr.IsNull() {
		return nil
	}
	ordered := c.Accounts
	if d := c.Standard(); d != nil {
		ordered = append([]*Account{d}, ordered...)
	}
	var byPattern *Account
	for _, a := range ordered {
		if slices.ContainsFunc(a.From, func(p Pattern) bool {
			own, ok := p.Address()
			return ok && own.Key() == addr.Key()
		}) {
			return a
		}
		if byPattern == nil && a.Matches(addr) {
			byPattern = a
		}
	}
	return byPattern
}

// An origin says where an Override comes from: the kind of its errors, and the names of its
// fields in errors.
type origin struct {
	kind                 status.Kind
	server, user, secret string
}

// apply replaces settings of a by those of o. If a got another host, so that user and
// secret were removed, oldHost is the host they were for; otherwise "".
func (a *Account) apply(o Override, source origin) (oldHost string, err error) {
	if o.Server != "" {
		var servers List[Server]
		if err := servers.UnmarshalText([]byte(o.Server)); err != nil {
			return "", source.kind.Errorf("%s: %w", source.server, err)
		}
		oldHost = a.moveTo(servers)
	}
	for _, row := range [][2]string{{o.User, source.user}, {o.Secret, source.secret}} {
		if strings.ContainsFunc(row[0], unicode.IsControl) {
			return "", source.kind.Errorf("%s holds a control character or a line break", row[1])
		}
	}
	if o.User != "" && o.User != a.User {
		a.User, a.UserFrom = o.User, source.user
	}
	if o.Secret != "" {
		ref, _ := secret.Parse(o.Secret) // Choose reports the error, unless a later override replaces the reference
		a.Secret = List[secret.Ref]{ref}
	}
	if o.From != "" {
		var from List[Pattern]
		if err := from.UnmarshalText([]byte(o.From)); err != nil {
			return "", source.kind.Errorf("SENDOFF_FROM: %w", err)
		}
		a.From = from
	}
	return oldHost, nil
}

// moveTo sets the servers of a. If the new host is not among the old ones, it removes all
// settings bound to the host. If a user or secret was removed, oldHost is the first old
// host.
func (a *Account) moveTo(servers List[Server]) (oldHost string) {
	if !slices.ContainsFunc(a.Servers, func(s Server) bool { return s.Identity() == servers[0].Identity() }) {
		if len(a.Servers) > 0 && (a.User != "" || a.Secret != nil) {
			oldHost = a.Servers[0].Name()
		}
		a.unset("host")
		a.UserFrom = ""
	}
	a.Servers = servers
	return oldHost
}
