package program

import (
	"cmp"
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

// makeSpool makes the folder of all users' queues, and a timer.
func (p *program) makeSpool(context.Context) error { return spool.MakeSpool(os.Stdout) }

// runner runs the queue in a folder until it is empty. It is the process that is left
// behind when a message is queued.
func (p *program) runner(ctx context.Context) (err error) {
	process.ReceiveVariables()
	s, _ := p.submitter()
	s.Patience = time.Minute
	if s.Queue, err = queue.Existing(p.cmd.Entry, s.Identity.UID); err != nil {
		return status.Usage.Wrap(err)
	}
	return s.Runner(ctx)
}

// tend runs the queues of users that no service runs.
func (p *program) tend(ctx context.Context) error { return submit.Tend(ctx) }

// queue does what a mode asks for that is about the entries of the queue.
func (p *program) queue(ctx context.Context) error {
	if p.cmd.As != 0 {
		return p.queueAs(ctx)
	}
	s, err := p.submitter()
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

// queueAs does what the mode asks for in the queues that another user has in the folder
// of all queues, as that user. A mode that only shows or removes entries reads nothing
// else of the user's, and runs nothing.
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

// inQueue does what the mode asks for in the queues of s. Without any, noQueue says why.
func (p *program) inQueue(ctx context.Context, s *submit.Submitter, noQueue error) error {
	switch p.cmd.Mode {
	case cmdline.Status:
		return p.status(ctx, s)
	case cmdline.Run:
		return p.runQueue(ctx, s)
	}
	if p.cmd.As == 0 {
		defer s.Wake()
	}
	switch p.cmd.Mode {
	case cmdline.List:
		return p.list(ctx, s)
	case cmdline.ListJSON:
		_, err := p.everywhere(ctx, s, submit.TaskJSON, submit.Errand{Args: []string{"--queue-json"}, Shape: submit.JSON})
		return err
	case cmdline.Count:
		n, err := p.everywhere(ctx, s, submit.TaskCount, submit.Errand{Args: []string{"-bP"}, Shape: submit.Number})
		return errors.Join(err, p.print(fmt.Sprintln(n)))
	}
	if s.Queue == nil && !p.servesAll() {
		return status.Usage.Errorf("there is no queue: %w", noQueue)
	}
	return p.entry(ctx, s)
}

// everywhere does task in the user's queue, and for root has the processes of all other
// users asked for the same. It returns the sum of the entries.
func (p *program) everywhere(ctx context.Context, s *submit.Submitter, task submit.Task, same submit.Errand) (entries int, err error) {
	entries, err = s.Do(ctx, os.Stdout, task, nil)
	if p.servesAll() {
		n, failure := submit.EachUser(ctx, os.Stdout, same, p.say)
		entries, err = entries+n, errors.Join(err, failure)
	}
	return entries, err
}

// list lists what waits, after, for root, who is locked out. What was given up is listed
// for a person, and only counted on stderr for a program: programs count the entries of
// a list, and take each for a message that waits.
func (p *program) list(ctx context.Context, s *submit.Submitter) (err error) {
	same := submit.Errand{Args: []string{"-bp"}}
	person := p.cmd.Verbose || process.IsTerminal(os.Stdout)
	if person {
		same.Args = append(same.Args, "-v")
	}
	if p.servesAll() {
		for _, text := range submit.LockedOut(ctx) {
			err = cmp.Or(err, p.print("("+text+")\n"))
		}
	}
	n, failure := p.everywhere(ctx, s, submit.TaskList, same)
	if err = errors.Join(err, failure); err == nil && n == 0 && p.cmd.As == 0 {
		err = p.print("Mail queue is empty\n")
	}
	if person {
		_, failure := s.Do(ctx, os.Stdout, submit.TaskFailed, nil)
		return errors.Join(err, failure)
	}
	if err == nil && p.cmd.As == 0 {
		p.sayFailed(ctx, s)
	}
	return err
}

// runQueue sends what waits in the user's queue, and for root in the queues of all users.
func (p *program) runQueue(ctx context.Context, s *submit.Submitter) (err error) {
	run, task := p.cmd.Run, submit.TaskNow
	if run.Due {
		task = submit.TaskDue
	}
	s.Tally = new(submit.Tally)
	matching := submit.Matching(run.Filter, run.Text, run.Not)
	same := submit.Errand{Args: []string{"-q" + run.String()}, Sends: true}
	switch {
	case run.None:
		return nil
	case run.Every > 0:
		s.Patience = time.Minute
		return s.Repeat(ctx, run.Every, matching == nil, func() error {
			_, err := s.Do(ctx, os.Stdout, task, matching)
			if p.servesAll() {
				if _, err := submit.EachUser(ctx, os.Stdout, same, p.say); err != nil && ctx.Err() == nil {
					p.sayLines(err.Error()) // a fault of another user's queue does not end root's runs
				}
			}
			return err
		})
	case run.Timer > 0:
		err = s.MarkTimer(run.Timer, p.servesAll())
	}
	if run.Due && p.servesAll() {
		return errors.Join(err, p.runAll(ctx, s))
	}
	if p.cmd.As == 0 {
		defer s.Wake()
	}
	left, failure := s.Do(ctx, os.Stdout, task, matching)
	if failure == nil {
		p.sayRun(s, task, left)
	}
	err = errors.Join(err, failure)
	if p.servesAll() {
		_, failure := submit.EachUser(ctx, os.Stdout, same, p.say)
		err = errors.Join(err, failure)
	}
	return err
}

// runAll has root's and all others' queues run, and waits for no mail if it need not:
// root's own mail is waited for unless a timer asks.
func (p *program) runAll(ctx context.Context, s *submit.Submitter) error {
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
	left, failure := s.Do(ctx, os.Stdout, submit.TaskDue, nil)
	if failure == nil {
		p.sayRun(s, submit.TaskDue, left)
	}
	return errors.Join(err, failure)
}

// sayRun tells a person what a run of the queue has done and, after -q, everybody
// which accounts were not tried because they are held back. For root, with users
// beside, it says that this was root's queue.
func (p *program) sayRun(s *submit.Submitter, task submit.Task, left int) {
	if process.IsTerminal(os.Stderr) {
		owner := ""
		if users, _ := queue.Users(); os.Geteuid() == 0 && len(users) > 0 {
			owner = "root's queue: "
		}
		p.say(owner + s.Tally.Words(left))
	}
	if task == submit.TaskNow && left > 0 {
		for _, line := range s.Rests() {
			p.say(line)
		}
	}
}

// servesAll reports whether the queues of all users are meant.
func (p *program) servesAll() bool { return os.Geteuid() == 0 && p.cmd.Config == "" }

// entry shows, removes or tries one entry, or all. If root has no such entry, the
// processes of all other users are asked for it.
func (p *program) entry(ctx context.Context, s *submit.Submitter) (err error) {
	errand := submit.Errand{Entry: true}
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
