// Package setup writes a working account, from a person's answers or from
// another program's files, and keeps its secret where the use of the account can
// get at it.
//
//	msmtp, ssmtp, nullmailer, dma ── Import ── draft ─┐
//	                                                  ├─ document ── config.toml
//	a person's answers ── Run ── find, login, use ────┘                  │
//	an account's new secret ── Login ── use ── change ───────────────────┘
//
// Each program is a table of its keys, with what is done about each: a setting
// of ours, or a line that says why there is none. What is not said was done.
//
// A document becomes a file of its own, or is added to one that is there, of
// which every line stays as it is. A file is only replaced by one that
// config.Load takes.
//
// Errors: what is wrong with a file that is read is of kind status.Config; one
// that cannot be written is status.Temporary. No error, and nothing that is
// printed, holds a password.
package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A document is what is to stand in a configuration: settings at its top, and
// tables.
type document struct {
	top       settings
	providers []*table // of access tokens
	accounts  []*table
}

// tables returns all tables in the order in which they are written.
func (d *document) tables() []*table { return append(slices.Clone(d.providers), d.accounts...) }

// A table is [KIND.NAME].
type table struct {
	kind, name string
	settings
}

func newAccount(name string) *table  { return &table{kind: "accounts", name: name} }
func newProvider(name string) *table { return &table{kind: "oauth2", name: name} }

// Settings are lines of TOML, in the order in which they are written.
type settings []setting

// A setting's value is a string, a bool, an int, or a []string, which is
// written as a string if it has one element.
type setting struct {
	key   string
	value any
}

// set gives key a value, which takes the place of an earlier one; an empty
// string and an empty list take the key away.
func (s *settings) set(key string, value any) {
	list, isList := value.([]string)
	i := slices.IndexFunc(*s, func(x setting) bool { return x.key == key })
	switch {
	case value == "" || isList && len(list) == 0:
		if i >= 0 {
			*s = slices.Delete(*s, i, i+1)
		}
	case i >= 0:
		(*s)[i].value = value
	default:
		*s = append(*s, setting{key, value})
	}
}

// get returns the value of key that is a string, or "".
func (s settings) get(key string) string {
	for _, x := range s {
		if text, ok := x.value.(string); ok && x.key == key {
			return text
		}
	}
	return ""
}

// String returns the lines.
func (s settings) String() string {
	var b strings.Builder
	for _, x := range s {
		b.WriteString(x.key + " = " + toml(x.value) + "\n")
	}
	return b.String()
}

// String returns the document as a file of its own.
func (d *document) String() string { return join(d.top.String(), written(d.tables())) }

// written returns tables with an empty line between two.
func written(tables []*table) string {
	var b strings.Builder
	for i, t := range tables {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString("[" + t.kind + "." + toml(key(t.name)) + "]\n" + t.settings.String())
	}
	return b.String()
}

// join returns what is not empty of parts, with an empty line between two.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
}

// A key is a part of a dotted key, in quotes if need be.
type key string

// toml returns a value, or a key, as TOML writes it.
func toml(value any) string {
	switch v := value.(type) {
	case key:
		const bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
		if v != "" && strings.Trim(string(v), bare) == "" {
			return string(v)
		}
		return toml(string(v))
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case []string:
		if len(v) == 1 {
			return toml(v[0])
		}
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = toml(s)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return quote(value.(string))
}

// quote returns s as a string of TOML: between single quotes if it would need
// backslashes and can do without. What cannot be seen, or makes a terminal show
// another order, is written by its number.
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

// addTo returns the text old with d added: the tables at its end, and the
// settings behind those that are at its top, before the comment that belongs
// to the first table. A setting that old has at its top stays as it is there,
// and is in kept. A table that old has is an error.
func (d *document) addTo(old string) (text string, kept []string, err error) {
	has, tablesAt := survey(old)
	var top settings
	for _, s := range d.top {
		if has[s.key] {
			kept = append(kept, s.key)
			continue
		}
		top = append(top, s)
	}
	for _, t := range d.tables() {
		if has[t.kind+"."+t.name] {
			return "", nil, status.Config.Errorf("there is a table [%s.%s] already", t.kind, toml(key(t.name)))
		}
	}
	head, rest := old[:tablesAt], old[tablesAt:]
	if head != "" && len(top) > 0 && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	if rest != "" && len(top) > 0 {
		head = strings.TrimRight(head, "\n")
		head = strings.TrimPrefix(head+"\n", "\n")
		rest = "\n" + rest
	}
	head += top.String() + rest
	if head != "" && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return join(head, written(d.tables())), kept, nil
}

// survey returns the settings at the top of a configuration and its accounts,
// by their keys, and where its first table begins, with the comment that
// belongs to it.
func survey(text string) (has map[string]bool, tablesAt int) {
	has, tablesAt = make(map[string]bool), -1
	var p unstable.Parser
	p.Reset([]byte(text))
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		var path []string
		if e.Kind == unstable.KeyValue {
			path = slices.Clone(table)
		}
		at := -1
		for it := e.Key(); it.Next(); {
			if path = append(path, string(it.Node().Data)); at < 0 {
				at = int(it.Node().Raw.Offset)
			}
		}
		if e.Kind != unstable.KeyValue {
			if table = path; tablesAt < 0 {
				tablesAt = beforeComment(text, at)
			}
		}
		has[path[0]] = true
		has[strings.Join(path[:min(len(path), 2)], ".")] = true
	}
	if tablesAt < 0 {
		tablesAt = len(text)
	}
	return has, tablesAt
}

