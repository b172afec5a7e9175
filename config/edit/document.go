package edit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"sendoff/config"
	"sendoff/submit/status"
)

// A Document has the content to be written into a configuration: top-level settings, and
// tables after them.
type Document struct {
	Top       Settings
	Providers []*Table // [oauth2.NAME]
	Accounts  []*Table // [accounts.NAME]
}

// tables returns all tables, in the order in which they are written.
func (d *Document) tables() []*Table { return append(slices.Clone(d.Providers), d.Accounts...) }

// A Table is a TOML table [kind.NAME].
type Table struct {
	kind, Name string
	Settings
}

// NewAccount returns a table [accounts.NAME] without settings.
func NewAccount(name string) *Table { return &Table{kind: "accounts", Name: name} }

// NewProvider returns a table [oauth2.NAME] without settings.
func NewProvider(name string) *Table { return &Table{kind: "oauth2", Name: name} }

// Settings are TOML lines, in the order in which they are written.
type Settings []Setting

// A Setting is a line KEY = VALUE. The value is a string, a bool, an int or a []string. A
// []string with a single element is written as a string.
type Setting struct {
	Key   string
	Value any
}

// String returns the line, without a line break.
func (s Setting) String() string { return s.Key + " = " + toml(s.Value) }

// String returns the lines, each with a line break.
func (s Settings) String() string {
	var b strings.Builder
	for _, x := range s {
		b.WriteString(x.String() + "\n")
	}
	return b.String()
}

func (s Settings) index(key string) int {
	return slices.IndexFunc(s, func(x Setting) bool { return x.Key == key })
}

// Set sets the value of key. An empty string or list removes the key.
func (s *Settings) Set(key string, value any) {
	list, isList := value.([]string)
	i := s.index(key)
	switch isEmpty := value == "" || isList && len(list) == 0; {
	case isEmpty && i >= 0:
		*s = slices.Delete(*s, i, i+1)
	case isEmpty:
	case i >= 0:
		(*s)[i].Value = value
	default:
		*s = append(*s, Setting{key, value})
	}
}

// Get returns the value of key; nil: there is no such key.
func (s Settings) Get(key string) any {
	if i := s.index(key); i >= 0 {
		return s[i].Value
	}
	return nil
}

// Text returns the value of key if it is a string; otherwise "".
func (s Settings) Text(key string) string {
	text, _ := s.Get(key).(string)
	return text
}

// URL returns a server as people write it: without the default port of its scheme.
func URL(s config.Server) string {
	url := s.String()
	if s.Port != 0 && s.Port == s.Way().Port {
		url = strings.TrimSuffix(url, ":"+strconv.Itoa(s.Port))
	}
	return url
}

// String returns the text of a file with only this document.
func (d *Document) String() string { return join(d.Top.String(), written(d.tables())) }

// written returns the text of tables, with an empty line between two tables.
func written(tables []*Table) string {
	texts := make([]string, len(tables))
	for i, t := range tables {
		texts[i] = "[" + t.kind + "." + toml(key(t.Name)) + "]\n" + t.Settings.String()
	}
	return join(texts...)
}

// join joins the non-empty parts, with an empty line between two parts.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
}

// A key is a part of a dotted key. toml quotes it if necessary.
type key string

