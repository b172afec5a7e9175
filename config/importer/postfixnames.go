package importer

import (
	"net/netip"
	"slices"
	"strings"
)

// postfixNames imports the names of this host, and the addresses with which local users
// send.
func (m *mainCf) postfixNames(d *draft) {
	origin := m.get("myorigin")
	origin.value = m.value("myorigin", 0)
	if strings.HasPrefix(origin.value, "/") {
		text, _ := m.r.beside(origin.value)
		first, _, _ := strings.Cut(text, "\n")
		origin.value = strings.TrimSpace(first)
	}
	origin.value = undotted(origin.value)
	hello := m.get("smtp_helo_name")
	if hello.value == "" {
		hello = m.get("myhostname")
	}
	hello.value = undotted(hello.value)
	if !strings.Contains(hello.value, ".") {
		hello.value = "" // sendoff's own choice is at least as good
	}
	if why := shared("hostname", hostName{})(m.r, d, hello); why != "" {
		m.r.dropped(hello, why)
	}
	local := m.local(origin.value)
	if local(origin.value, "mydestination") {
		m.r.note(m.get("mydestination"), "Postfix delivered mail for local users on this machine; sendoff sends it out")
		d.machine = origin
	} else if _, isSet := m.entries["myorigin"]; !isSet {
		d.machine = origin
	} else if why := takeDomain(m.r, d, origin); why != "" {
		m.r.dropped(origin, why)
	}
	for _, name := range []string{"sender_canonical_maps", "canonical_maps", "smtp_generic_maps"} {
		m.rewriting(d, name, local)
	}
	if len(d.from) > 0 {
		d.domain = entry{} // local users send with the address in d.from
	}
}

// local returns a function that reports whether domain belongs to this machine: by the
// parameter by, or, if by is "", by the names that Postfix always treats as local.
func (m *mainCf) local(origin string) func(domain, by string) bool {
	return func(domain, by string) bool {
		if by != "" {
			return slices.ContainsFunc(list(m.value(by, 0)), func(s string) bool { return strings.EqualFold(undotted(s), domain) })
		}
		id := m.r.Identity
		always := []string{origin, m.value("myhostname", 0), id.Hostname, id.FQDN, id.Mailname, "localhost"}
		return !strings.Contains(domain, ".") || strings.HasPrefix(domain, "localhost.") ||
			slices.ContainsFunc(always, func(s string) bool { return strings.EqualFold(s, domain) })
	}
}

// rewriting imports a table that rewrites senders: an address for all local users, or for
// everybody.
func (m *mainCf) rewriting(d *draft, name string, local func(domain, by string) bool) {
	for _, e := range m.readTables(name) {
		user, domain, _ := strings.Cut(e.key, "@")
		switch {
		case !isOwnAddress(e.value):
			m.r.dropped(entry{name, "", e.at}, "it does not name an address with a domain")
		case e.key == "":
			d.addFrom(e.value)
			d.other.Set("force-sender", true)
		case local(domain, ""):
			if len(d.from) > 0 && d.from[0] != e.value {
				m.r.dropped(entry{name, "", e.at}, "all local users send as "+d.from[0])
				continue
			}
			if d.addFrom(e.value); user != "" {
				m.r.note(m.get(name), "all local users send as "+d.from[0])
			}
		default:
			m.r.dropped(entry{name, "", e.at}, "sendoff does not replace addresses of other domains")
		}
	}
}

// postfixServer adds remarks about Postfix's work as a server, which sendoff does not do.
func (m *mainCf) postfixServer() {
	e := m.get("inet_interfaces")
	isLoopback := func(s string) bool {
		a, err := netip.ParseAddr(strings.Trim(s, "[]"))
		return s == "loopback-only" || s == "localhost" || s == "$myhostname" || err == nil && a.IsLoopback()
	}
	others := slices.DeleteFunc(list(e.value), isLoopback)
	if e.value == "" || len(others) > 0 {
		m.r.note(e, "Postfix accepted mail from other machines; sendoff does not")
	}
	m.r.note(e, "for programs that send to port 25 of this machine, run sendoff --listen")
	isOwn := func(s string) bool {
		network, err := netip.ParsePrefix(strings.NewReplacer("[", "", "]", "").Replace(s))
		return isLoopback(s) || err == nil && (network.Addr().IsLoopback() || network.Addr().Unmap().IsLoopback())
	}
	if e := m.get("mynetworks"); slices.ContainsFunc(list(e.value), func(s string) bool { return !isOwn(s) }) {
		m.r.note(e, "Postfix sent mail for other machines; sendoff does not")
	}
	local := m.local("")
	for _, name := range list(m.get("mydestination").value) {
		if !local(undotted(name), "") {
			m.r.note(m.get("mydestination"), "Postfix delivered mail for "+name+" on this machine; sendoff sends it out")
		}
	}
	for _, name := range []string{"virtual_mailbox_domains", "virtual_alias_domains"} {
		if e := m.get(name); e.value != "" {
			m.r.note(e, "Postfix received mail for these domains; sendoff sends it out")
		}
	}
}
