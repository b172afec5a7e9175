package cmdline

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/status"
)

// section returns the lines of a section of sendoff(1).
func section(t *testing.T, name string) []string {
	t.Helper()
	page, err := os.ReadFile("../../man/sendoff.1")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(strings.ReplaceAll(string(page), "\r\n", "\n"), "\n.Sh "+name+"\n")
	if !ok {
		t.Fatalf("sendoff(1) has no section %s", name)
	}
	text, _, _ := strings.Cut(after, "\n.Sh ")
	return strings.Split(text, "\n")
}

// items returns each first group of pattern in the heads of the section's items.
func items(t *testing.T, name, pattern string) []string {
	t.Helper()
	var found []string
	for _, line := range section(t, name) {
		if head, ok := strings.CutPrefix(line, ".It "); ok {
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(head, -1) {
				found = append(found, m[1])
			}
		}
	}
	return found
}

// same reports the elements that only one of the two lists has.
func same(t *testing.T, what string, code, page []string) {
	t.Helper()
	for _, s := range code {
		if !slices.Contains(page, s) {
			t.Errorf("%s %s is not in sendoff(1)", what, s)
		}
	}
	for _, s := range page {
		if !slices.Contains(code, s) {
			t.Errorf("sendoff(1) has %s %s, which does not exist", what, s)
		}
	}
	if len(code) != len(page) {
		t.Errorf("%d of %s, and %d in sendoff(1)", len(code), what, len(page))
	}
}

func TestManualFlags(t *testing.T) {
	var want []string
	for f := range Flags() {
		argument := map[Arg]string{None: "", Required: " Ar", Attached: " Ns Op Ar"}[f.Arg]
		if f.Letter != 0 {
			want = append(want, string(rune(f.Letter))+argument)
		}
		if f.Long != "" {
			want = append(want, "-"+f.Long+argument)
		}
	}
	same(t, "the option", want, items(t, "OPTIONS", `Fl (\S+(?: Ns Op Ar| Ar)?)`))
}

// TestManualGroups: each option is in the subsection of its group. The title of a
// subsection begins as in --help=all.
func TestManualGroups(t *testing.T) {
	var title string
	of := map[string][]string{} // an option is under Letters of sendmail too, if it means something else there
	for _, line := range section(t, "OPTIONS") {
		if s, ok := strings.CutPrefix(line, ".Ss "); ok {
			title = s
		}
		if head, ok := strings.CutPrefix(line, ".It "); ok {
			for _, m := range regexp.MustCompile(`Fl (\S+)`).FindAllStringSubmatch(head, -1) {
				of["-"+m[1]] = append(of["-"+m[1]], title)
			}
		}
	}
	for f := range Flags() {
		for _, form := range f.forms() {
			want := groups[f.group&^daily]
			if !slices.ContainsFunc(of[form], func(title string) bool { return strings.HasPrefix(want, title) }) {
				t.Errorf("sendoff(1) has %s under %q, want %q", form, of[form], want)
			}
		}
	}
}

func TestManualModes(t *testing.T) {
	var aliases []string
	letters := append(slices.Collect(maps.Keys(modes)), slices.Collect(maps.Keys(unavailable))...)
	same(t, "the mode", letters, items(t, "MODES", `Fl b(\S)`))
	for name := range names {
		aliases = append(aliases, name)
	}
	same(t, "the name", aliases, items(t, "MODES", `Nm (\S+)`))
}

func TestManualExitStatus(t *testing.T) {
	var want, got []string
	var kinds []status.Kind
	for k := range status.Lost + 1 { // the last one
		kinds = append(kinds, k)
	}
	slices.SortStableFunc(kinds, func(a, b status.Kind) int { return a.Exit() - b.Exit() })
	for _, k := range kinds {
		want = append(want, fmt.Sprintf("%d: %s", k.Exit(), k.Means()))
	}
	code := "0"
	for _, line := range section(t, "EXIT STATUS") {
		if n, ok := strings.CutPrefix(line, ".It Li "); ok {
			code = n
		} else if code != "0" {
			got = append(got, code+": "+strings.TrimSuffix(line, "; or"))
		}
		if line == ".El" {
			got = got[:len(got)-1]
			break
		}
	}
	same(t, "the exit status", want, got)
}

// TestUsage: --help and --help=all have the options of the table, and fit into a terminal.
func TestUsage(t *testing.T) {
	short, all := Usage(false), Usage(true)
	for _, line := range strings.Split(short+all, "\n") {
		if len(line) > 80 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	if n := strings.Count(short, "\n"); n > 40 {
		t.Errorf("--help has %d lines", n)
	}
	days := 0
	for f := range Flags() {
		if strings.Contains(f.Help, "\n") || strings.HasSuffix(f.Help, ".") {
			t.Errorf("-%c --%s: the help is not one phrase: %q", f.Letter, f.Long, f.Help)
		}
		for _, form := range f.forms() {
			if !strings.Contains(all, " "+form) {
				t.Errorf("%s is not in --help=all", form)
			}
		}
		lines := strings.Split(strings.TrimSuffix(line(f), "\n"), "\n")
		if last := lines[len(lines)-1]; last[:min(27, len(last))]+f.Help != last || last[26] != ' ' {
			t.Errorf("the description is not in its column: %q", lines)
		}
		daily := f.group&daily != 0
		if daily {
			days++
		}
		if strings.Contains(short, line(f)) != daily || strings.Contains(all, line(f)) == f.Ignored() {
			t.Errorf("-%c --%s: in --help is only what is for every day, in --help=all all that has an effect", f.Letter, f.Long)
		}
	}
	if days < 10 || days > 18 {
		t.Errorf("%d options for every day", days)
	}
	for _, title := range groups {
		if !strings.Contains(all, "\n\n"+title+":\n") {
			t.Errorf("--help=all has no group %s", title)
		}
	}
}
