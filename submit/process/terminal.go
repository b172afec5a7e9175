package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal, with a person at it.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// maxTyped is more than anybody types, or stores as a secret.
const maxTyped = 1 << 17

// AskSecret reads one line from stdin: from a terminal after the prompt and
// without echo, else as it comes. The line is returned without its end. A signal
// at the prompt is returned as Stopped, with the echo as it was.
func AskSecret(prompt string) (string, error) {
	if !IsTerminal(os.Stdin) {
		return readLine()
	}
	in := int(os.Stdin.Fd())
	before, err := term.GetState(in)
	if err != nil {
		return "", err
	}
	stop := endings()
	defer signal.Stop(stop)
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	typed, failed := make(chan string, 1), make(chan error, 1)
	go func() {
		line, err := term.ReadPassword(in)
		if err != nil {
			failed <- err
			return
		}
		typed <- string(line)
	}()
	select {
	case line := <-typed:
		return line, nil
	case err := <-failed:
		return "", err
	case sig := <-stop:
		return "", errors.Join(Stopped{sig}, term.Restore(in, before))
	}
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
