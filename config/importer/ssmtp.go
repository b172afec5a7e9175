package importer

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
)

// ssmtpFields has every key of ssmtp.conf. Keys are compared without regard to case.
func ssmtpFields() []field {
	return []field{
		{"mailhub", func(r *Reading, d *draft, e entry) string {
			d.at = e.at
			if host, port, err := net.SplitHostPort(e.value); err == nil {
				e.value, d.port = host, port
			}
			return takeHost(r, d, e)
		}},
		{"RemotePort", text(func(d *draft) *string { return &d.port })},
		{"UseTLS", yesNo(func(d *draft, yes bool) { d.tls, d.starttls = yes, d.starttls && yes })},
		{"UseSTARTTLS", yesNo(func(d *draft, yes bool) { d.tls, d.starttls = d.tls || yes, yes })},
		{"TLS_CA_File", setting("tls-ca", filePath{})},
		{"TLS_CA_Dir", remark(caFolder, "")},
		{"UseTLSCert", handled}, // readSsmtp reads it with the certificate
		{"TLSCert", setting("tls-cert", filePath{})},
		{"TLSKey", setting("tls-key", filePath{})},

		{"AuthUser", takeUser},
		{"AuthPass", func(_ *Reading, d *draft, e entry) string { d.password = e; return "" }},
		{"AuthMethod", func(_ *Reading, d *draft, e entry) string { d.auth = e; return "" }},
		{"UseOldAUTH", remark("sendoff uses only the standard login", "", "no")},

		{"hostname", func(r *Reading, d *draft, e entry) string {
			e.value = undotted(e.value)
			d.machine = e
			return shared("hostname", hostName{})(r, d, e)
		}},
		{"rewriteDomain", func(r *Reading, d *draft, e entry) string {
			e.value = e.value[strings.LastIndexByte(e.value, '@')+1:] // ssmtp also ignores the text before an @
			return takeDomain(r, d, e)
		}},
		{"root", takeLocal},
		{"MinUserId", remark("sendoff treats all local users alike", "")},
		{"FromLineOverride", remark("sendoff keeps From; force-sender = true replaces it", "", "yes")},
		{"Debug", remark(showsDialogue, "", "no")},
	}
}

// cutSsmtp returns the key of a line in the form of the table, and its value, unchanged.
func cutSsmtp(line string) (key, value string) {
	key, value, found := strings.Cut(line, "=")
	for _, f := range ssmtpFields() {
		if found && strings.EqualFold(f.key, strings.TrimSpace(key)) {
			return f.key, value
		}
	}
	return "", ""
}

// yesNo returns the take of a key for which every value except YES means no.
//
//go:noinline
func yesNo(set func(*draft, bool)) take {
	return func(_ *Reading, d *draft, e entry) string {
		set(d, strings.EqualFold(e.value, "yes"))
		return ""
	}
}

// takeDomain is the take of a key whose value is added to names without a domain.
func takeDomain(_ *Reading, d *draft, e entry) string {
	e.value = undotted(e.value)
	why := check(hostName{}, e.value)
	if why == "" {
		d.domain = e
	}
	return why
}

// takeLocal is the take of a key whose value is the address to which mail for system users
// goes.
func takeLocal(_ *Reading, d *draft, e entry) string {
	e.value = undotted(e.value)
	if e.value != "" && !isOwnAddress(e.value) {
		return "it is not an address with a domain; to redirect mail, use an alias"
	}
	d.local = e
	return ""
}

// readSsmtp reads ssmtp.conf, and revaliases in the same folder.
func readSsmtp(r *Reading) error {
	entries, err := readLines(r.path)
	if err != nil {
		return err
	}
	d := newDraft("default", r.path+":1")
	for _, e := range entries {
		key, text := cutSsmtp(e.value)
		isLogin := key == "AuthUser" || key == "AuthPass"
		value, without := ssmtpValue(text, isLogin)
		e.key, e.value = key, value
		if key == "AuthPass" && without != "" {
			r.note(e, "imported without "+without+"; if the login fails, store the password again with --login")
		}
		if _, twice := d.entries[key]; twice && isLogin {
			r.dropped(e, "ssmtp uses the earlier line")
		} else if !r.apply(d, ssmtpFields(), e) {
			r.unknown(e.at)
		}
	}
	if !strings.EqualFold(d.entries["UseTLSCert"].value, "yes") && d.other.Get("tls-cert") != nil {
		d.other.Set("tls-cert", "")
		d.other.Set("tls-key", "")
		r.dropped(d.entries["TLSCert"], "UseTLSCert is not YES")
	}
	others := r.revaliases(d)
	r.addLocalNames(d)
	for _, o := range append([]*draft{d}, others...) {
		r.protect(o)
		r.add(o)
	}
	r.firstIsDefault()
	return nil
}

// ssmtpValue returns a value without its comment and quotes. without says what was removed;
// "": nothing. Some builds of ssmtp end a value at any #, others at none. If a user or a
// password contains a # and works, the build uses it whole: there only a # after a blank
// begins a comment.
func ssmtpValue(text string, login bool) (value, without string) {
	value = strings.TrimSpace(text)
	if value == "" {
		return "", ""
	}
	if quote := value[0]; quote == '"' || quote == '\'' {
		inner, rest, closed := strings.Cut(value[1:], string(quote))
		switch rest = strings.TrimSpace(rest); {
		case closed && rest == "":
			return inner, "the quotes around it"
		case closed && rest[0] == '#':
			return inner, "the quotes around it and the comment behind it"
		}
	}
	for i := range len(value) {
		if value[i] == '#' && (!login || i > 0 && strings.IndexByte(" \t", value[i-1]) >= 0) {
			return strings.TrimSpace(value[:i]), "the comment behind it"
		}
	}
	return value, ""
}

// revaliases reads the senders of local users. If a sender uses d's server, its address is
// added to d. For other servers it returns drafts.
func (r *Reading) revaliases(d *draft) (others []*draft) {
	path := filepath.Join(filepath.Dir(r.path), "revaliases")
	text, _ := r.beside(path)
	var senders []entry
	for _, e := range lines(path, text) {
		value, _ := ssmtpValue(e.value, false)
		parts := strings.SplitN(value, ":", 4)
		if len(parts) < 2 {
			r.unknown(e.at)
			continue
		}
		login, address := strings.TrimSpace(parts[0]), undotted(strings.TrimSpace(parts[1]))
		e.key = address
		o := *d
		if len(parts) > 2 && strings.TrimSpace(parts[2]) != "" {
			o.host = undotted(strings.TrimSpace(parts[2])) // the port stays the same if the line has none
		}
		if len(parts) > 3 {
			o.port = strings.TrimSpace(parts[3])
		}
		to := d
		if o.host != d.host || o.port != d.port {
			o.name, o.at, o.from = login, e.at, nil
			to = &o
		}
		if why := to.addFrom(address); why != "" {
			e.key = "the sender"
			r.dropped(e, why)
			continue
		}
		if to == d && (login == "root" || login == r.Identity.Login) && isOwnAddress(address) && d.local.value == "" {
			d.local = entry{"revaliases", address, e.at} // cron's mail has this sender
			i := slices.Index(d.from, address)
			d.from = append([]string{address}, slices.Delete(d.from, i, i+1)...)
		}
		if to == &o {
			others = append(others, to)
		}
		senders = append(senders, e)
	}
	for _, e := range senders {
		if e.key != d.ownAddress() {
			r.note(e, "to send with this address, write it in From or with -f")
		}
	}
	return others
}
