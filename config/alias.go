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

// Aliases is what an alias file says: to whom the mail of local names goes.
//
//	# a comment                          names are compared without regard to case
//	root: ann@example.org, bob           the mail of bob goes where bob's entry says
//	bob: \bob, bob@example.net           \bob has no alias, so this is no loop
//	staff: :include:/etc/staff           a file of addresses, one or more a line
//	"jane doe":                          quoted as in an address
//	  jane@example.org                   a line that begins with white space goes on
//	noreply: /dev/null                   the mail is thrown away
//	*: ann@example.org                   every local name without an entry
//
// Pipes and other files have no place here: what is not an address is left out,
// and an entry of which nothing is left is as if it were not there.
type Aliases struct {
	File   string   // which file this is
	Faults []string // what was left out, and why, in lines that begin with FILE:LINE
	Notes  []string // what is taken as it is meant, in such lines

	entries  map[string][]member // by the name in lower case
	catchAll string              // the name of the entry for those without one
	octets   int                 // read so far
}

// A member is one of the addresses in an entry.
type member struct {
	address envelope.Address
	discard bool   // it is /dev/null instead
	final   bool   // \name: it is not looked up
	from    string // the file that was included for it, if there was one
}

// The names of the entry for those without one: ours, and msmtp's, which is any
// name where ours is there.
const (
	catchAll      = "*"
	msmtpCatchAll = "default"
)

// Bounds on what an alias file can cost.
const (
	maxAliases = 1 << 20 // octets of the file and all that it includes
	maxDepth   = 50      // entries that lead to each other
	maxMembers = 10_000  // addresses that one name stands for
	maxFaults  = 1000    // of which each is told
)

// LocalAliases returns what the alias file says; nil if there is none. The file
// is read when it is first asked for, and not again.
//
// If the configuration names the file, it is an error of kind Config that it is
// not there, or cannot be read or trusted. The default file is then as good as
// empty, but for its fault. It is an error in both cases, of kind Temporary, if
// the machine is short of something.
func (c *Config) LocalAliases() (*Aliases, error) {
	if c.aliases == nil {
		return nil, nil
	}
	return c.aliases()
}

// readAliases reads the alias file that c has.
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

// parseAliases reads the text of an alias file, and the files that it includes.
func parseAliases(file string, data []byte) *Aliases {
	a := &Aliases{File: file, entries: make(map[string][]member), octets: len(data)}
	places := make(map[string]string) // of the entries
	var names []string
	name, begun := "", false // of the entry that a line may go on with; "" for one that is left out
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

// fault notes what is wrong, and where.
func (a *Aliases) fault(place string, err error) {
	switch len(a.Faults) {
	case maxFaults:
		return
	case maxFaults - 1:
		place, err = a.File, errors.New("there are more errors")
	}
	a.Faults = append(a.Faults, status.Printable(place+": "+err.Error()))
}

// checkName returns the name that text, which stands before a colon, is in the
// file.
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

// members reads the addresses in a line, or the rest of one. place is where it
// stands, and from the file that was included for it, if there was one.
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

// include reads a file of addresses. Nothing in it leads to another file.
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

// nowhere is the file that mail goes to which is to be thrown away.
const nowhere = "/dev/null"

// parseMember reads one address, perhaps with a name before it, or refuses
// what is none.
func parseMember(text string) (member, error) {
	switch plain := unquoted(text); {
	case strings.HasPrefix(plain, "|"):
		return member{}, fmt.Errorf("%s: sendoff runs no commands for aliases; write an address", clip(text))
	case plain == nowhere:
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

// split returns what stands between the commas of line, but for what is empty.
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

// cut returns what stands in s before and behind the first sep that is neither
// quoted nor in a comment, and whether there is one. before is without white
// space around it and without comments, which are in parentheses or stand
// behind a # that begins s or follows white space. Where a quote or parenthesis
// does not end, it is all of s, for no address to hide in it.
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

// unquoted returns s without the quotes around the whole of it.
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

// clip returns s for a line of error text, cut at 200 octets.
func clip(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// A Target is one of the addresses that mail for a name goes to.
type Target struct {
	Address envelope.Address
	Discard bool   // the mail is thrown away instead
	Why     string // the aliases that led to it, in words
}

// Expand returns whom mail for name, which is local, goes to: each address
// once, through all aliases. isLocal says of an address whether it is a name of
// this host, too. Local names in the result have no alias, or one that leads
// back to itself. The result is empty if name has no alias; it is an error if
// it has one that stands for too many addresses to be used.
func (a *Aliases) Expand(name envelope.Address, isLocal func(envelope.Address) bool) ([]Target, error) {
	if a == nil || a.entry(name) == "" {
		return nil, nil
	}
	x := expansion{a: a, isLocal: isLocal, done: make(map[string]bool), have: make(map[string]bool)}
	x.follow(member{address: name})
	if len(x.to) > maxMembers {
		return nil, fmt.Errorf("%s: the alias %s leads to more than %d addresses, so it is not used", a.File, name.Local(), maxMembers)
	}
	return x.to, nil
}

// entry returns the name of the entry for a local address; "" if there is none.
func (a *Aliases) entry(address envelope.Address) string {
	for _, name := range []string{strings.ToLower(address.Local()), a.catchAll} {
		if a.entries[name] != nil {
			return name
		}
	}
	return ""
}

// An expansion is what is known while an alias is followed.
type expansion struct {
	a       *Aliases
	isLocal func(envelope.Address) bool
	path    []string        // the entries that led here
	done    map[string]bool // entries that have been followed, or are in path
	have    map[string]bool // the keys of to
	to      []Target
}

// follow adds what m stands for to the result. A name that leads back to
// itself is a local name like others.
func (x *expansion) follow(m member) {
	name := ""
	if !m.final && !m.discard && x.isLocal(m.address) {
		name = x.a.entry(m.address)
	}
	switch {
	case len(x.to) > maxMembers:
	case name == "" || slices.Contains(x.path, name) || len(x.path) == maxDepth:
		x.add(m)
	case !x.done[name]:
		x.done[name] = true
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
		key = nowhere
	}
	if x.have[key] {
		return
	}
	x.have[key] = true
	why := "alias " + strings.Join(x.path, ", then ") + " in " + x.a.File
	if m.from != "" {
		why += ", by " + m.from
	}
	x.to = append(x.to, Target{m.address, m.discard, why})
}
