package setup

import (
	"fmt"
	"path/filepath"
	"strings"
)

// netrc looks a password up in the files that ftp(1) made known: the user's,
// and the system's beside msmtp's.
func (r *reading) netrc(host, user string) entry {
	paths := []string{filepath.Join(r.home, ".netrc")}
	if filepath.Base(r.path) == "msmtprc" {
		paths = append(paths, filepath.Join(filepath.Dir(r.path), "netrc"))
	}
	for _, path := range paths {
		text, there, err := optional(path)
		if err != nil {
			r.remark(path + ": not carried over: " + err.Error())
		}
		if there {
			if p, ok := findNetrc(path, text, host, user); ok {
				return p
			}
		}
	}
	return entry{}
}

// findNetrc finds the password of user at host in the text of a netrc.
func findNetrc(path, text, host, user string) (entry, bool) {
	var machine, login string
	var found entry
	matches := func() bool { return strings.EqualFold(machine, host) && login == user && found.value != "" }
	n, macro := 0, false
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if macro = macro && len(words) > 0; macro { // up to an empty line
			continue
		}
		for i := 0; i < len(words); i++ {
			next := ""
			if i+1 < len(words) {
				next = strings.Trim(words[i+1], `"`)
			}
			switch words[i] {
			case "machine", "default":
				if matches() {
					return found, true
				}
				machine, login, found = "", "", entry{}
				if words[i] == "machine" {
					machine = next
					i++
				}
			case "login", "user":
				login = next
				i++
			case "password", "passwd":
				found = entry{key: "password", value: next, at: fmt.Sprintf("%s:%d", path, n)}
				i++
			case "account":
				i++
			case "macdef":
				macro = true
				i = len(words)
			default:
				if strings.HasPrefix(words[i], "#") {
					i = len(words)
				}
			}
		}
	}
	return found, matches()
}
