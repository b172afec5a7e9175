package importer

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
)

// msmtpFields has every key of msmtp, including keys of older versions, and keys for the
// whole file.
func msmtpFields() []field {
	return []field{
		{"defaults", handled}, // msmtpAccounts reads these three keys
		{"account", handled},
		{"eval", handled},
		{"host", takeHost},
		{"port", text(func(d *draft) *string { return &d.port })},
		{"socket", msmtpSocket},
		{"protocol", msmtpProtocol},
		{"tls", onOff(func(d *draft) *bool { return &d.tls })},
		{"tls_starttls", onOff(func(d *draft) *bool { return &d.starttls })},
		{"tls_nostarttls", func(_ *Reading, d *draft, _ entry) string { d.starttls = false; return "" }},

		{"auth", msmtpAuth},
		{"user", text(func(d *draft) *string { return &d.user })},
		{"password", func(_ *Reading, d *draft, e entry) string { d.password = e; return "" }},
		{"passwordeval", func(_ *Reading, d *draft, e entry) string { d.command = e; return "" }},
		{"ntlmdomain", remark("NTLM is not supported", "")},

		{"from", msmtpFrom},
		{"from_full_name", setting("full-name", nil)},
		{"allow_from_override", msmtpOverride},
		{"maildomain", handled}, // read with auto_from
		{"auto_from", msmtpAutoFrom},
		{"set_from_header", remark("sendoff keeps From and adds a missing one; force-sender = true replaces it", "", "auto")},
		{"set_date_header", remark("sendoff always adds a missing Date", "", "auto")},
		{"set_msgid_header", remark("sendoff always adds a missing Message-ID", "", "auto")},
		{"add_missing_from_header", remark("sendoff always adds a missing From", "", "on")},
		{"add_missing_date_header", remark("sendoff always adds a missing Date", "", "on")},
		{"remove_bcc_headers", remark("sendoff always removes Bcc", "", "on")},
		{"keepbcc", remark("sendoff always removes Bcc", "off")},
		{"undisclosed_recipients", remark("sendoff does not change To and Cc", "off")},
		{"dsn_notify", remark("sendoff asks for delivery notices with the option -N", "off")},
		{"dsn_return", remark("sendoff sets this for a message with the option -R", "off")},
		{"aliases", shared("aliases", filePath{})},

		{"domain", msmtpDomain},
		{"timeout", msmtpTimeout},
		{"proxy_host", msmtpProxy},
		{"proxy_port", handled}, // read with proxy_host
		{"source_ip", setting("source-address", new(config.Source))},

		{"tls_trust_file", msmtpTrust},
		{"tls_crl_file", remark("sendoff does not read revocation lists", "")},
		{"tls_fingerprint", setting("tls-fingerprint", new(config.Fingerprint))},
		{"tls_key_file", setting("tls-key", filePath{})},
		{"tls_cert_file", setting("tls-cert", filePath{})},
		{"tls_certcheck", remark(alwaysVerifies, "", "on")},
		{"tls_nocertcheck", remark(alwaysVerifies)},
		{"tls_host_override", setting("tls-name", hostName{})},
		{"tls_priorities", remark(choosesTLS, "")},
		{"tls_min_dh_prime_bits", remark(choosesTLS, "")},
		{"tls_force_sslv3", remark("sendoff supports TLS 1.2 and later, not SSL")},

		{"logfile", msmtpLog},
		{"logfile_time_format", remark("the time format of sendoff's log is fixed", "")},
		{"syslog", msmtpSyslog},
	}
}

// cutMsmtp returns the key and the value of a line; "" for a line KEY = VALUE, which is
// TOML.
func cutMsmtp(line string) (key, value string) {
	if key, value = cutSpace(line); strings.HasPrefix(value, "=") {
		return "", ""
	}
	return key, value
}

// cutSpace splits a line after its first word.
func cutSpace(line string) (word, rest string) {
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], strings.TrimSpace(line[i:])
	}
	return line, ""
}

// An msmtpAccount is a section of the file: its own lines, and those inherited from the
// defaults and from other accounts. For each key it has only the last line.
type msmtpAccount struct {
	name    string
	at      string
	entries []entry
	has     []string // the keys of the section's own lines
	alias   string   // the name of the account that this section only renames; "": none
}

// inherit adds e, and removes an earlier line with the same key.
func (a *msmtpAccount) inherit(e entry) {
	a.entries = slices.DeleteFunc(a.entries, func(x entry) bool { return x.key == e.key })
	a.entries = append(a.entries, e)
}

// setMsmtp adds a line of the section of a.
func (r *Reading) setMsmtp(a *msmtpAccount, e entry) {
	if slices.Contains(a.has, e.key) {
		r.dropped(a.get(e.key), laterLine)
	}
	a.alias, a.has = "", append(a.has, e.key)
	a.inherit(e)
}

// get returns the line for key; if there is none, an entry with an empty value.
func (a *msmtpAccount) get(key string) entry {
	for _, e := range a.entries {
		if e.key == key {
			return e
		}
	}
	return entry{key: key, at: a.at}
}

