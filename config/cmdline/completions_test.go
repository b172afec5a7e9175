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
	{Letter: 'a', Long: "account", Arg: Required, Value: "ACCOUNT", Help: "use this account"},
	{Letter: 'C', Long: "config", Arg: Required, Value: "FILE", Help: "read this, and no other"},
	{Long: "secret", Arg: Required, Value: "SOURCE", Help: "one of: several [sources]"},
	{Long: "dry-run", Help: "show what would be sent"},
	{Long: "import", Arg: Attached, Value: "FILE", Help: "take over msmtp's"},
	{Long: "doctor", Arg: Attached, Value: "ACCOUNT", Help: "look for what is wrong"},
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
	for _, name := range []string{file, known, source} {
		if !slices.Contains(values, name) {
			t.Errorf("no option takes %s", name)
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

// playground makes a folder with files to complete, and a program sendoff that has two
// accounts, or none and an error; it returns the environment where that is found.
func playground(t *testing.T, broken bool) (folder string, env []string) {
	t.Helper()
	folder = t.TempDir()
	for _, name := range []string{"mail one", "mail.conf", "other"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := "#!/bin/sh\n[ \"$*\" = -bC ] || exit 64\necho 'c.toml is good'\n" +
		"echo 'account work, smtps://smtp.example.org (c.toml)'\necho 'account bülow.2, smtp://x, smtp://y (c.toml)'\necho warning >&2\n"
	if broken {
		program = "#!/bin/sh\necho 'sendoff: c.toml:1:1: account is no table' >&2\nexit 78\n"
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "sendoff"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	return folder, append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME="+folder)
}

// sorted puts in order what a shell offers, which it does in any, with slashes
// between.
func sorted(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "/")
}

// A completion is what a shell offers for the last of the words.
type completion struct {
	words []string
	want  string // sorted, with slashes between
}

// completions are those that bash and fish have in common.
var completions = []completion{
	{[]string{"-v", "--dry"}, "--dry-run"},
	{[]string{"--config", "mail."}, "mail.conf"},
	{[]string{"-C", "oth"}, "other"},
	{[]string{"--completions", ""}, "bash/fish/zsh"},
	{[]string{"--secret", ""}, "command:/file:/keyring/none/oauth2:/systemd:"},
	{[]string{"--secret", "oau"}, "oauth2:"},
	{[]string{"--flow", ""}, "browser/device/paste"},
	{[]string{"-R", "h"}, "hdrs"},
	{[]string{"-a", ""}, "bülow.2/work"},
	{[]string{"--login", "w"}, "work"},
	{[]string{"--logout", "b"}, "bülow.2"},
	{[]string{"--doctor", ""}, "bülow.2/work"},
	{[]string{"--user", ""}, ""},
	{[]string{"-v", ""}, ""},
}

// TestBash asks bash what it would complete the last word to. Words are split
// as bash does it, at = and : too.
func TestBash(t *testing.T) {
	program, file := written(t, "bash")
	const script = `. "$1"; shift; COMP_WORDS=(sendoff "$@"); COMP_CWORD=$#
complete -p sendoff >/dev/null || exit 1
_sendoff; printf '%s\n' "${COMPREPLY[@]}"`
	ask := func(tt completion, broken bool) {
		cmd := exec.Command(program, append([]string{"--norc", "-c", script, "bash", file}, tt.words...)...)
		cmd.Dir, cmd.Env = playground(t, broken)
		var complaint strings.Builder
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if got := sorted(out); err != nil || got != tt.want || complaint.Len() > 0 {
			t.Errorf("%q: got %q, %v; want %q\n%s", tt.words, got, err, tt.want, complaint.String())
		}
	}
	for _, tt := range slices.Concat(completions, []completion{
		{[]string{"--que"}, "--queue-delete/--queue-json/--queue-retry/--queue-run/--queue-show"},
		{[]string{"--config", "mail"}, "mail one/mail.conf"},
		{[]string{"--import", "=", "mail."}, "mail.conf"},
		{[]string{"--import", "="}, "mail one/mail.conf/other"},
		{[]string{"--import", "oth"}, "other"},
		{[]string{"--secret", "sys"}, "systemd:"},
		{[]string{"--secret", "file", ":"}, "mail one/mail.conf/other"},
		{[]string{"--secret", "=", "file", ":", "oth"}, "other"},
		{[]string{"--secret", "command", ":", "oth"}, ""},
		{[]string{"--flow", "=", "d"}, "device"},
		{[]string{"--account", "="}, "bülow.2/work"},
		{[]string{"--account", "-"}, ""},
		{[]string{":", "x"}, ""},
		{[]string{"ann@example.org", "--verb"}, "--verbose"},
	}) {
		ask(tt, false)
	}
	ask(completion{[]string{"-a", ""}, ""}, true)
}

// TestFish asks fish the same.
func TestFish(t *testing.T) {
	program, file := written(t, "fish")
	ask := func(tt completion, broken bool) {
		line := "sendoff " + strings.Join(tt.words, " ")
		cmd := exec.Command(program, "--no-config", "-c", `source $argv[1]; complete -C $argv[2] | string replace -r '\t.*' ''; true`, file, line)
		cmd.Dir, cmd.Env = playground(t, broken)
		out, err := cmd.CombinedOutput()
		if got := sorted(out); err != nil || got != tt.want {
			t.Errorf("%q: got %q, %v; want %q", line, got, err, tt.want)
		}
	}
	for _, tt := range slices.Concat(completions, []completion{
		{[]string{"--secret=fi"}, "--secret=file:"},
		{[]string{"--secret", "file:oth"}, "file:other"},
		{[]string{"--account=w"}, "--account=work"},
	}) {
		ask(tt, false)
	}
	ask(completion{[]string{"-a", ""}, ""}, true)
}

// TestZsh asks the functions of zsh that are not its own.
func TestZsh(t *testing.T) {
	program, file := written(t, "zsh")
	const script = `compadd() { [[ $1 == -a ]] && print -l -- ${(P)2} || print -l -- ${@:#-*} }
compset() { [[ $PREFIX == ${2}* ]] }
_files() { print files }; _email_addresses() { print addresses }; _arguments() { : }
setopt extendedglob; . $1; words=(sendoff ${(s: :)3}); PREFIX=$4; $2`
	tests := []struct{ function, words, word, want string }{
		{"_sendoff_accounts", "", "", "bülow.2/work"},
		{"_sendoff_sources", "", "", "command:/file:/keyring/none/oauth2:/systemd:"},
		{"_sendoff_sources", "", "file:x", "files"},
		{"_sendoff_words", "--doctor x", "", "bülow.2/work"},
		{"_sendoff_words", "--import x", "", "files"},
		{"_sendoff_words", "-v x", "", "addresses"},
	}
	for _, tt := range tests {
		cmd := exec.Command(program, "-f", "-c", script, "zsh", file, tt.function, tt.words, tt.word)
		cmd.Dir, cmd.Env = playground(t, false)
		out, err := cmd.CombinedOutput()
		if got := strings.Trim(sorted(out), "/"); err != nil || got != tt.want {
			t.Errorf("%s, %q: got %q, %v; want %q", tt.function, tt.words, got, err, tt.want)
		}
	}
}
