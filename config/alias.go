package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// Aliases has the content of an alias file: where mail for local names goes.
//
//	# a comment                          upper and lower case are the same in names
//	root: ann@example.org, bob           mail for bob goes where the entry bob says
//	bob: \bob, bob@example.net           \bob is not looked up, so this is no loop
//	staff: :include:/etc/staff           a file with one or more addresses per line
//	"jane doe":                          quoted as in an address
//	  jane@example.org                   white space continues the line before
//	noreply: /dev/null                   the mail is discarded
//	*: ann@example.org                   every local name without an entry
//
// Commands and other files are not supported: sendoff ignores everything that is not an
// address, and an entry without an address.
type Aliases struct {
	File   string   // which file this is
	Faults []string // what was ignored, and why: lines that begin with FILE:LINE
	Notes  []string // what a person should write in another way, in such lines

	entries  map[string][]member // by the name in lower case
	catchAll string              // the entry for names without one: "*" or "default"
	octets   int                 // read so far, with included files
}

// A member is an address in an entry.
type member struct {
	address envelope.Address
	discard bool   // /dev/null: address is not used
	final   bool   // \name: the address is not looked up
	from    string // the included file that has the address; "": none
}

// The entry for all names without an entry: our name for it, and that of msmtp. If there is
// a "*", "default" is an ordinary name.
const (
	catchAll      = "*"
	msmtpCatchAll = "default"
)

// Limits of an alias file.
const (
	maxAliases = 1 << 20 // octets of the file and of all included files
	maxDepth   = 50      // length of a chain of entries
	maxMembers = 10_000  // addresses that a name expands to
	maxFaults  = 1000    // faults that are reported
)

// LocalAliases returns the content of the alias file; nil: there is none. The first call
// reads the file.
//
// If the configuration names the file, the error is of kind Config if the file is missing,
// or cannot be read or trusted. If the default file cannot be read or trusted, the result
// is an Aliases without entries that has this fault. In both cases the error is of kind
// Temporary if the machine lacks memory or descriptors.
func (c *Config) LocalAliases() (*Aliases, error) {
	if c.aliases == nil {
		return nil, nil
	}
	return c.aliases()
}

// readAliases reads the alias file of c.
func (c *Config) readAliases() (*Aliases, error) {
	if c.Aliases == "" || c.Aliases == Off {
		return nil, nil
	}
	data, err := read(c.Aliases, maxAliases)
	switch {
	case err == nil:
		return parseAliases(c.Aliases, data), nil
	case missing(err) && !c.namesAliases:
		return nil, nil
	}
	err = aboutFile(c.Aliases, err)
	if status.KindOf(err) == status.Config && !c.namesAliases {
		return &Aliases{File: c.Aliases, Faults: []string{err.Error()}}, nil
	}
	return nil, fmt.Errorf("aliases: %w", err)
}

// parseAliases parses the text of an alias file, and reads the files that it includes.
func parseAliases(file string, data []byte) *Aliases {
	a := &Aliases{File: file, entries: make(map[string][]member), octets: len(data)}
	places := make(map[string]string) // FILE:LINE of each entry
	var names []string
	name, begun := "", false // the entry that a line may continue; "": an entry that is ignored
	for i, line := range strings.Split(string(data), "\n") {
		place := fmt.Sprintf("%s:%d", file, i+1)
		before, rest, colon := cut(line, ':')
		switch goesOn := line != "" && isBlank(line[0]); {
		case before == "" && !colon: // blank, or a comment
			continue
		case goesOn && !begun:
			a.fault(place, errors.New("the line begins with white space, but there is no entry before it"))
			continue
		case goesOn:
			rest = line
		default:
			begun = true
			var err error
			name, err = "", errors.New(`no colon after the name, as in "root: ann@example.org"`)
			if colon {
				name, err = checkName(before)
			}
			if err == nil && places[name] != "" {
				err = fmt.Errorf("%s already has an entry, in %s", clip(name), places[name])
			}
			if err != nil {
				a.fault(place, err)
				name = ""
				continue
			}
			places[name] = place
			names = append(names, name)
		}
		if name != "" {
			a.entries[name] = append(a.entries[name], a.members(place, rest, "")...)
		}
	}
	for _, name := range names {
		if len(a.entries[name]) == 0 {
			a.fault(places[name], fmt.Errorf("%s has no address, so the entry is ignored", clip(name)))
			delete(a.entries, name)
		}
	}
	if a.catchAll = catchAll; a.entries[catchAll] == nil && a.entries[msmtpCatchAll] != nil {
		a.catchAll = msmtpCatchAll
		a.Notes = append(a.Notes, status.Printable(places[msmtpCatchAll]+": default is used for every local name without an entry, as in msmtp; write it as \"*:\""))
	}
	return a
}

