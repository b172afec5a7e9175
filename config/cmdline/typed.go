package cmdline

import (
	"strings"

	"sendoff/submit/status"
)

// alone is the words that mean an option when a person types nothing else.
var alone = map[string]string{"-h": "--help", "-?": "--help", "help": "--help", "-V": "--version", "version": "--version"}

// Typed is Parse for a command line that a person types at a terminal. Under the name
// sendoff it takes the words of alone for their options, and refuses a first word that
// is a mode's name without the dashes, such as setup. To Parse they are recipients.
func Typed(argv []string) (*Command, error) {
	c, err := Parse(argv)
	if c.Face != Sendoff || len(argv) < 2 {
		return c, err
	}
	word, words := argv[1], argv[2:]
	if option := alone[word]; option != "" && len(words) == 0 {
		return Parse([]string{argv[0], option})
	}
	f := find(flags(new(Command)), "--"+word)
	if f == nil || f.at != first || f.mode == 0 || f.Help == "" {
		return c, err
	}
	meant := option{flag: f, form: "--" + word}.synopsis()
	if len(words) > 0 {
		meant = "--" + word + " " + legible(strings.Join(words, " "))
	}
	return c, status.Usage.Errorf("%q would be a recipient; did you mean: sendoff %s", word, meant)
}
