package importer

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/auth"
	"sendoff/submit/status"
)

// postfixFields has every parameter of main.cf that matters to a null client: a Postfix
// that sends all mail to a relay host, and delivers none.
func postfixFields() []field {
	return []field{
		{"relayhost", handled}, // postfixRelays and postfixSenders read these parameters
		{"smtp_fallback_relay", handled},
		{"sender_dependent_relayhost_maps", handled},
		{"smtp_sender_dependent_authentication", handled},
		{"smtp_sasl_auth_enable", handled},
		{"smtp_sasl_password_maps", handled},
		{"smtp_sasl_mechanism_filter", postfixMechanisms},
		{"smtp_sasl_security_options", handled}, // sendoff sends no password without TLS, and never logs in without a name
		{"smtp_sasl_tls_security_options", handled},
		{"smtp_sasl_type", handled},

		{"smtp_tls_security_level", handled}, // postfixTLS reads these parameters
		{"smtp_use_tls", handled},
		{"smtp_enforce_tls", handled},
		{"smtp_tls_wrappermode", handled},
		{"smtp_tls_fingerprint_cert_match", handled},
		{"smtp_tls_fingerprint_digest", handled}, // sendoff supports only SHA-256
		{"smtp_tls_CAfile", setting("tls-ca", filePath{})},
		{"smtp_tls_CApath", remark(caFolder, "", "/etc/ssl/certs", "/etc/pki/tls/certs")},
		{"smtp_tls_cert_file", setting("tls-cert", filePath{})},
		{"smtp_tls_key_file", setting("tls-key", filePath{})},
		{"smtp_tls_chain_files", remark("write the files in tls-cert and tls-key", "")},
		{"smtp_tls_policy_maps", remark("sendoff sets TLS for each account", "")},
		{"smtp_tls_protocols", remark(choosesTLS, "")},
		{"smtp_tls_mandatory_protocols", remark(choosesTLS, "")},
		{"smtp_tls_ciphers", remark(choosesTLS, "")},
		{"smtp_tls_mandatory_ciphers", remark(choosesTLS, "")},

		{"mydomain", handled},   // only used in other parameters
		{"myhostname", handled}, // postfixNames reads these parameters
		{"smtp_helo_name", handled},
		{"myorigin", handled},
		{"mydestination", handled},
		{"sender_canonical_maps", handled},
		{"canonical_maps", handled},
		{"smtp_generic_maps", handled},
		{"masquerade_domains", remark("sendoff does not shorten domains", "")},
		{"alias_maps", postfixAliases},
		{"alias_database", handled},
		{"virtual_alias_maps", remark("write its entries into the alias file", "")},
		{"always_bcc", remark("sendoff adds no recipients", "")},
		{"sender_bcc_maps", remark("sendoff adds no recipients", "")},

		{"message_size_limit", postfixSize},
		{"maximal_queue_lifetime", postfixLifetime},
		{"bounce_queue_lifetime", handled},
		{"queue_directory", func(r *Reading, _ *draft, e entry) string { r.queue = e.value; return "" }},
		{"minimal_backoff_time", remark("to change when sendoff tries again, set retry", "")},
		{"maximal_backoff_time", remark("to change when sendoff tries again, set retry", "")},
		{"defer_transports", remark(`sendoff sends at once; to only queue, set deliver = "queue"`, "")},
		{"smtp_bind_address", setting("source-address", new(config.Source))},
		{"inet_protocols", postfixProtocols},

		{"inet_interfaces", handled}, // postfixServer reads these parameters
		{"mynetworks", handled},
		{"relay_domains", remark("sendoff takes no mail of other machines", "")},
		{"transport_maps", remark(oneSmarthost, "")},
		{"default_transport", remark(oneSmarthost, "", "smtp")},
		{"relay_transport", remark(oneSmarthost, "", "smtp", "relay")},
		{"content_filter", remark("sendoff does not filter mail", "")},
		{"header_checks", remark("sendoff does not filter mail", "")},
		{"smtp_header_checks", remark("sendoff does not filter mail", "")},
	}
}

const oneSmarthost = "sendoff sends all mail of an account to its server"

// postfixSilent has the beginnings of parameters that do not matter to sending: they are
// about mail that others send to Postfix, about local mailboxes, and about Postfix itself.
var postfixSilent = strings.Fields(`smtpd_ postscreen_ lmtp_ local_ mailbox_ virtual_ milter_ postlog_ debug
	biff compatibility_level append_ recipient_delimiter unknown_local_recipient home_mailbox mail_spool
	data_directory command_directory daemon_directory readme_directory html_directory manpage_directory
	sample_directory meta_directory shlib_directory mail_owner setgid_group mail_name mail_version
	sendmail_path newaliases_path mailq_path delay_warning_time soft_bounce disable_vrfy mynetworks_style
	smtp_tls_loglevel smtp_tls_session_cache smtp_tls_note_starttls smtp_destination_ default_destination_
	smtp_connection_cache tls_random maillog_file in_flow default_database_type`)

