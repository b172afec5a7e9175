package importer

import (
	"cmp"
	"encoding"
	"errors"
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

// A draft is an account as another program describes it, which takes several
// of its lines together to make one of ours.
type draft struct {
	name     string
	at       string // where the account begins
	says     map[string]entry
	standard bool // it is the one that is taken by default

	host, port string
	socket     string
	tls        bool
	starttls   bool // rather than TLS from the start
	lmtp       bool

	login    bool // log in
	user     string
	auth     entry // the mechanism; "" means any
	password entry // that stands in a file
	command  entry // that prints it

	from    []string
	local   entry         // the address that gets the mail of local names
	domain  entry         // what is put behind names without a domain
	machine entry         // the host's own name: the domain if nothing else gives one
	other   edit.Settings // what is written as it stands
}

// A field is a key of another program's configuration, and what is done with its value.
type field struct {
	key string
	take
}

// A take makes a part of the draft, or of the settings at the top, of what e says. It
// returns why that cannot be imported, or "".
//
// The functions that return a take are not inlined: else each row has a copy of its code,
// of 57 kB in all.
type take func(r *Reading, d *draft, e entry) string

// apply does what the row of e's key says, and reports false if there is no such row. A
// second line of that key takes the place of the first.
func (r *Reading) apply(d *draft, fields []field, e entry) bool {
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
	if i < 0 {
		return false
	}
	if before, twice := d.says[e.key]; twice {
		r.dropped(before, laterLine)
	}
	d.says[e.key] = e
	if why := fields[i].take(r, d, e); why != "" {
		r.dropped(e, why)
	}
	return true
}

// remark is for a key that has no counterpart, which matters unless its value is one of
// fine.
//
//go:noinline
func remark(why string, fine ...string) take {
	return func(_ *Reading, _ *draft, e entry) string {
		if slices.ContainsFunc(fine, func(v string) bool { return strings.EqualFold(v, e.value) }) {
			return ""
		}
		return why
	}
}

// handled is for a key that says what sendoff does anyway, or that is a part of what
// another key says.
func handled(*Reading, *draft, entry) string { return "" }

// text is for a key whose value the draft has as it stands.
//
//go:noinline
func text(field func(*draft) *string) take {
	return func(_ *Reading, d *draft, e entry) string {
		*field(d) = e.value
		return ""
	}
}

// takeHost is for a key whose value is the server's name.
func takeHost(_ *Reading, d *draft, e entry) string {
	d.host = undotted(e.value)
	return ""
}

// takeUser is for a key whose value is the user, without which there is no login.
func takeUser(_ *Reading, d *draft, e entry) string {
	d.user, d.login = e.value, e.value != ""
	return ""
}

// undotted returns a name without the dot at its end that says that it is whole.
func undotted(name string) string { return strings.TrimSuffix(name, ".") }

// setting is for a key whose value is that of a setting of the account, which as can
// read; nil: any text.
//
//go:noinline
func setting(key string, as encoding.TextUnmarshaler) take {
	return func(_ *Reading, d *draft, e entry) string { return d.put(key, e.value, as) }
}

// shared is for a key whose value is that of a setting at the top.
//
//go:noinline
func shared(key string, as encoding.TextUnmarshaler) take {
	return func(r *Reading, _ *draft, e entry) string { return r.share(key, e, as) }
}

// put sets a setting of the account; "" takes the setting away.
func (d *draft) put(key, value string, as encoding.TextUnmarshaler) string {
	if why := check(as, value); why != "" {
		return why
	}
	d.other.Set(key, value)
	return ""
}

// share sets a setting at the top, of which there is one for all accounts.
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

// check returns why a value that is not empty cannot stand in a configuration, as what
// as can read, or "".
func check(as encoding.TextUnmarshaler, value string) string {
	if as != nil && value != "" {
		if err := as.UnmarshalText([]byte(value)); err != nil {
			return err.Error()
		}
	}
	return notText(value)
}

// notText returns why a value cannot stand in a configuration, or "".
func notText(s string) string {
	if strings.ToValidUTF8(s, "") != s {
		return "the value is not UTF-8"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 }) {
		return "the value contains a control character"
	}
	return ""
}

