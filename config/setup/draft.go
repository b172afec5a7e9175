package setup

import (
	"encoding"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
)

// A draft is an account as another program describes it, which takes several
// of its lines together to make one of ours.
type draft struct {
	name     string
	at       string // where the account begins
	standard bool   // it is the one that is taken by default

	host, port string
	socket     string
	tls        bool
	starttls   bool // rather than TLS from the start
	lmtp       bool

	login    bool // log in
	user     string
	auth     string // the mechanism; "" means any
	password entry  // that stands in a file
	command  entry  // that prints it

	from    []string
	local   entry         // who gets the mail of local names
	domain  entry         // what bare names get
	machine entry         // the host's own name, which they get if nothing else is known
	rest    edit.Settings // what is written as it stands
}

// A field is a key of another program's configuration, and what is done with
// its value: the answer is why it cannot be carried over, or "".
type field struct {
	key  string
	take func(r *reading, d *draft, e entry) string
}

// apply does what fields say about e. It reports false if none knows the key.
func apply(fields []field, r *reading, d *draft, e entry) bool {
	for _, f := range fields {
		if strings.EqualFold(f.key, e.key) {
			if why := f.take(r, d, e); why != "" {
				r.dropped(e, why)
			}
			return true
		}
	}
	return false
}

// knows reports whether fields have key, whatever its case.
func knows(fields []field, key string) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return strings.EqualFold(f.key, key) })
}

// exactly reports whether fields have key.
func exactly(fields []field, key string) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return f.key == key })
}

// never is for a key that has no counterpart, and where that matters if it has
// a value.
func never(why string) func(*reading, *draft, entry) string {
	return func(_ *reading, _ *draft, e entry) string {
		if e.value == "" {
			return ""
		}
		return why
	}
}

// always is for a key that has no counterpart and needs no value.
func always(why string) func(*reading, *draft, entry) string {
	return func(*reading, *draft, entry) string { return why }
}

// settled is for a key that says what sendoff does anyway.
func settled(*reading, *draft, entry) string { return "" }

// str is for a key whose value is kept in the draft.
func str(field func(*draft) *string) func(*reading, *draft, entry) string {
	return func(_ *reading, d *draft, e entry) string {
		*field(d) = e.value
		return ""
	}
}

// host is for a key whose value is the server's name.
func host(_ *reading, d *draft, e entry) string {
	d.host = undotted(e.value)
	return ""
}

// undotted returns a name without the dot at its end that says that it is whole.
func undotted(name string) string { return strings.TrimSuffix(name, ".") }

// plain is for a key whose value is that of a setting.
func plain(setting string, as encoding.TextUnmarshaler) func(*reading, *draft, entry) string {
	return func(_ *reading, d *draft, e entry) string { return d.put(setting, e.value, as) }
}

// put sets a setting if as takes its value; "" takes it away.
func (d *draft) put(setting, value string, as encoding.TextUnmarshaler) string {
	if value != "" && as != nil {
		if err := as.UnmarshalText([]byte(value)); err != nil {
			return err.Error()
		}
	}
	if why := notText(value); why != "" {
		return why
	}
	d.rest.Set(setting, value)
	return ""
}

// notText says why a value cannot stand in TOML, or "".
func notText(s string) string {
	if strings.ToValidUTF8(s, "") != s {
		return "it is not UTF-8"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 }) {
		return "it holds a control character"
	}
	return ""
}

// path is for a key whose value is that of a setting, a file's name.
func path(setting string) func(*reading, *draft, entry) string {
	return func(_ *reading, d *draft, e entry) string {
		if why := notPath(e.value); why != "" {
			return why
		}
		return d.put(setting, e.value, nil)
	}
}

// notPath says why a value is not the name of a file that sendoff finds, or "".
func notPath(s string) string {
	if s != "" && !filepath.IsAbs(s) && !strings.HasPrefix(s, "~/") && !strings.HasPrefix(s, "/") {
		return "it is no absolute path"
	}
	return notText(s)
}

