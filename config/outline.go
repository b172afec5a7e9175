package config

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"sendoff/submit/status"
)

// An outline has all keys of a TOML file, in order, with their places and the types of
// their values. It finds the place of an error that shows only after decoding, and reports
// the errors that the decoder would explain with types of Go.
type outline struct {
	file  string
	data  []byte
	keys  []key
	at    map[string][]int // indices of the keys of a path
	first map[string]int   // index of the first key at or below a path
	lines []int            // offsets of the lines; nil until place needs them
}

// A key is a key or table header of a file, or an element of a list.
type key struct {
	path    []string
	kind    unstable.Kind // of the value; Table for a table header
	element bool
	control bool // the value is a string with a control character
	offset  int
	value   int // the offset of the value, if it is a string
}

// newOutline parses data up to the first error of syntax, which the decoder will report.
func newOutline(file string, data []byte) *outline {
	o := &outline{file: file, data: data, at: map[string][]int{}, first: map[string]int{}}
	var p unstable.Parser
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind == unstable.KeyValue {
			o.addValue(table, e)
			continue
		}
		var at int
		table, at = join(nil, e.Key())
		o.add(key{path: table, kind: e.Kind, offset: at})
	}
	return o
}

// addValue adds a key with its value, and the elements or keys inside the value.
func (o *outline) addValue(table []string, e *unstable.Node) {
	path, at := join(table, e.Key())
	value := e.Value()
	o.add(key{path: path, kind: value.Kind, control: hasControl(value), offset: at, value: int(value.Raw.Offset)})
	for it := value.Children(); it.Next(); {
		n := it.Node()
		switch {
		case value.Kind == unstable.InlineTable:
			o.addValue(path, n)
		case n.Kind != unstable.Comment:
			o.add(key{path: path, kind: n.Kind, element: true, control: hasControl(n), offset: at, value: int(n.Raw.Offset)})
		}
	}
}

func (o *outline) add(k key) {
	o.keys = append(o.keys, k)
	n := len(o.keys) - 1
	for i := range k.path {
		below := pathKey(k.path[:i+1])
		if _, found := o.first[below]; !found {
			o.first[below] = n
		}
	}
	path := pathKey(k.path)
	o.at[path] = append(o.at[path], n)
}

// pathKey returns the key of path in the maps of an outline. No part of a path has a NUL:
// TOML does not allow NUL in a file, and an escaped NUL is refused by checkName.
func pathKey(path []string) string { return strings.Join(path, "\x00") }

// join returns the path of a key below table, and the key's offset.
func join(table []string, it unstable.Iterator) (path []string, offset int) {
	path, offset = slices.Clone(table), -1
	for it.Next() {
		n := it.Node()
		path = append(path, string(n.Data))
		if offset < 0 {
			offset = int(n.Raw.Offset)
		}
	}
	return path, offset
}

func hasControl(n *unstable.Node) bool {
	return n.Kind == unstable.String && bytes.ContainsFunc(n.Data, unicode.IsControl)
}

// check returns an error for the first key that is not a setting, or whose value has the
// wrong type.
func (o *outline) check() error {
	if bytes.HasPrefix(o.data, []byte("\xef\xbb\xbf")) {
		return o.errorf(0, "the file begins with a byte order mark; save it without")
	}
	for _, k := range o.keys {
		if err := o.checkKey(k); err != nil {
			return err
		}
	}
	return nil
}

func (o *outline) checkKey(k key) error {
	isTable := k.kind == unstable.Table || k.kind == unstable.InlineTable
	rest, within := k.path, reflect.TypeFor[Config]()
	if t := tableOf(rest[0]); t != nil {
		if len(rest) <= 2 {
			if !isTable || k.element {
				return o.errorf(k.offset, "%s is a table, as in [%s.%s]", dotted(k.path), t.name, t.example)
			}
			return o.checkName(k, t.noun)
		}
		rest, within = rest[2:], t.settings
	}
	setting, ok := lookup(within, rest[0])
	if !ok {
		return o.errorf(k.offset, "unknown key %s%s", dotted(k.path), suggest(within, rest[0]))
	}
	t := takes(setting.Type)
	switch {
	case len(rest) > 1 || isTable || k.kind == unstable.ArrayTable:
		return o.errorf(k.offset, "%s takes %s, not a table%s", dotted(k.path[:len(k.path)-len(rest)+1]), t.words, suggestTable(k.path))
	case k.element && k.kind != unstable.String:
		return o.errorf(k.offset, "%s takes %s, not a list with %s", dotted(k.path), t.words, kindWords(k.kind))
	case !k.element && !slices.Contains(t.kinds, k.kind):
		return o.errorf(k.offset, "%s takes %s, not %s%s", dotted(k.path), t.words, kindWords(k.kind), advice(rest[0]))
	case k.control:
		return o.errorf(k.offset, "%s holds a control character or a line break", dotted(k.path))
	}
	return nil
}

