package importer

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/auth"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
)

// A draft is an account of another program. Several lines of its configuration together
// make a setting of sendoff.
type draft struct {
	name      string
	at        string           // FILE:LINE of the beginning of the account
	entries   map[string]entry // the last line of each key
	isDefault bool             // it is the default account

	host, port string
	socket     string
	tls        bool
	starttls   bool // STARTTLS, not TLS from the first octet
	lmtp       bool

	login    bool // the program logs in
	user     string
	auth     entry // the mechanism; "": any
	password entry // a password in a file
	command  entry // a command that prints the password

	from    []string
	local   entry         // the address to which mail for local names goes
	domain  entry         // the domain that is added to names without a domain
	machine entry         // the host's own name: the domain if nothing else sets it
	other   edit.Settings // settings that are written without a change
}

// A field is a key of another program's configuration, and the function that imports its
// value.
type field struct {
	key string
	take
}

// A take imports e into the draft or into the top-level settings. It returns why e cannot
// be imported; "": it was imported.
//
// The functions that return a take are not inlined: otherwise each row would have a copy of
// their code, 57 kB in total.
type take func(r *Reading, d *draft, e entry) string

// apply imports e with the row for its key; false: there is no such row. If the key has
// several lines, the last counts.
func (r *Reading) apply(d *draft, fields []field, e entry) bool {
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
	if i < 0 {
		return false
	}
	if before, twice := d.entries[e.key]; twice {
		r.dropped(before, laterLine)
	}
	d.entries[e.key] = e
	if why := fields[i].take(r, d, e); why != "" {
		r.dropped(e, why)
	}
	return true
}

// remark returns the take of a key that sendoff lacks. It reports why, unless the value is
// one of harmless.
//
//go:noinline
func remark(why string, harmless ...string) take {
	return func(_ *Reading, _ *draft, e entry) string {
		if slices.ContainsFunc(harmless, func(v string) bool { return strings.EqualFold(v, e.value) }) {
			return ""
		}
		return why
	}
}

// handled is the take of a key that needs no setting: sendoff behaves like this anyway, or
// the take of another key reads the value.
func handled(*Reading, *draft, entry) string { return "" }

// text returns the take of a key whose value is stored in a field of the draft.
//
//go:noinline
func text(field func(*draft) *string) take {
	return func(_ *Reading, d *draft, e entry) string {
		*field(d) = e.value
		return ""
	}
}

// takeHost is the take of a key whose value is the server's name.
func takeHost(_ *Reading, d *draft, e entry) string {
	d.host = undotted(e.value)
	return ""
}

// takeUser is the take of a key whose value is the user; "": no login.
func takeUser(_ *Reading, d *draft, e entry) string {
	d.user, d.login = e.value, e.value != ""
	return ""
}

// undotted returns a name without the final dot of a fully qualified name.
func undotted(name string) string { return strings.TrimSuffix(name, ".") }

// setting returns the take of a key whose value becomes the setting key of the account. as
// checks the value; nil: any text is valid.
//
//go:noinline
func setting(key string, as encoding.TextUnmarshaler) take {
	return func(_ *Reading, d *draft, e entry) string { return d.put(key, e.value, as) }
}

// shared returns the take of a key whose value becomes the top-level setting key.
//
//go:noinline
func shared(key string, as encoding.TextUnmarshaler) take {
	return func(r *Reading, _ *draft, e entry) string { return r.share(key, e, as) }
}

// put sets a setting of the account; the value "" removes it.
func (d *draft) put(key, value string, as encoding.TextUnmarshaler) string {
	if why := check(as, value); why != "" {
		return why
	}
	d.other.Set(key, value)
	return ""
}

// share sets a top-level setting, which is for all accounts.
func (r *Reading) share(key string, e entry, as encoding.TextUnmarshaler) string {
	if why := check(as, e.value); why != "" || e.value == "" {
		return why
	}
	if has := r.Top.Get(key); has != nil && has != e.value {
		return "sendoff has one " + key + " for all accounts, and another account has set it"
	}
	r.Top.Set(key, e.value)
	r.shared[key] = append(r.shared[key], e)
	return ""
}

