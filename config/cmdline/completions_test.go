package cmdline

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/status"
)

// existing returns the candidates of the playground.
func existing(c *Command, value string) []string {
	switch {
	case c.Config == "broken":
		return nil
	case value == "ACCOUNT":
		return []string{"work", "bülow.2"}
	case value == "ID":
		return []string{"0f3k9zq2mh7v5x1c", "0f3k9zq2mh7v5x1d"}
	case value == "URL" && c.Mode == Setup:
		return []string{"gmx", "google"}
	}
	return nil
}

// TestMain makes the test binary behave as sendoff if the playground runs it.
func TestMain(m *testing.M) {
	if os.Getenv("PLAYGROUND") == "" {
		os.Exit(m.Run())
	}
	c, err := Parse(append([]string{"sendoff"}, os.Args[1:]...))
	if err != nil || c.Mode != Complete {
		fmt.Fprintln(os.Stderr, "not asked for candidates:", os.Args, err)
		os.Exit(64)
	}
	for _, line := range Candidates(c.Words, existing) {
		fmt.Println(line)
	}
}

func TestCandidates(t *testing.T) {
	for _, tt := range []struct{ words, want string }{
		{"--que", "--queue-show --queue-retry --queue-delete --queue-json --queue-run"},
		{"--listen --que", "--queue-show --queue-retry --queue-delete --queue-json --queue-run"},
		{"--acc", "--account"},
		{"-a", "-a"},
		{"-G", ""},
		{"--queue-show ''", "0f3k9zq2mh7v5x1c 0f3k9zq2mh7v5x1d"},
		{"--queue-show 0f3k9zq2mh7v5x1d", "0f3k9zq2mh7v5x1d"},
		{"--queue-show=0f3k9zq2mh7v5x1d", "--queue-show=0f3k9zq2mh7v5x1d"},
		{"-V ''", ""},
		{"--setup --client-id ''", ""},
		{"--setup --server g", "gmx google"},
		{"--server g", ""},
		{"-C broken -a ''", ""},
		{"-va w", "work"},
		{"-a w --doctor b", "bülow.2"},
		{"--doctor -v b", "bülow.2"},
		{"--doctor=b", "--doctor=bülow.2"},
		{"--attach ''", "<FILE>"},
		{"--import ''", "<FILE>"},
		{"--import=x", "<FILE>"},
		{"--secret file:x", "<FILE>"},
		{"--secret=file:x", "<FILE>"},
		{"--secret = file : x", "<FILE>"},
		{"--secret = k", "keyring"},
		{"--flow : =", ""},
		{"--doctor --js", "--json"},
		{"--import --js", ""},
		{"--import --w", "--write"},
		{"--setup --w", ""},
		{"--login work --f", "--file --from --full-name --for --flow"},
		{"--logout work --fo", ""},
		{"--completions=z", "--completions=zsh"},
		{"--help=", "--help=all"},
		{"--yes=", ""},
		{"--nothing=", ""},
		{"--nothing ''", ""},
		{"-- -a w", ""},
		{"-a=w", ""},
		{"", ""},
	} {
		var got []string
		for _, line := range Candidates(words(tt.words), existing) {
			name, _, _ := strings.Cut(line, "\t")
			got = append(got, name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %q, want %s", tt.words, got, tt.want)
		}
	}
}

// TestCompletionsComplete: the completions have every documented option that has an effect,
// with its description.
func TestCompletionsComplete(t *testing.T) {
	all := Candidates([]string{"-"}, existing)
	for f := range Flags() {
		for _, form := range f.forms() {
			if slices.Contains(all, form+"\t"+f.Help) == f.Ignored() {
				t.Errorf("%s is missing, or should be", form)
			}
		}
	}
	if text := strings.Join(all, "\n"); strings.Contains(text, "queue-runner") {
		t.Errorf("has an option that is not documented: %s", text)
	}
	if _, err := CompletionsFor("csh"); status.KindOf(err) != status.Usage {
		t.Errorf("csh: %v", err)
	}
	for _, stub := range stubs {
		if !slices.Contains(strings.Fields(choices["SHELL"]), stub.shell) {
			t.Errorf("%s is no choice", stub.shell)
		}
	}
}

// TestChoices: each row of choices belongs to the argument of an option.
func TestChoices(t *testing.T) {
	var values []string
	for f := range Flags() {
		values = append(values, f.Value)
	}
	for value := range choices {
		if !slices.Contains(values, value) {
			t.Errorf("no option takes %s", value)
		}
	}
	for _, name := range []string{"FILE", "ACCOUNT", "SOURCE", "ID", "URL"} {
		if !slices.Contains(values, name) {
			t.Errorf("no option takes %s", name)
		}
	}
}

// written writes the completions for a shell, and skips the test if the shell is not
// installed.
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
	for _, stub := range stubs {
		t.Run(stub.shell, func(t *testing.T) {
			program, file := written(t, stub.shell)
			if out, err := exec.Command(program, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// playground makes a folder with files to complete, and a program sendoff with two
// accounts, or with a broken configuration. It returns the environment for it.
func playground(t *testing.T, broken bool) (folder string, env []string) {
	t.Helper()
	folder = t.TempDir()
	for _, name := range []string{"mail one", "mail.conf", "other"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := "#!/bin/sh\necho warning >&2\nPLAYGROUND=1 exec '" + self + "' \"$@\"\n"
	if broken {
		program = "#!/bin/sh\necho 'sendoff: c.toml:1:1: account is no table' >&2\nexit 78\n"
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "sendoff"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	return folder, append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME="+folder)
}

// sorted sorts the words that a shell offers, and joins them with slashes.
func sorted(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "/")
}

// A completion has the words that a shell offers for the last word of a command line.
type completion struct {
	words []string
	want  string // sorted, with slashes between
}

// completions are the completions that bash and fish share.
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

// TestBash asks bash for the completions of the last word. Words are split as bash splits
// them, also at = and :.
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

// TestFish asks fish for the completions of the last word.
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

// TestZsh calls the function that zsh loads, with replacements for zsh's own functions that
// print their arguments.
func TestZsh(t *testing.T) {
	program, file := written(t, "zsh")
	const script = `compadd() { print -l -- ${@:#-*} }
compset() { local head=$@[-1]; PREFIX=${PREFIX#${~head}} }
_describe() { print -rl -- ${(P)2} }
_files() { print files of $PREFIX }; _email_addresses() { print addresses }
setopt extendedglob; fpath=(${1:h} $fpath); autoload -Uz _sendoff
shift; words=(sendoff "$@"); CURRENT=$#words; PREFIX=$words[-1]; _sendoff`
	ask := func(tt completion, broken bool) {
		cmd := exec.Command(program, append([]string{"-f", "-c", script, "zsh", file}, tt.words...)...)
		cmd.Dir, cmd.Env = playground(t, broken)
		out, err := cmd.CombinedOutput()
		if got := strings.Trim(sorted(out), "/"); err != nil || got != tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.words, got, err, tt.want)
		}
	}
	for _, tt := range []completion{
		{[]string{"-v", "--dry"}, "--dry-run:show what would be sent and why; send nothing"},
		{[]string{"--js"}, "--json:--doctor, --status\\: print one JSON object per line"},
		{[]string{"-a", ""}, "bülow.2/work"},
		{[]string{"--account=w"}, "--account=work"},
		{[]string{"--secret", ""}, "command:/file:/keyring/none/oauth2:/systemd:"},
		{[]string{"--secret", "file:x"}, "files of x"},
		{[]string{"--config=x"}, "files of x"},
		{[]string{"--doctor", ""}, "bülow.2/work"},
		{[]string{"--import", ""}, "files of"},
		{[]string{"-v", ""}, "addresses"},
		{[]string{""}, "addresses"},
	} {
		ask(tt, false)
	}
	ask(completion{[]string{"-a", ""}, "addresses"}, true)
}
