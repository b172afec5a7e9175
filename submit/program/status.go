package program

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"sendoff/submit"
)

// An outcome is an exit code that says what there is, and no failure of ours.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// status says how each account does, for root with all users', and ends with 0, 1
// or 2. It starts nothing that sends. The process of another user leaves the
// judgement to root's.
func (p *program) status(ctx context.Context, s *submit.Submitter) error {
	all, err := p.overviews(ctx, s)
	if err != nil {
		return err
	}
	var text strings.Builder
	worst := 0
	for _, o := range all {
		worst = max(worst, slices.Index(submit.States[:], o.State))
		if p.cmd.JSON {
			o.JSON(&text)
		} else {
			text.WriteString(o.String())
		}
	}
	if len(all) == 0 && !p.cmd.JSON {
		text.WriteString("nothing waits\n")
	}
	if err := p.print(text.String()); err != nil || worst == 0 || p.cmd.As != 0 {
		return err
	}
	return outcome(worst)
}

// overviews returns those of the queues of s, and for root of all users'.
func (p *program) overviews(ctx context.Context, s *submit.Submitter) ([]*submit.Overview, error) {
	var said bytes.Buffer
	if _, err := s.Do(ctx, &said, submit.TaskStatus, nil); err != nil {
		return nil, err
	}
	if p.servesAll() {
		if _, err := submit.EachUser(ctx, &said, statusErrand, p.say); err != nil {
			p.sayLines(err.Error())
		}
	}
	return submit.ReadStatus(&said)
}

var statusErrand = submit.Errand{Args: []string{"--status", "--json"}, Shape: submit.Overviews}

// sayFailed says on stderr that something was given up, which a list for programs
// does not show.
func (p *program) sayFailed(ctx context.Context, s *submit.Submitter) {
	n, _ := s.Do(ctx, io.Discard, submit.TaskLost, nil)
	if p.servesAll() {
		var said bytes.Buffer
		submit.EachUser(ctx, &said, statusErrand, func(string) {}) // the list has named what is odd
		others, _ := submit.ReadStatus(&said)
		for _, o := range others {
			n += max(0, o.Failed)
		}
	}
	switch {
	case n == 1:
		p.say("1 message was given up; mailq -v lists it")
	case n > 1:
		p.say(fmt.Sprintf("%d messages were given up; mailq -v lists them", n))
	}
}
