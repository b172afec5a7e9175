package status

import (
	"net"
	"path"
	"strings"

	"sendoff/submit/process"
)

// placeholders has the words of hints that stand for a value which the error names, or this
// process knows. find returns what replaces the word; "": the value is unknown, and the
// word stays. A new placeholder is a row here.
var placeholders = [...]struct {
	word string
	find func(text string) string
}{
	{"FILE", pathIn},
	{"://HOST", func(text string) string { return inURL(hostIn(text)) }},
	{"command:cat PATH", func(text string) string {
		if p := pathIn(text); strings.HasPrefix(p, "/") { // no shell would replace ~
			return "command:cat " + p
		}
		return ""
	}},
	{"NAME.tar.gz NAME", func(text string) string {
		_, folder, _ := strings.Cut(text, "--attach: ")
		folder = strings.TrimRight(strings.TrimSuffix(folder, " is a folder"), "/")
		if q := quoted(folder); q != "" && !strings.HasPrefix(folder, "-") {
			return quoted(path.Base(folder)+".tar.gz") + " " + q
		}
		return ""
	}},
	{"PROGRAM", func(string) string {
		program, _ := process.Executable()
		return quoted(program)
	}},
	{"oauth2.NAME", func(text string) string { return "oauth2." + between(text, "oauth2:", ":") }},
	{"LoadCredential=NAME", func(text string) string { return "LoadCredential=" + between(text, "systemd:", ":") }},
	{"encrypted/NAME", func(text string) string { return "encrypted/" + between(text, "systemd:", ":") }},
	{"NAME", func(text string) string { return between(text, "known accounts: ", ",") }},
}

// fill replaces the placeholders in hint by the values that text, an error, names.
func fill(hint, text string) string {
	for _, p := range placeholders {
		if !strings.Contains(hint, p.word) {
			continue
		}
		if value := p.find(text); value != "" && !strings.HasPrefix(p.word, value) {
			hint = strings.ReplaceAll(hint, p.word, value)
		}
	}
	return hint
}

// between returns the word that stands in text after before and up to after; "": none
// does.
func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	word, _, ok := strings.Cut(rest, after)
	if !ok || quoted(word) != word {
		return ""
	}
	return word
}

// hostIn returns the server that text is about: the host in "connect to HOST:PORT", or in
// "(HOST)" or "(HOST:PORT)" where that is last; "": there is none.
func hostIn(text string) string {
	if _, rest, ok := strings.Cut(text, "connect to "); ok {
		word, _, _ := strings.Cut(rest, " ")
		return hostOf(strings.TrimSuffix(word, ":"))
	}
	begin, end := strings.LastIndexByte(text, '('), strings.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return ""
	}
	return hostOf(text[begin+1 : end])
}

// hostOf returns the host of an address with or without a port; "" if it is no host.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" {
		return ""
	}
	return host
}

// inURL returns host for the place of ://HOST; "" without a host.
func inURL(host string) string {
	switch {
	case host == "":
		return ""
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return "://" + host
}

// pathIn returns the last path in text that a colon and a space follow, quoted for a
// shell; "" if there is none, or if it cannot be quoted simply.
func pathIn(text string) (path string) {
	for i := range text {
		at, begins := text[i:], i == 0 || text[i-1] == ':' || text[i-1] == ' '
		if !begins || !strings.HasPrefix(at, "/") && !strings.HasPrefix(at, "~/") || strings.HasPrefix(at, "//") {
			continue
		}
		if word, _, ends := strings.Cut(at, ": "); ends {
			path = word
		}
	}
	return quoted(path)
}

// quoted returns path as a word of a shell; "" if it is empty, or cannot be quoted simply.
func quoted(path string) string {
	plain := func(r rune) bool { return r < 0x80 && (isAlnum(byte(r|0x20)) || strings.ContainsRune("/~._-+@", r)) }
	rest, home := strings.CutPrefix(path, "~/")
	switch {
	case strings.ContainsAny(path, "'\n"):
		return ""
	case strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0:
		return path
	case home:
		return "~/'" + rest + "'"
	}
	return "'" + path + "'"
}