// add makes an account of d, or says why that cannot be. It returns nil then.
func (r *reading) add(d *draft) *edit.Table {
	url, why := d.server()
	if why != "" {
		r.remark(d.at + ": the account " + strconv.Quote(d.name) + " is not carried over: " + why)
		return nil
	}
	a := edit.NewAccount(r.name(d))
	a.Set("server", url)
	if d.login {
		r.addLogin(d, a)
	} else {
		for _, e := range []entry{{key: "user", value: d.user, at: d.at}, d.password, d.command} {
			if e.value != "" {
				r.dropped(e, "there is no login")
			}
		}
	}
	a.Set("from", d.from)
	for _, s := range d.rest {
		a.Set(s.Key, s.Value)
	}
	if d.socket != "" && d.tls {
		r.remark(d.at + ": tls is not carried over: none is spoken on a socket")
	}
	if a.Get("tls-key") != nil && a.Get("tls-cert") == nil {
		a.Set("tls-key", "")
		r.remark(d.at + ": the key is not carried over: it is of no use without its certificate")
	}
	if a.Get("force-sender") != nil && d.own() == "" {
		a.Set("force-sender", "")
		r.remark(d.at + ": a sender given with -f or in From is not replaced: the account has no address of its own")
	} else if a.Get("force-sender") != nil {
		r.remark(d.at + ": every sender is replaced, and so is the address in From")
	}
	r.Accounts = append(r.Accounts, a)
	return a
}

// server returns the setting of that name, or why there is none.
func (d *draft) server() (url, why string) {
	if d.socket != "" {
		scheme := "unix:"
		if d.lmtp {
			scheme = "lmtp+unix:"
		}
		return scheme + d.socket, check(new(config.Server), scheme+d.socket)
	}
	scheme := "smtp+plain"
	switch {
	case d.host == "":
		return "", "it has no host"
	case d.lmtp && d.tls:
		return "", "sendoff speaks LMTP without TLS only"
	case d.lmtp:
		scheme = "lmtp"
	case d.tls && d.starttls:
		scheme = config.SchemeStartTLS
	case d.tls:
		scheme = config.SchemeTLS
	}
	host := strings.Trim(d.host, "[]")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	url = scheme + "://" + host
	port := d.port
	if port == "" {
		port = "25"
		if scheme == config.SchemeTLS {
			port = "465"
		}
	}
	if n, err := strconv.Atoi(port); err != nil || strconv.Itoa(n) != port {
		return "", "its port is no number"
	}
	if port != strconv.Itoa((config.Server{Scheme: scheme}).Way().Port) {
		url += ":" + port
	}
	return url, check(new(config.Server), url)
}

// check says what as has against value, or "".
func check(as encoding.TextUnmarshaler, value string) string {
	if err := as.UnmarshalText([]byte(value)); err != nil {
		return err.Error()
	}
	return notText(value)
}

// isLoopback reports whether the host is this machine, where nobody reads
// along.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// protect makes a login in clear one over TLS: that is what the program would
// have sent, and sendoff never does.
func (r *reading) protect(d *draft) {
	if !d.login || d.tls || d.socket != "" || isLoopback(d.host) {
		return
	}
	d.tls, d.starttls = true, true
	r.remark(d.at + ": without TLS the password could be read by anybody on the way; the account requires STARTTLS")
}