// changeIn returns the text old with s in place of what its account has, or
// behind that. Every other line, and each comment, stays as it is: those in a list
// to which one is added in front, too, but not in one of which others go.
func (s settings) changeIn(old, account string) (text string, err error) {
	text = old
	for _, x := range s {
		value, end := placeOf(text, account, x.key)
		list, _ := x.value.([]string)
		switch {
		case value > 0 && len(list) > 1 && isList(text[value:end], list[1:]):
			text = text[:value+1] + toml(list[0]) + ", " + strings.TrimLeft(text[value+1:], " \t")
		case value > 0:
			text = text[:value] + toml(x.value) + text[end:]
		case end > 0:
			text = text[:end] + "\n" + strings.TrimSuffix(settings{x}.String(), "\n") + text[end:]
		default:
			return "", status.Config.Errorf("there is no table [accounts.%s] of its own; write into the account %s", toml(key(account)), strings.TrimSuffix(settings{x}.String(), "\n"))
		}
	}
	return text, nil
}

// isList reports whether the value that text is, as TOML writes it, is that list.
func isList(text string, list []string) bool {
	var p unstable.Parser
	p.Reset([]byte("x = " + text))
	if text[0] != '[' || !p.NextExpression() {
		return false
	}
	var has []string
	for it := p.Expression().Value().Children(); it.Next(); {
		has = append(has, string(it.Node().Data))
	}
	return slices.Equal(has, list)
}

// placeOf returns where the value of the account's setting begins and ends; if
// it has none, 0 and where the last line of its table ends; if it has no table,
// 0 and 0.
func placeOf(text, account, setting string) (value, end int) {
	var p unstable.Parser
	p.Reset([]byte(text))
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		var path []string
		keyEnd := 0
		for it := e.Key(); it.Next(); {
			path = append(path, string(it.Node().Data))
			keyEnd = int(it.Node().Raw.Offset + it.Node().Raw.Length)
		}
		if e.Kind != unstable.KeyValue {
			table = path
		}
		if !slices.Equal(table, []string{"accounts", account}) {
			continue
		}
		if e.Kind == unstable.KeyValue {
			keyEnd = int(e.Raw.Offset + e.Raw.Length)
		}
		end = keyEnd + strings.IndexByte(text[keyEnd:]+"\n", '\n')
		if e.Kind == unstable.KeyValue && slices.Equal(path, []string{setting}) {
			raw := text[e.Raw.Offset:keyEnd]
			sign := strings.IndexByte(raw, '=') + 1
			return keyEnd - len(strings.TrimLeft(raw[sign:], " \t")), keyEnd
		}
	}
	return 0, end
}

// beforeComment returns the start of the line that has the offset at, or of
// the comment that stands right above it.
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

// A target is the configuration file that is to be changed.
type target struct {
	path   string       // one of
	paths  config.Paths // what is loaded
	values config.Values
}

// only returns the target at path, without any other file beside it.
func only(path, home string, v config.Values) target {
	return target{path, config.Paths{Explicit: path, Home: home}, v}
}

