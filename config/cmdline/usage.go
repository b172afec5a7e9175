package cmdline

import (
	"fmt"
	"runtime"
	"strings"
)

const usageHead = `Usage:
  sendoff [OPTION]... RECIPIENT... < MESSAGE
  sendoff [OPTION]... -t < MESSAGE         (recipients from To, Cc and Bcc)

Sends the message on standard input through your mail provider. If the
provider cannot be reached, the message is queued and tried again.
`

const usageTail = `
Example:
  $ sendoff --setup ann@example.org
  $ df -h | sendoff -s 'Disk report' ann@example.org

More: sendoff --help=all, and the manual pages sendoff(1), sendoff.toml(5),
sendoff-oauth(7), sendoff-server(7).
`

const usageAll = `
Write options before recipients. Called by another name than sendoff, such as
sendmail, the program accepts only letters, without -a.
`

// Usage returns the text of --help: the daily options only, or all options.
func Usage(all bool) string {
	var list [len(groups)]string
	var ignored string
	for f := range Flags() {
		switch {
		case f.Ignored():
			ignored += " " + f.forms()[0]
		case all || f.group&daily != 0:
			list[f.group&^daily] += line(f)
		}
	}
	text := usageHead
	if runtime.GOOS == "windows" { // it has no queue
		text = strings.Replace(text, "queued and tried again", "not kept", 1)
	}
	if all {
		text += usageAll
		list[sendmails] += "  Accepted without effect:\n   " + ignored + "\n"
	}
	for i, lines := range list {
		if lines != "" {
			text += "\n" + groups[i] + ":\n" + lines
		}
	}
	return text + usageTail
}

// line returns the line of an option, with its description in a fixed column; below the
// option if that is too long.
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
	if len(s) > 24 {
		s += "\n" + strings.Repeat(" ", 26)
	}
	return fmt.Sprintf("  %-24s %s\n", s, f.Help)
}
