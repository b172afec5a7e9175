package importer

import (
	"fmt"
	"path/filepath"
	"strings"
)

// netrc searches for a password in the user's .netrc, and in the system's netrc if msmtp's
// system file is imported. The value is "" if there is no password.
func (r *Reading) netrc(host, user string) entry {
	paths := []string{filepath.Join(r.Home, ".netrc")}
	if filepath.Base(r.path) == "msmtprc" {
		paths = append(paths, filepath.Join(filepath.Dir(r.path), "netrc"))
	}
	for _, path := range paths {
		text, _ := r.beside(path)
		if p, ok := findNetrc(path, text, host, user); ok {
			return p
		}
	}
	return entry{}
}

// findNetrc returns the password of user at host in the text of a netrc file.
func findNetrc(path, text, host, user string) (entry, bool) {
	var machine, login string
	var found entry
	matches := func() bool { return strings.EqualFold(machine, host) && login == user && found.value != "" }
	key := "" // the key whose value is the next word
	n := 0
	for line := range strings.Lines(text) {
		n++
		if key == "macdef" && strings.TrimSpace(line) == "" {
			key = ""
		}
		words, _ := splitWords(strings.TrimRight(line, space), false)
		for _, word := range words {
			switch key {
			case "macdef": // a macro ends at an empty line
				continue
			case "machine":
				machine = word
			case "login", "user":
				login = word
			case "password", "passwd":
				found = entry{key: "password", value: word, at: fmt.Sprintf("%s:%d", path, n)}
			}
			if key != "" {
				key = ""
				continue
			}
			switch word {
			case "machine", "default":
				if matches() {
					return found, true
				}
				machine, login, found = "", "", entry{}
			}
			switch word {
			case "machine", "login", "user", "password", "passwd", "account", "macdef":
				key = word
			}
		}
	}
	return found, matches()
}
