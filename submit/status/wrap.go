package status

import (
	"cmp"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxColumns is how wide a line for a person is at most.
const MaxColumns = 100

// HintMark begins the text of a line that is a hint.
const HintMark = "hint: "

// Wrapped returns a writer to the terminal w that breaks lines of more than width
// characters as Fold does. The further lines begin where the text of the first does,
// behind its columns. Of a line without an end, nothing is written.
func Wrapped(w io.Writer, width int) io.Writer { return &wrapped{w: w, width: width} }

type wrapped struct {
	w     io.Writer
	width int
	rest  string // a line that has no end yet
}

func (t *wrapped) Write(p []byte) (int, error) {
	text := t.rest + string(p)
	end := strings.LastIndexByte(text, '\n') + 1
	t.rest = text[end:]
	var b strings.Builder
	for line := range strings.Lines(text[:end]) {
		line = strings.TrimSuffix(line, "\n")
		at := textOf(line)
		b.WriteString(FoldText(line[:at], line[at:], t.width) + "\n")
	}
	if _, err := io.WriteString(t.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// FoldText breaks text behind the columns of head as Fold does; the further lines begin
// below the text.
func FoldText(head, text string, width int) string {
	return Fold(head+text, len(head), cmp.Or(len(head), 4), width)
}

// Fold breaks a line, which has no end, at spaces into lines of at most width characters.
// The first at octets stay together with the first word, and the further lines begin with
// indent spaces. A word that is wider stays whole, and so does a command behind a colon, on
// a line of its own: people paste it.
func Fold(line string, at, indent, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	text, command := cutCommand(line[at:])
	if command != "" {
		command = "\n" + strings.Repeat(" ", indent) + command
	}
	var b strings.Builder
	b.WriteString(line[:at])
	used := at
	for i, word := range strings.Split(text, " ") {
		switch n := utf8.RuneCountInString(word) + 1; {
		case i == 0:
			used += n
		case used+n > width+1:
			used = indent + n
			b.WriteString("\n" + strings.Repeat(" ", indent))
		default:
			used += n
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String() + command
}

// programs are the programs that our texts tell people to run.
const programs = " cat chmod chown date docker echo export ip journalctl ls man mv openssl podman seahorse sh sudo systemctl tar unset "

// cutCommand cuts text at the command behind the first colon that has one; command is "" if
// there is none. The colon of a hint's mark does not count: what follows may be a sentence
// about commands.
func cutCommand(line string) (text, command string) {
	at := 0
	if strings.HasPrefix(line, HintMark) {
		at = len(HintMark)
	}
	for {
		i := strings.Index(line[at:], ": ")
		if i < 0 {
			return line, ""
		}
		at += i + len(": ")
		if IsCommand(line[at:]) {
			return line[:at-1], line[at:]
		}
	}
}

// IsCommand reports whether text is a command that a person can paste.
func IsCommand(text string) bool {
	first, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	return strings.Contains(programs, " "+first+" ") && first != "" || strings.HasSuffix("/"+first, "/sendoff") && strings.HasPrefix(rest, "-")
}

// textOf returns where the text of a line begins: behind the last two spaces in a row
// among the first columns.
func textOf(line string) int {
	const head = 20
	if i := strings.LastIndex(line[:min(len(line), head)], "  "); i >= 0 {
		return i + 2
	}
	return 0
}
