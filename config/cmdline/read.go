package cmdline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"sendoff/submit/status"
)

// An option is one option of a command line, with its argument.
type option struct {
	flag  *Flag
	form  string // as the caller wrote it, without the argument: -f, --from
	value string
	index int // options before it
	after int // operands before it
}

func (o option) long() bool { return strings.HasPrefix(o.form, "--") }

// synopsis returns the option as the manual writes it, with the name of its
// argument.
func (o option) synopsis() string {
	if o.flag.Arg == Required {
		return o.form + " " + o.flag.Value
	}
	return o.form
}

// read hands each option of args to do, in order, and returns the operands. It
// stops at the first error, having handed over every option before it.
func read(flags []Flag, args []string, do func(option) error) (operands []string, err error) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	for i := range flags {
		declare(set, &flags[i])
	}
	words, invalid := unbundle(flags, args)
	index := 0
	err = set.ParseAll(words, func(known *pflag.Flag, value string) error {
		o := option{known.Value.(argument).Flag, "--" + known.Name, value, index, set.NArg()}
		if known.Shorthand != "" {
			o.form = known.Name
		}
		switch {
		case value == noArgument:
			o.value = ""
		case o.flag.Arg == None:
			return status.Usage.Errorf("%s takes no argument", o.form)
		}
		index++
		return do(o)
	})
	if err == nil {
		err = invalid
	}
	return append(operands, set.Args()...), usage(err)
}

// noArgument is what pflag gives an option that stands without an argument. No
// argument has a NUL.
const noArgument = "\x00"

// An argument makes a Flag one of pflag's. It keeps nothing, because read is
// handed each occurrence in order.
type argument struct{ *Flag }

func (argument) String() string   { return "" }
func (argument) Set(string) error { return nil }
func (argument) Type() string     { return "" }

// declare tells pflag about the letter and the long name of f, which are two
// flags to it. The letter's long name is one that pflag refuses to read, "-f".
func declare(set *pflag.FlagSet, f *Flag) {
	add := func(name, letter string) {
		known := set.VarPF(argument{f}, name, letter, f.Help)
		if f.Arg != Required {
			known.NoOptDefVal = noArgument
		}
	}
	if f.Letter != 0 {
		letter := string(rune(f.Letter))
		add("-"+letter, letter)
	}
	if f.Long != "" {
		add(f.Long, "")
	}
}

// unbundle rewrites the words of args that hold letters so that pflag reads them
// as getopt(3) does: it would take -q30m for four letters, and -f=x for -fx. Each
// letter becomes a word, the argument of a letter the next word, or -q=30m where
// that is optional. All other words stay. What precedes an error is returned
// with it.
func unbundle(flags []Flag, args []string) (words []string, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		var last *Flag // the option that the next word may belong to
		switch {
		case word == "--":
			return append(words, args[i:]...), nil
		case len(word) < 2 || word[0] != '-':
			words = append(words, word)
		case word[1] == '-':
			words, last = append(words, word), find(flags, word)
		default:
			var letters []string
			letters, last, err = splitLetters(flags, word)
			words = append(words, letters...)
			if err != nil {
				return words, err
			}
		}
		if last != nil && last.Arg == Required && i+1 < len(args) {
			i++
			words = append(words, args[i])
		}
	}
	return words, nil
}

// splitLetters splits a word into its letters. It returns the last one if that
// has no argument in the word.
func splitLetters(flags []Flag, word string) (words []string, last *Flag, err error) {
	for i := 1; i < len(word); i++ {
		letter, rest := "-"+word[i:i+1], word[i+1:]
		last = find(flags, letter)
		switch {
		case last == nil:
			return words, nil, status.Usage.Errorf("invalid option -- %s", quoteLetter(word[i:]))
		case last.Arg == Required && rest != "":
			return append(words, letter, rest), nil, nil
		case last.Arg == Attached && rest != "":
			return append(words, letter+"="+rest), nil, nil
		}
		words = append(words, letter)
	}
	return words, last, nil
}

// find returns the flag that is written as form, such as -f or --from; nil if there is
// none.
func find(flags []Flag, form string) *Flag {
	for i := range flags {
		f := &flags[i]
		if f.Long != "" && form == "--"+f.Long || f.Letter != 0 && form == "-"+string(rune(f.Letter)) {
			return f
		}
	}
	return nil
}

// unknown is the error of a long option that does not exist.
type unknown string

func (u unknown) Error() string { return "unknown option " + legible("--"+string(u)) }

// A missing is the error of an option whose argument is missing.
type missing struct {
	flag *Flag
	name string
}

func (m missing) Error() string { return fmt.Sprintf("option requires an argument -- '%s'", m.name) }

// usage gives an error of pflag's the words of getopt(3), and every error the
// kind status.Usage.
func usage(err error) error {
	var (
		value  *pflag.ValueRequiredError
		name   *pflag.NotExistError
		syntax *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &value):
		err = missing{value.GetFlag().Value.(argument).Flag, value.GetSpecifiedName()}
	case errors.As(err, &name):
		err = unknown(name.GetSpecifiedName())
	case errors.As(err, &syntax):
		word, _, _ := strings.Cut(syntax.GetSpecifiedFlag(), "=")
		err = unknown(strings.TrimPrefix(word, "--"))
	}
	return status.Usage.Wrap(err)
}

// suggest adds to the error of an unknown option the one that may be meant.
func suggest(err error) error {
	var u unknown
	if !errors.As(err, &u) {
		return err
	}
	var known []string
	for f := range Flags() {
		known = append(known, f.Long)
	}
	if near := status.Nearest(string(u), known); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// quoteLetter returns the first character of s in single quotes, in a form
// that can be printed.
func quoteLetter(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		q := strconv.Quote(s[:1])
		return "'" + q[1:len(q)-1] + "'"
	}
	return strconv.QuoteRune(r)
}

// legible returns s if all of it can be printed, else a quoted form.
func legible(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}
