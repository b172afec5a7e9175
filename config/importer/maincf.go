package importer

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A mainCf is the parameters of Postfix's main.cf.
type mainCf struct {
	r      *Reading
	says   map[string]entry // of each parameter the last line, as it stands
	order  []string         // the parameters, in the order of the file
	parted map[string]bool  // the parameters of which others are made, by $NAME
	left   int              // how many octets the expansion of a value may still make
	logins table            // the passwords; empty if nobody logs in
	taken  map[string]bool  // which of them an account has, by its place
}

// readMainCf reads the file.
func (r *Reading) readMainCf() (*mainCf, error) {
	text, err := readFile(r.path)
	if err != nil {
		return nil, err
	}
	m := &mainCf{r: r, says: make(map[string]entry), parted: make(map[string]bool), taken: make(map[string]bool)}
	for _, e := range logicalLines(r.path, text) {
		name, value, found := strings.Cut(e.value, "=")
		if e.key, e.value = strings.TrimSpace(name), strings.TrimSpace(value); !found {
			r.unknown(e.at)
			continue
		}
		if before, twice := m.says[e.key]; twice {
			r.dropped(before, laterLine)
		} else {
			m.order = append(m.order, e.key)
		}
		m.says[e.key] = e
	}
	for _, name := range m.order {
		m.get(name) // which finds those in parted
	}
	return m, nil
}

// logicalLines returns the lines of a file of Postfix, each with those behind it that
// begin with white space, and without comments and empty lines.
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

// get returns a parameter as the file has it, with $NAME replaced; else with an empty
// value.
func (m *mainCf) get(name string) entry {
	e, ok := m.says[name]
	if !ok {
		return entry{key: name, at: m.r.path}
	}
	e.value = m.expand(e, e.value, 0)
	return e
}

// value returns the value of a parameter: that of the file, or the one that Postfix takes
// if the file has none.
func (m *mainCf) value(name string, depth int) string {
	if e, ok := m.says[name]; ok {
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

// Bounds on what a value may be made of: how deep parameters are made of others, how many
// octets, and for how many each of the others counts at least.
const (
	maxNested   = 20
	maxExpanded = 1 << 16
	leastPart   = 1 << 6
)

// expand replaces $NAME, ${NAME} and $(NAME) in a value of e.
func (m *mainCf) expand(e entry, value string, depth int) string {
	var b strings.Builder
	if depth == 0 {
		m.left = maxExpanded
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
		case depth < maxNested && m.left > 0:
			m.parted[name] = true
			m.left -= leastPart
			part := m.value(name, depth+1)
			m.left -= len(part)
			b.WriteString(part)
		}
	}
	return strings.TrimSpace(b.String())
}

// isParameter reports whether a parameter's name may hold c.
func isParameter(c rune) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// list returns what a list of Postfix holds.
func list(value string) []string {
	return strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c < 128 && strings.IndexByte(space, byte(c)) >= 0 })
}

// textTables are the types of tables that are made of a text file of the same name.
var textTables = []string{"hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash"}

// A table is what the tables of a parameter say, line by line.
type table []entry

// readTables reads the tables that a parameter names, in their order. One that is not
// made of a text file is remarked. An entry of the key "" is for each key.
func (m *mainCf) readTables(name string) table {
	var all table
	e := m.get(name)
	for _, text := range list(e.value) {
		kind, path, found := strings.Cut(strings.TrimPrefix(text, "proxy:"), ":")
		if !found {
			kind, path = "hash", kind
		}
		switch {
		case kind == "static":
			all = append(all, entry{value: path, at: e.at})
		case (kind == "regexp" || kind == "pcre") && name != "smtp_sasl_password_maps":
			all = append(all, m.readPatterns(e, path)...)
		case slices.Contains(textTables, kind):
			all = append(all, m.readTable(path)...)
		default:
			m.r.note(e, "a table was not imported: sendoff reads only text files here, not "+kind)
		}
	}
	return all
}

// readTable reads the text that a table is made of, or that of the same name beside
// main.cf, which may have been copied together with it.
func (m *mainCf) readTable(path string) (all table) {
	path, text, there := m.tableText(path)
	if !there {
		m.r.Remark(path + ": not found; its table was not imported")
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
	beside := filepath.Join(filepath.Dir(m.r.path), filepath.Base(path))
	if text, there = m.r.beside(beside); there {
		path = beside
	}
	return path, text, there
}

// anything are the patterns that match each address.
var anything = []string{"/.*/", "/.+/", "/./", "/^/", "/^.*$/", "/^.+$/"}

// readPatterns reads a table of patterns, of which only those that match each address can
// be imported.
func (m *mainCf) readPatterns(from entry, path string) (all table) {
	path, text, _ := m.tableText(path)
	for _, e := range logicalLines(path, text) {
		pattern, value := cutSpace(e.value)
		if !slices.Contains(anything, pattern) {
			e.key = from.key
			m.r.dropped(entry{from.key, "", e.at}, "sendoff has no patterns for addresses")
			continue
		}
		all = append(all, entry{value: value, at: e.at})
	}
	return all
}

// find returns the first entry of t that has one of the keys; without keys, or for an
// entry of all keys, any.
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
