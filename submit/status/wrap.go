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
// characters as FoldText does. The further lines begin where the text of the first does,
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

// FoldText breaks text behind the columns of head at spaces into lines of at most width
// characters; the further lines begin below the text. A command at the end of a hint stays
// whole, on a line of its own.
func FoldText(head, text string, width int) string {
	if utf8.RuneCountInString(head+text) <= width {
		return head + text
	}
	command := ""
	if hint, ok := strings.CutPrefix(text, HintMark); ok {
		i := strings.Index(hint, ": sendoff ")
		if i < 0 {
			i = strings.LastIndex(hint, ": ")
		}
		if i >= 0 && hint[i+2:] != "" && hint[i+2] != '-' { // an option is no command
			text, command = HintMark+hint[:i+1], hint[i+2:]
		}
	}
	indent := cmp.Or(len(head), 4)
	lines := Fold(head+text, len(head), indent, width)
	if command != "" {
		lines += "\n" + strings.Repeat(" ", indent) + command
	}
	return lines
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