// checkName returns an error if IsName refuses the name of a table. noun says what the
// table is about.
func (o *outline) checkName(k key, noun string) error {
	if len(k.path) < 2 || IsName(k.path[1]) {
		return nil
	}
	return o.errorf(k.offset, "%s name %q may hold only letters, digits and -_.+@, and may not begin with - or .", noun, k.path[1])
}

// IsName reports whether name can be the name of an account: it must be harmless in a log,
// a file name and a shell.
func IsName(name string) bool {
	bad := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.+@", r)
	}
	return name != "" && !strings.ContainsAny(name[:1], "-.") && !strings.ContainsFunc(name, bad)
}

// values returns the offsets of the strings that are values of path.
func (o *outline) values(path ...string) (offsets []int) {
	for _, n := range o.at[pathKey(path)] {
		if k := o.keys[n]; k.kind == unstable.String {
			offsets = append(offsets, k.value)
		}
	}
	return offsets
}

// find returns the offset of the first key at or below path; 0: there is none.
func (o *outline) find(path ...string) int {
	if n, found := o.first[pathKey(path)]; found {
		return o.keys[n].offset
	}
	return 0
}

// has reports whether the file has the key path.
func (o *outline) has(path ...string) bool { return len(o.at[pathKey(path)]) > 0 }

// names returns the names of the tables in table, in the order of the file.
func (o *outline) names(table string) []string {
	var names []string
	for n, k := range o.keys {
		if len(k.path) > 1 && k.path[0] == table && o.first[pathKey(k.path[:2])] == n {
			names = append(names, k.path[1])
		}
	}
	return names
}

// place returns FILE:LINE:COLUMN of an offset. Both count from 1, columns in octets.
func (o *outline) place(offset int) string {
	if o.lines == nil {
		o.lines = []int{0}
		for i, c := range o.data {
			if c == '\n' {
				o.lines = append(o.lines, i+1)
			}
		}
	}
	line, found := slices.BinarySearch(o.lines, offset)
	if found {
		line++
	}
	return o.file + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(offset-o.lines[line-1]+1)
}

// A mistake is a value that has the right type but is not allowed.
type mistake struct {
	setting string
	wrong   bool
	words   string // follows the setting's name in the error
}

// firstOf returns an error for the first of mistakes that is in the file, among the
// settings of table.
func (o *outline) firstOf(mistakes []mistake, table ...string) error {
	for _, m := range mistakes {
		if path := append(table, m.setting); m.wrong && o.has(path...) {
			return o.errorf(o.find(path...), "%s %s", m.setting, m.words)
		}
	}
	return nil
}

func (o *outline) errorf(offset int, format string, args ...any) error {
	return status.Config.Errorf("%s: "+format, append([]any{o.place(offset)}, args...)...)
}

// decodeError adds the place and the key to an error of the decoder. It does not use the
// excerpt of the file that a DecodeError has.
func (o *outline) decodeError(err error) error {
	var e *toml.DecodeError
	if !errors.As(err, &e) {
		return o.errorf(0, "%s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	line, column := e.Position()
	about := ""
	if len(e.Key()) > 0 {
		about = dotted(e.Key()) + ": "
	}
	text := strings.TrimPrefix(strings.TrimPrefix(e.Error(), "toml: "), "toml: ")
	return status.Config.Errorf("%s:%d:%d: %s%s%s", o.file, line, column, about, text, quotes(text))
}

// quotes returns advice for an error that looks like a string without quotes: a value that
// cannot begin like this, that begins like true, or a number with a second dot or a colon.
// If there is no equals sign, the file may be that of msmtp.
func quotes(text string) string {
	if strings.Contains(text, "expected '=' after key") {
		return "; write NAME = VALUE (to import the file of another program: sendoff --import=FILE)"
	}
	for _, words := range []string{"' at start of value", "expected keyword", "expected newline but got U+002E", "expected newline but got U+003A"} {
		if strings.Contains(text, words) {
			return "; put a string in quotes"
		}
	}
	return ""
}

// dotted returns a key in the form of TOML.
func dotted(path []string) string {
	parts := slices.Clone(path)
	for i, p := range parts {
		if strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || p == "" {
			parts[i] = strconv.Quote(p)
		}
	}
	return strings.Join(parts, ".")
}
