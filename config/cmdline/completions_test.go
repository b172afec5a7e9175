package cmdline

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/status"
)

// few is one option of each kind.
var few = []Flag{
	{Letter: 'a', Long: "account", Arg: Required, Value: "NAME", Help: "use this account"},
	{Letter: 'C', Long: "config", Arg: Required, Value: "FILE", Help: "read this, and no other"},
	{Long: "secret", Arg: Required, Value: "SOURCE", Help: "one of: several [sources]"},
	{Long: "dry-run", Help: "show what would be sent"},
	{Long: "import", Arg: Attached, Value: "FILE", Help: "take over msmtp's"},
	{Letter: 'r', Arg: Required, Value: "ADDRESS", Help: "same as -f"},
	{Letter: 'R', Long: "return", Arg: Required, Value: "PART", Help: "full or hdrs"},
	{Letter: 'q', Arg: Attached, Value: "WHAT", Help: "try what waits"},
	{Letter: 'v', Long: "verbose", Help: "show the dialogue"},
}

func TestCompletionsGolden(t *testing.T) {
	for _, shell := range shells {
		file := filepath.Join("testdata", "completions."+shell.name)
		got := shell.write(few)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.ReplaceAll(string(want), "\r\n", "\n"); got != text {
			t.Errorf("%s: got\n%s\nwant\n%s", shell.name, got, text)
		}
	}
}

// Every documented option that has an effect is in the completions.
func TestCompletionsComplete(t *testing.T) {
	for _, shell := range shells {
		text, err := CompletionsFor(shell.name)
		if err != nil {
			t.Fatal(err)
		}
		for f := range Flags() {
			if long := f.Long; long != "" && !strings.Contains(text, "-"+long) && !strings.Contains(text, "-l "+long) {
				t.Errorf("%s: --%s is missing", shell.name, long)
			}
		}
		if strings.Contains(text, "queue-runner") {
			t.Errorf("%s: has an option that is not documented", shell.name)
		}
	}
	if _, err := CompletionsFor("csh"); status.KindOf(err) != status.Usage {
		t.Errorf("csh: %v", err)
	}
}

// Each choice is about an argument that some option has.
func TestChoices(t *testing.T) {
	var values []string
	for f := range Flags() {
		values = append(values, f.Value)
	}
	for _, c := range choices {
		if !slices.Contains(values, c.value) {
			t.Errorf("no option takes %s", c.value)
		}
	}
}

// written writes the completions of a shell that is installed.
func written(t *testing.T, shell string) (program, file string) {
	t.Helper()
	program, err := exec.LookPath(shell)
	if err != nil {
		t.Skip(err)
	}
	text, err := CompletionsFor(shell)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "_sendoff")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return program, file
}

func TestCompletionsSyntax(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell.name, func(t *testing.T) {
			program, file := written(t, shell.name)
			if out, err := exec.Command(program, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestBash asks bash what it would complete the last word to. Words are split
// as bash does it, at = too.
func TestBash(t *testing.T) {
	program, file := written(t, "bash")
	folder := t.TempDir()
	for _, name := range []string{"mail one", "mail.conf", "other"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		words []string
		want  string // with slashes between
	}{
		{[]string{"--que"}, "--queue-run/--queue-json/--queue-show/--queue-delete/--queue-retry"},
		{[]string{"-v", "--dry"}, "--dry-run"},
		{[]string{"--config", "mail"}, "mail one/mail.conf"},
		{[]string{"-C", "mail."}, "mail.conf"},
		{[]string{"--import", "=", "mail."}, "mail.conf"},
		{[]string{"--import", "="}, "mail one/mail.conf/other"},
		{[]string{"--import", "oth"}, "other"},
		{[]string{"--completions", ""}, "bash/zsh/fish"},
		{[]string{"--secret", "sys"}, "systemd:"},
		{[]string{"-R", "h"}, "hdrs"},
		{[]string{"--account", "-"}, ""},
		{[]string{"-v", ""}, ""},
		{[]string{"ann@example.org", "--verb"}, "--verbose"},
	}
	const script = `. "$1"; shift; COMP_WORDS=(sendoff "$@"); COMP_CWORD=$#
complete -p sendoff >/dev/null || exit 1
_sendoff; printf '%s\n' "${COMPREPLY[@]}"`
	for _, tt := range tests {
		cmd := exec.Command(program, append([]string{"--norc", "-c", script, "bash", file}, tt.words...)...)
		cmd.Dir = folder
		out, err := cmd.Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if strings.HasPrefix(tt.want, "mail") { // files come in any order
			slices.Sort(lines)
		}
		got := strings.Join(lines, "/")
		if err != nil || got != tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.words, got, err, tt.want)
		}
	}
}