// addLogin gives a the user, the mechanism, and the source of the password.
func (r *reading) addLogin(d *draft, a *edit.Table) {
	if why := notText(d.user); why != "" {
		r.dropped(entry{key: "user", at: d.at}, why)
		return
	}
	a.Set("user", d.user)
	if d.auth != "" {
		mechanism := strings.ToUpper(d.auth)
		if err := r.mechanism(mechanism); err != nil {
			r.dropped(entry{key: "the login mechanism", at: d.at}, "sendoff does not know it, and takes any that it knows")
		} else {
			a.Set("auth", mechanism)
		}
	}
	switch {
	case strings.EqualFold(d.auth, "external") && d.password.value == "" && d.command.value == "":
	case d.user == "":
		r.remark(d.at + ": the account " + strconv.Quote(d.name) + " has no user, so it does not log in")
		for _, e := range []entry{d.password, d.command} {
			if e.value != "" {
				r.dropped(e, "there is no user to whom it belongs")
			}
		}
	case d.password.value != "":
		r.addPassword(d, a, d.password)
		if d.command.value != "" {
			r.dropped(d.command, "the password goes before it")
		}
	case d.command.value != "":
		r.addCommand(d, a)
	default:
		a.Set("secret", "keyring")
		r.remark(d.at + ": no password is here for " + strconv.Quote(a.Name) + ", so it is looked for in the keyring; sendoff --login " + a.Name + " stores one there")
	}
}

func (r *reading) mechanism(name string) error {
	if r.values.Mechanism == nil {
		return nil
	}
	return r.values.Mechanism(name)
}

// addPassword notes a password that has to be stored.
func (r *reading) addPassword(d *draft, a *edit.Table, e entry) {
	secret, err := credential.NewSecret(e.value)
	if err != nil {
		r.dropped(e, err.Error())
		return
	}
	var server config.Server
	url, _ := d.server()
	if err := server.UnmarshalText([]byte(url)); err != nil {
		r.dropped(e, err.Error())
		return
	}
	a.Set("secret", "keyring") // until its place is known
	item := credential.Item{User: d.user, Host: server.Identity()}
	r.passwords = append(r.passwords, passwordAt{account: a, item: item, secret: secret, at: e.at})
}

// name returns a name for the account that d describes, which a configuration
// can have and no other account has.
func (r *reading) name(d *draft) string {
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
		r.remark(d.at + ": the account " + strconv.Quote(d.name) + " is called " + strconv.Quote(name) + " here")
	}
	return name
}

// settle decides what becomes of local names. Without domain, their mail goes
// to the account's own address, which is also theirs as senders; domain makes
// NAME@domain of them, whatever the program had as their address.
func (r *reading) settle(d *draft) {
	if d.local.value == "" && d.domain.value == "" && d.own() == "" && strings.Contains(d.machine.value, ".") {
		d.domain = d.machine
	}
	if d.domain.value != "" && d.local.value != "" {
		r.dropped(d.domain, "mail for local names would go to that domain then, and not where "+d.local.key+" says")
	} else if d.domain.value != "" {
		if why := r.global("domain", d.domain.value); why != "" {
			r.dropped(d.domain, why)
		}
	}
	switch e := d.local; {
	case e.value == "":
	case d.own() == "":
		d.addFrom(e.value)
		r.note(e, "it is the account's own address now, which local senders have, too")
	case !strings.EqualFold(d.own(), e.value):
		r.dropped(e, "mail for local names goes to the account's own address, "+d.own()+"; the alias file can say otherwise")
	}
}

// A hostName is the text of a host's name, or of a domain.
type hostName struct{}

func (hostName) UnmarshalText(text []byte) error {
	if a, err := envelope.Parse("x@" + string(text)); err != nil || a.Domain() != string(text) {
		return errors.New("it is no host name")
	}
	return nil
}

// isOwn reports whether s is an address that can be an account's own.
func isOwn(s string) bool {
	a, err := envelope.Parse(s)
	return err == nil && a.Domain() != "" && !strings.Contains(s, "*") && notText(s) == ""
}

// own returns the account's own address as far as d tells, or "".
func (d *draft) own() string {
	for _, from := range d.from {
		if isOwn(from) {
			return from
		}
	}
	if d.login && isOwn(d.user) {
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

// splitPort splits HOST:PORT; the port may be missing.
func splitPort(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return s, ""
}
