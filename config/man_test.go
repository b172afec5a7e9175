package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// page returns the lines of a manual page.
func page(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("../man/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

// TestManualSettings: the manual has exactly the settings of the tables, in their order and
// sections, with the sentences of their tags.
func TestManualSettings(t *testing.T) {
	var want, got []string
	for _, table := range []struct {
		section string
		t       reflect.Type
	}{
		{"Top-level settings", reflect.TypeFor[Config]()},
		{"Account settings", reflect.TypeFor[Account]()},
		{"Provider settings", reflect.TypeFor[OAuth2]()},
	} {
		for _, f := range fields(table.t) {
			name, doc := f.Tag.Get("toml"), f.Tag.Get("doc")
			if !strings.HasSuffix(doc, ".") {
				t.Errorf("%s: %q is no sentence", name, doc)
			}
			want = append(want, table.section+": "+name+": "+doc)
		}
	}
	lines, section := page(t, "sendoff.toml.5"), ""
	for i, line := range lines {
		if s, ok := strings.CutPrefix(line, ".Ss "); ok {
			section = s
		}
		if name, ok := strings.CutPrefix(line, ".It Ic "); ok {
			got = append(got, section+": "+name+": "+lines[i+1])
		}
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("setting %d:\nthe manual has %s\nthe tags have   %s", i+1, at(got, i), at(want, i))
		}
	}
}

// TestManualSchemes: the manual has the schemes in the order of the table, with their texts
// and ports.
func TestManualSchemes(t *testing.T) {
	var want, got []string
	for _, row := range Schemes {
		port := ""
		if row.Port > 0 {
			port = " " + strconv.Itoa(row.Port)
		}
		want = append(want, row.Name+": "+row.Help+" Ta"+port)
	}
	for _, line := range page(t, "sendoff.toml.5") {
		if rest, ok := strings.CutPrefix(line, ".It Li "); ok && strings.Contains(rest, " Ta ") {
			scheme, _, _ := strings.Cut(rest, ":")
			_, words, _ := strings.Cut(rest, " Ta ")
			got = append(got, scheme+": "+words)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the manual has\n%q, want\n%q", got, want)
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// TestManualEnvironment: the manual has all variables, in the order of the table.
func TestManualEnvironment(t *testing.T) {
	var want, got []string
	Environment(func(name string) string {
		want = append(want, name)
		return ""
	})
	for _, line := range page(t, "sendoff.toml.5") {
		if name, ok := strings.CutPrefix(line, ".It Ev SENDOFF_"); ok {
			got = append(got, "SENDOFF_"+name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the manual has %q, want %q", got, want)
	}
}

// TestManualExamples: each example of a configuration in the manual loads.
func TestManualExamples(t *testing.T) {
	for name, atLeast := range map[string]int{"sendoff.toml.5": 4, "sendoff-oauth.7": 5, "sendoff-server.7": 2} {
		count := 0
		for _, block := range strings.Split(strings.Join(page(t, name), "\n"), "\n.Bd -literal")[1:] {
			_, text, _ := strings.Cut(block, "\n")
			text, _, _ = strings.Cut(text, "\n.Ed")
			if !strings.Contains(text, "[accounts.") {
				continue
			}
			if _, err := parse(text); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, text)
			}
			count++
		}
		if count < atLeast {
			t.Errorf("%s: %d examples", name, count)
		}
	}
}

// TestManualReferences: if a manual page names a section, of itself or of another page, the
// section exists.
func TestManualReferences(t *testing.T) {
	pages := map[string]string{}
	for _, name := range []string{"sendoff.1", "sendoff.toml.5", "sendoff-oauth.7", "sendoff-server.7"} {
		pages[name] = strings.Join(page(t, name), "\n")
	}
	reference := regexp.MustCompile(`(?m)^\.Sx (.*?)(?: [.;:,)])*$(?:\nin\n\.Xr (\S+) (\d))?`)
	for name, text := range pages {
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			target := name
			if m[2] != "" {
				target = m[2] + "." + m[3]
			}
			if !strings.Contains(pages[target], "\n.Sh "+m[1]+"\n") && !strings.Contains(pages[target], "\n.Ss "+m[1]+"\n") {
				t.Errorf("%s names the section %q of %s, which has none", name, m[1], target)
			}
		}
	}
}
