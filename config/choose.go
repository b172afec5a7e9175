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

// An Override is what the environment or the command line says in place of
// the files. An empty field says nothing.
type Override struct {
	Config   string // the configuration file; absolute
	UserFile string // the user's own file, if it is not where the system says
	Home     string // what ~ means in the files, likewise
	Account  string // its name
	Server   string // as in a file
	User     string
	Secret   string // a source, never a password
	From     string // an address or pattern, as in a file; the environment's alone
	Queue    string // as in a file; the environment's alone, and not for one account
	Runner   string // likewise
}

// Locate returns where the files are, given the explicit path of an option or of
// SENDOFF_CONFIG, or "": what the environment says of it now, so that it can be
// found again without.
func Locate(explicit string, getenv func(string) string, id Identity) Override {
	here, anywhere := Find(explicit, getenv, id), Find(explicit, func(string) string { return "" }, id)
	o := Override{Config: explicit}
	if path, err := filepath.Abs(explicit); err == nil && explicit != "" {
		o.Config = path
	}
	if here.User != anywhere.User {
		o.UserFile = here.User
	}
	if here.Home != anywhere.Home {
		o.Home = here.Home
	}
	return o
}

// Paths returns where the files are that o names; the environment plays no part.
func (o Override) Paths(id Identity) Paths {
	p := Find(o.Config, func(string) string { return "" }, id)
	p.User, p.Home = cmp.Or(o.UserFile, p.User), cmp.Or(o.Home, p.Home)
	return p
}

// A Choice is what decides which account a message goes through.
type Choice struct {
	Sender      envelope.Address // -f; zero if absent or <>
	Header      envelope.Address // of the From field; zero if it has none
	CommandLine Override
	Environment Override
}

// The names of the accounts that --server and SENDOFF_SERVER make.
const (
	OfCommandLine = "command-line"
	OfEnvironment = "environment"
)

// NameInFile returns the name of an account as a command can have it; "" for an account
// that is in no file.
func NameInFile(name string) string {
	if name == OfCommandLine || name == OfEnvironment {
		return ""
	}
	return name
}

