package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

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

	quiet bool // --yes: nobody is asked, although somebody may be there
	lines *bufio.Reader
}

// screenWidth is how many columns of a terminal a line takes that is for a person.
const screenWidth = 80

// show shows lines. What comes from outside cannot move the cursor.
func (p *Person) show(format string, args ...any) {
	fmt.Fprintln(p.Shown, p.folded(fmt.Sprintf(format, args...)))
}

// folded returns the lines of a text, several in place of one that is too wide for a
// person's screen. A word that is too wide stays whole.
func (p *Person) folded(text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		line = status.Printable(line)
		for p.There && utf8.RuneCountInString(line) > screenWidth {
			end := strings.LastIndex(string([]rune(line)[:screenWidth+1]), " ")
			if strings.TrimSpace(line[:max(end, 0)]) == "" {
				break
			}
			lines = append(lines, line[:end])
			line = "  " + line[end+1:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// waiting shows a person what is going on, with a dot for each second, until the
// function that it returns is called.
func (p *Person) waiting(format string, args ...any) (done func()) {
	if !p.There {
		return func() {}
	}
	fmt.Fprint(p.Shown, status.Printable(fmt.Sprintf(format, args...))+" ...")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for {
			select {
			case <-second.C:
				fmt.Fprint(p.Shown, ".")
			case <-stop:
				fmt.Fprintln(p.Shown)
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-stopped })
}

// line reads what is typed after a question.
func (p *Person) line(question string) (string, error) {
	fmt.Fprint(p.Shown, p.folded(question))
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
	needs    string                    // what the answer is, for an error: --setup needs …
	give     string                    // how the answer is given without a person: give …
	check    func(answer string) error // nil: any answer will do
}

// missing is the error of an answer that nobody can be asked for.
func (p *Person) missing(q question) error {
	when := "when there is no terminal"
	if p.quiet {
		when = "with --yes"
	}
	return status.Usage.Errorf("--setup needs %s %s: %s", q.needs, when, q.give)
}

// ask returns the answer. What is wrong with one is shown, and it is asked again.
func (p *Person) ask(q question) (string, error) {
	if !p.There {
		return "", p.missing(q)
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
		case errors.As(err, new(process.Stopped)):
			return "", err
		case err != nil:
			p.show("%v", err)
		default:
			return answer, nil
		}
	}
}

// choose asks for one of several numbered answers, which may also be given by its name,
// and returns its index. The text says what the numbers stand for, or choices before it do.
func (p *Person) choose(q question, names ...string) (int, error) {
	chosen := 0
	q.check = func(answer string) error {
		n, err := strconv.Atoi(answer)
		if chosen = n - 1; err != nil {
			chosen = slices.Index(names, strings.ToLower(answer))
		}
		if chosen < 0 || chosen >= len(names) {
			return fmt.Errorf("please answer with a number from 1 to %d", len(names))
		}
		return nil
	}
	_, err := p.ask(q)
	return chosen, err
}

// yes asks a question that is answered by yes or no, with no as the standard answer.
func (p *Person) yes(q question) (bool, error) {
	q.text += " [y/N]"
	return p.decide(q, false)
}

// yesOrElse is yes with yes as the standard answer.
func (p *Person) yesOrElse(q question) (bool, error) {
	q.text += " [Y/n]"
	return p.decide(q, true)
}

func (p *Person) decide(q question, standard bool) (bool, error) {
	if !p.There {
		return false, p.missing(q)
	}
	for {
		answer, err := p.line(q.text + ": ")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "":
			return standard, nil
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
		p.show("please answer y or n")
	}
}
