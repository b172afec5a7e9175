package process

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal, with a person at it.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// maxTyped is more than anybody types, or stores as a secret.
const maxTyped = 1 << 17

// AskSecret reads one line from stdin: from a terminal after the prompt and
// without echo, else as it comes. The line is returned without its end.
func AskSecret(prompt string) (string, error) {
	if !IsTerminal(os.Stdin) {
		return readLine()
	}
	fmt.Fprint(os.Stderr, prompt)
	typed, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	return string(typed), err
}

// Ask reads one line from stdin, from a terminal after the prompt. The line is
// returned without its end.
func Ask(prompt string) (string, error) {
	if IsTerminal(os.Stdin) {
		fmt.Fprint(os.Stderr, prompt)
	}
	return readLine()
}

func readLine() (string, error) {
	line, err := bufio.NewReader(io.LimitReader(os.Stdin, maxTyped)).ReadString('\n')
	if err == io.EOF {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}
