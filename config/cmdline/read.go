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
	empty bool // an argument was given, and is empty
	index int  // options before it
	after int  // operands before it
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
//
// pflag reads the long options, each by itself. It would read -q30m as four letters
// and -f=x as -fx, so letters are read here, as getopt(3) does.
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

// noArgument is the value of an option that stands without an argument. No argument
// has a NUL.
const noArgument = "\x00"

// An argument makes a Flag one of pflag's. It keeps nothing, because read is
// handed each occurrence in order.
type argument struct{ *Flag }

func (argument) String() string   { return "" }
func (argument) Set(string) error { return nil }
func (argument) Type() string     { return "" }

// readLong reads the long option word, whose argument may be the first of next. f is
// its flag if word has no argument in it. It returns what is left of next.
func readLong(set *pflag.FlagSet, f *Flag, word string, next []string, take func(f *Flag, form, value string) error) ([]string, error) {
	words := []string{word}
	if f != nil && f.Arg == Required && len(next) > 0 {
		words, next = append(words, next[0]), next[1:]
	}
	return next, inWords(set.ParseAll(words, func(known *pflag.Flag, value string) error {
		f, form := known.Value.(argument).Flag, "--"+known.Name
		if f.Arg == None && value != noArgument {
			return status.Usage.Errorf("%s takes no argument", form)
		}
		return take(f, form, value)
	}))
}

// readLetters reads a word of letters, of which the last may have an argument: the
// rest of the word, or the first of next. It returns what is left of next.
func readLetters(flags []Flag, word string, next []string, take func(f *Flag, form, value string) error) ([]string, error) {
	for i := 1; i < len(word); i++ {
		form, value := "-"+word[i:i+1], word[i+1:]
		f := find(flags, form)
		switch {
		case f == nil:
			_, size := utf8.DecodeRuneInString(word[i:])
			letter := strconv.Quote(word[i : i+size])
			return next, status.Usage.Errorf("invalid option -- '%s'", letter[1:len(letter)-1])
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

// inWords gives an error of pflag's the words of getopt(3).
func inWords(err error) error {
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

// msmtp is the words of msmtp that sendoff has not, and its own for them. One that
// ends with a star stands for all that begin so.
var msmtp = [...]struct{ word, own string }{
	{"configure", "--setup ADDRESS"},
	{"debug", "--verbose"},
	{"host", "--server smtps://HOST:PORT"},
	{"passwordeval", "--secret command:COMMAND"},
	{"port", "--server smtps://HOST:PORT"},
	{"pretend", "--dry-run"},
	{"serverinfo", "--doctor"},
	{"tls*", "--server smtps://HOST:PORT"},
}

// suggest replaces the error of a word of msmtp's, and adds to that of another unknown
// option the one that may be meant.
func suggest(err error) error {
	var u unknown
	if !errors.As(err, &u) {
		return err
	}
	for _, m := range msmtp {
		if begin, all := strings.CutSuffix(m.word, "*"); string(u) == m.word || all && strings.HasPrefix(string(u), begin) {
			return status.Usage.Errorf("%s is not supported; use %s", legible("--"+string(u)), m.own)
		}
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

// legible returns s if all of it can be printed, else a quoted form.
func legible(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}
