package cmdline

import (
	"errors"
	"slices"
	"strings"

	"sendoff/submit/status"
)

// stubs has the code for each shell, which calls sendoff --complete for the words that are
// possible at the cursor. Bash and zsh add no space after a colon.
var stubs = [...]struct{ shell, text string }{
	{"bash", `# completes sendoff's command line in bash; written by sendoff --completions bash
_sendoff() {
	local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]} candidate help
	COMPREPLY=()
	while IFS=$'\t' read -r candidate help; do
		COMPREPLY+=("$candidate")
	done < <(sendoff --complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	case ${COMPREPLY[0]} in
	'<FILE>') COMPREPLY=($(compgen -f -- "${word#[=:]}")) && compopt -o filenames 2>/dev/null ;;
	*:) compopt -o nospace 2>/dev/null ;;
	esac
}
complete -F _sendoff sendoff
`},
	{"zsh", `#compdef sendoff
# completes sendoff's command line in zsh; written by sendoff --completions zsh
local -a all
all=(${(f)"$(sendoff --complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"})
case $all in
'<FILE>') compset -P 1 '--*='; compset -P file:; _files ;;
'') _email_addresses ;;
*)
	compadd -S '' -- ${(M)all:#*:}
	all=(${${${all:#*:}//:/\\:}/$'\t'/:})
	_describe argument all
	;;
esac
`},
	{"fish", `# completes sendoff's command line in fish; written by sendoff --completions fish
function __sendoff
	set -l word (commandline -ct)
	set -l all (sendoff --complete -- (commandline -opc)[2..] "$word" 2>/dev/null)
	if test "$all" = '<FILE>'
		set -l head (string match -r '^(?:--[^=]*=)?(?:file:)?' -- "$word")
		set all $head(complete -C "'' "(string sub -s (math 1 + (string length -- "$head")) -- "$word"))
	end
	string join \n -- $all
end
complete -c sendoff -f -a '(__sendoff)'
`},
}

// fileName is the only candidate if the argument is a file: the shell then completes the
// names of files.
const fileName = "<FILE>"

// CompletionsFor returns the code with which a shell completes sendoff's command line. For
// an unknown shell, the error is of kind status.Usage.
func CompletionsFor(shell string) (string, error) {
	for _, stub := range stubs {
		if stub.shell == shell {
			return stub.text, nil
		}
	}
	return "", status.Usage.Errorf("--completions: %s is not supported; use %s", legible(shell), status.Either(strings.Fields(choices["SHELL"])))
}

// choices has the possible values of an argument, by its name in the table of options.
var choices = map[string]string{
	"SHELL":  "bash zsh fish",
	"SOURCE": "keyring command: file: systemd: oauth2: none",
	"USE":    "desktop cron service container",
	"WAY":    flows,
	"EVENTS": "never success failure delay",
	"PART":   "full hdrs",
	"TYPE":   "7BIT 8BITMIME",
	"all":    "all",
}

// Candidates returns the candidates for the last of words, which are the words after the
// program's name. A candidate that is an option is followed by a tab and its description.
// existing returns the candidates that this package does not know, for the argument value
// of an option of c, such as ACCOUNT. If "<FILE>" is the only candidate, the shell
// completes the names of files.
func Candidates(words []string, existing func(c *Command, value string) []string) []string {
	before, word, start := rejoin(words)
	p := &parser{Command: Command{Face: Sendoff}}
	p.flags = flags(&p.Command)
	_, err := read(p.flags, before, func(o option) error {
		p.take(o)
		return nil
	})
	if p.Mode = 0; len(p.modes) > 0 {
		p.Mode = p.modes[0].mode
	}
	argument := func(f *Flag, head, value string) []string {
		if f.Value == "FILE" || f.Value == "SOURCE" && strings.HasPrefix(value, "file:") {
			return []string{fileName}
		}
		var all []string
		for _, s := range slices.Concat(strings.Fields(choices[f.Value]), existing(&p.Command, f.Value)) {
			all = append(all, head+s)
		}
		return all
	}
	var all []string
	var end missing
	name, value, attached := strings.Cut(word, "=")
	switch f := find(p.flags, name); {
	case errors.As(err, &end):
		all = argument(end.flag, "", word)
	case attached && f != nil && strings.HasPrefix(name, "--"):
		all = argument(f, name+"=", value)
	case strings.HasPrefix(word, "-"):
		all = p.options()
	case len(p.modes) > 0 && operands[p.Mode] != "":
		all = argument(p.modes[0].flag, "", word)
	}
	if len(all) == 1 && all[0] == fileName {
		return all
	}
	all = slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, word) })
	for i, s := range all {
		all[i] = s[start:]
	}
	return all
}

// options returns the documented options that are allowed with the mode of p, each with its
// description.
func (p *parser) options() (all []string) {
	for f := range Flags() {
		if f.Ignored() || p.Mode != 0 && f.belongsTo != nil && !slices.Contains(f.belongsTo, p.Mode) {
			continue
		}
		for _, form := range f.forms() {
			all = append(all, form+"\t"+f.Help)
		}
	}
	return all
}

// rejoin returns the last word and the words before it. Bash splits words at = and :, so
// rejoin joins them again. start is the offset in last at which bash's own last word
// begins.
func rejoin(words []string) (before []string, last string, start int) {
	separator := false
	for _, w := range words {
		separates := w == "=" || w == ":"
		if n := len(before); n > 0 && (separates || separator) {
			start = len(before[n-1])
			before[n-1] += w
		} else {
			before, start = append(before, w), 0
		}
		if separates {
			start++
		}
		separator = separates
	}
	if len(before) == 0 {
		return nil, "", 0
	}
	n := len(before) - 1
	return before[:n], before[n], start
}