// add returns the text of the target with d added, and the configuration that
// it makes. Nothing is written.
func (t target) add(d *document) (text string, c *config.Config, err error) {
	return t.edit(func(old string) (string, error) {
		text, _, err := d.addTo(old)
		return text, err
	})
}

// change returns the same with settings in an account that is there.
func (t target) change(account string, s settings) (text string, c *config.Config, err error) {
	return t.edit(func(old string) (string, error) { return s.changeIn(old, account) })
}

func (t target) edit(edit func(old string) (string, error)) (string, *config.Config, error) {
	old, err := os.ReadFile(t.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, status.Config.Wrap(err)
	}
	text, err := edit(string(old))
	if err != nil {
		return "", nil, status.Config.Errorf("%s: %w", t.path, err)
	}
	c, err := config.Check(t.paths, t.values, t.path, text)
	return text, c, err
}

// writable finds out whether save could replace the target, and would be let into
// its folder, or into the one where that is to be made.
func (t target) writable() error {
	path, _ := t.real()
	if process.IsMountPoint(path) {
		return status.Config.Errorf("%s cannot be written to: it is a mount of this one file, which cannot be replaced: mount its folder", t.path)
	}
	folder := filepath.Dir(path)
	for {
		_, err := os.Stat(folder)
		if up := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && up != folder {
			folder = up
			continue
		}
		break
	}
	f, err := os.CreateTemp(folder, temporary)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // its path is a name that was only tried
	}
	if err != nil {
		return status.Config.Errorf("%s cannot be written to: %w", t.path, err)
	}
	return status.Config.Wrap(errors.Join(f.Close(), os.Remove(f.Name())))
}

// temporary is what a file is called until it is whole.
const temporary = ".config-*.toml"

// lockTime is how long another process may take to change the target.
const lockTime = 10 * time.Second

// locked does what changes the target, from the reading of it on, while no other
// process does.
func (t target) locked(do func() error) error {
	folder, err := t.folder()
	if err != nil {
		return err
	}
	release, ok := process.LockFolder(folder, lockTime)
	defer release()
	if !ok {
		return status.Temporary.Errorf("%s is not changed: another process has locked its folder for %v", t.path, lockTime)
	}
	return do()
}

// real returns the path of the target behind all links, and the mode that its
// text is to have: that of a file that is there, else by whose it is.
func (t target) real() (path string, mode fs.FileMode) {
	path, mode = t.path, 0o644
	if t.atHome() {
		mode = 0o600
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	return path, mode
}

// folder returns the target's folder, and makes it if it is missing.
func (t target) folder() (string, error) {
	path, mode := t.real()
	folder := filepath.Dir(path)
	return folder, status.Temporary.Wrap(makeFolder(folder, mode|mode&0o444>>2))
}

// save replaces the target by text, or makes it. When it returns nil, text is
// on the disk; else what was there is as it was, unless only the sync of its
// folder failed. A file that is there keeps its mode, and a link is followed. A
// new file below home is the user's alone; elsewhere everybody can read it.
func (t target) save(text string) error {
	folder, err := t.folder()
	if err != nil {
		return err
	}
	path, mode := t.real()
	made, err := write(path, text, mode)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err == nil {
		err = process.SyncFolder(folder)
	}
	if err != nil {
		os.Remove(made)
	}
	return status.Temporary.Wrap(err)
}

// atHome reports whether the target is below the user's home.
func (t target) atHome() bool {
	rest, err := filepath.Rel(t.paths.Home, t.path)
	return t.paths.Home != "" && err == nil && filepath.IsLocal(rest)
}

// makeFolder makes folder and those above it that are missing, with the mode
// that it is given whatever the umask is.
func makeFolder(folder string, mode fs.FileMode) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if err := makeFolder(filepath.Dir(folder), mode); err != nil {
		return err
	}
	if err := os.Mkdir(folder, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(folder, mode); err != nil {
		return err
	}
	return process.SyncFolder(filepath.Dir(folder))
}

// write writes a new file beside path, synced, and returns its path. It has the
// group of a file that is there: who could read that still can.
func write(path, text string, mode fs.FileMode) (made string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), temporary)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	if old, statErr := os.Stat(path); statErr == nil {
		process.LikeFile(f, old)
	}
	return f.Name(), errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}
