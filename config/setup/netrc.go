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
	key := "" // the next word is its value
	n := 0
	for line := range strings.Lines(text) {
		n++
		if key == "macdef" && strings.TrimSpace(line) == "" {
			key = ""
		}
		for _, word := range netrcWords(line) {
			switch key {
			case "macdef": // up to an empty line
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

// netrcWords splits a line as msmtp does: quotes of either kind may be anywhere
// in a word, a backslash has no meaning, and a # has one only where a word begins.
func netrcWords(line string) (words []string) {
	var word strings.Builder
	var quote byte
	in := false
	end := func() {
		if in {
			words = append(words, word.String())
		}
		word.Reset()
		in = false
	}
	const space = " \t\n\v\f\r"
	line = strings.TrimRight(line, space)
	for i := range len(line) {
		switch c := line[i]; {
		case c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case strings.IndexByte(space, c) >= 0:
			end()
		case c == '#' && !in:
			return words
		default:
			word.WriteByte(c)
			in = true
		}
	}
	end()
	return words
}
