package importer

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
)

// nullmailerFiles has every file in nullmailer's folder except remotes. Each file has a
// single line.
func nullmailerFiles() []field {
	return []field{
		{"defaultdomain", handled}, // read with me and defaulthost
		{"me", handled},            // nullmailerNames reads these three files
		{"helohost", handled},
		{"defaulthost", handled},
		{"allmailfrom", func(_ *Reading, d *draft, e entry) string {
			if why := d.addFrom(e.value); why != "" {
				return why
			}
			d.other.Set("force-sender", true)
			return ""
		}},
		{"adminaddr", takeLocal},
		{"idhost", remark("sendoff uses the sender's domain in Message-ID", "")},
		{"pausetime", handled}, // read with maxpause
		{"maxpause", handled},
		{"queuelifetime", func(r *Reading, _ *draft, e entry) string {
			e.value += "s"
			return r.share("lifetime", e, new(config.Duration))
		}},
		{"sendtimeout", remark("sendoff has a time limit for each reply instead: timeout", "")},
		{"bounceto", remark("a bounce goes to the sender", "")},
		{"doublebounceto", remark("a bounce that cannot be sent stays in the queue's folder failed", "")},
	}
}

// remoteOptions has every option of a line in remotes.
func remoteOptions() []field {
	return []field{
		{"port", text(func(d *draft) *string { return &d.port })},
		{"user", takeUser},
		{"pass", func(_ *Reading, d *draft, e entry) string { d.password = entry{"pass", e.value, e.at}; return "" }},
		{"auth-login", func(_ *Reading, d *draft, e entry) string { d.auth = entry{e.key, "LOGIN", e.at}; return "" }},
		{"starttls", func(_ *Reading, d *draft, _ entry) string { d.tls, d.starttls = true, true; return "" }},
		{"tls", func(_ *Reading, d *draft, _ entry) string { d.tls = true; return "" }},
		{"ssl", func(_ *Reading, d *draft, _ entry) string { d.tls = true; return "" }},
		{"source", setting("source-address", new(config.Source))},
		{"x509certfile", setting("tls-cert", filePath{})},
		{"x509keyfile", setting("tls-key", filePath{})},
		{"x509cafile", setting("tls-ca", filePath{})},
		{"x509crlfile", remark("sendoff does not read revocation lists", "")},
		{"x509fmtder", remark("sendoff reads certificates and keys in PEM form")},
		{"insecure", remark(alwaysVerifies)},
	}
}

// isNullmailer reports whether path is nullmailer's folder, or its file remotes.
func isNullmailer(path string) bool {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return filepath.Base(path) == "remotes"
	}
	_, err = os.Stat(filepath.Join(path, "remotes"))
	return err == nil
}

func readNullmailer(r *Reading) error {
	if info, err := os.Stat(r.path); err == nil && !info.IsDir() {
		r.path = filepath.Dir(r.path)
	}
	remotes := filepath.Join(r.path, "remotes")
	entries, err := readLines(remotes)
	if err != nil {
		return err
	}
	common := newDraft("default", remotes)
	r.nullmailerFolder(common)
	var all []*draft
	for _, e := range entries {
		if d := r.remote(common, e); d != nil {
			all = append(all, d)
		}
	}
	for i, d := range all {
		r.protect(d)
		if i == 0 {
			r.addLocalNames(d)
		} else {
			d.name, d.from = d.host, slices.Clone(all[0].from)
		}
	}
	r.addRemotes(all)
	r.firstIsDefault()
	return nil
}

// nullmailerFolder reads the files beside remotes: they are settings for all servers.
func (r *Reading) nullmailerFolder(d *draft) {
	folder, err := os.ReadDir(r.path)
	if err != nil {
		r.Remark(r.path + ": the other files in it were not imported: " + err.Error())
	}
	for _, file := range folder {
		path := filepath.Join(r.path, file.Name())
		if file.Name() == "remotes" {
			continue
		}
		text, _ := r.beside(path)
		first, _, _ := strings.Cut(text, "\n")
		e := entry{file.Name(), strings.TrimSpace(first), path + ":1"}
		if e.value != "" && !r.apply(d, nullmailerFiles(), e) {
			r.Remark(path + ": this file was not imported: nullmailer has no such setting")
		}
	}
	r.nullmailerNames(d)
	r.nullmailerPauses(d.entries)
}

