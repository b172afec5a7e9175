package importer

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config/edit"
	"sendoff/submit/process"
)

// addCommand makes a source of a command that prints the password. One that
// has the password among its words is that password, not a command; and one of
// which that cannot be told is not copied, or shown.
func (r *Reading) addCommand(d *draft, a *edit.Table) {
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
	if !known(e.value) {
		r.dropped(e, "the password may be among the words of "+programOf(e.value)+"; if it is not, write the command into secret yourself, after command:, else store the password with sendoff --login "+a.Name)
		a.Set("secret", "keyring")
		return
	}
	a.Set("secret", "command:"+words(e.value))
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

// A printer is a program that prints a password which is not among its words,
// if it is called as takes says.
type printer struct {
	names string
	takes func(words []string) bool
}

// printers are the programs whose commands are carried over.
func printers() []printer {
	return []printer{
		{"pass gopass cat head tail mutt_oauth2.py", anything},
		{"gpg gpg2", decrypts},
		{"secret-tool", verb("lookup")},
		{"security", verb("find-generic-password", "find-internet-password")},
		{"keyring bw rbw", verb("get")},
		{"op", verb("read", "get")},
		{"lpass pizauth", verb("show")},
		{"oama", verb("access")},
		{"systemd-creds", verb("cat", "decrypt")},
		{"sh bash dash", shell},
		{"echo", variables},
		{"printf", func(words []string) bool {
			return len(words) > 1 && (words[0] == "%s" || words[0] == `%s\n`) && variables(words[1:])
		}},
		{"base64", each("-d", "-D", "--decode")},
		{"tr", each("-d", "-cd", "-s", `\n`, `\r`, `\r\n`, `\n\r`, "[:space:]", "[:blank:]", "[:cntrl:]", "[:print:]", " ")},
		{"cut", func(words []string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return len(w) > 4 })
		}},
		{"sed", func(words []string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !isEdit(w) })
		}},
	}
}

// harmless are variables whose value is no secret.
var harmless = [...]string{"LANG", "LC_ALL", "GNUPGHOME", "PASSWORD_STORE_DIR"}

// expansion stands in a word where a shell puts the value of a variable.
const expansion = "\x00"

// known reports whether a command for a shell is a pipeline of printers.
func known(command string) bool {
	pipeline, ok := stages(strings.ReplaceAll(command, " 2>/dev/null", ""))
	return ok && !slices.ContainsFunc(pipeline, func(words []string) bool { return !isPrinter(words) })
}

func isPrinter(words []string) bool {
	for len(words) > 1 {
		name, _, assigned := strings.Cut(words[0], "=")
		if !assigned || !slices.Contains(harmless[:], name) {
			break
		}
		words = words[1:]
	}
	if slices.ContainsFunc(words, tells) {
		return false
	}
	return slices.ContainsFunc(printers(), func(p printer) bool {
		return slices.Contains(strings.Fields(p.names), filepath.Base(words[0])) && p.takes(words[1:])
	})
}

// tells reports whether a word is an option that takes a secret, rather than
// the file that it is in; or an expansion of more than a variable.
func tells(word string) bool {
	option, _, _ := strings.Cut(strings.ToLower(word), "=")
	inFile := strings.HasSuffix(option, "-file") || strings.HasSuffix(option, "-fd")
	for _, secret := range []string{"pass", "session", "token", "secret"} {
		if strings.HasPrefix(option, "-") && strings.Contains(option, secret) && !inFile {
			return true
		}
	}
	parts := strings.Split(word, expansion)
	return slices.ContainsFunc(parts[1:], func(s string) bool { _, ok := afterName(s); return !ok })
}

