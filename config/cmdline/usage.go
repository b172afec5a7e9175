package cmdline

import (
	"fmt"
	"strings"
)

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

// Usage returns what --help prints.
func Usage() string {
	var early, late, ignored string
	for f := range Flags() {
		switch {
		case f.Ignored():
			ignored += " " + f.forms()[0]
		case f.at == anywhere:
			late += line(f)
		default:
			early += line(f)
		}
	}
	return usageHead + "First of all, and only under the name sendoff:\n" + early + "\nAnywhere:\n" + late +
		"\nAccepted without effect, for sendmail's callers:\n   " + ignored + "\n" + usageTail
}

// line returns the line of one option, its description in a fixed column.
func line(f Flag) string {
	s := strings.Join(f.forms(), ", ")
	if f.Letter == 0 {
		s = "    " + s
	}
	switch {
	case f.Arg == Required:
		s += " " + f.Value
	case f.Arg == Attached && f.Letter == 0:
		s += "[=" + f.Value + "]"
	case f.Arg == Attached:
		s += "[" + f.Value + "]"
	}
	return fmt.Sprintf("    %-25s %s\n", s, f.Help)
}
