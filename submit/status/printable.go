package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable returns s, such as a server's words or a path, with each rune that could
// act on a terminal or break a line of a log replaced by U+FFFD, and a tab by a space.
//
//go:noinline
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// Line returns s, such as a program's words, as one Printable line with single spaces. Of
// a longer s it returns the first n characters and "...": unlike Clip it never shows the
// end, where half a secret might stand that could not be recognized.
func Line(s string, n int) string {
	line := []rune(Printable(strings.Join(strings.Fields(s), " ")))
	if len(line) > n {
		return string(line[:n]) + "..."
	}
	return string(line)
}

// ASCII returns s for a line of a protocol: each rune that is not printable ASCII is a
// question mark.
func ASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// JSON returns v as one line of JSON, without its end. Runes that are not printable are
// escaped; the characters of HTML are not.
func JSON(v any) ([]byte, error) {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, r := range strings.TrimSuffix(plain.String(), "\n") {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, "\\u%04x", unit)
		}
	}
	return b.Bytes(), nil
}

// WriteJSON writes the line that JSON returns, and its end, to w.
func WriteJSON(w io.Writer, v any) error {
	line, err := JSON(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// ForTerminal returns a writer to the terminal w that replaces each rune that could act
// on it by U+FFFD. Line ends and tabs stay, and CRLF becomes LF.
func ForTerminal(w io.Writer) io.Writer { return &forTerminal{w: w} }

type forTerminal struct {
	w    io.Writer
	rest []byte // what cannot be judged yet: a part of a character, or a CR
}

func (t *forTerminal) Write(p []byte) (int, error) {
	text := append(t.rest, p...)
	shown := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		if r == '\r' && len(text) == 1 {
			break
		}
		switch {
		case r == '\r' && text[1] == '\n': // a line end of SMTP's
		case r == '\n', r == '\t', unicode.IsPrint(r) && (r != utf8.RuneError || size > 1):
			shown = append(shown, text[:size]...)
		default:
			shown = utf8.AppendRune(shown, unicode.ReplacementChar)
		}
		text = text[size:]
	}
	t.rest = append([]byte(nil), text...)
	if _, err := t.w.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// OneLine returns what err says as one line of a file, without anything that could
// act on a terminal.
func OneLine(err error) string {
	const most = 1600 // octets: a server's reply, and to what it was one
	return Clip(Printable(strings.ReplaceAll(err.Error(), "\n", "; ")), most)
}

// Clip returns s if it has at most n octets, else its beginning and its end, with a gap
// between: servers put the remedy last, mostly a link.
func Clip(s string, n int) string {
	const gap = " … "
	if len(s) <= n {
		return s
	}
	head := (n - len(gap)) / 2
	tail := len(s) - (n - len(gap) - head)
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return strings.TrimRight(s[:head], " ") + gap + strings.TrimLeft(s[tail:], " ")
}