// afterName returns what follows NAME or {NAME} in s.
func afterName(s string) (rest string, ok bool) {
	s, braces := strings.CutPrefix(s, "{")
	rest = strings.TrimLeft(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
	ok = rest != s
	if braces && ok {
		rest, ok = strings.CutPrefix(rest, "}")
	}
	return rest, ok
}

func anything([]string) bool { return true }

// variables reports whether words are the values of variables, and nothing
// else.
func variables(words []string) bool {
	return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool {
		name, ok := strings.CutPrefix(w, expansion)
		rest, isName := afterName(name)
		return !ok || !isName || rest != ""
	})
}

// decrypts is for gpg(1).
func decrypts(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		return w == "--decrypt" || strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, "d")
	})
}

// verb is for a program that one of its words tells what to do.
func verb(verbs ...string) func([]string) bool {
	return func(words []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(verbs, w) })
	}
}

// each is for a program that takes only these words.
func each(of ...string) func([]string) bool {
	return func(words []string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(of, w) })
	}
}

func shell(words []string) bool {
	return len(words) == 2 && words[0] == "-c" && !strings.Contains(words[1], expansion) && known(words[1])
}

// isEdit reports whether a word of sed(1) is an option, or a script that takes
// lines or parts of them away.
func isEdit(word string) bool {
	if slices.Contains([]string{"-n", "-e", "-E", "-r", "-ne"}, word) || strings.Trim(word, "0123456789$,!pqd;") == "" {
		return true
	}
	if len(word) < 2 || word[0] != 's' {
		return false
	}
	parts := strings.Split(word[1:], word[1:2])
	return len(parts) == 4 && strings.Trim(parts[2], `\123&`) == "" && strings.Trim(parts[3], "gpI") == ""
}

// stages splits a pipeline, and what is between its bars into words. It reports
// false where that takes more of a shell than quotes and variables.
func stages(command string) (pipeline [][]string, ok bool) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord := false
	end := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for _, c := range command {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == '\'':
			word.WriteRune(c)
		case strings.ContainsRune("\\`", c):
			return nil, false
		case c == '$':
			word.WriteString(expansion)
			inWord = true
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ':
			end()
		case c == '|':
			end()
			pipeline, words = append(pipeline, words), nil
		case strings.ContainsRune("&;<>()", c) || c == '#' && !inWord:
			return nil, false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	end()
	pipeline = append(pipeline, words)
	ok = quote == 0 && !slices.ContainsFunc(pipeline, func(words []string) bool { return len(words) == 0 })
	return pipeline, ok
}

// programOf returns the name of the program that a command begins with. What
// is assigned to a variable before that may be a secret, and so may a word that
// is no program here.
func programOf(command string) string {
	for _, word := range strings.Fields(command) {
		if strings.ContainsAny(word, "\"'$`\\|&;<>(){}") {
			break
		}
		if strings.Contains(word, "=") {
			continue
		}
		if _, err := exec.LookPath(word); err == nil {
			return filepath.Base(word)
		}
		break
	}
	return "this command"
}

// echoed returns what a command prints that is nothing but echo or printf with
// words. What a backslash means there differs from shell to shell.
func echoed(command string) (text string, ok bool) {
	pipeline, ok := stages(command)
	if !ok || len(pipeline) > 1 || len(pipeline[0]) < 2 || strings.ContainsAny(command, "*?[#{~") {
		return "", false
	}
	args := pipeline[0][1:]
	switch filepath.Base(pipeline[0][0]) {
	case "echo":
		for len(args) > 0 && slices.Contains([]string{"-n", "-E"}, args[0]) {
			args = args[1:]
		}
		if len(args) > 0 && strings.HasPrefix(args[0], "-") {
			return "", false
		}
		text = strings.Join(args, " ")
	case "printf":
		if args[0] == "--" && len(args) > 1 {
			args = args[1:]
		}
		if format := strings.TrimSuffix(args[0], `\n`); format == "%s" && len(args) == 2 {
			text = args[1]
		} else if !strings.Contains(format, "%") && len(args) == 1 {
			text = format
		}
	}
	if text == "" || strings.ContainsAny(text, `\`+expansion) {
		return "", false
	}
	return text, true
}
