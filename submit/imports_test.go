package submit_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sendoff/submit/auth"
	"sendoff/submit/secret"
)

// rows is the picture of the packages: each imports only from rows below its
// own, never sideways.
var rows = [][]string{
	{"sendoff"},
	{"sendoff/submit/program"},
	{"sendoff/submit/doctor", "sendoff/submit/serve", "sendoff/submit/rehearse"},
	{"sendoff/submit/runner", "sendoff/submit/mailq", "sendoff/config/setup"},
	{"sendoff/submit"},
	{"sendoff/submit/smarthost"},
	{"sendoff/submit/login", "sendoff/submit/notify", "sendoff/config/importer", "sendoff/config/cmdline"},
	{"sendoff/submit/dial", "sendoff/config/machine"},
	{"sendoff/submit/trust", "sendoff/submit/throttle", "sendoff/submit/rewrite", "sendoff/submit/spool", "sendoff/submit/maillog",
		"sendoff/config/discover", "sendoff/config/edit", "sendoff/submit/outcome"},
	{"sendoff/submit/credential", "sendoff/submit/compose"},
	{"sendoff/config", "sendoff/submit/message", "sendoff/submit/smtp", "sendoff/submit/smtpd",
		"sendoff/submit/queue"},
	{"sendoff/submit/auth"},
	{"sendoff/submit/envelope", "sendoff/submit/secret", "sendoff/submit/state", "sendoff/submit/status"},
	{"sendoff/submit/process"},
}

// testOnly are packages that only tests import.
var testOnly = []string{"sendoff/submit/trust/trusttest", "sendoff/submit/dial/dialtest", "sendoff/submit/smtp/smtptest", "sendoff/submit/submittest", "sendoff/submit/submittest/literals", "sendoff/submit/credential/oauth2test", "sendoff/config/discover/discovertest", "sendoff/submit/e2e", "sendoff/submit/bench"}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../...").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	row, seen := make(map[string]int), make(map[string]bool)
	for i, packages := range rows {
		for _, p := range packages {
			row[p] = i
		}
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen[p.ImportPath] = true
		mine, ok := row[p.ImportPath]
		if !ok {
			if !slices.Contains(testOnly, p.ImportPath) {
				t.Errorf("%s is in no row of the picture", p.ImportPath)
			}
			continue
		}
		for _, other := range p.Imports {
			if !strings.HasPrefix(other, "sendoff") {
				continue
			}
			if theirs, ok := row[other]; !ok || theirs <= mine {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, other)
			}
		}
	}
	for p := range row {
		if !seen[p] {
			t.Errorf("%s is in the picture, but does not exist", p)
		}
	}
}

// TestPictureInReadme holds the picture of the packages in the README against the rows, and the
// README to a size at which people read it.
func TestPictureInReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
	if len(lines) >= 200 {
		t.Errorf("the README has %d lines, want fewer than 200", len(lines))
	}
	var pictured [][]string
	line := regexp.MustCompile(`^([ 1]\d| {2}) (main\.go|(?:submit|config)\S*)(?:.* ((?:submit|config)/\S+))?`)
	for i, text := range lines {
		if utf8.RuneCountInString(text) > 100 {
			t.Errorf("README.md:%d is wider than 100 columns", i+1)
		}
		m := line.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		if m[1] != "  " {
			pictured = append(pictured, nil)
		}
		for _, name := range m[2:] {
			if name != "" {
				row := &pictured[len(pictured)-1]
				*row = append(*row, strings.TrimSuffix("sendoff/"+name, "/main.go"))
			}
		}
	}
	for i := range max(len(rows), len(pictured)) {
		if i >= len(rows) || i >= len(pictured) || !slices.Equal(slices.Sorted(slices.Values(rows[i])), slices.Sorted(slices.Values(pictured[i]))) {
			t.Fatalf("row %d of the picture differs from the rows:\n%q\n%q", i+1, pictured, rows)
		}
	}
}

// TestMechanismsInManual holds the order of mechanisms against sendoff.toml(5).
func TestMechanismsInManual(t *testing.T) {
	page, err := os.ReadFile("../man/sendoff.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(page)) {
		words, ok := strings.CutPrefix(line, ".It Li ")
		if ok && strings.ToUpper(words) == words {
			listed = append(listed, strings.Split(strings.TrimSpace(words), " , ")...)
		}
	}
	if !slices.Equal(listed, auth.Known()) {
		t.Errorf("the manual lists %q, auth knows %q", listed, auth.Known())
	}
}

// TestSourcesInManual holds the sources of secrets against sendoff.toml(5).
func TestSourcesInManual(t *testing.T) {
	page, err := os.ReadFile("../man/sendoff.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	_, err = secret.Parse("?")
	_, list, _ := strings.Cut(fmt.Sprint(err), "known are ")
	list, _, ok := strings.Cut(list, ";")
	if !ok {
		t.Fatal(err)
	}
	for _, form := range strings.Split(list, ", ") {
		name, _, takes := strings.Cut(form, ":")
		if item := ".It Li " + name + map[bool]string{true: ": Ns Ar ", false: "\n"}[takes]; !strings.Contains(string(page), item) {
			t.Errorf("the manual has no item for the source %s", form)
		}
	}
}
