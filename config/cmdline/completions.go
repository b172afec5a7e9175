package cmdline

import (
	"fmt"
	"strings"

	"sendoff/submit/status"
)

// shells is every shell for which there are completions.
var shells = [...]struct {
	name  string
	write func([]Flag) string
}{
	{"bash", bash},
	{"zsh", zsh},
	{"fish", fish},
}

// choices is what an argument may be, by its name in the table of options. An
// argument that has no row is not completed.
var choices = [...]struct{ value, words string }{
	{"SHELL", "bash zsh fish"},
	{"SOURCE", "keyring command: file: systemd: none"},
	{"USE", "desktop cron service container"},
	{"EVENTS", "never success failure delay"},
	{"PART", "full hdrs"},
	{"TYPE", "7BIT 8BITMIME"},
}

// file is the name of an argument that is completed with files.
const file = "FILE"

// words returns what the argument of f may be, with spaces between.
func (f Flag) words() string {
	for _, row := range choices {
		if row.value == f.Value {
			return row.words
		}
	}
	return ""
}

// CompletionsFor returns the text that makes a shell complete the options of the
// sendoff command. An unknown shell is status.Usage.
func CompletionsFor(shell string) (string, error) {
	var all []Flag
	for f := range Flags() {
		if !f.Ignored() {
			all = append(all, f)
		}
	}
	var known []string
	for _, s := range shells {
		if s.name == shell {
			return s.write(all), nil
		}
		known = append(known, s.name)
	}
	return "", status.Usage.Errorf("--completions: there are none for %s, only for %s", legible(shell), strings.Join(known, ", "))
}

// forms returns the option as it may be written.
func (f Flag) forms() []string {
	var forms []string
	if f.Letter != 0 {
		forms = append(forms, "-"+string(rune(f.Letter)))
	}
	if f.Long != "" {
		forms = append(forms, "--"+f.Long)
	}
	return forms
}

// bash returns a function for complete -F. Bash makes a word of the = in an
// option, and knows no descriptions.
func bash(flags []Flag) string {
	var b, all strings.Builder
	for _, f := range flags {
		for _, form := range f.forms() {
			all.WriteString(" " + form)
		}
	}
	var files []string
	arguments := make(map[string][]string)
	var order []string
	for _, f := range flags {
		switch words := f.words(); {
		case f.Arg == None:
		case f.Value == file:
			files = append(files, f.forms()...)
		default: // one that takes nothing we know is not completed with options
			if f.Arg == Attached {
				continue
			}
			if arguments[words] == nil {
				order = append(order, words)
			}
			arguments[words] = append(arguments[words], f.forms()...)
		}
	}
	b.WriteString(`# sendoff's options, for bash; written by sendoff --completions bash
_sendoff() {
	local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	if [[ $word == = ]]; then
		word=
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	COMPREPLY=()
	case $before in
`)
	arm := func(forms []string, do string) {
		if len(forms) > 0 {
			b.WriteString("\t" + strings.Join(forms, " | ") + ")\n\t\t" + do + "\n\t\treturn\n\t\t;;\n")
		}
	}
	const compgen = `COMPREPLY=($(compgen %s -- "$word"))`
	arm(files, "compopt -o filenames 2>/dev/null\n\t\t"+fmt.Sprintf(compgen, "-f"))
	for _, words := range order {
		do := ":"
		if words != "" {
			do = fmt.Sprintf(compgen, "-W $'"+strings.ReplaceAll(words, " ", `\n`)+"'")
		}
		arm(arguments[words], do)
	}
	b.WriteString("\tesac\n\tif [[ $word == -* ]]; then\n\t\t" +
		fmt.Sprintf(compgen, "-W $'"+strings.ReplaceAll(strings.TrimSpace(all.String()), " ", `\n`)+"'") +
		"\n\tfi\n}\ncomplete -F _sendoff sendoff\n")
	return b.String()
}

// zsh returns a file for $fpath, by the name of _sendoff.
func zsh(flags []Flag) string {
	var b strings.Builder
	b.WriteString("#compdef sendoff\n# sendoff's options, for zsh; written by sendoff --completions zsh\n_arguments -s -S \\\n")
	escape := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`)
	for _, f := range flags {
		argument := ""
		if f.Arg != None {
			argument = ":" + f.Value + ":"
			if words := f.words(); f.Value == file {
				argument += "_files"
			} else if words != "" {
				argument += "(" + escape.Replace(words) + ")"
			}
		}
		if f.Arg == Attached {
			argument = ":" + argument
		}
		forms := f.forms()
		for _, form := range forms {
			spec := ""
			if len(forms) > 1 {
				spec = "(" + strings.Join(forms, " ") + ")"
			}
			spec += form + map[Arg]string{None: "", Required: "+", Attached: "-"}[f.Arg]
			if strings.HasPrefix(form, "--") {
				spec = strings.TrimRight(spec, "+-") + map[Arg]string{None: "", Required: "=", Attached: "=-"}[f.Arg]
			}
			b.WriteString("\t" + single(spec+"["+escape.Replace(f.Help)+"]"+argument, `'\''`) + " \\\n")
		}
	}
	b.WriteString("\t'*:recipient:_email_addresses'\n")
	return b.String()
}

// fish returns a file for fish's folder of completions, by the name of
// sendoff.fish.
func fish(flags []Flag) string {
	var b strings.Builder
	b.WriteString("# sendoff's options, for fish; written by sendoff --completions fish\ncomplete -c sendoff -f\n")
	for _, f := range flags {
		b.WriteString("complete -c sendoff")
		if f.Letter != 0 {
			b.WriteString(" -s " + string(rune(f.Letter)))
		}
		if f.Long != "" {
			b.WriteString(" -l " + f.Long)
		}
		switch words := f.words(); {
		case f.Value == file && f.Arg == Required:
			b.WriteString(" -r -F")
		case words != "" && f.Arg == Required:
			b.WriteString(" -x -a " + single(words, `\'`))
		case f.Arg == Required:
			b.WriteString(" -x")
		}
		b.WriteString(" -d " + single(f.Help, `\'`) + "\n")
	}
	for _, f := range flags {
		if f.Value == file && f.Arg == Attached { // its file may be the next word
			b.WriteString("complete -c sendoff -n " + single("__fish_contains_opt "+f.Long, `\'`) + " -F\n")
		}
	}
	return b.String()
}

// single returns s between single quotes; quote stands for one in it.
func single(s, quote string) string { return "'" + strings.ReplaceAll(s, "'", quote) + "'" }
