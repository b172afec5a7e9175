package program

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/mailq"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// An outcome is an exit code that says what there is, and no failure of ours.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// status says how each account does, for root with all users', and ends with 0, 1
// or 2. It starts nothing that sends. The process of another user leaves the
// judgement to root's.
func (p *program) status(ctx context.Context, q *queue.Queue) error {
	var said bytes.Buffer
	if q != nil {
		if err := mailq.StatusJSON(&said, q); err != nil {
			return err
		}
	}
	if _, err := p.everyones(ctx, nil, &said, overviews); err != nil {
		p.sayLines(err.Error())
	}
	all, err := mailq.ReadStatus(&said)
	if err != nil {
		return err
	}
	var text strings.Builder
	worst := 0
	for _, o := range all {
		worst = max(worst, slices.Index(mailq.States[:], o.State))
		if p.cmd.JSON {
			status.WriteJSON(&text, o)
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

// sayFailed says on stderr that something was given up, which a list for programs
// does not show.
func (p *program) sayFailed(ctx context.Context, q *queue.Queue) {
	n := 0
	if q != nil {
		n, _ = q.CountFailed()
	}
	if p.servesAll() {
		var said bytes.Buffer
		mailq.EachUser(ctx, &said, overviews.others, func(string) {}) // the list has named what is odd
		all, _ := mailq.ReadStatus(&said)
		for _, o := range all {
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