func readMsmtp(r *Reading) error {
	entries, err := readLines(r.path)
	if err != nil {
		return err
	}
	accounts := r.msmtpAccounts(entries)
	defaultName := "" // the name of the default account
	drafts := 0
	for _, a := range accounts {
		if a.name == "default" {
			defaultName = cmp.Or(a.alias, a.name)
		}
	}
	fields := msmtpFields()
	for _, a := range accounts {
		if a.name == "default" && a.alias != "" {
			continue
		}
		d := r.msmtpDraft(a, fields, a.name == defaultName || len(accounts) == 1)
		if account := r.add(d); account != nil && a.name == defaultName {
			r.defaultAccount = account.Name
		}
		drafts++
	}
	r.remarkShared(drafts)
	return nil
}

// remarkShared adds a remark for each top-level setting that only some of the accounts had,
// because it is now for all accounts. accounts is the number of accounts in the file.
func (r *Reading) remarkShared(accounts int) {
	for _, s := range r.Top {
		if by := r.shared[s.Key]; 0 < len(by) && len(by) < accounts && len(r.Accounts) > 1 {
			r.note(by[0], s.Key+" now applies to all accounts, also to those without it")
		}
	}
}

// msmtpAccounts splits the file into accounts. It ignores an account without a name, and an
// account that inherits from an unknown one.
func (r *Reading) msmtpAccounts(entries []entry) []*msmtpAccount {
	defaults := &msmtpAccount{}
	var accounts []*msmtpAccount
	var current *msmtpAccount
	byName := make(map[string]*msmtpAccount)
	fields := msmtpFields()
	for _, e := range entries {
		e.key, e.value = cutSpace(e.value)
		if n := len(e.value); n > 1 && e.value[0] == '"' && e.value[n-1] == '"' {
			e.value = e.value[1 : n-1]
		}
		switch {
		case e.key == "defaults":
			current = defaults
		case e.key == "account":
			a, err := newMsmtpAccount(e, defaults, byName)
			if current = a; err != nil {
				r.Remark(e.at + ": this account was not imported: " + err.Error())
				current = new(msmtpAccount)
				continue
			}
			accounts, byName[a.name] = append(accounts, a), a
		case e.key == "eval":
			r.dropped(e, "replace it by the line that it prints, or by passwordeval if it prints the password")
		case !slices.ContainsFunc(fields, func(f field) bool { return f.key == e.key }):
			r.unknown(e.at)
		case current == nil:
			current = &msmtpAccount{name: "default", at: e.at}
			accounts, byName[current.name] = append(accounts, current), current
			r.setMsmtp(current, e)
		default:
			r.setMsmtp(current, e)
		}
	}
	return accounts
}

// newMsmtpAccount returns an account with the lines that it inherits from accounts of
// byName.
func newMsmtpAccount(e entry, defaults *msmtpAccount, byName map[string]*msmtpAccount) (*msmtpAccount, error) {
	name, parents, _ := strings.Cut(e.value, ":")
	a := &msmtpAccount{name: strings.TrimSpace(name), at: e.at, entries: slices.Clone(defaults.entries)}
	if a.name == "" {
		return nil, errors.New("it has no name")
	}
	if byName[a.name] != nil {
		return nil, fmt.Errorf("there is already an account %q", a.name)
	}
	count := 0
	for parent := range strings.SplitSeq(parents, ",") {
		if parent = strings.TrimSpace(parent); parent == "" {
			continue
		}
		from := byName[parent]
		if from == nil {
			return nil, fmt.Errorf("there is no account %q before this line", parent)
		}
		for _, inherited := range from.entries {
			a.inherit(inherited)
		}
		a.alias = cmp.Or(from.alias, parent)
		if count++; count > 1 || len(a.entries) > len(from.entries) {
			a.alias = ""
		}
	}
	return a, nil
}

func (r *Reading) msmtpDraft(a *msmtpAccount, fields []field, isDefault bool) *draft {
	d := newDraft(a.name, a.at)
	d.starttls, d.isDefault = true, isDefault
	for _, e := range a.entries {
		if e.key == "proxy_host" && e.value != "" {
			if port := a.get("proxy_port").value; port != "" {
				e.value = bracketed(e.value) + ":" + port
			}
		}
		switch {
		case e.key == "auto_from" && isOn(e.value):
			e.value = a.get("maildomain").value
		case e.key == "auto_from":
			continue
		case e.key == "set_from_header" && isOn(e.value) && strings.EqualFold(a.get("allow_from_override").value, "off"):
			continue // force-sender has the effect of both settings
		}
		r.apply(d, fields, e)
	}
	if d.login && d.user != "" && d.password.value == "" && d.command.value == "" {
		d.password = r.netrc(d.host, d.user)
	}
	if d.user != "" && slices.Contains(msmtpClear[:], strings.ToUpper(d.auth.value)) {
		r.protect(d)
	}
	return d
}

