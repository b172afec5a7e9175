package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// queue does what a mode that is about the queue asks for.
func (p *program) queue(ctx context.Context) error {
	switch {
	case p.cmd.Mode == cmdline.MakeSpool:
		return spool.MakeSpool(os.Stdout)
	case p.cmd.As != 0:
		return p.queueAs(ctx)
	}
	if p.cmd.Mode == cmdline.Runner {
		process.ReceiveVariables()
	}
	s, err := p.submitter()
	switch p.cmd.Mode {
	case cmdline.Runner:
		s.Patience = time.Minute
		if s.Queue, err = queue.Existing(p.cmd.Entry, s.Identity.UID); err != nil {
			return status.Usage.Wrap(err)
		}
		return s.Runner(ctx)
	case cmdline.Tend:
		return submit.Tend(ctx)
	}
	if err != nil {
		p.sayLines("warning: " + err.Error())
	}
	s.Queue, err = spool.Open(s.Config, s.Identity, p.say)
	if err != nil && !errors.As(err, new(spool.Absent)) {
		return status.Temporary.Wrap(err)
	}
	if s.Queue == nil {
		s.Queue = spool.Left(s.Identity)
	}
	return p.inQueue(ctx, s, err)
}

// queueAs does it in the queue that another user has in the folder of all, as that
// user. What only looks at entries, or removes them, reads nothing else of
// the user's, and runs nothing.
func (p *program) queueAs(ctx context.Context) (err error) {
	sends := p.cmd.Mode == cmdline.Run || p.cmd.Mode == cmdline.Retry
	if err := process.Become(p.cmd.As, !sends); err != nil {
		if os.Geteuid() == 0 { // a call was refused; 64 would say that there is no such entry
			return status.Temporary.Wrap(err)
		}
		return status.Usage.Wrap(err)
	}
	s := p.outside()
	if sends {
		if s, err = p.submitter(); err != nil {
			p.sayLines("warning: " + err.Error())
		}
	} else {
		s.Start = nil
		p.configure(s, config.Default())
		s.Log = nil
	}
	queues, err := queue.Shares(p.cmd.As)
	if len(queues) == 0 {
		return status.Usage.Wrap(err)
	}
	s.Queue = queues[0]
	for _, other := range queues[1:] {
		if err := s.Queue.TakeIn(other); err != nil {
			p.sayLines("warning: " + err.Error())
		}
	}
	return p.inQueue(ctx, s, nil)
}

// inQueue does it in the queues of s, if there is one; else noQueue says why not.
func (p *program) inQueue(ctx context.Context, s *submit.Submitter, noQueue error) error {
	if p.cmd.Mode == cmdline.Status {
		return p.status(ctx, s)
	}
	for _, row := range []struct {
		mode cmdline.Mode
		task submit.Task
	}{
		{cmdline.List, submit.TaskList}, {cmdline.ListJSON, submit.TaskJSON}, {cmdline.Count, submit.TaskCount}, {cmdline.Run, runTask(p.cmd.Run)},
	} {
		if row.mode == p.cmd.Mode {
			return p.everywhere(ctx, s, row.task)
		}
	}
	if s.Queue == nil && !p.servesAll() {
		return status.Usage.Errorf("there is no queue: %w", noQueue)
	}
	return p.entry(ctx, s)
}

// servesAll reports whether the queues of all users are meant.
func (p *program) servesAll() bool { return os.Geteuid() == 0 && p.cmd.Config == "" }

