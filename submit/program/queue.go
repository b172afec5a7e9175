package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// queue does what a mode that is about the queue asks for.
func (p *program) queue(ctx context.Context) error {
	if p.cmd.Mode == cmdline.MakeSpool {
		return submit.MakeSpool(os.Stdout)
	}
	s, err := p.submitter()
	switch p.cmd.Mode {
	case cmdline.Runner:
		s.Patience = time.Minute
		if s.Queue, err = queue.Existing(p.cmd.Entry, s.Identity.UID); err != nil {
			return status.Usage.Wrap(err)
		}
		return s.Runner(ctx)
	case cmdline.OfUser:
		process.NewKeyring()
		if s.Queue, err = queue.Existing(queue.Shared, s.Identity.UID); err != nil {
			return status.Usage.Wrap(err)
		}
		run := p.cmd.Run
		n, err := s.Do(ctx, os.Stdout, p.cmd.Entry, submit.Matching(run.Filter, run.Text, run.Not))
		if p.cmd.Entry == submit.TaskCount {
			err = errors.Join(err, p.print(fmt.Sprintln(n)))
		}
		return err
	}
	if err != nil {
		p.sayLines("warning: " + err.Error())
	}
	s.Queue, err = submit.OpenQueue(s.Config, s.Identity, p.say)
	if err != nil && !submit.NoQueue(err) {
		return status.Temporary.Wrap(err)
	}
	if s.Old = submit.OldQueues(s.Identity, s.Queue); s.Queue == nil && len(s.Old) > 0 {
		s.Queue, s.Old = s.Old[0], s.Old[1:] // what was queued before queue = "off"
	}
	for _, row := range []struct {
		mode cmdline.Mode
		task string
	}{
		{cmdline.List, submit.TaskList}, {cmdline.ListJSON, submit.TaskJSON}, {cmdline.Count, submit.TaskCount}, {cmdline.Run, runTask(p.cmd.Run)},
	} {
		if row.mode == p.cmd.Mode {
			return p.everywhere(ctx, s, row.task)
		}
	}
	if s.Queue == nil && !p.servesAll() {
		return status.Usage.Errorf("there is no queue: %w", err)
	}
	return p.entry(ctx, s)
}

// servesAll reports whether the queues of all users are meant.
func (p *program) servesAll() bool { return os.Geteuid() == 0 && p.cmd.Config == "" }

// entry shows, removes or tries one entry, or all; for root, one of another user,
// too.
func (p *program) entry(ctx context.Context, s *submit.Submitter) (err error) {
	defer s.Wake()
	var task string
	switch p.cmd.Mode {
	case cmdline.Show:
		task, err = submit.TaskShow, s.Show(os.Stdout, p.cmd.Entry)
	case cmdline.Delete:
		n, failure := s.Delete(p.cmd.Entry)
		task, err = submit.TaskDelete, p.done("removed", n, failure)
	default:
		n, failure := s.Retry(ctx, p.cmd.Entry)
		task, err = submit.TaskRetry, p.done("tried", n, failure)
	}
	if !errors.Is(err, queue.ErrGone) || !p.servesAll() {
		return err
	}
	n, others := submit.EachUser(ctx, os.Stdout, task+p.cmd.Entry, p.say)
	if n == 0 {
		return errors.Join(status.Usage.Errorf("%w, in root's queue or below %s", err, queue.Shared), others)
	}
	return others
}

// done says to how many entries something was done, if it was to any.
func (p *program) done(what string, n int, err error) error {
	if n == 0 && err != nil {
		return err
	}
	return errors.Join(err, p.print(fmt.Sprintf("%s: %d\n", what, n)))
}

func runTask(run cmdline.QueueRun) string {
	if run.Due {
		return submit.TaskDue
	}
	return submit.TaskNow
}

// everywhere does a task in the user's queue, and for root in all users'.
func (p *program) everywhere(ctx context.Context, s *submit.Submitter, task string) (err error) {
	run := p.cmd.Run
	some := 0
	s.Tally = new(submit.Tally)
	switch {
	case run.None:
		return nil
	case s.Queue != nil && run.Every > 0:
		s.Patience = time.Minute
		return s.Repeat(ctx, run.Every, submit.Matching(run.Filter, run.Text, run.Not))
	case s.Queue != nil:
		defer s.Wake()
		some, err = s.Do(ctx, os.Stdout, task, submit.Matching(run.Filter, run.Text, run.Not))
	}
	if p.cmd.Mode == cmdline.Run && err == nil && process.IsTerminal(os.Stderr) {
		p.say(whose() + s.Tally.Words(some))
	}
	if p.servesAll() {
		n, others := submit.EachUser(ctx, os.Stdout, strings.TrimSpace(task+" "+run.String()), p.say)
		some += n
		err = errors.Join(err, others)
	}
	switch {
	case task == submit.TaskCount:
		return errors.Join(err, p.print(fmt.Sprintln(some)))
	case task == submit.TaskList:
		if some == 0 && err == nil {
			err = p.print("Mail queue is empty\n")
		}
		if p.cmd.Verbose || process.IsTerminal(os.Stdout) { // programs count what waits, and know no more
			err = errors.Join(err, p.everywhere(ctx, s, submit.TaskFailed))
		}
	}
	return err
}

// whose says whose queue was run, where others' are as well.
func whose() string {
	if users, _ := queue.Users(); os.Geteuid() == 0 && len(users) > 0 {
		return "root's queue: "
	}
	return ""
}
