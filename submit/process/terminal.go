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

// Stdin is standard input. A signal ends a read of it, which returns Stopped.
type Stdin struct{}

func (Stdin) Read(b []byte) (int, error) {
	own := make([]byte, len(b)) // the read may outlast the call
	n, err := untilStopped(func() (int, error) { return os.Stdin.Read(own) })
	return copy(b, own[:n]), err
}

// AskSecret reads one line from stdin: from a terminal after the prompt and
// without echo, else as it comes. The line is returned without its end. A signal
// at the prompt is returned as Stopped, with the echo as it was.
func AskSecret(prompt string) (string, error) {
	if !IsTerminal(os.Stdin) {
		return untilStopped(readLine)
	}
	in := int(os.Stdin.Fd())
	before, err := term.GetState(in)
	if err != nil {
		return "", err
	}
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	typed, err := untilStopped(func() ([]byte, error) { return term.ReadPassword(in) })
	if errors.As(err, new(Stopped)) {
		err = errors.Join(err, term.Restore(in, before))
	}
	return string(typed), err
}

// Ask reads one line from stdin, from a terminal after the prompt. The line is
// returned without its end. A signal is returned as Stopped.
func Ask(prompt string) (string, error) {
	if IsTerminal(os.Stdin) {
		fmt.Fprint(os.Stderr, prompt)
	}
	return untilStopped(readLine)
}

// untilStopped returns what do does, or Stopped as soon as there is a signal; then
// do may go on.
func untilStopped[T any](do func() (T, error)) (result T, err error) {
	stop := endings()
	defer signal.Stop(stop)
	type outcome struct {
		result T
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := do()
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case sig := <-stop:
		return result, Stopped{sig}
	}
}

func readLine() (string, error) {
	line, err := bufio.NewReader(io.LimitReader(os.Stdin, maxTyped)).ReadString('\n')
	if err == io.EOF {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}