// nullmailerNames sets the host name and the domain from four files.
func (r *Reading) nullmailerNames(d *draft) {
	complete := func(key string) entry {
		e := d.entries[key]
		e.value = undotted(e.value)
		if suffix := d.entries["defaultdomain"].value; e.value != "" && !strings.Contains(e.value, ".") && suffix != "" {
			e.value += "." + suffix
		}
		return e
	}
	d.machine = complete("me")
	hello := complete("helohost")
	if hello.value == "" {
		hello = d.machine
	}
	if why := shared("hostname", hostName{})(r, d, hello); why != "" {
		r.dropped(hello, why)
	}
	if e := complete("defaulthost"); e.value != "" {
		if why := takeDomain(r, d, e); why != "" {
			r.dropped(e, why)
		}
	}
	if e := d.entries["defaultdomain"]; e.value != "" {
		r.note(e, "sendoff does not complete other host names")
	}
}

// nullmailerPauses sets retry from two files.
func (r *Reading) nullmailerPauses(entries map[string]entry) {
	first, longest := entries["pausetime"], entries["maxpause"]
	if first.value == "" && longest.value == "" {
		return
	}
	pauses := []string{cmp.Or(first.value, "60") + "s", cmp.Or(longest.value, "86400") + "s"}
	var least, most config.Duration
	err := errors.Join(least.UnmarshalText([]byte(pauses[0])), most.UnmarshalText([]byte(pauses[1])))
	if err != nil || least.Duration > most.Duration {
		r.droppedIfSet("pausetime must be a time that is not longer than maxpause", first, longest)
		return
	}
	r.Top.Set("retry", pauses)
}

// remote returns a draft for a line of remotes; nil: it cannot be imported.
func (r *Reading) remote(common *draft, e entry) *draft {
	words, ok := splitWords(e.value, true)
	if !ok || len(words) == 0 {
		r.unknown(e.at)
		return nil
	}
	d := *common
	d.at, d.host, d.entries = e.at, undotted(words[0]), make(map[string]entry)
	d.from, d.other = slices.Clone(common.from), slices.Clone(common.other)
	words = words[1:]
	if len(words) > 0 && !strings.HasPrefix(words[0], "-") && !strings.Contains(words[0], "=") {
		if words[0] != "smtp" {
			r.Remark(e.at + ": this server was not imported: its protocol is not SMTP")
			return nil
		}
		words = words[1:]
	}
	for _, w := range words {
		o := entry{at: e.at}
		o.key, o.value, _ = strings.Cut(strings.TrimPrefix(w, "--"), "=")
		if !r.apply(&d, remoteOptions(), o) {
			r.Remark(e.at + ": an option was not imported: nullmailer has no such option")
		}
	}
	return &d
}

// addRemotes adds an account for the first server. A server with the same login and
// settings is added to this account, because sendoff tries the servers of an account in
// order. Every other server gets its own account.
func (r *Reading) addRemotes(all []*draft) {
	for i, d := range all {
		if i == 0 {
			r.add(d)
			continue
		}
		first := all[0]
		server, why := d.server()
		same := d.user == first.user && d.password.value == first.password.value && d.auth.value == first.auth.value &&
			d.other.String() == first.other.String()
		if why != "" || !same || len(r.Accounts) != 1 {
			r.add(d)
			if n := len(r.Accounts); n > 1 {
				r.Remark(fmt.Sprintf("%s: account %q has other settings, so it is not tried if another server fails", d.at, r.Accounts[n-1].Name))
			}
			continue
		}
		r.Accounts[0].Set("server", append(servers(r.Accounts[0]), edit.URL(server)))
	}
}

// servers returns the values of the account's setting server.
func servers(a *edit.Table) []string {
	if list, ok := a.Get("server").([]string); ok {
		return list
	}
	return []string{a.Text("server")}
}