// msmtpClear has the mechanisms that send the secret itself. Without TLS, msmtp uses them
// only if the configuration names them.
var msmtpClear = [...]string{"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}

func isOn(v string) bool { return v == "" || strings.EqualFold(v, "on") }

// onOff returns the take of a key whose value is on or off.
//
//go:noinline
func onOff(field func(*draft) *bool) take {
	return func(_ *Reading, d *draft, e entry) string {
		if !isOn(e.value) && !strings.EqualFold(e.value, "off") {
			return "the value is neither on nor off"
		}
		*field(d) = isOn(e.value)
		return ""
	}
}

func msmtpSocket(r *Reading, d *draft, e entry) string {
	d.socket = e.value
	if below, ok := strings.CutPrefix(e.value, "~/"); ok {
		d.socket = filepath.Join(r.Home, below)
	}
	return ""
}

func msmtpProtocol(_ *Reading, d *draft, e entry) string {
	d.lmtp = strings.EqualFold(e.value, "lmtp")
	if !d.lmtp && !strings.EqualFold(e.value, "smtp") {
		return "the value is neither smtp nor lmtp"
	}
	return ""
}

func msmtpAuth(_ *Reading, d *draft, e entry) string {
	d.login = !strings.EqualFold(e.value, "off")
	if d.login && !isOn(e.value) {
		d.auth = e
	}
	return ""
}

// msmtpFrom reads addresses and patterns. %U stands for the user's name, so that each user
// has another address: the top-level setting domain has the same effect.
func msmtpFrom(r *Reading, d *draft, e entry) string {
	var all []string
	for value := range strings.FieldsFuncSeq(e.value, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }) {
		if strings.ContainsAny(value, "?[") {
			all = append(all, "in a pattern sendoff supports only *")
			continue
		}
		domain, isAnybody := strings.CutPrefix(value, "%U@")
		if domain = r.expand(e, domain); isAnybody && d.isDefault && !strings.Contains(domain, "*") && (r.Top.Get("domain") == nil || r.Top.Get("domain") == domain) {
			if why := d.addFrom("*@" + domain); why == "" {
				r.share("domain", entry{e.key, domain, e.at}, nil)
			} else {
				all = append(all, why)
			}
			continue
		}
		if why := d.addFrom(r.expand(e, value)); why != "" {
			all = append(all, why)
		}
	}
	return strings.Join(all, "; ")
}

// expand replaces msmtp's patterns by their values, and adds a remark for each.
func (r *Reading) expand(e entry, value string) string {
	for _, row := range []struct{ pattern, value string }{
		{"%U", r.Identity.Login}, {"%H", r.Identity.Hostname}, {"%C", r.Identity.FQDN}, {"%M", r.Identity.Mailname},
	} {
		if row.value != "" && strings.Contains(value, row.pattern) {
			value = strings.ReplaceAll(value, row.pattern, row.value)
			r.note(e, fmt.Sprintf("%s was replaced by %s", row.pattern, row.value))
		}
	}
	return value
}

// msmtpAutoFrom reads the value of maildomain.
func msmtpAutoFrom(r *Reading, d *draft, e entry) string {
	switch {
	case e.value == "" && len(d.from) > 0:
		return "maildomain is not set, so from is used"
	case e.value == "":
		return "maildomain is not set, so a sender without a domain becomes the account's address"
	}
	d.from = nil
	return msmtpFrom(r, d, entry{key: e.key, value: "%U@" + e.value, at: e.at})
}

func msmtpOverride(_ *Reading, d *draft, e entry) string {
	if isOn(e.value) {
		return ""
	}
	d.other.Set("force-sender", true)
	return ""
}

func msmtpDomain(r *Reading, _ *draft, e entry) string {
	e.value = r.expand(e, e.value)
	return r.share("hostname", e, hostName{})
}

func msmtpTimeout(_ *Reading, d *draft, e entry) string {
	if strings.EqualFold(e.value, "off") {
		return "sendoff always has a time limit"
	}
	if e.value == "" {
		return ""
	}
	return d.put("timeout", e.value+"s", new(config.Duration))
}

func msmtpProxy(_ *Reading, d *draft, e entry) string {
	if e.value == "" {
		return ""
	}
	return d.put("proxy", "socks5://"+e.value, new(config.Proxy))
}

func msmtpTrust(_ *Reading, d *draft, e entry) string {
	switch e.value {
	case "system":
		return ""
	case "":
		return "sendoff trusts the system's authorities, unless tls-ca or tls-fingerprint is set"
	}
	return d.put("tls-ca", e.value, filePath{})
}

func msmtpLog(r *Reading, _ *draft, e entry) string {
	if e.value == "-" {
		return "sendoff does not log to standard output"
	}
	return r.share("log", e, filePath{})
}

func msmtpSyslog(r *Reading, _ *draft, e entry) string {
	if strings.EqualFold(e.value, "off") {
		return ""
	}
	if !isOn(e.value) && !strings.EqualFold(e.value, "LOG_MAIL") {
		r.note(e, "sendoff always uses the facility mail")
	}
	e.value = config.LogSyslog
	return r.share("log", e, nil)
}