// fault adds an error about place to the Faults.
func (a *Aliases) fault(place string, err error) {
	switch len(a.Faults) {
	case maxFaults:
		return
	case maxFaults - 1:
		place, err = a.File, errors.New("there are more errors")
	}
	a.Faults = append(a.Faults, status.Printable(place+": "+err.Error()))
}

// checkName returns the key in entries for text, the name before a colon.
func checkName(text string) (string, error) {
	a, err := envelope.Parse(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("the name before the colon: %w", err)
	case a.IsNull():
		return "", errors.New("no name before the colon")
	case a.Domain() != "":
		return "", fmt.Errorf("%s has a domain; an entry is for a local name, without a domain", clip(text))
	}
	return strings.ToLower(a.Local()), nil
}

// members returns the addresses in line, a whole line or its end. place is FILE:LINE; from
// is the included file that has the line, or "".
func (a *Aliases) members(place, line, from string) []member {
	var list []member
	for _, text := range split(line) {
		path, isInclude := cutPrefixFold(unquoted(text), ":include:")
		if isInclude && from == "" {
			included, err := a.include(strings.TrimSpace(path))
			if err != nil {
				a.fault(place, fmt.Errorf("%s: %w", clip(text), err))
			}
			list = append(list, included...)
			continue
		}
		m, err := parseMember(text)
		if err != nil {
			a.fault(place, err)
			continue
		}
		m.from = from
		list = append(list, m)
	}
	return list
}

// include reads a file of addresses. It cannot include another file.
func (a *Aliases) include(path string) ([]member, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New(":include: requires an absolute path")
	}
	data, err := read(path, maxAliases-a.octets)
	if e := new(fs.PathError); errors.As(err, &e) && e.Path == path {
		err = e.Err
	}
	switch {
	case errors.Is(err, errTooLarge):
		return nil, errors.New("the alias file and its included files are larger than 1 MiB")
	case err != nil:
		return nil, err
	}
	a.octets += len(data)
	var list []member
	for i, line := range strings.Split(string(data), "\n") {
		list = append(list, a.members(fmt.Sprintf("%s:%d", path, i+1), line, path)...)
	}
	return list, nil
}

// devNull is the target for mail that is discarded.
const devNull = "/dev/null"

