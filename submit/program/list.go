package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sendoff/submit"
	"sendoff/submit/mailq"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A view shows a whole queue: own shows a queue of the user, and others is what another
// user's process runs for the same.
type view struct {
	own    func(w io.Writer, q *queue.Queue) (entries int, err error)
	others mailq.Errand
}

var (
	listJSON = view{func(w io.Writer, q *queue.Queue) (int, error) { return 0, mailq.ListJSON(w, q, os.Getuid()) },
		mailq.Errand{Args: []string{"--queue-json"}, Shape: mailq.JSON}}
	count = view{func(_ io.Writer, q *queue.Queue) (int, error) {
		ids, err := q.IDs()
		return len(ids), err
	}, mailq.Errand{Args: []string{"-bP"}, Shape: mailq.Number}}
	overviews = view{func(w io.Writer, q *queue.Queue) (int, error) { return 0, mailq.StatusJSON(w, q) },
		mailq.OverviewErrand}
)

// viewAll writes a view of the user's queues to w; for root, also of the queues of all
// users. It returns the number of entries.
func (p *program) viewAll(ctx context.Context, s *submit.Submitter, w io.Writer, v view) (entries int, err error) {
	for _, s := range p.eachQueue(s) {
		n, failure := v.own(w, s.Queue)
		entries, err = entries+n, errors.Join(err, failure)
	}
	if p.servesAll() {
		n, others := p.eachUser(ctx, w, v.others)
		entries, err = entries+n, errors.Join(err, others)
	}
	return entries, err
}

// list is mailq. Only a person gets the failed messages and the hints: programs parse the
// other lines.
func (p *program) list(ctx context.Context, s *submit.Submitter) error {
	if p.servesAll() {
		for _, text := range mailq.LockedOut(ctx) {
			if err := p.print("(" + text + ")\n"); err != nil {
				return err
			}
		}
	}
	forPerson := p.cmd.Verbose || process.IsTerminal(os.Stdout)
	var hints mailq.Hints
	list := view{others: mailq.Errand{Args: []string{"-bp"}}}
	if forPerson {
		hints = mailq.HintsFor(p.otherUser())
		list.others.Args = []string{"-bp", "-v"}
	}
	list.own = func(w io.Writer, q *queue.Queue) (int, error) { return mailq.List(w, q, hints) }
	out := p.lists()
	entries, err := p.viewAll(ctx, s, out, list)
	if entries == 0 && err == nil && p.cmd.As == 0 {
		err = p.print("Mail queue is empty\n")
	}
	switch {
	case forPerson:
		for _, s := range p.eachQueue(s) {
			_, failed := mailq.ListFailed(out, s.Queue, hints)
			err = errors.Join(err, failed)
		}
	case err == nil && p.cmd.As == 0:
		p.sayFailed(ctx, s)
	}
	return err
}

// otherUser returns the name of the user that this process of root has become; "": none, or
// that of the service, whose configuration is root's.
func (p *program) otherUser() string {
	if p.cmd.As == 0 || p.cmd.Folder != "" {
		return ""
	}
	return process.UserName(p.cmd.As)
}

// status prints the state of each account, for root with those of all users. It sends
// nothing, and starts nothing that sends. The exit code is 0, 1 or 2. The process of
// another user exits with 0: root's process judges the accounts.
func (p *program) status(ctx context.Context, s *submit.Submitter) error {
	var output bytes.Buffer
	if _, err := p.viewAll(ctx, s, &output, overviews); err != nil {
		p.sayLines(err.Error())
	}
	all, err := mailq.ReadStatus(&output)
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
		text.WriteString("no account has queued mail or an error\n")
	}
	if _, err := io.WriteString(p.lists(), text.String()); err != nil || worst == 0 || p.cmd.As != 0 {
		return err
	}
	return exitCode(worst)
}

// sayFailed writes to stderr how many messages have failed: a list for programs does not
// show them.
func (p *program) sayFailed(ctx context.Context, s *submit.Submitter) {
	n := 0
	for _, s := range p.eachQueue(s) {
		count, _ := s.Queue.CountFailed()
		n += count
	}
	if p.servesAll() {
		all, _ := mailq.OverviewsOf(ctx, p.services)
		for _, o := range all {
			n += max(0, o.Failed)
		}
	}
	switch {
	case n == 1:
		p.say("1 message failed; sendoff -bp -v shows it")
	case n > 1:
		p.say(fmt.Sprintf("%d messages failed; sendoff -bp -v shows them", n))
	}
}
