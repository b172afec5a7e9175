package status

import (
	"cmp"
	"io"
	"strings"
	"unicode/utf8"
)

// columns is how wide a line of a list is at most.
const columns = 100

// hintMark begins the text of a line that is a hint.
const hintMark = "hint"

// Wrapped returns a writer to the terminal w that breaks lines of more than 100
// characters at spaces. The further lines begin where the text of the first does, behind
// its columns. A command at the end of a hint stays whole, on a line of its own. Of a
// line without an end, nothing is written.
func Wrapped(w io.Writer) io.Writer { return &wrapped{w: w} }

type wrapped struct {
	w    io.Writer
	rest string // a line that has no end yet
}

func (t *wrapped) Write(p []byte) (int, error) {
	text := t.rest + string(p)
	end := strings.LastIndexByte(text, '\n') + 1
	t.rest = text[end:]
	var b strings.Builder
	for line := range strings.Lines(text[:end]) {
		b.WriteString(wrapLine(line))
	}
	if _, err := io.WriteString(t.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// wrapLine breaks a line, which has an end.
func wrapLine(line string) string {
	if utf8.RuneCountInString(line) <= columns+1 {
		return line
	}
	at := textOf(line)
	text, command := strings.TrimSuffix(line[at:], "\n"), ""
	if i := strings.LastIndex(text, ": "); strings.HasPrefix(text, hintMark) && i > strings.Index(text, ": ") && at+len(text)-i-2 <= columns {
		text, command = text[:i+1], text[i+2:]
	}
	indent := cmp.Or(at, 4)
	line = Fold(line[:at]+text, at, indent, columns)
	if command != "" {
		line += "\n" + strings.Repeat(" ", indent) + command
	}
	return line + "\n"
}

// Fold breaks a line, which has no end, at spaces into lines of at most width characters.
// The first at octets stay together with the first word, and the further lines begin with
// indent spaces. A word that is wider stays whole.
func Fold(line string, at, indent, width int) string {
	var b strings.Builder
	b.WriteString(line[:at])
	used := at
	for i, word := range strings.Split(line[at:], " ") {
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
	return b.String()
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