// parseMember parses an address, perhaps with a display name before it. The error says why
// text is not allowed in an entry.
func parseMember(text string) (member, error) {
	switch plain := unquoted(text); {
	case strings.HasPrefix(plain, "|"):
		return member{}, fmt.Errorf("%s: sendoff runs no commands for aliases; write an address", clip(text))
	case plain == devNull:
		return member{discard: true}, nil
	case strings.HasPrefix(plain, "/"):
		return member{}, fmt.Errorf("%s: sendoff writes no files for aliases; write an address", clip(text))
	case strings.HasPrefix(strings.ToLower(plain), ":include:"):
		return member{}, fmt.Errorf("%s: an included file cannot include another", clip(text))
	}
	if open := strings.LastIndexByte(text, '<'); open > 0 && strings.HasSuffix(text, ">") {
		text = text[open:]
	}
	text, final := strings.CutPrefix(text, `\`)
	a, err := envelope.Parse(text)
	switch {
	case err != nil:
		return member{}, err
	case a.IsNull():
		return member{}, fmt.Errorf("%s is not an address", clip(text))
	}
	return member{address: a, final: final}, nil
}

// split returns the texts between the commas of line, without empty ones.
func split(line string) []string {
	var parts []string
	for more := true; more; {
		var part string
		if part, line, more = cut(line, ','); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// cut splits s at the first sep that is neither in quotes nor in a comment; found reports
// whether there is one. before has no white space around it and no comments. A comment is
// in parentheses, or begins with a # at the start of s or after white space. If a quote or
// parenthesis is not closed, before is all of s, so that no address can be hidden.
func cut(s string, sep byte) (before, after string, found bool) {
	var b strings.Builder
	quoted, depth := false, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		text := s[i : i+1]
		switch {
		case c == '\\' && (quoted || depth > 0) && i+1 < len(s):
			i++
			text = s[i-1 : i+1]
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
			continue
		case c == ')' && depth > 0:
			depth--
			continue
		case depth > 0:
		case c == '#' && (i == 0 || isBlank(s[i-1])):
			return strings.TrimSpace(b.String()), "", false
		case c == sep:
			return strings.TrimSpace(b.String()), s[i+1:], true
		}
		if depth == 0 {
			b.WriteString(text)
		}
	}
	if quoted || depth > 0 {
		return strings.TrimSpace(s), "", false
	}
	return strings.TrimSpace(b.String()), "", false
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// unquoted returns s without quotes, if the whole of s is quoted.
func unquoted(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i < len(s)-2 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// clip returns s for an error text, cut after 200 octets.
func clip(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// A Target is an address to which mail for a name goes.
type Target struct {
	Address envelope.Address
	Discard bool   // the mail is discarded; Address is not used
	Why     string // the chain of aliases that led to the address, in words
}

// Expand returns the targets of the local name, each once, after all aliases have been
// followed. isLocal reports whether an address is a local name of this host. A local name
// in the result has no alias, or its alias leads back to itself. If name has no alias, the
// result is empty. If it has more than maxMembers targets, that is an error.
func (a *Aliases) Expand(name envelope.Address, isLocal func(envelope.Address) bool) ([]Target, error) {
	if a == nil || a.entry(name) == "" {
		return nil, nil
	}
	x := expansion{a: a, isLocal: isLocal, followed: make(map[string]bool), added: make(map[string]bool)}
	x.follow(member{address: name})
	if len(x.to) > maxMembers {
		return nil, fmt.Errorf("%s: the alias %s leads to more than %d addresses, so it is not used", a.File, name.Local(), maxMembers)
	}
	return x.to, nil
}

// entry returns the key of the entry for a local address; "": there is none.
func (a *Aliases) entry(address envelope.Address) string {
	for _, name := range []string{strings.ToLower(address.Local()), a.catchAll} {
		if a.entries[name] != nil {
			return name
		}
	}
	return ""
}

// An expansion is the state of an Expand.
type expansion struct {
	a        *Aliases
	isLocal  func(envelope.Address) bool
	path     []string        // the entries that led to the current member
	followed map[string]bool // the entries that have been followed, or are in path
	added    map[string]bool // the keys of the addresses in to
	to       []Target
}

// follow adds the targets of m to the result. A name that leads back to itself is added as
// a local name.
func (x *expansion) follow(m member) {
	name := ""
	if !m.final && !m.discard && x.isLocal(m.address) {
		name = x.a.entry(m.address)
	}
	switch {
	case len(x.to) > maxMembers:
	case name == "" || slices.Contains(x.path, name) || len(x.path) == maxDepth:
		x.add(m)
	case !x.followed[name]:
		x.followed[name] = true
		x.path = append(x.path, name)
		for _, next := range x.a.entries[name] {
			x.follow(next)
		}
		x.path = x.path[:len(x.path)-1]
	}
}

func (x *expansion) add(m member) {
	key := m.address.Key()
	if m.discard {
		key = devNull
	}
	if x.added[key] {
		return
	}
	x.added[key] = true
	why := "alias " + strings.Join(x.path, ", then ") + " in " + x.a.File
	if m.from != "" {
		why += ", by " + m.from
	}
	x.to = append(x.to, Target{m.address, m.discard, why})
}
