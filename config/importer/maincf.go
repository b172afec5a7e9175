package importer

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A mainCf has the parameters of Postfix's main.cf.
type mainCf struct {
	r          *Reading
	entries    map[string]entry // the last line of each parameter, with $NAME not replaced
	order      []string         // the names of the parameters, in the order of the file
	referenced map[string]bool  // the parameters that the values of others contain, as $NAME
	remaining  int              // how many octets the expansion of the current value may still produce
	logins     table            // the lines of the password tables; empty if Postfix does not log in
	usedLogins map[string]bool  // the lines of logins that an account uses, by FILE:LINE
}

// readMainCf reads main.cf.
func (r *Reading) readMainCf() (*mainCf, error) {
	text, err := readFile(r.path)
	if err != nil {
		return nil, err
	}
	m := &mainCf{r: r, entries: make(map[string]entry), referenced: make(map[string]bool), usedLogins: make(map[string]bool)}
	for _, e := range logicalLines(r.path, text) {
		name, value, found := strings.Cut(e.value, "=")
		if e.key, e.value = strings.TrimSpace(name), strings.TrimSpace(value); !found {
			r.unknown(e.at)
			continue
		}
		if before, twice := m.entries[e.key]; twice {
			r.dropped(before, laterLine)
		} else {
			m.order = append(m.order, e.key)
		}
		m.entries[e.key] = e
	}
	for _, name := range m.order {
		m.get(name) // fills m.referenced
	}
	return m, nil
}

// logicalLines returns the lines of a file of Postfix, without comments and empty lines. A
// line that begins with white space continues the line before it.
func logicalLines(path, text string) []entry {
	var all []entry
	n := 0
	for line := range strings.Lines(text) {
		n++
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case strings.IndexByte(space, line[0]) >= 0 && len(all) > 0:
			all[len(all)-1].value += " " + trimmed
		default:
			all = append(all, entry{value: trimmed, at: fmt.Sprintf("%s:%d", path, n)})
		}
	}
	return all
}

// get returns the line of a parameter, with $NAME replaced. If the file does not have the
// parameter, the value is empty.
func (m *mainCf) get(name string) entry {
	e, ok := m.entries[name]
	if !ok {
		return entry{key: name, at: m.r.path}
	}
	e.value = m.expand(e, e.value, 0)
	return e
}

// value returns the value of a parameter in the file; otherwise Postfix's default.
func (m *mainCf) value(name string, depth int) string {
	if e, ok := m.entries[name]; ok {
		return m.expand(e, e.value, depth)
	}
	switch id := m.r.Identity; name {
	case "myhostname":
		return cmp.Or(id.FQDN, id.Hostname)
	case "mydomain":
		_, domain, _ := strings.Cut(m.value("myhostname", depth+1), ".")
		return domain
	case "myorigin":
		return m.value("myhostname", depth+1)
	case "mydestination":
		return m.value("myhostname", depth+1) + ", localhost." + m.value("mydomain", depth+1) + ", localhost"
	case "config_directory":
		return filepath.ToSlash(filepath.Dir(m.r.path))
	case "default_database_type":
		return "hash"
	}
	return ""
}

// Limits of expand: the depth of nested parameters, and the octets of a value. Each
// parameter in a value counts as at least leastPart octets.
const (
	maxNested   = 20
	maxExpanded = 1 << 16
	leastPart   = 1 << 6
)

// expand replaces $NAME, ${NAME} and $(NAME) in value, a value of e.
func (m *mainCf) expand(e entry, value string, depth int) string {
	var b strings.Builder
	if depth == 0 {
		m.remaining = maxExpanded
	}
	for {
		before, after, found := strings.Cut(value, "$")
		b.WriteString(before)
		if !found {
			break
		}
		name, rest := after, ""
		switch {
		case strings.HasPrefix(after, "$"):
			value = after[1:]
			b.WriteByte('$')
			continue
		case strings.HasPrefix(after, "{"):
			name, rest, _ = strings.Cut(after[1:], "}")
		case strings.HasPrefix(after, "("):
			name, rest, _ = strings.Cut(after[1:], ")")
		default:
			n := strings.IndexFunc(after, func(c rune) bool { return !isParameter(c) })
			if n >= 0 {
				name, rest = after[:n], after[n:]
			}
		}
		value = rest
		switch {
		case name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isParameter(c) }):
			if depth == 0 && slices.ContainsFunc(postfixFields(), func(f field) bool { return f.key == e.key }) {
				m.r.note(e, "the condition in the value was not understood")
			}
		case depth < maxNested && m.remaining > 0:
			m.referenced[name] = true
			m.remaining -= leastPart
			part := m.value(name, depth+1)
			m.remaining -= len(part)
			b.WriteString(part)
		}
	}
	return strings.TrimSpace(b.String())
}

// isParameter reports whether the name of a parameter can contain c.
func isParameter(c rune) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// list returns the elements of a list in Postfix's form. Text in braces stays in one
// element.
func list(value string) (all []string) {
	depth, begin := 0, 0
	for i := 0; i <= len(value); i++ {
		switch {
		case i < len(value) && value[i] == '{':
			depth++
		case i < len(value) && value[i] == '}':
			depth = max(0, depth-1)
		case i == len(value) || depth == 0 && strings.IndexByte(","+space, value[i]) >= 0:
			if begin < i {
				all = append(all, value[begin:i])
			}
			begin = i + 1
		}
	}
	return all
}

