package status

import (
	"strings"
	"unicode"
)

// Printable returns s with what could act on a terminal or break a line of a
// log replaced: servers' words, and paths.
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