// check returns why value cannot be written into a configuration: as cannot read it, or it
// is no text. "": value is valid or empty.
func check(as encoding.TextUnmarshaler, value string) string {
	if as != nil && value != "" {
		if err := as.UnmarshalText([]byte(value)); err != nil {
			return err.Error()
		}
	}
	return notText(value)
}

// notText returns why a configuration cannot contain s; "": it can.
func notText(s string) string {
	if strings.ToValidUTF8(s, "") != s {
		return "the value is not UTF-8"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 }) {
		return "the value contains a control character"
	}
	return ""
}

// A filePath checks that a value is the path of a file: absolute, or below ~/.
type filePath struct{}

func (filePath) UnmarshalText(text []byte) error {
	if s := string(text); !filepath.IsAbs(s) && !strings.HasPrefix(s, "~/") && !strings.HasPrefix(s, "/") {
		return errors.New("the value is not an absolute path")
	}
	return nil
}

// newDraft returns a draft without settings.
func newDraft(name, at string) *draft {
	return &draft{name: name, at: at, entries: make(map[string]entry)}
}

// add adds an account for d, and returns it. If that is impossible, it adds a remark and
// returns nil.
func (r *Reading) add(d *draft) *edit.Table {
	server, why := d.server()
	if why != "" {
		r.Remark(d.at + ": account " + strconv.Quote(d.name) + " was not imported: " + why)
		return nil
	}
	a := edit.NewAccount(r.name(d))
	a.Set("server", edit.URL(server))
	if d.login {
		r.addLogin(d, a)
	} else {
		r.droppedIfSet("the account does not log in", entry{"user", d.user, d.at}, d.password, d.command)
	}
	a.Set("from", d.from)
	for _, s := range d.other {
		a.Set(s.Key, s.Value)
	}
	if d.socket != "" && d.tls {
		r.Remark(d.at + ": tls was not imported: a Unix socket has no TLS")
	}
	if a.Get("tls-key") != nil && a.Get("tls-cert") == nil {
		a.Set("tls-key", "")
		r.Remark(d.at + ": the TLS key was not imported: there is no certificate for it")
	}
	if a.Get("force-sender") != nil && d.ownAddress() == "" {
		a.Set("force-sender", "")
		r.Remark(d.at + ": senders are not replaced: the account has no address of its own (from)")
	} else if a.Get("force-sender") != nil {
		r.Remark(d.at + ": force-sender: the account's address replaces every sender, also in From")
	}
	r.Accounts = append(r.Accounts, a)
	return a
}

// server returns the server of d; why says why there is none.
func (d *draft) server() (s config.Server, why string) {
	scheme, port := "smtp+plain", "25"
	switch {
	case d.socket != "" && d.lmtp:
		return s, check(&s, "lmtp+unix:"+d.socket)
	case d.socket != "":
		return s, check(&s, "unix:"+d.socket)
	case d.host == "":
		return s, "it has no host"
	case d.lmtp && d.tls:
		return s, "sendoff supports LMTP only without TLS"
	case d.lmtp:
		scheme = "lmtp"
	case d.tls && d.starttls:
		scheme = config.SchemeStartTLS
	case d.tls:
		scheme, port = config.SchemeTLS, "465"
	}
	why = check(&s, scheme+"://"+bracketed(d.host)+":"+cmp.Or(d.port, port))
	return s, why
}

// protect sets STARTTLS for d if the other program would have sent the password without
// TLS, which sendoff never does.
func (r *Reading) protect(d *draft) {
	if s, _ := d.server(); !d.login || d.tls || s.Local() {
		return
	}
	d.tls, d.starttls = true, true
	r.Remark(d.at + ": the password was sent without TLS; the imported account requires STARTTLS")
}