// toml returns a value or a key in TOML's form.
func toml(value any) string {
	switch v := value.(type) {
	case key:
		const bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
		if v != "" && strings.Trim(string(v), bare) == "" {
			return string(v)
		}
		return quote(string(v))
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case []string:
		if len(v) == 1 {
			return quote(v[0])
		}
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = quote(s)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return quote(value.(string))
}

// quote returns s as a TOML string. It uses single quotes if s contains a quote or
// backslash, but no single quote. Invisible characters, and those that change the direction
// of the text, are written as numbers, with double quotes.
func quote(s string) string {
	unseen := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.ContainsAny(s, `"\`) && !strings.Contains(s, "'") && !strings.ContainsFunc(s, unseen) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case unseen(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		case unseen(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// AddTo returns text with d added: its tables at the end, and its settings after the
// top-level settings, before the comment that belongs to the first table. A top-level
// setting that text already has stays unchanged. A table that text already has is an error.
func (d *Document) AddTo(text string) (string, error) {
	has, first := make(map[string]bool), len(text)
	for _, e := range expressions(text) {
		has[e.path[0]] = true
		has[strings.Join(e.path[:min(len(e.path), 2)], ".")] = true
		if e.isHeader && first == len(text) {
			first = beforeComment(text, e.key)
		}
	}
	for _, t := range d.tables() {
		if has[t.kind+"."+t.Name] {
			return "", status.Config.Errorf("there is a table [%s.%s] already", t.kind, toml(key(t.Name)))
		}
	}
	top := slices.DeleteFunc(slices.Clone(d.Top), func(s Setting) bool { return has[s.Key] })
	head, tables := text[:first], text[first:]
	if head != "" && len(top) > 0 && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	if tables != "" && len(top) > 0 {
		head = strings.TrimRight(head, "\n")
		head = strings.TrimPrefix(head+"\n", "\n")
		tables = "\n" + tables
	}
	head += top.String() + tables
	if head != "" && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return join(head, written(d.tables())), nil
}

// ChangeIn returns text with s in the table of an existing account. A setting that the
// table already has gets the new value; any other setting is added at the end of the table.
func (s Settings) ChangeIn(text, account string) (string, error) {
	for _, x := range s {
		value, end := find(text, account, x.Key)
		switch {
		case value > 0:
			text = text[:value] + toml(x.Value) + text[end:]
		case end > 0:
			text = text[:end] + "\n" + x.String() + text[end:]
		default:
			return "", status.Config.Errorf("there is no table [accounts.%s] of its own; write into the account %s", toml(key(account)), x)
		}
	}
	return text, nil
}

// RemoveAccount returns text without the table of an account, and without the comment
// directly above the table. The setting account goes, too, if it names the account.
func RemoveAccount(text, account string) (string, error) {
	all := expressions(text)
	begin, end := -1, len(text)
	for _, e := range all {
		switch isOwn := slices.Equal(e.table, []string{"accounts", account}); {
		case begin < 0 && isOwn:
			begin = beforeComment(text, e.key)
		case begin >= 0 && !isOwn:
			end = min(end, beforeComment(text, e.key))
		}
	}
	if begin < 0 {
		return "", status.Config.Errorf("there is no table [accounts.%s] of its own: remove the account by hand", toml(key(account)))
	}
	rest := text[end:]
	if rest == "" {
		text = strings.TrimRight(text[:begin], "\n") + "\n"
	} else {
		text = text[:begin] + rest
	}
	for _, e := range all {
		if slices.Equal(e.path, []string{"account"}) && strings.Trim(text[e.value:e.end], `"'`) == account {
			start := strings.LastIndexByte(text[:e.key], '\n') + 1
			after := e.end + strings.IndexByte(text[e.end:]+"\n", '\n') + 1
			text = text[:start] + text[min(after, len(text)):]
		}
	}
	return strings.TrimLeft(text, "\n"), nil
}

// find returns the offsets of the beginning and the end of the value of an account's
// setting. If the account lacks the setting, value is 0, and end is the end of the last
// line of the table. If there is no such table, both are 0.
func find(text, account, setting string) (value, end int) {
	for _, e := range expressions(text) {
		if !slices.Equal(e.table, []string{"accounts", account}) {
			continue
		}
		if !e.isHeader && slices.Equal(e.path[2:], []string{setting}) {
			return e.value, e.end
		}
		end = e.end + strings.IndexByte(text[e.end:]+"\n", '\n')
	}
	return 0, end
}

// An expression is a line KEY = VALUE of a TOML text, or a table header.
type expression struct {
	isHeader bool
	table    []string // the path of the last header
	path     []string // the whole key, including the path of its table
	key      int      // the offset of the key
	value    int      // the offset of the value; 0 for a header
	end      int      // the offset of the end of the value, or of a header's key
}

// expressions returns the expressions of text, up to the first syntax error.
func expressions(text string) (all []expression) {
	var p unstable.Parser
	p.Reset([]byte(text))
	var table []string
	for p.NextExpression() {
		node := p.Expression()
		e := expression{isHeader: node.Kind != unstable.KeyValue, key: -1}
		if !e.isHeader {
			e.path = slices.Clone(table)
		}
		for it := node.Key(); it.Next(); {
			word := it.Node()
			e.path = append(e.path, string(word.Data))
			e.end = int(word.Raw.Offset + word.Raw.Length)
			if e.key < 0 {
				e.key = int(word.Raw.Offset)
			}
		}
		if e.isHeader {
			table = e.path
		} else {
			start := int(node.Raw.Offset)
			e.end = start + int(node.Raw.Length)
			start += strings.IndexByte(text[start:e.end], '=') + 1
			e.value = e.end - len(strings.TrimLeft(text[start:e.end], " \t"))
		}
		e.table = table
		all = append(all, e)
	}
	return all
}

// beforeComment returns the offset of the start of the line that contains the offset at; if
// a comment is directly above that line, the start of the comment.
func beforeComment(text string, at int) int {
	start := strings.LastIndexByte(text[:at], '\n') + 1
	for start > 0 {
		above := strings.LastIndexByte(text[:start-1], '\n') + 1
		if !strings.HasPrefix(strings.TrimSpace(text[above:start]), "#") {
			break
		}
		start = above
	}
	return start
}
