package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// bare reports whether a is a local name of this host in these tests.
func bare(a envelope.Address) bool { return a.Domain() == "" || a.Domain() == "localhost" }

// expand returns the targets of name as words.
func expand(t testing.TB, a *Aliases, name string) string {
	t.Helper()
	address, err := envelope.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := a.Expand(address, bare)
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, to := range list {
		word := to.Address.String()
		if to.Discard {
			word = "nowhere"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestAliases(t *testing.T) {
	for _, tt := range []struct{ name, text, of, want string }{
		{"one", "root: ann@example.org\n", "root", "ann@example.org"},
		{"no line end", "root: ann@example.org", "root", "ann@example.org"},
		{"CRLF", "# x\r\nroot: ann@example.org\r\n\r\nbob: b@x\r\n", "root", "ann@example.org"},
		{"thrown away", "root: /dev/null\n", "root", "nowhere"},
		{"thrown away in quotes, once, by a chain", "root: a, b, x@y\na: \"/dev/null\"\nb: /dev/null # x\n", "root", "nowhere x@y"},
		{"no other file of that name", "root: /dev/null/x, |/dev/null, a@x\n", "root", "a@x"},
		{"msmtp's catch-all", "default: a@x\nbob: b@x\n", "root", "a@x"},
		{"msmtp's catch-all and an entry", "default: a@x\nbob: b@x\n", "bob", "b@x"},
		{"default beside a catch-all is a name", "default: a@x\n*: b@x\n", "root", "b@x"},
		{"default as a name", "default: a@x\n*: b@x\n", "default", "a@x"},
		{"no entry", "root: ann@example.org\n", "bob", ""},
		{"empty file", "", "bob", ""},
		{"a list", "root: a@x, b@y,,c@z ,\n", "root", "a@x b@y c@z"},
		{"space about the colon", "root \t:\ta@x\n", "root", "a@x"},
		{"no space", "root:a@x,b@y", "root", "a@x b@y"},
		{"case of the name", "Root: a@x\n", "rOOt", "a@x"},
		{"a domain of this host", "root: a@x\n", "root@localhost", "a@x"},
		{"a comment", "# root: no@x\nroot: a@x # b@y, c@z\n#", "root", "a@x"},
		{"no comment inside a word", "root: a#b@x\n", "root", "a#b@x"},
		{"comments in parentheses", "root: a@x (Ann, (the) boss), (nobody) b@y (\\) #)\n", "root", "a@x b@y"},
		{"going on", "root: a@x,\n  b@y\n\tc@z\nbob: b@x\n", "root", "a@x b@y c@z"},
		{"going on over comments and blanks", "root: a@x\n# comment\n\n  # another\n   b@y\n", "root", "a@x b@y"},
		{"all on the next line", "root:\n a@x\n", "root", "a@x"},
		{"a quoted name", "\"jane doe\": a@x\n", `"jane doe"`, "a@x"},
		{"a quoted name with a colon", "\"a:b\": a@x\n", `"A:b"`, "a@x"},
		{"quotes without need", "\"root\": a@x\n", "root", "a@x"},
		{"a quoted address", "root: \"a, b\"@x, \"c\"@y\n", "root", `"a, b"@x c@y`},
		{"display names", "root: Ann <a@x>, \"Bee, Bob\" <b@y>, <c@z>\n", "root", "a@x b@y c@z"},
		{"beyond ASCII", "jörg: jörg@bücher.example\n", "JÖRG", "jörg@bücher.example"},
		{"through names", "postmaster: root\nroot: admin@localhost\nadmin: a@x\n", "postmaster", "a@x"},
		{"through a list, each once", "all: one, two, a@x\none: a@x, b@y\ntwo: b@Y, one\n", "all", "a@x b@y"},
		{"a name without entry", "root: bob, a@x\n", "root", "bob a@x"},
		{"itself", "bob: bob, a@x\n", "bob", "bob a@x"},
		{"itself, with a domain", "bob: bob@localhost, a@x\n", "bob", "bob@localhost a@x"},
		{"a backslash", "bob: \\bob, a@x\nroot: \\bob\n", "bob", "bob a@x"},
		{"a backslash before another", "root: \\bob\nbob: a@x\n", "root", "bob"},
		{"a circle", "a: b\nb: c\nc: a, x@y\n", "b", "b x@y"},
		{"the catch-all", "root: a@x\n*: all@x\n", "bob", "all@x"},
		{"not where there is an entry", "*: all@x\nroot: a@x\n", "root", "a@x"},
		{"behind an entry", "root: bob\n*: all@x\n", "root", "all@x"},
		{"to a name without entry", "*: bob\n", "carol", "bob"},
		{"to itself", "*: *, a@x\n", "carol", "* a@x"},
		{"not for what has a domain", "root: b@y\n*: a@x\n", "root", "b@y"},
		{"a pipe", "root: |/usr/bin/prog arg, a@x, \"|prog a, b\"\n", "root", "a@x"},
		{"a file", "root: /var/mail/root, \"/a b\", a@x\n", "root", "a@x"},
		{"a pipe alone", "root: |prog\n", "root", ""},
		{"a pipe alone, and the catch-all", "root: |prog\n*: a@x\n", "root", "a@x"},
		{"nothing", "root:\nbob: # b@x\n", "root", ""},
		{"what is wrong goes, the rest stays", "root: a b@x, c@y, <d@z, @, \"\n", "root", "c@y"},
		{"parentheses without end hide nobody", "root: a@x, (b@y, c@z\n", "root", "a@x"},
		{"the first of two entries", "root: a@x\nROOT: b@y\n c@z\n", "root", "a@x"},
		{"a wrong entry takes its lines along", "root: a@x\nno colon\n b@y\n", "root", "a@x"},
		{"the null address", "root: <>, a@x\n", "root", "a@x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := expand(t, parseAliases("f", []byte(tt.text)), tt.of); got != tt.want {
				t.Errorf("%q: %s goes to %q, want %q", tt.text, tt.of, got, tt.want)
			}
		})
	}
}

func TestAliasWhy(t *testing.T) {
	dir := t.TempDir()
	list := write(t, filepath.Join(dir, "list"), "bob\nc@z\n")
	a := parseAliases("/etc/aliases", []byte("postmaster: root\nroot: a@x, :include:"+list+"\n*: d@z\n"))
	root, _ := envelope.Parse("postmaster")
	to, err := a.Expand(root, bare)
	if err != nil || len(to) != 3 {
		t.Fatal(to, err)
	}
	for i, want := range []string{
		"alias postmaster, then root in /etc/aliases",
		"alias postmaster, then root, then * in /etc/aliases",
		"alias postmaster, then root in /etc/aliases, by " + list,
	} {
		if to[i].Why != want {
			t.Errorf("%s: %s, want %s", to[i].Address, to[i].Why, want)
		}
	}
}

func TestAliasFaults(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"root: a@x\n\n# x\n", nil},
		{"\n |prog\n", []string{"f:2: the line begins with white space, but there is no entry before it"}},
		{"root a@x\n b@y\n", []string{`f:1: no colon after the name, as in "root: ann@example.org"`}},
		{": a@x\n", []string{"f:1: no name before the colon"}},
		{"root@example.org: a@x\n", []string{"f:1: root@example.org has a domain; an entry is for a local name, without a domain"}},
		{"jane doe: a@x\n", []string{`f:1: the name before the colon: address "jane doe": ' ' is not allowed`}},
		{"root: a@x\nRoot: b@y\n", []string{"f:2: root already has an entry, in f:1"}},
		{"root: a@x,\n  |prog a,\n  b@y", []string{"f:2: |prog a: sendoff runs no commands for aliases; write an address"}},
		{"root: \"| prog a, b\", a@x", []string{"f:1: \"| prog a, b\": sendoff runs no commands for aliases; write an address"}},
		{"root: /var/mail/root, a@x", []string{"f:1: /var/mail/root: sendoff writes no files for aliases; write an address"}},
		{"\nroot: |prog", []string{"f:2: |prog: sendoff runs no commands for aliases; write an address", "f:2: root has no address, so the entry is ignored"}},
		{"root:", []string{"f:1: root has no address, so the entry is ignored"}},
		{"root: a b@x, c@y", []string{`f:1: address "a b@x": ' ' is not allowed`}},
		{"root: <>, c@y", []string{"f:1: <> is not an address"}},
		{"root: :include:list, c@y", []string{"f:1: :include:list: :include: requires an absolute path"}},
		{"root: \x1b[2J@x, c@y", []string{`f:1: address "\x1b[2J@x": '\x1b' is not allowed`}},
	} {
		if got := parseAliases("f", []byte(tt.text)).Faults; !slices.Equal(got, tt.want) {
			t.Errorf("%q:\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

func TestAliasInclude(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	list := write(t, filepath.Join(dir, "list"), "# the list\nb@y, bob # friend\n\n  c@z\n|prog\n/file\n:include:"+filepath.Join(dir, "list")+"\nbad one\n")
	a := parseAliases("f", []byte("root: a@x, :Include:"+list+"\nbob: bob@y\nnone: :include:"+dir+"/none\nquoted: \":include:"+list+"\"\n"))
	if got := expand(t, a, "root"); got != "a@x b@y bob@y c@z" {
		t.Errorf("root goes to %s", got)
	}
	if got := expand(t, a, "quoted"); got != "b@y bob@y c@z" {
		t.Errorf("quoted goes to %s", got)
	}
	if got := expand(t, a, "none"); got != "" {
		t.Errorf("none goes to %s", got)
	}
	inList := []string{
		list + ":5: |prog: sendoff runs no commands for aliases; write an address",
		list + ":6: /file: sendoff writes no files for aliases; write an address",
		list + ":7: " + clip(":include:"+list) + ": an included file cannot include another",
		list + `:8: address "bad one": ' ' is not allowed`,
	}
	want := slices.Concat(inList, []string{"f:3: " + clip(":include:"+dir+"/none") + ": no such file or directory"}, inList,
		[]string{"f:3: none has no address, so the entry is ignored"})
	if runtime.GOOS != "windows" && !slices.Equal(a.Faults, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(a.Faults, "\n"), strings.Join(want, "\n"))
	}
}

// TestAliasTrust: a file that others can write is not used, and a fault says so.
func TestAliasTrust(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := t.TempDir()
	list := write(t, filepath.Join(dir, "list"), "b@y\n")
	if err := os.Chmod(list, 0o666); err != nil {
		t.Fatal(err)
	}
	a := parseAliases("f", []byte("root: a@x, :include:"+list+"\nall: :include:"+list+"\n*: c@z"))
	if got := expand(t, a, "root"); got != "a@x" {
		t.Errorf("root goes to %s", got)
	}
	if got := expand(t, a, "all"); got != "c@z" {
		t.Errorf("all goes to %s", got)
	}
	if want := ": others can write it (mode 0666)"; len(a.Faults) != 3 || !strings.HasSuffix(a.Faults[0], want) {
		t.Errorf("%q, want %s", a.Faults, want)
	}
	a = parseAliases("f", []byte("root: :include:"+dir+"\n"))
	if len(a.Faults) != 2 || !strings.HasSuffix(a.Faults[0], ": not a regular file") {
		t.Errorf("%q", a.Faults)
	}
}

func TestAliasBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString("many: ")
	for i := range maxMembers + 1 {
		fmt.Fprintf(&b, "u%d@x,", i)
	}
	b.WriteString("\nfew: a@x, many\n")
	for i := range maxDepth + 10 {
		fmt.Fprintf(&b, "n%d: n%d\n", i, i+1)
	}
	b.WriteString("wide: w0, w0\n")
	for i := range 1000 { // 2^1000 steps, if an entry were followed each time
		fmt.Fprintf(&b, "w%d: w%d, w%d, a%d@x\n", i, i+1, i+1, i%3)
	}
	a := parseAliases("f", []byte(b.String()))
	for name, want := range map[string]string{
		"many": "f: the alias many leads to more than 10000 addresses, so it is not used",
		"few":  "f: the alias few leads to more than 10000 addresses, so it is not used",
		"n0":   fmt.Sprintf("n%d", maxDepth),
		"wide": fmt.Sprintf("w%d a0@x a2@x a1@x", maxDepth-1),
	} {
		if got := expand(t, a, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	a = parseAliases("f", []byte(strings.Repeat("x\n", 2*maxFaults)))
	if len(a.Faults) != maxFaults || a.Faults[maxFaults-1] != "f: there are more errors" {
		t.Errorf("%d faults, the last %q", len(a.Faults), a.Faults[len(a.Faults)-1])
	}
	big := write(t, filepath.Join(t.TempDir(), "big"), strings.Repeat("a@x\n", maxAliases/4))
	a = parseAliases("f", []byte("root: :include:"+big+"\n"))
	if len(a.Faults) != 2 || !strings.HasSuffix(a.Faults[0], "the alias file and its included files are larger than 1 MiB") {
		t.Errorf("%q", a.Faults)
	}
}

// TestLocalAliases: the default file may be missing or useless, but not a file that the
// configuration names.
func TestLocalAliases(t *testing.T) {
	dir := t.TempDir()
	good := write(t, filepath.Join(dir, "good"), "root: a@x\n")
	bad := write(t, filepath.Join(dir, "bad"), "root: a@x\n")
	if err := os.Chmod(bad, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file   string
		names  bool
		want   string // the targets of root
		faults int
		err    string
	}{
		{file: Off, names: true},
		{file: ""},
		{file: good, want: "a@x"},
		{file: good, names: true, want: "a@x"},
		{file: filepath.Join(dir, "none")},
		{file: filepath.Join(dir, "none"), names: true, err: "none: no such file"},
		{file: filepath.Join(good, "none")},
		{file: dir, faults: 1},
		{file: dir, names: true, err: ": not a regular file"},
		{file: bad, faults: 1},
		{file: bad, names: true, err: "bad: others can write it (mode 0666)"},
	} {
		if tt.file == bad && runtime.GOOS == "windows" {
			continue
		}
		c := Default()
		c.Aliases, c.namesAliases = tt.file, tt.names
		a, err := c.LocalAliases()
		if tt.err != "" {
			if err == nil || !strings.HasSuffix(err.Error(), tt.err) || status.KindOf(err) != status.Config {
				t.Errorf("%s: %v, want %s", tt.file, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if got := expand(t, a, "root"); got != tt.want {
			t.Errorf("%s: root goes to %q, want %q", tt.file, got, tt.want)
		}
		if a != nil && len(a.Faults) != tt.faults {
			t.Errorf("%s: %q", tt.file, a.Faults)
		}
		if again, _ := c.LocalAliases(); again != a {
			t.Errorf("%s was read twice", tt.file)
		}
	}
	if kind := status.KindOf(aboutFile("f", &os.PathError{Op: "open", Path: "f", Err: syscall.EMFILE})); kind != status.Temporary {
		t.Errorf("what passes is %s", kind)
	}
}

func TestAliasesSetting(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other paths")
	}
	for text, want := range map[string]string{
		``:                    "/etc/aliases",
		`aliases = "off"`:     "off",
		`aliases = "a"`:       "FOLDER/a",
		`aliases = "~/a"`:     "HOME/a",
		`aliases = "/a/b"`:    "/a/b",
		`aliases = ""`:        `config.toml:1:1: aliases is a file, or "off"`,
		`aliases = "a\u0000"`: "config.toml:1:1: aliases holds a control character or a line break",
		`aliases = ["a"]`:     "config.toml:1:1: aliases takes a string, not a list",
	} {
		dir := t.TempDir()
		path := write(t, filepath.Join(dir, "config.toml"), text)
		c, err := Load(Paths{Explicit: path, Home: "HOME"})
		if err != nil {
			c = &Config{Aliases: strings.TrimPrefix(err.Error(), dir+"/")}
		}
		if got := strings.ReplaceAll(c.Aliases, dir, "FOLDER"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if named := text != ""; err == nil && c.namesAliases != named {
			t.Errorf("%s: named %t", text, c.namesAliases)
		}
	}
}

// FuzzAliases: whatever a file contains, the targets are addresses that are safe in a
// command line, each once, and not too many.
func FuzzAliases(f *testing.F) {
	for _, text := range []string{
		"root: a@x, b\nb: root, c@y\n *: d@z\n*: e@z", "\"a b\": \"c, d\"@x # e\n\t(f\\)) g@h, |i, /j, :include:k",
		"a: \\a, <@b:c@d>, \"\\\"\"@e, Ann <f@g>, (", "a:b\nb:c\nc:a,\\b", "\xff: \x00, \r\n a@\xc3", "*:*", "é: É\nÉ: é",
	} {
		f.Add(text, "root")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		if strings.Contains(strings.ToLower(text), ":include:/") {
			return // the text would make us read files of this machine
		}
		a := parseAliases("f", []byte(text))
		if len(a.Faults) > maxFaults {
			t.Errorf("%d faults", len(a.Faults))
		}
		for _, fault := range a.Faults {
			if status.Printable(fault) != fault {
				t.Errorf("%q is not for a terminal", fault)
			}
		}
		for _, who := range append(slices.Collect(keysOf(a)), name) {
			address, err := envelope.Parse(who)
			if err != nil || address.IsNull() {
				continue
			}
			to, err := a.Expand(address, bare)
			if err != nil && len(to) > 0 || len(to) > maxMembers {
				t.Errorf("%s: %d addresses, %v", who, len(to), err)
			}
			have := make(map[string]bool)
			for _, one := range to {
				again, err := envelope.Parse(one.Address.String())
				if err != nil || again != one.Address || one.Address.IsNull() {
					t.Errorf("%s leads to %q, which is no address: %v", who, one.Address, err)
				}
				if have[one.Address.Key()] {
					t.Errorf("%s leads to %s twice", who, one.Address)
				}
				have[one.Address.Key()] = true
			}
		}
	})
}

// keysOf returns a function that yields names of entries.
func keysOf(a *Aliases) func(func(string) bool) {
	return func(yield func(string) bool) {
		n := 0
		for name := range a.entries {
			if n++; n > 20 || !yield(name) {
				return
			}
		}
	}
}

// TestAliasNotes has the notes about a file without faults.
func TestAliasNotes(t *testing.T) {
	for text, want := range map[string]string{
		"root: a@x\nDefault: b@x\n": "[f:2: default is used for every local name without an entry, as in msmtp; write it as \"*:\"]",
		"default: a@x\n*: b@x\n":    "[]",
		"root: a@x\n":               "[]",
	} {
		a := parseAliases("f", []byte(text))
		if got := fmt.Sprint(a.Notes); got != want || len(a.Faults) > 0 {
			t.Errorf("%q: %s, faults %q, want %s", text, got, a.Faults, want)
		}
	}
}
