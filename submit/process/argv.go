package process

import (
	"errors"
	"fmt"
	"strings"
)

// Argv splits s, a program and its arguments, as a POSIX shell does. It knows the three
// kinds of quotes of the shell, and replaces the ~ of "~/" at the start of a word by home.
// Nothing else is expanded, and no shell is run: a character with a meaning for a shell is
// an error unless it is quoted. The result has at least one word, the program.
func Argv(s, home string) ([]string, error) {
	argv, err := words(s, home)
	if err == nil && (len(argv) == 0 || argv[0] == "") {
		err = errors.New("no program")
	}
	return argv, err
}

// ShellWord returns text as a word of a shell command.
func ShellWord(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.,:=@%/~"
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func words(s, home string) ([]string, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, errors.New("NUL in the command")
	}
	const needsShell = "|&;<>()$`"
	var out []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				out, inWord = append(out, word.String()), false
				word.Reset()
			}
			continue
		case c == '~' && !inWord && strings.HasPrefix(s[i:], "~/"):
			word.WriteString(home)
		case c == '\\':
			if i++; i == len(s) {
				return nil, errors.New("nothing after the last backslash")
			}
			word.WriteByte(s[i])
		case c == '\'':
			n := strings.IndexByte(s[i+1:], '\'')
			if n < 0 {
				return nil, errors.New("a ' is not closed")
			}
			word.WriteString(s[i+1 : i+1+n])
			i += 1 + n
		case c == '"':
			n, err := doubleQuoted(&word, s[i+1:])
			if err != nil {
				return nil, err
			}
			i += 1 + n
		case strings.IndexByte(needsShell, c) >= 0:
			return nil, fmt.Errorf("no shell is run: quote the %c, or write sh -c '...'", c)
		default:
			word.WriteByte(c)
		}
		inWord = true
	}
	if inWord {
		out = append(out, word.String())
	}
	return out, nil
}

// doubleQuoted writes the text of s up to the closing quote to word, and returns the
// index of that quote.
func doubleQuoted(word *strings.Builder, s string) (int, error) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return i, nil
		case '$', '`':
			return 0, fmt.Errorf("no shell is run: quote the %c, or write sh -c '...'", c)
		case '\\':
			if i+1 < len(s) && strings.IndexByte("\"\\$`", s[i+1]) >= 0 {
				i++
			}
			word.WriteByte(s[i])
		default:
			word.WriteByte(c)
		}
	}
	return 0, errors.New(`a " is not closed`)
}
