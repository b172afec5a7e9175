package importer

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/status"
)

// TestEveryField: the archives in testdata have every key of every program.
func TestEveryField(t *testing.T) {
	for _, p := range []struct {
		name   string
		fields []field
	}{
		{"msmtp", msmtpFields()}, {"ssmtp", ssmtpFields()}, {"dma", dmaFields()}, {"postfix", postfixFields()},
		{"nullmailer", append(nullmailerFiles(), remoteOptions()...)},
	} {
		paths, err := filepath.Glob("testdata/" + p.name + "-*.txtar")
		if err != nil {
			t.Fatal(err)
		}
		var corpus strings.Builder
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, _, _ := strings.Cut(string(text), "-- toml --")
			corpus.WriteString(input)
		}
		for _, f := range p.fields {
			if !regexp.MustCompile(`(?m)(^|[ /-])` + f.key + `($|[ =])`).MatchString(corpus.String()) {
				t.Errorf("%s's %s is in no archive of testdata", p.name, f.key)
			}
		}
	}
}

// TestFindSystem finds the system's files below Root; Postfix is searched last.
func TestFindSystem(t *testing.T) {
	in := Reader{Home: t.TempDir(), Root: t.TempDir()}
	for _, name := range []string{"postfix/main.cf", "nullmailer/remotes"} {
		file := filepath.Join(in.Root, "etc", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("relayhost = [h.example]\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		_, at, err := in.find("", func(string) {})
		if err != nil || at != file {
			t.Errorf("found %s, %v, want %s", at, err, file)
		}
	}
	folder := filepath.Join(in.Root, "etc", "postfix")
	if p, at, err := in.find(folder, nil); err != nil || p.name != "Postfix" || at != folder {
		t.Errorf("of the folder: %s, %s, %v", p.name, at, err)
	}
}

const simple = "account work\nhost smtp.example.org\nauth on\nuser ann\npassword s3kr1t\n"

func TestFind(t *testing.T) {
	home := t.TempDir()
	in := Reader{Home: home, ConfigHome: filepath.Join(home, ".config")}
	for _, name := range []string{".msmtprc", ".config/msmtp/config"} {
		file := filepath.Join(home, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(simple), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	p, at, err := in.find("", func(line string) { said = append(said, line) })
	if err != nil || p.name != "msmtp" || at != filepath.Join(home, ".msmtprc") {
		t.Errorf("found %s, %v", at, err)
	}
	other := filepath.Join(home, ".config", "msmtp", "config")
	if !slices.Contains(said, "there is also "+other+"; to import that: sendoff --import "+other) {
		t.Errorf("said %q", said)
	}
	for text, want := range map[string]string{
		"mispelled x\naccount a\nhost h.example\n": "msmtp",
		"# x\nmailhub = h.example\n":               "ssmtp",
		"SMARTHOST h.example\n":                    "dma",
		"# x\nrelayhost = [h.example]\n":           "Postfix",
	} {
		path := filepath.Join(home, "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, _, err := in.find(path, nil); err != nil || p.name != want {
			t.Errorf("%q: %s, %v", text, p.name, err)
		}
	}
	for _, text := range []string{"", "hello\n", "smarthost h.example\n", "user = \"ann\"\n", "[accounts.work]\nserver = \"smtp://x.example\"\n"} {
		path := filepath.Join(home, "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := in.find(path, nil); status.KindOf(err) != status.Config {
			t.Errorf("%q: %v", text, err)
		}
	}
	path := filepath.Join(home, "none")
	if _, _, err := in.find(path, nil); status.KindOf(err) != status.Config {
		t.Errorf("no file: %v", err)
	}
}

func TestNetrc(t *testing.T) {
	const text = `# a comment
machine other.example login ann password wrong
machine smtp.example.org
	login ann
	password "s3kr1t"
	account x
macdef init
machine smtp.example.org login bob password macro

machine SMTP.example.org login bob password b0b
machine smtp.example.org login carl password "two words"
machine smtp.example.org login dora password 'it"s' # hers
machine smtp.example.org login 'e v' password
	x'y z'
machine smtp.example.org port login fay password a\b#c
default login anonymous password guest
`
	for _, tt := range []struct{ host, user, want string }{
		{"smtp.example.org", "ann", "s3kr1t"},
		{"smtp.example.org", "bob", "b0b"},
		{"smtp.example.org", "carl", "two words"},
		{"smtp.example.org", "dora", `it"s`},
		{"smtp.example.org", "e v", "xy z"},
		{"smtp.example.org", "fay", `a\b#c`},
		{"smtp.example.org", "eve", ""},
		{"none.example", "ann", ""},
		{"none.example", "anonymous", ""},
	} {
		got, ok := findNetrc("netrc", text, tt.host, tt.user)
		if ok != (tt.want != "") || ok && got.value != tt.want {
			t.Errorf("%s at %s: %q, %v", tt.user, tt.host, got.value, ok)
		}
	}
}

// TestExpand: parameters of main.cf are replaced in other values, and a recursive parameter
// takes no time.
func TestExpand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "main.cf")
	const text = "a = x\nb = $a.${a}.$(a)$$a$none\n# c = 1\nc = 1\n  $b,\n\n#\n\t2\nd = $d$d$d $e\ne=$d$e\nc2 = $mydomain\nmyhostname = box.example.org\nf = ${a?{y}:{z}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := (&Reading{path: path, remarked: make(map[string]bool)}).readMainCf()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "x", "b": "x.x.x$a", "c": "1 x.x.x$a, 2", "d": "", "c2": "example.org", "none": ""} {
		if got := m.get(name).value; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := m.get("c").at; got != path+":4" {
		t.Errorf("c is at %s", got)
	}
}
