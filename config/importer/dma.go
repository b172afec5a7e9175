package importer

import (
	"os"
	"path/filepath"
	"strings"

	"sendoff/config"
	"sendoff/submit/status"
)

// dmaFields has every key of dma.conf, including keys of older versions.
func dmaFields() []field {
	return []field{
		{"SMARTHOST", takeHost},
		{"PORT", text(func(d *draft) *string { return &d.port })},
		{"SECURETRANSFER", func(_ *Reading, d *draft, _ entry) string { d.tls = true; return "" }},
		{"SECURETRANS", func(_ *Reading, d *draft, _ entry) string { d.tls = true; return "" }},
		{"STARTTLS", func(_ *Reading, d *draft, _ entry) string { d.starttls = true; return "" }},
		{"OPPORTUNISTIC_TLS", remark("sendoff has no optional TLS; the account requires it")},
		{"CERTFILE", setting("tls-cert", filePath{})},
		{"FINGERPRINT", setting("tls-fingerprint", new(config.Fingerprint))},
		{"SECURE", handled},
		{"INSECURE", remark("sendoff sends a password without TLS only to this machine")},
		{"NOHELO", remark("sendoff uses HELO only if the server does not know EHLO")},

		{"AUTHPATH", handled}, // readDma reads the file after all other keys
		{"MAILNAME", dmaMailname},
		{"MASQUERADE", dmaMasquerade},
		{"ALIASES", shared("aliases", filePath{})},
		{"VIRTPATH", remark("sendoff has no virtual users", "")},
		{"NULLCLIENT", handled}, // sendoff never delivers mail on this machine

		{"DEFER", func(r *Reading, d *draft, e entry) string {
			d.other.Set("deliver", config.DeliverQueue)
			r.note(e, `sendoff sends queued mail by itself; with runner = "off" only sendoff -q does`)
			return ""
		}},
		{"SPOOLDIR", func(r *Reading, _ *draft, e entry) string {
			r.queue = e.value
			return "sendoff has a queue of its own"
		}},
		{"FULLBOUNCE", remark("a bounce of sendoff contains only the message's header")},
		{"VERBOSE", remark(showsDialogue)},
		{"DEBUGLOG", remark(showsDialogue)},
	}
}

// cutDma returns the key and the value of a line, without a comment.
func cutDma(line string) (key, value string) {
	line, _, _ = strings.Cut(line, "#")
	return cutSpace(strings.TrimSpace(line))
}

// readDma reads dma.conf and its file of passwords.
func readDma(r *Reading) error {
	entries, err := readLines(r.path)
	if err != nil {
		return err
	}
	d := newDraft("default", r.path+":1")
	for _, e := range entries {
		e.key, e.value = cutDma(e.value)
		if !r.apply(d, dmaFields(), e) {
			r.unknown(e.at)
		}
	}
	if d.host == "" {
		return status.Config.Errorf("%s: SMARTHOST is not set, but sendoff requires a smarthost", r.path)
	}
	d.at = d.entries["SMARTHOST"].at
	if path := d.entries["AUTHPATH"].value; path != "" {
		r.dmaAuth(d, path)
	}
	if d.starttls && !d.tls {
		d.tls = true
		r.Remark(d.at + ": dma ignores STARTTLS without SECURETRANSFER; the imported account requires it")
	}
	r.protect(d)
	r.addLocalNames(d)
	r.add(d)
	return nil
}

// dmaAuth finds the login for d's host in the file at path. If there is no such file, it
// reads the file of this name beside dma.conf: both may have been copied. The last line for
// the host counts.
func (r *Reading) dmaAuth(d *draft, path string) {
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(filepath.Dir(r.path), filepath.Base(path))
	}
	text, there := r.beside(path)
	if !there {
		r.Remark(path + ": not found, so the account does not log in")
	}
	for _, e := range lines(path, text) {
		user, login, found := strings.Cut(e.value, "|")
		i := strings.IndexAny(login, ": \t")
		if !found || i < 0 {
			r.unknown(e.at)
			continue
		}
		e.key, e.value = "the login", login[i+1:]
		if !strings.EqualFold(undotted(login[:i]), d.host) {
			r.dropped(e, otherServer)
			continue
		}
		if d.login {
			r.dropped(d.password, laterLine)
		}
		d.login, d.user, d.password = true, user, e
	}
}

// dmaMailname reads the host name, or the path of a file with the host name.
func dmaMailname(r *Reading, d *draft, e entry) string {
	if strings.HasPrefix(e.value, "/") {
		text, err := readFile(e.value)
		if err != nil {
			return "the file that it names cannot be read"
		}
		e.value, _, _ = strings.Cut(text, "\n")
		e.value = strings.TrimSpace(e.value)
	}
	e.value = undotted(e.value)
	d.machine = e
	return shared("hostname", hostName{})(r, d, e)
}

// dmaMasquerade reads an address, a domain, or a user followed by @.
func dmaMasquerade(r *Reading, d *draft, e entry) string {
	i := strings.LastIndexByte(e.value, '@')
	switch user, host := e.value[:max(i, 0)], e.value[i+1:]; {
	case e.value == "":
		return ""
	case user == "":
		e.value = host
		return takeDomain(r, d, e)
	case host == "":
		return "it has no domain"
	}
	return d.addFrom(e.value)
}