// isPostfix reports whether path is Postfix's folder, or a file like main.cf.
func isPostfix(path string) bool {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		_, err = os.Stat(filepath.Join(path, "main.cf"))
		return err == nil
	}
	known := hasKey(postfixFields(), func(line string) (key, value string) {
		key, value, found := strings.Cut(line, "=")
		if !found {
			return "", ""
		}
		return strings.TrimSpace(key), value
	})
	return filepath.Base(path) == "main.cf" || known(path)
}

func readPostfix(r *Reading) error {
	if info, err := os.Stat(r.path); err == nil && info.IsDir() {
		r.path = filepath.Join(r.path, "main.cf")
	}
	m, err := r.readMainCf()
	if err != nil {
		return err
	}
	common := newDraft("default", m.get("relayhost").at)
	for _, name := range m.order {
		m.apply(common, m.get(name))
	}
	m.postfixTLS(common)
	m.postfixNames(common)
	m.postfixServer()
	m.readLogins()
	relays := m.postfixRelays(common)
	senders := m.postfixSenders(common, relays)
	if len(relays)+len(senders) == 0 {
		return status.Config.Errorf("%s: relayhost is not set, but sendoff requires a smarthost", r.path)
	}
	if len(relays) > 0 {
		r.protect(relays[0])
		r.addLocalNames(relays[0])
	}
	for _, d := range append(slices.Clone(relays[min(1, len(relays)):]), senders...) {
		r.protect(d)
	}
	for _, e := range m.logins {
		if e.key != "" && !m.usedLogins[e.at] {
			r.dropped(entry{"the login", "", e.at}, otherServer)
		}
	}
	r.addRemotes(relays)
	for _, d := range senders {
		r.add(d)
	}
	r.firstIsDefault()
	return nil
}

// apply imports a parameter, or adds a remark that it was not imported.
func (m *mainCf) apply(d *draft, e entry) {
	isSilent := func(begin string) bool { return strings.HasPrefix(e.key, begin) }
	switch {
	case m.r.apply(d, postfixFields(), e), slices.ContainsFunc(postfixSilent, isSilent), m.referenced[e.key], e.value == "":
	default:
		m.r.dropped(e, "sendoff has no such setting")
	}
}

// isYes reports whether the value of a parameter is yes.
func (m *mainCf) isYes(name string) bool { return strings.EqualFold(m.get(name).value, "yes") }

// postfixTLS sets TLS from smtp_tls_security_level, or from the two older parameters.
func (m *mainCf) postfixTLS(d *draft) {
	e := m.get("smtp_tls_security_level")
	switch {
	case e.value != "":
	case m.isYes("smtp_enforce_tls"):
		e = m.get("smtp_enforce_tls")
		e.value = "encrypt"
	case m.isYes("smtp_use_tls"):
		e = m.get("smtp_use_tls")
		e.value = "may"
	}
	e.value = strings.ToLower(e.value)
	wraps := m.isYes("smtp_tls_wrappermode")
	d.tls, d.starttls = wraps || e.value != "" && e.value != "none", !wraps
	switch e.value {
	case "", "none", "verify", "secure":
	case "may":
		if !wraps {
			m.r.note(e, "sendoff has no optional TLS; the account requires it")
		}
	case "encrypt":
		m.r.note(e, "Postfix did not verify the certificate; sendoff does")
	case "fingerprint":
		match := m.get("smtp_tls_fingerprint_cert_match")
		for _, text := range list(strings.ReplaceAll(match.value, "|", " ")) {
			if why := check(new(config.Fingerprint), text); why != "" {
				m.r.dropped(match, why)
				continue
			}
			prints, _ := d.other.Get("tls-fingerprint").([]string)
			d.other.Set("tls-fingerprint", append(prints, text))
		}
	case "dane", "dane-only", "half-dane":
		m.r.note(e, "sendoff does not use DANE; certificate authorities decide")
	default:
		m.r.dropped(e, "Postfix has no such level; the account requires TLS")
	}
}

// postfixPorts has the names of ports that a relay host may have.
var postfixPorts = map[string]string{"smtp": "25", "submission": "587", "smtps": "465", "submissions": "465", "urd": "465"}

// relay returns a copy of d for the server text, in Postfix's form: NAME or [NAME], with or
// without a port.
func (m *mainCf) relay(d *draft, e entry, text string) *draft {
	next := *d
	next.at, next.from, next.other = e.at, slices.Clone(d.from), slices.Clone(d.other)
	host, port, isName := text, "", true
	if inner, rest, found := strings.Cut(strings.TrimPrefix(text, "["), "]"); found && text[0] == '[' {
		host, port, isName = inner, strings.TrimPrefix(rest, ":"), false
	} else if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	}
	next.host, next.port = undotted(strings.TrimPrefix(host, "ipv6:")), port
	if n, ok := postfixPorts[port]; ok {
		next.port = n
	}
	if isName && net.ParseIP(host) == nil {
		m.r.note(e, "Postfix looks up MX records of "+host+"; sendoff connects to this host itself")
	}
	return &next
}

