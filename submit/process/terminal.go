package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Columns returns how many columns the terminal f has; 0: it does not say.
func Columns(f *os.File) int {
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}

// maxTyped is the length of the longest line that Ask and AskSecret read, in octets: more
// than anybody types, and longer than any token.
const maxTyped = 1 << 17

// Stdin is standard input. A SIGINT, SIGTERM or SIGHUP ends a Read with the error Stopped.
type Stdin struct{}

func (Stdin) Read(b []byte) (int, error) {
	buffer := make([]byte, len(b)) // not b: after a signal the read goes on, and b belongs to the caller again
	n, err := untilStopped(func() (int, error) { return os.Stdin.Read(buffer) })
	return copy(b, buffer[:n]), err
}

// AskSecret reads one line from stdin, and returns it without its line end. At a terminal
// it shows prompt first, and what is typed is not shown. If a signal arrives, the terminal
// is restored, and the error is Stopped.
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

// Ask reads one line from stdin, and returns it without its line end. At a terminal it
// shows prompt first. If a signal arrives, the error is Stopped. The terminal is in raw
// mode meanwhile: otherwise it would cut a pasted line at 4095 octets, or 1023.
func Ask(prompt string) (string, error) {
	if !IsTerminal(os.Stdin) {
		return untilStopped(readLine)
	}
	fmt.Fprint(os.Stderr, prompt)
	in := int(os.Stdin.Fd())
	before, err := term.MakeRaw(in)
	if err != nil {
		return "", err
	}
	line, err := untilStopped(func() (string, error) { return readTyped(os.Stdin, os.Stderr) })
	return line, errors.Join(err, term.Restore(in, before))
}

// The characters of the keys that end or edit a line in raw mode.
const (
	keyInterrupt = 'C' - '@'
	keyEnd       = 'D' - '@'
	keyErase     = 'H' - '@'
	keyKill      = 'U' - '@'
	keyDelete    = 0x7f
)

// readTyped reads a line from a raw terminal, and writes the characters to shown. It drops
// text that was pasted after the end of the line.
func readTyped(in io.Reader, shown io.Writer) (string, error) {
	var line []rune
	erase := func(n int) {
		io.WriteString(shown, strings.Repeat("\b \b", n))
		line = line[:len(line)-n]
	}
	keys := bufio.NewReader(io.LimitReader(in, maxTyped))
	for {
		key, _, err := keys.ReadRune()
		switch {
		case err == io.EOF, key == keyEnd && len(line) == 0, key == '\r', key == '\n':
			io.WriteString(shown, "\r\n")
			return string(line), nil
		case err != nil:
			return "", err
		case key == keyInterrupt:
			io.WriteString(shown, "\r\n")
			return "", Stopped{os.Interrupt}
		case key == keyKill:
			erase(len(line))
		case key == keyErase, key == keyDelete:
			erase(min(1, len(line)))
		case key >= ' ':
			line = append(line, key)
			io.WriteString(shown, string(key))
		}
	}
}

// untilStopped calls do in a goroutine and returns its results. If a signal arrives first,
// or has arrived before, the error is Stopped, and do goes on in the background.
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
	case <-reads.Done():
		return result, context.Cause(reads)
	}
}

func readLine() (string, error) {
	line, err := bufio.NewReader(io.LimitReader(os.Stdin, maxTyped)).ReadString('\n')
	if err == io.EOF {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}