// textTables are the types of lookup tables that Postfix builds from a text file, with
// the ending of the compiled file.
var textTables = map[string]string{"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb", "dbm": ".pag", "sdbm": ".pag", "texthash": ""}

// parseTable returns the type of a lookup table, and the rest of its name: usually the path
// of a file.
func parseTable(text string) (kind, path string) {
	kind, path, found := strings.Cut(text, ":")
	if !found {
		return "hash", text
	}
	return kind, path
}

// A table has the lines of all lookup tables of a parameter.
type table []entry

// readTables reads the lookup tables of a parameter, in order. If a table has no text file,
// it adds a remark. An entry with the key "" applies to every key.
func (m *mainCf) readTables(name string) table {
	var all table
	e := m.get(name)
	for _, text := range list(e.value) {
		kind, path := parseTable(strings.TrimPrefix(text, "proxy:"))
		_, isText := textTables[kind]
		switch {
		case kind == "static":
			path = strings.TrimSuffix(strings.TrimPrefix(path, "{"), "}")
			all = append(all, entry{value: strings.TrimSpace(path), at: e.at})
		case (kind == "regexp" || kind == "pcre") && name != "smtp_sasl_password_maps":
			all = append(all, m.readPatterns(e, path)...)
		case isText:
			all = append(all, m.readTable(e, kind, path)...)
		default: // its type is not named, because the text may be a part of a password
			m.r.note(e, "a table was not imported: sendoff reads only tables that are made of a text file")
		}
	}
	return all
}

// readTable reads the text file of a lookup table, or the file of the same name beside
// main.cf, which may be a copy.
func (m *mainCf) readTable(from entry, kind, path string) (all table) {
	path, text, there := m.tableText(path)
	if !there {
		m.missing(from, kind, path)
	}
	for _, e := range logicalLines(path, text) {
		key, value := cutSpace(e.value)
		if e.key, e.value = strings.ToLower(key), value; value == "" {
			m.r.unknown(e.at)
			continue
		}
		all = append(all, e)
	}
	return all
}

func (m *mainCf) tableText(path string) (at, text string, there bool) {
	if filepath.IsAbs(path) {
		if text, there = m.r.beside(path); there {
			return path, text, true
		}
	}
	if text, there = m.r.beside(m.beside(path)); there {
		path = m.beside(path)
	}
	return path, text, there
}

// beside returns the path of a file of the same name beside main.cf.
func (m *mainCf) beside(path string) string {
	return filepath.Join(filepath.Dir(m.r.path), filepath.Base(path))
}

// missing adds a remark about a table whose text file does not exist, with the command that
// writes that file from the compiled one.
func (m *mainCf) missing(e entry, kind, path string) {
	if !strings.HasPrefix(filepath.ToSlash(path), "/") { // it may be a part of a password
		m.r.note(e, "a table was not imported: its file was not found")
		return
	}
	for _, text := range []string{path, m.beside(path)} {
		_, err := os.Stat(text + textTables[kind])
		folder, name := filepath.Split(text)
		if err != nil || textTables[kind] == "" || strings.ContainsFunc(text, needsQuotes) {
			continue
		}
		m.r.Remark(fmt.Sprintf("%s was not imported: its text is not there, only %s", path, text+textTables[kind]))
		sudo := "sudo "
		if strings.HasPrefix(text, m.r.Home+string(filepath.Separator)) {
			sudo = ""
		}
		m.r.Remark(fmt.Sprintf("to write the text again: %ssh -c 'cd %s && umask 077 && postmap -s %s:%s >%s'", sudo, filepath.Clean(folder), kind, name, name))
		return
	}
	m.r.Remark(path + ": not found; its table was not imported")
}

// needsQuotes reports whether c needs quotes in a shell.
func needsQuotes(c rune) bool { return !isParameter(c) && !strings.ContainsRune("/.-+@:", c) }

// matchAll are the patterns that match every address.
var matchAll = []string{"/.*/", "/.+/", "/./", "/^/", "/^.*$/", "/^.+$/"}

// readPatterns reads a table of patterns. Only patterns that match every address can be
// imported.
func (m *mainCf) readPatterns(from entry, path string) (all table) {
	path, text, _ := m.tableText(path)
	for _, e := range logicalLines(path, text) {
		pattern, value := cutSpace(e.value)
		if !slices.Contains(matchAll, pattern) {
			e.key = from.key
			m.r.dropped(entry{from.key, "", e.at}, "sendoff has no patterns for addresses")
			continue
		}
		all = append(all, entry{value: value, at: e.at})
	}
	return all
}

// find returns the first entry of t for the first of keys that has one. An entry with the
// key "" matches every key.
func (t table) find(keys ...string) (entry, bool) {
	for _, key := range keys {
		for _, e := range t {
			if e.key == "" || strings.EqualFold(e.key, key) {
				return e, true
			}
		}
	}
	return entry{}, false
}
