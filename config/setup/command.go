package setup

import (
	"path/filepath"
	"slices"
	"strings"

	"sendoff/submit/process"
)

// addCommand makes a source of a command that prints the password. One that
// has the password among its words is that password, not a command.
func (r *reading) addCommand(d *draft, a *account) {
	e := d.command
	if why := notText(e.value); why != "" {
		r.dropped(e, why)
		return
	}
	if err := trusted(r.path); err != nil {
		r.dropped(e, "others could have written this command: "+err.Error())
		return
	}
	if printed, ok := echoed(e.value); ok {
		e.value = printed
		r.addPassword(d, a, e)
		return
	}
	if echoes(e.value) {
		r.dropped(e, "the command seems to have the password in it; store that with sendoff --login "+a.name)
		a.set("secret", "keyring")
		return
	}
	a.set("secret", "command:"+words(e.value))
}

// words returns a command for a shell as one without: as it is if it is
// nothing but words, else with the shell before it.
func words(command string) string {
	argv, err := process.Argv(command, "~")
	first := ""
	if err == nil {
		first = argv[0]
	}
	builtin := slices.Contains([]string{".", "source", "eval", "exec", "cd", "export", "set", "unset", "command", "if", "for", "while", "until", "case", "!", "{"}, first)
	tilde := strings.Count(command, "~") != strings.Count(" "+command, " ~/")
	if err != nil || builtin || tilde || strings.Contains(first, "=") || strings.ContainsAny(command, "*?[#{") {
		return "sh -c '" + strings.ReplaceAll(command, "'", `'\''`) + "'"
	}
	return command
}

// echoed returns what a command prints that is nothing but echo or printf with
// words.
func echoed(command string) (text string, ok bool) {
	argv, err := process.Argv(command, "~")
	if err != nil || len(argv) < 2 {
		return "", false
	}
	args := argv[1:]
	switch filepath.Base(argv[0]) {
	case "echo":
		for len(args) > 0 && slices.Contains([]string{"-n", "-e", "-ne", "-en", "-E"}, args[0]) {
			args = args[1:]
		}
		text = strings.Join(args, " ")
	case "printf":
		if args[0] == "--" && len(args) > 1 {
			args = args[1:]
		}
		if format := strings.TrimSuffix(args[0], `\n`); format == "%s" && len(args) == 2 {
			text = args[1]
		} else if !strings.ContainsAny(format, `%\`) && len(args) == 1 {
			text = format
		}
	}
	return text, text != "" && !strings.ContainsAny(command, "*?[#{")
}

// echoes reports whether a command for a shell prints words that stand in it,
// other than the value of a variable.
func echoes(command string) bool {
	if strings.Contains(command, "<<") {
		return true
	}
	tokens := strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(" \t|&;()<>`\"'{}", r) })
	for i, t := range tokens {
		if base := filepath.Base(t); base != "echo" && base != "printf" {
			continue
		}
		for _, word := range tokens[i+1:] {
			if strings.HasPrefix(word, "-") || strings.HasPrefix(word, "%s") {
				continue
			}
			if !strings.HasPrefix(word, "$") {
				return true
			}
			break
		}
	}
	return false
}
