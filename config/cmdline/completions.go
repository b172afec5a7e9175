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
// argument that has no row here, and none of the names below, is not completed.
var choices = [...]struct{ value, words string }{
	{"SHELL", "bash zsh fish"},
	{source, "keyring command: file: systemd: oauth2: none"},
	{"USE", "desktop cron service container"},
	{"WAY", flows},
	{"EVENTS", "never success failure delay"},
	{"PART", "full hdrs"},
	{"TYPE", "7BIT 8BITMIME"},
}

// Names of arguments that are completed with what there is.
const (
	file   = "FILE"
	known  = "ACCOUNT" // accounts: sendoff -bC is asked for them, and only then
	source = "SOURCE"  // files behind file:
)

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
	var names []string
	for _, s := range shells {
		if s.name == shell {
			return s.write(all), nil
		}
		names = append(names, s.name)
	}
	return "", status.Usage.Errorf("--completions: there are none for %s, only for %s", legible(shell), strings.Join(names, ", "))
}

// What bash does to complete an argument.
const (
	bashWords    = `COMPREPLY=($(compgen -W $'%s' -- "$word"))`
	bashFiles    = "compopt -o filenames 2>/dev/null\n\t\tCOMPREPLY=($(compgen -f -- \"$word\"))"
	bashAccounts = `while read -r line; do
			if [[ $line == "account $word"*", "* ]]; then
				line=${line#account }
				COMPREPLY+=("${line%%, *}")
			fi
		done <<<"$(sendoff -bC 2>/dev/null)"`
	bashGoesOn = "\n\t\tif [[ ${COMPREPLY[0]} == *: ]]; then\n\t\t\tcompopt -o nospace 2>/dev/null\n\t\tfi"
)

// inBash returns how bash completes the argument of f; "" is as if there were
// none.
func (f Flag) inBash() string {
	switch words := f.words(); {
	case f.Value == file:
		return bashFiles
	case f.Value == known:
		return bashAccounts
	case f.Arg != Required:
		return ""
	case words == "": // one that takes nothing we know is not completed with options
		return ":"
	case f.Value == source:
		return fmt.Sprintf(bashWords, lines(words)) + bashGoesOn
	default:
		return fmt.Sprintf(bashWords, lines(words))
	}
}

// lines writes words with line feeds between, for bash.
func lines(words string) string { return strings.ReplaceAll(words, " ", `\n`) }

// bash returns a function for complete -F. Bash makes words of the = and the : in
// an argument, and knows no descriptions.
func bash(flags []Flag) string {
	var b strings.Builder
	var all, order, sources []string
	options := make(map[string][]string) // by how their argument is completed
	for _, f := range flags {
		all = append(all, f.forms()...)
		do := f.inBash()
		if options[do] == nil {
			order = append(order, do)
		}
		options[do] = append(options[do], f.forms()...)
		if f.Value == source {
			for _, form := range f.forms() {
				sources = append(sources, `"`+form+` file:"`)
			}
		}
	}
	b.WriteString(`# sendoff's options, for bash; written by sendoff --completions bash
_sendoff() {
	local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]} at=$((COMP_CWORD - 1)) kind= line
	if [[ $word == [=:] ]]; then
		word= at=$COMP_CWORD
	fi
	if [[ ${COMP_WORDS[at]} == : && $at -gt 2 ]]; then
		kind=" ${COMP_WORDS[at - 1]}:" at=$((at - 2))
	fi
	if [[ ${COMP_WORDS[at]} == = ]]; then
		at=$((at - 1))
	fi
	COMPREPLY=()
	case ${COMP_WORDS[at]}$kind in
`)
	arm := func(forms []string, do string) {
		if len(forms) > 0 && do != "" {
			b.WriteString("\t" + strings.Join(forms, " | ") + ")\n\t\t" + do + "\n\t\treturn\n\t\t;;\n")
		}
	}
	for _, do := range order {
		arm(options[do], do)
	}
	arm(sources, bashFiles)
	b.WriteString("\tesac\n\tif [[ $word == -* ]]; then\n\t\t" + fmt.Sprintf(bashWords, strings.Join(all, `\n`)) +
		"\n\tfi\n}\ncomplete -F _sendoff sendoff\n")
	return b.String()
}

