package cmdline

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// text returns a setter that stores an argument. An empty argument changes nothing.
func text(to *string) func(string) error {
	return func(v string) error {
		*to = cmp.Or(v, *to)
		return nil
	}
}

// yes returns a setter for an option without an argument.
func yes(to *bool) func(string) error {
	return func(string) error {
		*to = true
		return nil
	}
}

func (c *Command) from(v string) error {
	c.From = &v
	return nil
}

// flows has the names of the flows to a person's consent (OAuth2).
const flows = "browser device paste"

func (c *Command) flow(v string) error {
	if !slices.Contains(strings.Fields(flows), v) {
		return fmt.Errorf("%q is not supported; use %s", v, status.Either(strings.Fields(flows)))
	}
	c.Flow = v
	return nil
}

func (c *Command) debug(v string) error {
	if v == "0.1" {
		c.Mode = Version
	} else {
		c.Verbose = true
	}
	return nil
}

// letterMode reads the letter after -b.
func (c *Command) letterMode(v string) error {
	c.Mode, c.QueueOnly = modes[v], v == "q"
	switch {
	case unavailable[v] != "":
		c.Mode = Unavailable
	case c.Mode == 0:
		return fmt.Errorf("the mode %q is not supported", v)
	}
	return nil
}

// sendmailOptions has the sendmail options that have an effect, with their letters for -o
// and names for -O. All other options, and values that are not allowed, are ignored:
// callers set options that their sendmail once had.
var sendmailOptions = [...]struct {
	letter byte
	name   string
	set    func(c *Command, value string)
}{
	{'d', "DeliveryMode", func(c *Command, v string) { choose(&c.DeliveryMode, v, "bifqd") }},
	{'e', "ErrorMode", func(c *Command, v string) { choose(&c.ErrorMode, v, "mpqwe") }},
	{'i', "IgnoreDots", func(c *Command, v string) { c.IgnoreDots = isTrue(v) }},
	{'v', "Verbose", func(c *Command, v string) { c.Verbose = isTrue(v) }},
}

func (c *Command) namedOption(v string) error {
	name, value, _ := strings.Cut(v, "=")
	for _, o := range sendmailOptions {
		if strings.EqualFold(strings.TrimSpace(name), o.name) {
			o.set(c, strings.TrimSpace(value))
		}
	}
	return nil
}

// letterOption reads the argument of -o: a letter with its value, or, as sendmail allows,
// an argument of -O.
func (c *Command) letterOption(v string) error {
	for _, o := range sendmailOptions {
		if v != "" && v[0] == o.letter {
			o.set(c, v[1:])
			return nil
		}
	}
	return c.namedOption(v)
}

// choose sets to to the first octet of v if that is one of letters.
func choose(to *byte, v, letters string) {
	if v != "" && strings.IndexByte(letters, v[0]) >= 0 {
		*to = v[0]
	}
}

// isTrue reads a boolean as sendmail does: everything is true, also "", unless it begins
// with f, F, n, N or 0.
func isTrue(v string) bool {
	return v == "" || strings.IndexByte("fFnN0", v[0]) < 0
}

func (c *Command) fullName(v string) error {
	if strings.ContainsFunc(v, isControl) {
		return fmt.Errorf("control character in %q", v)
	}
	c.FullName = v
	return nil
}

func (c *Command) subject(v string) error {
	c.Subject = v
	return c.compose("--subject", v)
}

func (c *Command) attach(v string) error {
	c.Attach = append(c.Attach, v)
	return c.compose("--attach", v)
}

// addressList returns a setter that appends the option's argument to to.
func (c *Command) addressList(option string, to *[]string) func(string) error {
	return func(v string) error {
		*to = append(*to, v)
		return c.compose(option, v)
	}
}

// compose notes that the option makes a message from stdin. value goes into the message's
// header, so it must not have control characters.
func (c *Command) compose(option, value string) error {
	c.Composed = cmp.Or(c.Composed, option)
	if strings.ContainsFunc(value, isControl) {
		return fmt.Errorf("control character in %q", value)
	}
	return nil
}

// The setters of -N, -R, -V, -L and -B accept any value, with a warning: the message is
// more important than reports about it.

func (c *Command) notify(v string) error {
	if err := c.Notify.Set(v); errors.Is(err, envelope.ErrNever) {
		c.warn("-N %q is ignored: never cannot be used with the others", v)
	} else if err != nil {
		c.warn("-N %q is ignored: use never, or success, failure and delay separated by commas", v)
	}
	return nil
}

func (c *Command) returnPart(v string) error {
	word := v
	if strings.EqualFold(v, "headers") {
		word = "hdrs"
	}
	if c.Return.Set(word) != nil {
		c.warn("-R %q is ignored: use full or hdrs", v)
	}
	return nil
}

// printable returns a setter for an argument of printable ASCII.
func (c *Command) printable(form string, to *string) func(string) error {
	return func(v string) error {
		if isPrintable(v) {
			*to = v
		} else {
			c.warn("%s %.120q is ignored: use 1 to 100 printable ASCII characters", form, v)
		}
		return nil
	}
}

func (c *Command) bodyType(v string) error {
	if c.Body.Set(v) != nil {
		c.warn("-B %q is ignored: use 7BIT or 8BITMIME; the text of the message is standard input", v)
	}
	return nil
}

func (c *Command) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

func isControl(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 }

func isPrintable(s string) bool {
	return 0 < len(s) && len(s) <= 100 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
