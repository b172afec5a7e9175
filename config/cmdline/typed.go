package cmdline

import (
	"strings"

	"sendoff/submit/status"
)

// soleWords has the words that mean an option if a person types nothing else.
var soleWords = map[string]string{"-h": "--help", "-?": "--help", "help": "--help", "-V": "--version", "version": "--version"}

// Typed is Parse for a command line that a person types at a terminal. Under the name
// sendoff, a sole word of soleWords means its option, and a first word that is a mode
// without its dashes, such as setup, is an error. For Parse, such words are recipients.
func Typed(argv []string) (*Command, error) {
	c, err := Parse(argv)
	if c.Face != Sendoff || len(argv) < 2 {
		return c, err
	}
	word, words := argv[1], argv[2:]
	if option := soleWords[word]; option != "" && len(words) == 0 {
		return Parse([]string{argv[0], option})
	}
	f := find(flags(new(Command)), "--"+word)
	if f == nil || f.at != first || f.mode == 0 || f.Help == "" {
		return c, err
	}
	proposal := option{flag: f, form: "--" + word}.synopsis()
	if len(words) > 0 {
		proposal = "--" + word + " " + legible(strings.Join(words, " "))
	}
	return c, status.Usage.Errorf("%q would be a recipient; did you mean: sendoff %s", word, proposal)
}