// addLogin sets the user, the mechanism and the secret of a.
func (r *Reading) addLogin(d *draft, a *edit.Table) {
	if why := notText(d.user); why != "" {
		r.dropped(entry{key: "user", at: d.at}, why)
		return
	}
	a.Set("user", d.user)
	mechanism := strings.ToUpper(d.auth.value)
	if mechanism != "" && !slices.Contains(auth.Known(), mechanism) {
		r.dropped(d.auth, "sendoff does not support it, and chooses another mechanism")
	} else {
		a.Set("auth", mechanism)
	}
	switch {
	case mechanism == "EXTERNAL" && d.password.value == "" && d.command.value == "":
	case d.user == "":
		r.Remark(d.at + ": account " + strconv.Quote(d.name) + " has no user, so it does not log in")
		r.droppedIfSet("the account has no user", d.password, d.command)
	case d.password.value != "":
		r.addPassword(d, a, d.password)
		r.droppedIfSet("the password is used instead", d.command)
	case d.command.value != "":
		r.addCommand(d, a)
	default:
		a.Set("secret", "keyring")
	}
}

// addPassword adds a password that has to be stored.
func (r *Reading) addPassword(d *draft, a *edit.Table, e entry) {
	secret, err := credential.NewSecret(e.value)
	if err != nil {
		r.dropped(e, err.Error())
		return
	}
	server, _ := d.server()    // add has checked that the server is valid
	a.Set("secret", "keyring") // the place is chosen later
	item := credential.Item{User: d.user, Host: server.Identity()}
	r.Passwords = append(r.Passwords, Password{Account: a, Item: item, Secret: secret, At: e.at})
}

// name returns a name for the account of d: one that a configuration can have, and that no
// other account has.
func (r *Reading) name(d *draft) string {
	name := strings.Map(func(c rune) rune {
		if strings.ContainsRune("-_.+@", c) || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return '-'
	}, d.name)
	if name = strings.TrimLeft(name, "-."); name == "" {
		name = "account"
	}
	base := name
	for r.names[name] > 0 {
		r.names[base]++
		name = base + "-" + strconv.Itoa(r.names[base])
	}
	r.names[name] = 1
	if name != d.name {
		r.Remark(d.at + ": account " + strconv.Quote(d.name) + " was renamed to " + strconv.Quote(name))
	}
	return name
}

// addLocalNames imports the settings for local names, which have no domain. If the setting
// domain is set, local names become NAME@domain, whatever address the other program had for
// them. Otherwise their mail goes to the account's own address, which is also their address
// as senders.
func (r *Reading) addLocalNames(d *draft) {
	if d.local.value == "" && d.domain.value == "" && d.ownAddress() == "" && strings.Contains(d.machine.value, ".") {
		d.domain = d.machine
	}
	if d.domain.value != "" && d.local.value != "" {
		r.dropped(d.domain, "mail for local users would go to that domain, not to "+d.local.value)
	} else if d.domain.value != "" {
		if why := r.share("domain", d.domain, nil); why != "" {
			r.dropped(d.domain, why)
		}
	}
	switch e := d.local; {
	case e.value == "":
	case d.ownAddress() == "":
		d.addFrom(e.value)
		r.note(e, "this is now the account's address, for local senders too")
	case !strings.EqualFold(d.ownAddress(), e.value):
		r.dropped(e, fmt.Sprintf("mail for local users goes to %s; to change that, write \"*:%s\" in /etc/aliases", d.ownAddress(), e.value))
	}
}

// A hostName checks that a value is a host name or a domain.
type hostName struct{}

func (hostName) UnmarshalText(text []byte) error {
	if a, err := envelope.Parse("x@" + string(text)); err != nil || a.Domain() != string(text) {
		return errors.New("the value is not a host name")
	}
	return nil
}

// isOwnAddress reports whether s can be an account's own address.
func isOwnAddress(s string) bool {
	a, err := envelope.Parse(s)
	return err == nil && a.Domain() != "" && !strings.Contains(s, "*") && notText(s) == ""
}

// ownAddress returns the account's own address; "": it is not known.
func (d *draft) ownAddress() string {
	for _, from := range d.from {
		if isOwnAddress(from) {
			return from
		}
	}
	if d.login && isOwnAddress(d.user) {
		return d.user
	}
	return ""
}

// addFrom adds an address or a pattern to the senders of the account. It returns why value
// is neither.
func (d *draft) addFrom(value string) string {
	value = undotted(value)
	if why := check(new(config.Pattern), value); why != "" {
		return why
	}
	if !slices.Contains(d.from, value) {
		d.from = append(d.from, value)
	}
	return ""
}

// bracketed returns an IPv6 address in brackets, and any other host unchanged.
func bracketed(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}
