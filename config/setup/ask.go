package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A Person is whoever answers questions.
type Person struct {
	There bool      // at a terminal; nobody else is asked
	In    io.Reader // what is typed
	Shown io.Writer // gets the questions, and what is found
	// Secret asks for a password, which is not shown when it is typed.
	Secret func(prompt string) (string, error)

	lines *bufio.Reader
}

// show shows a line. What comes from outside cannot move the cursor.
func (p *Person) show(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		fmt.Fprintln(p.Shown, status.Printable(strings.TrimSuffix(line, "\n")))
	}
}

// line reads what is typed after a question.
func (p *Person) line(question string) (string, error) {
	fmt.Fprint(p.Shown, status.Printable(question))
	if p.lines == nil {
		p.lines = bufio.NewReader(p.In)
	}
	text, err := p.lines.ReadString('\n')
	if err != nil {
		fmt.Fprintln(p.Shown)
		if errors.As(err, new(process.Stopped)) {
			return "", err
		}
		return "", status.NoInput.Errorf("no answer")
	}
	return strings.TrimSpace(text), nil
}

// A question is asked of a person, or answered by an option.
type question struct {
	text     string
	standard string                    // the answer that nothing but a line's end gives; "" is none
	flag     string                    // the option that answers it, with its argument
	check    func(answer string) error // nil: any answer will do
}

// ask returns the answer. What is wrong with one is shown, and it is asked again.
func (p *Person) ask(q question) (string, error) {
	if !p.There {
		return "", status.Usage.Errorf("%s: there is no terminal to ask at; give %s", q.text, q.flag)
	}
	text := q.text + ": "
	if q.standard != "" {
		text = q.text + " [" + q.standard + "]: "
	}
	for {
		answer, err := p.line(text)
		if err != nil {
			return "", err
		}
		if answer == "" {
			answer = q.standard
		}
		err = nil
		if q.check != nil {
			err = q.check(answer)
		}
		switch {
		case answer == "":
		case err != nil:
			p.show("%v", err)
		default:
			return answer, nil
		}
	}
}

// yes asks a question that is answered by yes or no.
func (p *Person) yes(text string, standard bool, flag string) (bool, error) {
	q := question{text: text + " y/n", standard: "n", flag: flag}
	if standard {
		q.standard = "y"
	}
	q.check = func(answer string) error {
		if !strings.Contains("ynYN", answer[:min(1, len(answer))]) {
			return fmt.Errorf("please answer y or n")
		}
		return nil
	}
	answer, err := p.ask(q)
	return err == nil && strings.ToLower(answer[:1]) == "y", err
}