// entry shows, removes or tries one entry, or all; for root, one of another user,
// too.
func (p *program) entry(ctx context.Context, s *submit.Submitter) (err error) {
	errand := submit.Errand{Entry: true}
	if p.cmd.As == 0 {
		defer s.Wake()
	}
	switch p.cmd.Mode {
	case cmdline.Show:
		errand.Args, err = []string{"--queue-show=" + p.cmd.Entry}, s.Show(stdout(), p.cmd.Entry)
	case cmdline.Delete:
		n, failure := s.Delete(p.cmd.Entry)
		errand.Args, err = []string{"--queue-delete=" + p.cmd.Entry}, p.done("removed", n, failure)
	default:
		s.Tally = new(submit.Tally)
		n, failure := s.Retry(ctx, p.cmd.Entry)
		errand.Args, err = []string{"--queue-retry=" + p.cmd.Entry}, p.done("tried", n, failure)
		if n > 0 && p.cmd.As == 0 {
			p.sayRun(s, submit.TaskNow, s.Left())
		}
		errand.Sends = true
	}
	if !errors.Is(err, queue.ErrGone) || !p.servesAll() {
		return err
	}
	n, others := submit.EachUser(ctx, stdout(), errand, p.say)
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

func runTask(run cmdline.QueueRun) submit.Task {
	if run.Due {
		return submit.TaskDue
	}
	return submit.TaskNow
}

// everywhere does a task in the user's queue, and for root in all users'.
func (p *program) everywhere(ctx context.Context, s *submit.Submitter, task submit.Task) (err error) {
	run := p.cmd.Run
	s.Tally = new(submit.Tally)
	matching := submit.Matching(run.Filter, run.Text, run.Not)
	switch {
	case run.None:
		return nil
	case run.Every > 0:
		s.Patience = time.Minute
		return s.Repeat(ctx, run.Every, matching == nil, func() error { return p.again(ctx, s, task, matching) })
	}
	errs := []error(nil)
	if run.Timer > 0 {
		errs = append(errs, s.MarkTimer(run.Timer, p.servesAll()))
	}
	if p.servesAll() {
		errs = append(errs, p.before(ctx, task))
	}
	if task == submit.TaskDue && p.servesAll() {
		return errors.Join(append(errs, p.timer(ctx, s))...)
	}
	if p.cmd.As == 0 {
		defer s.Wake()
	}
	some, err := s.Do(ctx, os.Stdout, task, matching)
	errs = append(errs, err)
	if p.cmd.Mode == cmdline.Run && err == nil {
		p.sayRun(s, task, some)
	}
	if p.servesAll() {
		n, err := submit.EachUser(ctx, os.Stdout, p.errand(task), p.say)
		some += n
		errs = append(errs, err)
	}
	switch {
	case task == submit.TaskCount:
		errs = append(errs, p.print(fmt.Sprintln(some)))
	case task == submit.TaskList && some == 0 && p.cmd.As == 0 && errors.Join(errs...) == nil:
		errs = append(errs, p.print("Mail queue is empty\n"))
	}
	if task == submit.TaskList && p.looks() { // programs count what waits, and know no more
		_, err := s.Do(ctx, os.Stdout, submit.TaskFailed, nil)
		errs = append(errs, err)
	} else if task == submit.TaskList && p.cmd.As == 0 && errors.Join(errs...) == nil {
		p.sayFailed(ctx, s)
	}
	return errors.Join(errs...)
}

// again does once more what is repeated, in the user's queue, and for root in all
// users'.
func (p *program) again(ctx context.Context, s *submit.Submitter, task submit.Task, matching func(*queue.Entry) bool) error {
	_, err := s.Do(ctx, os.Stdout, task, matching)
	if p.servesAll() {
		if _, err := submit.EachUser(ctx, os.Stdout, p.errand(task), p.say); err != nil && ctx.Err() == nil {
			p.sayLines(err.Error()) // theirs is no reason to end
		}
	}
	return err
}

// sayRun tells a person what a run of the queue has done, and everybody what -q
// could not do: an account that rests was not asked.
func (p *program) sayRun(s *submit.Submitter, task submit.Task, left int) {
	if process.IsTerminal(os.Stderr) {
		p.say(whose() + s.Tally.Words(left))
	}
	if task == submit.TaskNow && left > 0 {
		for _, line := range s.Rests() {
			p.say(line)
		}
	}
}

// looks reports whether a person wants to see what was given up, too.
func (p *program) looks() bool { return p.cmd.Verbose || process.IsTerminal(os.Stdout) }

// errand is a task as others' processes do it.
func (p *program) errand(task submit.Task) submit.Errand {
	switch task {
	case submit.TaskList:
		if p.looks() {
			return submit.Errand{Args: []string{"-bp", "-v"}}
		}
		return submit.Errand{Args: []string{"-bp"}}
	case submit.TaskJSON:
		return submit.Errand{Args: []string{"--queue-json"}, Shape: submit.JSON}
	case submit.TaskCount:
		return submit.Errand{Args: []string{"-bP"}, Shape: submit.Number}
	}
	return submit.Errand{Args: []string{"-q" + p.cmd.Run.String()}, Sends: true}
}

// before says, at the head of root's list, who is locked out.
func (p *program) before(ctx context.Context, task submit.Task) error {
	if task != submit.TaskList {
		return nil
	}
	for _, text := range submit.LockedOut(ctx) {
		if err := p.print("(" + text + ")\n"); err != nil {
			return err
		}
	}
	return nil
}

// timer has root's and all others' queues run, and waits for no mail if it need not:
// root's own mail is waited for where it is not known to be a timer that asks.
func (p *program) timer(ctx context.Context, s *submit.Submitter) error {
	tend, err := s.StartEach(ctx)
	var others sync.WaitGroup
	if tend != nil {
		others.Go(tend)
	}
	defer others.Wait()
	if p.cmd.Run.Timer > 0 && s.Detach() {
		return err
	}
	defer s.Wake()
	some, failure := s.Do(ctx, os.Stdout, submit.TaskDue, nil)
	if failure == nil && process.IsTerminal(os.Stderr) {
		p.say(whose() + s.Tally.Words(some))
	}
	return errors.Join(err, failure)
}

// whose says whose queue was run, where others' are as well.
func whose() string {
	if users, _ := queue.Users(); os.Geteuid() == 0 && len(users) > 0 {
		return "root's queue: "
	}
	return ""
}
