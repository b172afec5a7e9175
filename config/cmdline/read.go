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

// An option is an option of a command line with its argument.
type option struct {
	flag  *Flag
	form  string // as the caller wrote it, without the argument: -f, --from
	value string
	empty bool // the argument was given, and is empty
	index int  // the number of options before it
	after int  // the number of operands before it
}

func (o option) long() bool { return strings.HasPrefix(o.form, "--") }

// synopsis returns the option in the manual's form, with the name of its argument.
func (o option) synopsis() string {
	if o.flag.Arg == Required {
		return o.form + " " + o.flag.Value
	}
	return o.form
}

// read calls do for each option of args, in order, and returns the operands. It stops at
// the first error; do has then been called for all options before it.
//
// Long options are read by pflag, one at a time. Letters are read here, as getopt(3) does:
// pflag would read -q30m as four letters, and -f=x as -fx.
func read(flags []Flag, args []string, do func(option) error) (operands []string, err error) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	for i := range flags {
		if f := &flags[i]; f.Long != "" {
			known := set.VarPF(argument{f}, f.Long, "", "")
			if f.Arg != Required {
				known.NoOptDefVal = noArgument
			}
		}
	}
	index := 0
	take := func(f *Flag, form, value string) error {
		o := option{f, form, strings.TrimPrefix(value, noArgument), value == "" && f.Arg != None, index, len(operands)}
		index++
		return do(o)
	}
	for len(args) > 0 && err == nil {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			return append(operands, args...), nil
		case len(word) < 2 || word[0] != '-':
			operands = append(operands, word)
		case word[1] == '-':
			args, err = readLong(set, find(flags, word), word, args, take)
		default:
			args, err = readLetters(flags, word, args, take)
		}
	}
	return operands, status.Usage.Wrap(err)
}

// noArgument is the value of an option without an argument. No argument can contain a NUL.
const noArgument = "\x00"

// An argument lets pflag use a Flag. It stores nothing, because read passes each occurrence
// to do.
type argument struct{ *Flag }

func (argument) String() string   { return "" }
func (argument) Set(string) error { return nil }
func (argument) Type() string     { return "" }

// readLong reads the long option word. Its argument may be the first of next. f is its
// flag, or nil if word contains the argument or no flag has this name. readLong returns the
// rest of next.
func readLong(set *pflag.FlagSet, f *Flag, word string, next []string, take func(f *Flag, form, value string) error) ([]string, error) {
	words := []string{word}
	if f != nil && f.Arg == Required && len(next) > 0 {
		words, next = append(words, next[0]), next[1:]
	}
	return next, asGetopt(set.ParseAll(words, func(known *pflag.Flag, value string) error {
		f, form := known.Value.(argument).Flag, "--"+known.Name
		if f.Arg == None && value != noArgument {
			return status.Usage.Errorf("%s takes no argument", form)
		}
		return take(f, form, value)
	}))
}

// readLetters reads a word of letters. Its last letter may have an argument: the rest of
// the word, or the first of next. readLetters returns the rest of next.
func readLetters(flags []Flag, word string, next []string, take func(f *Flag, form, value string) error) ([]string, error) {
	for i := 1; i < len(word); i++ {
		form, value := "-"+word[i:i+1], word[i+1:]
		f := find(flags, form)
		switch {
		case f == nil:
			_, size := utf8.DecodeRuneInString(word[i:])
			letter := strconv.Quote(word[i : i+size])
			return next, invalid(letter[1 : len(letter)-1])
		case f.Arg == None, f.Arg == Attached && value == "":
			value = noArgument
		case f.Arg == Required && value == "":
			if len(next) == 0 {
				return nil, missing{f, form[1:]}
			}
			value, next = next[0], next[1:]
		}
		if err := take(f, form, value); err != nil || f.Arg != None {
			return next, err
		}
	}
	return next, nil
}

// find returns the flag for form, such as -f or --from; nil: there is none.
func find(flags []Flag, form string) *Flag {
	for i := range flags {
		f := &flags[i]
		if f.Long != "" && form == "--"+f.Long || f.Letter != 0 && form == "-"+string(rune(f.Letter)) {
			return f
		}
	}
	return nil
}

// unknown is the error for a long option that does not exist.
type unknown string

func (u unknown) Error() string { return "unknown option " + legible("--"+string(u)) }

// invalid is the error for a letter that is no option.
type invalid string

func (i invalid) Error() string { return fmt.Sprintf("invalid option -- '%s'", string(i)) }

// A missing is the error for an option whose argument is missing.
type missing struct {
	flag *Flag
	name string
}

func (m missing) Error() string {
	if m.name == m.flag.Long {
		return fmt.Sprintf("--%s requires an argument: --%[1]s %s", m.name, m.flag.Value)
	}
	return fmt.Sprintf("option requires an argument -- '%s'", m.name)
}

// asGetopt returns an error of pflag in the words of getopt(3).
func asGetopt(err error) error {
	var (
		value  *pflag.ValueRequiredError
		name   *pflag.NotExistError
		syntax *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &value):
		return missing{value.GetFlag().Value.(argument).Flag, value.GetSpecifiedName()}
	case errors.As(err, &name):
		return unknown(name.GetSpecifiedName())
	case errors.As(err, &syntax):
		word, _, _ := strings.Cut(syntax.GetSpecifiedFlag(), "=")
		return unknown(strings.TrimPrefix(word, "--"))
	}
	return err
}

// legible returns s if all its characters can be printed; otherwise s in quotes.
func legible(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}