// A filePath is the name of a file that sendoff finds.
type filePath struct{}

func (filePath) UnmarshalText(text []byte) error {
	if s := string(text); !filepath.IsAbs(s) && !strings.HasPrefix(s, "~/") && !strings.HasPrefix(s, "/") {
		return errors.New("the value is not an absolute path")
	}
	return nil
}

// newDraft returns an account without settings.
func newDraft(name, at string) *draft {
	return &draft{name: name, at: at, says: make(map[string]entry)}
}

// add makes an account of d, or remarks why that cannot be, and returns nil.
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

// server returns the server, or why there is none.
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

// protect lets d log in over TLS where the program would have sent the password in
// clear, which sendoff never does.
func (r *Reading) protect(d *draft) {
	if s, _ := d.server(); !d.login || d.tls || s.Local() {
		return
	}
	d.tls, d.starttls = true, true
	r.Remark(d.at + ": the password was sent without TLS; the imported account requires STARTTLS")
}

// addLogin gives a the user, the mechanism, and the source of the password.
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
		r.Remark(d.at + ": account " + strconv.Quote(a.Name) + " has no password here; sendoff looks for it in the keyring")
		r.Remark("to store it there: sendoff --login " + a.Name)
	}
}

// addPassword notes a password that has to be stored.
func (r *Reading) addPassword(d *draft, a *edit.Table, e entry) {
	secret, err := credential.NewSecret(e.value)
	if err != nil {
		r.dropped(e, err.Error())
		return
	}
	server, _ := d.server()    // an account is only made of one that is good
	a.Set("secret", "keyring") // until its place is known
	item := credential.Item{User: d.user, Host: server.Identity()}
	r.Passwords = append(r.Passwords, Password{Account: a, Item: item, Secret: secret, At: e.at})
}

// name returns a name for the account that d describes, which a configuration
// can have and no other account has.
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
	for n := 2; slices.ContainsFunc(r.Accounts, func(a *edit.Table) bool { return a.Name == name }); n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	if name != d.name {
		r.Remark(d.at + ": account " + strconv.Quote(d.name) + " was renamed to " + strconv.Quote(name))
	}
	return name
}

// addLocalNames decides what becomes of local names, those without a domain. With the
// setting domain they are NAME@domain, whatever address the program had for them.
// Without it their mail goes to the account's own address, which they have as senders.
func (r *Reading) addLocalNames(d *draft) {
	if d.local.value == "" && d.domain.value == "" && d.ownAddress() == "" && strings.Contains(d.machine.value, ".") {
		d.domain = d.machine
	}
	if d.domain.value != "" && d.local.value != "" {
		r.dropped(d.domain, "mail for local users would go to that domain, not to "+d.local.key)
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
		r.dropped(e, "mail for local users goes to "+d.ownAddress()+"; an alias can change that")
	}
}

// A hostName is the text of a host's name, or of a domain.
type hostName struct{}

func (hostName) UnmarshalText(text []byte) error {
	if a, err := envelope.Parse("x@" + string(text)); err != nil || a.Domain() != string(text) {
		return errors.New("the value is not a host name")
	}
	return nil
}

// isOwnAddress reports whether s is an address that can be an account's own.
func isOwnAddress(s string) bool {
	a, err := envelope.Parse(s)
	return err == nil && a.Domain() != "" && !strings.Contains(s, "*") && notText(s) == ""
}

// ownAddress returns the account's own address, as far as d tells; else "".
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

// addFrom adds a sender, an address or a pattern.
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

// bracketed returns an IPv6 address in brackets, and any other host as it is.
func bracketed(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}