// Choose returns the account for by, and in words why it is that one: the one
// named, else one that the sender given with -f selects, else the address in
// the From field, else the default. Of several that an address selects, an
// account that has it in full goes before a pattern, the default before the
// others, and then the files' order counts.
//
// The account is a copy with by's overrides in it. A server given there makes
// an account by itself where none is chosen. Beside a chosen one it takes that
// account's place of delivery; and if its host is none of the account's, it
// gets nothing that was meant for them: no user, secret, certificate or
// fingerprint. Then why says whose user and secret these are. Its secret is of
// the sources that there are, and the providers of access tokens that it names
// exist.
func (c *Config) Choose(by Choice) (a *Account, why string, err error) {
	chosen, why, err := c.choose(by)
	if err != nil {
		return nil, "", err
	}
	account := *chosen
	env := by.Environment
	switch {
	case env.Account != "" && env.Account != account.Name:
		env = Override{} // it speaks of another account
	case env.Account == "" && env.Server == "" && c.Standard() != chosen:
		env.User, env.Secret = "", "" // they are the default account's
	}
	source, text := "secret", ""
	for _, row := range []struct {
		says Override
		from origin
	}{
		{env, origin{status.Config, "SENDOFF_SERVER", "SENDOFF_USER", "SENDOFF_SECRET"}},
		{by.CommandLine, origin{status.Usage, "--server", "--user", "--secret"}},
	} {
		host, err := account.apply(row.says, row.from)
		if err != nil {
			return nil, "", err
		}
		if host != "" {
			why += fmt.Sprintf("; user and secret belong to %s and are not used", host)
		}
		if row.says.Secret != "" {
			source, text = row.from.secret, row.says.Secret
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

// madeOfServer is why there is such an account.
const madeOfServer = "made from SENDOFF_SERVER"

// choose finds the account before any override.
func (c *Config) choose(by Choice) (*Account, string, error) {
	for _, row := range []struct{ name, why string }{
		{by.CommandLine.Account, "named by --account"},
		{by.Environment.Account, "named by SENDOFF_ACCOUNT"},
	} {
		if row.name == "" {
			continue
		}
		if a := c.find(row.name); a != nil {
			return a, row.why, nil
		}
		if env := by.Environment; row.name == OfEnvironment && env.Server != "" && env.Account == "" {
			return &Account{Name: OfEnvironment}, madeOfServer, nil
		}
		return nil, "", status.Config.Errorf("no account %q; %s", row.name, c.known())
	}
	for _, row := range []struct {
		addr envelope.Address
		why  string
	}{
		{by.Sender, "the envelope sender %s selects it"},
		{by.Header, "the From field's %s selects it"},
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
	case by.CommandLine.Server != "":
		return &Account{Name: OfCommandLine}, "made from --server", nil
	case by.Environment.Server != "":
		return &Account{Name: OfEnvironment}, madeOfServer, nil
	case len(c.Accounts) == 0:
		return nil, "", status.Config.Errorf("no account configured")
	}
	return nil, "", status.Config.Errorf("no default account; %s", c.known())
}

// Standard returns the default account: the one that a file names, else the only
// one of the user's file, or of the system's if the user's has none. It is nil if
// there is none.
func (c *Config) Standard() *Account {
	if c.Account != "" || len(c.Accounts) == 0 {
		return c.find(c.Account)
	}
	first := c.Accounts[0] // the user's file goes before the system's
	if slices.ContainsFunc(c.Accounts[1:], func(a *Account) bool { return a.File == first.File }) {
		return nil
	}
	return first
}

// matching returns the account that addr as a sender selects, or nil.
func (c *Config) matching(addr envelope.Address) *Account {
	if addr.IsNull() {
		return nil
	}
	inOrder := c.Accounts
	if d := c.Standard(); d != nil {
		inOrder = append([]*Account{d}, inOrder...)
	}
	var byPattern *Account
	for _, a := range inOrder {
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

// origin says where an Override comes from: the kind of its errors, and the
// names of its fields in them.
type origin struct {
	kind                 status.Kind
	server, user, secret string
}

// apply puts o's values in place of a's. It returns the host that a's user and
// secret were for, if they are gone because a has moved.
func (a *Account) apply(o Override, by origin) (left string, err error) {
	if o.Server != "" {
		var servers List[Server]
		if err := servers.UnmarshalText([]byte(o.Server)); err != nil {
			return "", by.kind.Errorf("%s: %w", by.server, err)
		}
		left = a.moveTo(servers)
	}
	for _, row := range [][2]string{{o.User, by.user}, {o.Secret, by.secret}} {
		if strings.ContainsFunc(row[0], unicode.IsControl) {
			return "", by.kind.Errorf("%s holds a control character or a line break", row[1])
		}
	}
	if o.User != "" && o.User != a.User {
		a.User, a.UserFrom = o.User, by.user
	}
	if o.Secret != "" {
		ref, _ := secret.Parse(o.Secret) // Choose says what is wrong, unless another one takes its place
		a.Secret = List[secret.Ref]{ref}
	}
	if o.From != "" {
		var from List[Pattern]
		if err := from.UnmarshalText([]byte(o.From)); err != nil {
			return "", by.kind.Errorf("SENDOFF_FROM: %w", err)
		}
		a.From = from
	}
	return left, nil
}

// moveTo makes servers the account's. What is bound to its old hosts goes unless
// the new host is one of them. It returns the first old host if a user or secret
// for it is gone.
func (a *Account) moveTo(servers List[Server]) (left string) {
	if !slices.ContainsFunc(a.Servers, func(s Server) bool { return s.Identity() == servers[0].Identity() }) {
		if len(a.Servers) > 0 && (a.User != "" || a.Secret != nil) {
			left = a.Servers[0].Name()
		}
		a.unset("host")
		a.UserFrom = ""
	}
	a.Servers = servers
	return left
}
