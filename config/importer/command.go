package importer

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config/edit"
	"sendoff/submit/process"
)

// addCommand sets a's secret to d's command, which prints the password. If the command
// prints a constant, that is the password.
func (r *Reading) addCommand(d *draft, a *edit.Table) {
	e := d.command
	if text, ok := constant(e.value); ok {
		e.value = text
		r.addPassword(d, a, e)
		return
	}
	a.Set("secret", "command:"+commandSource(e.value))
}

// shellWords are words that are not programs for a shell, or that a shell executes
// differently from the program of that name.
const shellWords = ". : alias case cd command echo eval exec exit export for if in local printf read return set shift source test time trap type ulimit umask unset until wait while"

// commandSource returns a shell command for the source command:. A command that is only
// words stays as it is; any other is run by sh -c. If the command contains characters that
// TOML cannot have, it is encoded as octal numbers that the shell decodes first.
func commandSource(command string) string {
	if argv, ok := words(command); ok && !slices.Contains(strings.Fields(shellWords), argv[0]) {
		return command
	}
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	if notText(command) != "" {
		octal := ""
		for _, c := range []byte(command) {
			octal += fmt.Sprintf(`\0%03o`, c)
		}
		command = `eval "$(printf %b '` + octal + `')"`
	}
	return "sh -c " + quote(command)
}

// words splits a shell command. ok is true if a shell would do nothing but split it: there
// is no pattern, comment, brace or assignment, and ~ only as ~/.
func words(command string) ([]string, bool) {
	argv, err := process.Argv(command, "~")
	if err != nil || notText(command) != "" || strings.Contains(argv[0], "=") {
		return nil, false
	}
	bare := strings.ReplaceAll(" "+unquoted(command), " ~/", " ")
	return argv, !strings.ContainsAny(bare, "*?[#{~!")
}

// unquoted returns a command without the text in quotes, and without characters after a
// backslash.
func unquoted(command string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case c == '\\' && quote != '\'':
			i++
		case c == quote:
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// constant returns the output of a command that is only echo or printf with constant words.
// ok is false if the output has a backslash, because shells treat backslashes differently.
func constant(command string) (text string, ok bool) {
	argv, ok := words(command)
	if !ok || len(argv) < 2 || strings.Contains(unquoted(command), "~") {
		return "", false
	}
	switch args := argv[1:]; filepath.Base(argv[0]) {
	case "echo":
		if args[0] == "-n" {
			args = args[1:]
		}
		text = strings.Join(args, " ")
	case "printf":
		text = strings.TrimSuffix(args[0], `\n`)
		if len(args) == 2 && text == "%s" {
			text = args[1]
		} else if len(args) > 1 || strings.Contains(text, "%") {
			return "", false
		}
	}
	return text, text != "" && text[0] != '-' && !strings.Contains(text, `\`)
}