// postfixRelays returns a draft for each server for all mail: relayhost, then the
// fallbacks.
func (m *mainCf) postfixRelays(common *draft) (all []*draft) {
	for _, name := range []string{"relayhost", "smtp_fallback_relay"} {
		e := m.get(name)
		for _, text := range list(e.value) {
			d := m.relay(common, e, text)
			m.logIn(d, d.host, text)
			if len(all) > 0 {
				d.name = d.host
			}
			all = append(all, d)
		}
		if len(all) == 0 {
			break // without a relayhost, the fallback relay is not used
		}
	}
	return all
}

// readLogins reads the tables of passwords if Postfix logs in.
func (m *mainCf) readLogins() {
	if m.isYes("smtp_sasl_auth_enable") {
		m.logins = m.readTables("smtp_sasl_password_maps")
	} else {
		m.r.droppedIfSet("smtp_sasl_auth_enable is not yes, so Postfix does not log in", m.get("smtp_sasl_password_maps"))
	}
}

// logIn sets the login of d from the first of keys that has a password.
func (m *mainCf) logIn(d *draft, keys ...string) {
	if !m.isYes("smtp_sasl_auth_enable") {
		return
	}
	e, ok := m.logins.find(keys...)
	if !ok {
		m.r.note(m.get("smtp_sasl_password_maps"), "no password for "+keys[len(keys)-1]+", so the account does not log in")
		return
	}
	m.usedLogins[e.at] = true
	user, password, _ := strings.Cut(e.value, ":")
	d.login, d.user, d.password = true, user, entry{"the password", password, e.at}
}

// postfixSenders returns a draft for each sender, or domain of senders, with its own server
// or login.
func (m *mainCf) postfixSenders(common *draft, relays []*draft) (all []*draft) {
	servers := m.readTables("sender_dependent_relayhost_maps")
	byName := m.isYes("smtp_sender_dependent_authentication")
	senders := slices.Clone(servers)
	for _, e := range m.logins {
		if byName && strings.Contains(e.key, "@") {
			senders = append(senders, e)
		}
	}
	seen := make(map[string]bool)
	for _, e := range senders {
		name := strings.TrimPrefix(e.key, "@")
		if seen[e.key] || name == "" {
			continue
		}
		seen[e.key] = true
		server, found := servers.find(e.key, e.key[max(0, strings.IndexByte(e.key, '@')):])
		text := server.value
		var d *draft
		switch {
		case found && !strings.EqualFold(text, "DUNNO"):
			d = m.relay(common, server, text)
		case len(relays) > 0:
			relayhost := m.get("relayhost")
			text = list(relayhost.value)[0]
			d = m.relay(common, relayhost, text)
		default:
			m.r.dropped(entry{"the sender", "", e.at}, "there is no relayhost for it")
			continue
		}
		d.name, d.at, d.from = name, e.at, nil
		from := e.key
		if from[0] == '@' {
			from = "*" + from
		}
		if why := d.addFrom(from); why != "" {
			m.r.dropped(entry{"the sender", "", e.at}, why)
			continue
		}
		keys := []string{d.host, text}
		if byName {
			keys = append([]string{e.key}, keys...)
		}
		m.logIn(d, keys...)
		all = append(all, d)
	}
	return all
}

// postfixMechanisms reads the list of mechanisms that may be used.
func postfixMechanisms(_ *Reading, d *draft, e entry) string {
	var known []string
	for _, name := range list(strings.ToUpper(e.value)) {
		if slices.Contains(auth.Known(), name) {
			known = append(known, name)
		}
	}
	if len(known) < len(list(e.value)) {
		return "sendoff does not support all of them, and chooses a mechanism itself"
	}
	d.other.Set("auth", known)
	return ""
}

// postfixSize reads a size; 0 means no limit.
func postfixSize(_ *Reading, d *draft, e entry) string {
	if e.value == "0" {
		return ""
	}
	return d.put("max-size", e.value, new(config.Size))
}

// postfixLifetime reads a time; a number without a unit means days.
func postfixLifetime(r *Reading, _ *draft, e entry) string {
	if strings.Trim(e.value, "0123456789") == "" {
		e.value += "d"
	}
	return r.share("lifetime", e, new(config.Duration))
}

// postfixProtocols reads the versions of IP: only a single version needs a setting.
func postfixProtocols(_ *Reading, d *draft, e entry) string {
	switch strings.ToLower(e.value) {
	case "ipv4":
		d.other.Set("address-family", 4)
	case "ipv6":
		d.other.Set("address-family", 6)
	}
	return ""
}

// postfixAliases reads the list of alias files; sendoff can use the first text file.
func postfixAliases(r *Reading, _ *draft, e entry) string {
	var others []string
	taken := false
	for _, text := range list(e.value) {
		kind, path := parseTable(text)
		if _, isText := textTables[kind]; taken || !isText {
			others = append(others, text)
			continue
		}
		taken = true
		if path == "/etc/aliases" { // sendoff's default
			continue
		}
		if why := r.share("aliases", entry{e.key, path, e.at}, filePath{}); why != "" {
			return why
		}
	}
	if len(others) > 0 {
		r.note(e, "sendoff reads one alias file, not "+strings.Join(others, " "))
	}
	return ""
}