// zshHead is a file for $fpath up to the options. %s are the sources, and what a
// word beside the options is after some of these.
const zshHead = `#compdef sendoff
# sendoff's options, for zsh; written by sendoff --completions zsh
_sendoff_accounts() {
	local -a names
	names=(${(M)${(f)"$(sendoff -bC 2>/dev/null)"}:#account *, *})
	names=(${${names#account }%%%%, *})
	compadd "$@" -a names
}
_sendoff_sources() {
	local -a all
	all=(%s)
	if compset -P file:; then
		_files
	else
		compadd "$@" -S '' -- ${(M)all:#*:}
		compadd "$@" -- ${all:#*:}
	fi
}
_sendoff_words() {
	case " $words " in
%s	*)
		_email_addresses "$@"
		;;
	esac
}
_arguments -s -S \
`

// inZsh returns what zsh completes the argument of f with.
func (f Flag) inZsh() string {
	switch f.Value {
	case file:
		return "_files"
	case known:
		return "_sendoff_accounts"
	case source:
		return "_sendoff_sources"
	}
	if words := f.words(); words != "" {
		return "(" + words + ")"
	}
	return ""
}

// zsh returns a file for $fpath, by the name of _sendoff.
func zsh(flags []Flag) string {
	var b strings.Builder
	arms := ""
	for _, f := range flags {
		if do := f.inZsh(); f.Arg == Attached && do != "" { // its argument may be the next word
			arms += "\t*' --" + f.Long + " '*)\n\t\t" + do + " \"$@\"\n\t\t;;\n"
		}
	}
	fmt.Fprintf(&b, zshHead, Flag{Value: source}.words(), arms)
	escape := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`)
	for _, f := range flags {
		argument := ""
		if f.Arg != None {
			argument = ":" + f.Value + ":" + f.inZsh()
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
	b.WriteString("\t'*:recipient:_sendoff_words'\n")
	return b.String()
}

// fishHead is a file of fish's up to the options. %s are the sources.
const fishHead = `# sendoff's options, for fish; written by sendoff --completions fish
function __sendoff_accounts
	sendoff -bC 2>/dev/null | string replace -rf '^account ([^,]+), .*' '$1'
end
function __sendoff_sources
	printf '%%s\n' %s
	set -l path (string match -r 'file:(.*)' -- (commandline -ct))
	and complete -C "'' $path[2]" | string replace -r '^' file:
end
complete -c sendoff -f
`

// inFish returns how fish completes the argument of f.
func (f Flag) inFish() string {
	switch words := f.words(); {
	case f.Value == file:
		return " -r -F"
	case f.Value == known:
		return " -x -a '(__sendoff_accounts)'"
	case f.Value == source:
		return " -x -a '(__sendoff_sources)'"
	case words != "":
		return " -x -a " + single(words, `\'`)
	}
	return " -x"
}

// fish returns a file for fish's folder of completions, by the name of
// sendoff.fish.
func fish(flags []Flag) string {
	var b strings.Builder
	fmt.Fprintf(&b, fishHead, Flag{Value: source}.words())
	for _, f := range flags {
		b.WriteString("complete -c sendoff")
		if f.Letter != 0 {
			b.WriteString(" -s " + string(rune(f.Letter)))
		}
		if f.Long != "" {
			b.WriteString(" -l " + f.Long)
		}
		if f.Arg == Required {
			b.WriteString(f.inFish())
		}
		b.WriteString(" -d " + single(f.Help, `\'`) + "\n")
	}
	for _, f := range flags {
		if f.Arg == Attached && (f.Value == file || f.Value == known) { // its argument may be the next word
			how := strings.NewReplacer(" -r", "", " -x", "").Replace(f.inFish())
			b.WriteString("complete -c sendoff -n " + single("__fish_contains_opt "+f.Long, `\'`) + how + "\n")
		}
	}
	return b.String()
}

// single returns s between single quotes; quote stands for one in it.
func single(s, quote string) string { return "'" + strings.ReplaceAll(s, "'", quote) + "'" }
