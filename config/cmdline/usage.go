package cmdline

import "strings"

const usageHead = `Usage:
    sendoff [OPTION]... [RECIPIENT]... < MESSAGE
    sendoff [OPTION]... -t [RECIPIENT]... < MESSAGE
    sendoff --setup [ADDRESS] [--for USE]
    sendoff --login ACCOUNT [--for USE] | --logout ACCOUNT
    sendoff --doctor [ACCOUNT]
    sendmail [LETTER]... [RECIPIENT]... < MESSAGE

Sends the message on standard input through the account's server.

`

const usageTail = `
Example:
    $ sendoff --setup ann@example.org -a work
    $ printf 'Subject: hello\n\nIt works.\n' | sendoff -a work ann@example.org

The manual is sendoff(1); the configuration is described in sendoff.toml(5).
`

// usageGroups heads each group of options in Usage, by where they may stand.
var usageGroups = [...]struct {
	head string
	in   func(Flag) bool
}{
	{"First of all, and only under the name sendoff:\n", func(f Flag) bool { return f.at != anywhere }},
	{"\nAnywhere:\n", func(f Flag) bool { return f.at == anywhere && !f.Ignored() }},
}

// Usage returns what --help prints.
func Usage() string {
	var b strings.Builder
	b.WriteString(usageHead)
	for _, g := range usageGroups {
		b.WriteString(g.head)
		for f := range Flags() {
			if g.in(f) {
				line(&b, f)
			}
		}
	}
	b.WriteString("\nAccepted without effect, for sendmail's callers:\n   ")
	for f := range Flags() {
		if f.Ignored() {
			b.WriteString(" -" + string(rune(f.Letter)))
		}
	}
	b.WriteString("\n" + usageTail)
	return b.String()
}

// line writes one option, its description in a fixed column.
func line(b *strings.Builder, f Flag) {
	const column = 30
	s := "    "
	switch {
	case f.Letter == 0:
		s += "    --" + f.Long
	case f.Long == "":
		s += "-" + string(rune(f.Letter))
	default:
		s += "-" + string(rune(f.Letter)) + ", --" + f.Long
	}
	switch f.Arg {
	case Required:
		s += " " + f.Value
	case Attached:
		if f.Letter == 0 {
			s += "[=" + f.Value + "]"
		} else {
			s += "[" + f.Value + "]"
		}
	}
	b.WriteString(s + strings.Repeat(" ", max(1, column-len(s))) + f.Help + "\n")
}
