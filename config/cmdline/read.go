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
//
// pflag cannot read sendmail's letters: it takes "-q30m" for four flags and
// "-f=x" for "-fx". So it only ever sees words of the form --name=value, which
// normalise makes.
func read(args []string, do func(option) error) (operands []string, err error) {
	words, options, operands, err := normalise(args)
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.Usage = func() {}
	for i := range flags {
		set.Var(argument{}, flags[i].key(), flags[i].Help)
	}
	next := 0
	parseErr := set.ParseAll(words, func(_ *pflag.Flag, value string) error {
		o := options[next]
		o.value = value
		o.index = next
		next++
		return do(o)
	})
	if parseErr == nil {
		return operands, err
	}
	if missing := (*pflag.ValueRequiredError)(nil); errors.As(parseErr, &missing) {
		return operands, needsArgument(options[next].form)
	}
	return operands, status.Usage.Wrap(parseErr)
}

// argument makes a flag of pflag's one that takes an argument. It keeps
// nothing, because read is handed each occurrence in order.
type argument struct{}

func (argument) String() string   { return "" }
func (argument) Set(string) error { return nil }
func (argument) Type() string     { return "" }

// normalise rewrites args as getopt(3) reads them: options and operands may
// mix until "--", letters may be bundled, and an argument may be attached to
// its letter or be the next word. Each word is an option, in the same place in
// options. What precedes an error is returned with it.
func normalise(args []string) (words []string, options []option, operands []string, err error) {
	add := func(f *Flag, form, word string) {
		words = append(words, word)
		options = append(options, option{flag: f, form: form, after: len(operands)})
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return words, options, append(operands, args[i+1:]...), nil
		case len(a) < 2 || a[0] != '-':
			operands = append(operands, a)
			continue
		case a[1] == '-':
			name, _, attached := strings.Cut(a[2:], "=")
			f := longFlag(name)
			switch {
			case f == nil:
				return words, options, operands, status.Usage.Wrap(unknown(name))
			case attached && f.Arg == None:
				return words, options, operands, status.Usage.Errorf("--%s takes no argument", name)
			case attached:
			case f.Arg != Required:
				a += "="
			case i+1 < len(args):
				i++
				a += "=" + args[i]
			}
			add(f, "--"+name, a)
			continue
		}
		for j := 1; j < len(a); j++ {
			f := letterFlag(a[j])
			if f == nil {
				return words, options, operands, status.Usage.Errorf("invalid option -- %s", quoteLetter(a[j:]))
			}
			form, word := "-"+a[j:j+1], "--"+f.key()+"="
			if f.Arg == None {
				add(f, form, word)
				continue
			}
			rest := a[j+1:]
			if rest == "" && f.Arg == Required {
				if i++; i == len(args) {
					return words, options, operands, needsArgument(form)
				}
				rest = args[i]
			}
			add(f, form, word+rest)
			break
		}
	}
	return words, options, operands, nil
}

// key is the name under which pflag knows a flag: its long name, else its
// letter, which a caller cannot write with two dashes because normalise finds
// long options by their long names only.
func (f *Flag) key() string {
	if f.Long != "" {
		return f.Long
	}
	return string(rune(f.Letter))
}

func longFlag(name string) *Flag {
	for i := range flags {
		if name != "" && flags[i].Long == name {
			return &flags[i]
		}
	}
	return nil
}

func letterFlag(letter byte) *Flag {
	for i := range flags {
		if flags[i].Letter == letter && letter != 0 {
			return &flags[i]
		}
	}
	return nil
}

// unknown is the error of a long option that there is not.
type unknown string

func (u unknown) Error() string { return "unknown option " + legible("--"+string(u)) }

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

func needsArgument(form string) error {
	return status.Usage.Errorf("option requires an argument -- '%s'", strings.TrimLeft(form, "-"))
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
