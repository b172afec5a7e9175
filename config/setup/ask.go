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

	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A Person answers questions.
type Person struct {
	There bool      // the person is at a terminal; otherwise no question is asked
	In    io.Reader // the person's answers
	Shown io.Writer // gets the questions, and what was found
	// Secret asks for a password, which is not shown while the person types it.
	Secret func(prompt string) (string, error)

	quiet bool // --yes: no question is asked, although a person may be there
	lines *bufio.Reader
}

// screenWidth is the maximum width of a line for a person, in columns.
const screenWidth = 80

// show shows lines. It replaces control characters, because part of the text may come from
// a server.
func (p *Person) show(format string, args ...any) {
	fmt.Fprintln(p.Shown, p.folded(fmt.Sprintf(format, args...)))
}

// folded returns text with lines that are too wide for the terminal split at spaces. A word
// that is too wide stays whole, as does a command.
func (p *Person) folded(text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		line = status.Printable(line)
		if p.There {
			line = status.Fold(line, len(line)-len(strings.TrimLeft(line, " ")), 2, screenWidth)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// waiting tells a person what is going on, and adds a dot each second until done is called.
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

// line shows a question and returns the line that is typed, without white space around it.
// Its errors have the kind NoInput, also if a signal has ended the read.
func (p *Person) line(question string) (string, error) {
	fmt.Fprint(p.Shown, p.folded(question))
	if p.lines == nil {
		p.lines = bufio.NewReader(p.In)
	}
	text, err := p.lines.ReadString('\n')
	if err != nil {
		fmt.Fprintln(p.Shown)
		if errors.As(err, new(process.Stopped)) {
			return "", status.NoInput.Wrap(err)
		}
		return "", status.NoInput.Errorf("no answer")
	}
	return strings.TrimSpace(text), nil
}

// A question is put to a person, or answered by an option.
type question struct {
	text     string
	standard string                    // the answer for an empty line; "": none
	needs    string                    // what the answer is, for the error "--setup needs …"
	give     string                    // how to answer with an option, for the error "give …"
	check    func(answer string) error // returns why an answer is wrong; nil: every answer is right
}

// missing returns the error of a question if nobody can be asked.
func (p *Person) missing(q question) error {
	when := "when there is no terminal"
	if p.quiet {
		when = "with --yes"
	}
	return status.Usage.Errorf("--setup needs %s %s: %s", q.needs, when, q.give)
}

// ask returns the answer. After a wrong answer, it says what is wrong and asks again.
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
			p.show("an answer is needed here; Ctrl-C ends")
		case errors.As(err, new(process.Stopped)):
			return "", err
		case err != nil:
			p.show("%v", err)
		default:
			return answer, nil
		}
	}
}

// choose asks for an answer by number or by name, and returns its index in names. The
// numbers are explained in q.text, or in lines that were shown before.
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

// yes asks a question whose default answer is no.
func (p *Person) yes(q question) (bool, error) {
	q.text += " [y/N]"
	return p.decide(q, false)
}

// yesOrElse asks a question whose default answer is yes.
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
