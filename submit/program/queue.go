package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/submit"
	"sendoff/submit/mailq"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/runner"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// makeSpool makes the folder for the queues of all users, and a timer.
func (p *program) makeSpool(context.Context) error { return spool.MakeSpool(os.Stdout) }

// runner runs the queue in a folder until the queue is empty. A submission that queues a
// message starts a process with this mode.
func (p *program) runner(ctx context.Context) (err error) {
	process.ReceiveVariables()
	s, _ := p.submitter()
	s.Smarthosts.Patience = time.Minute
	if s.Queue, err = queue.Existing(p.cmd.Entry, s.Identity.UID); err != nil {
		return status.Usage.Wrap(err)
	}
	return runner.New(s).UntilEmpty(ctx)
}

// runOthers runs the queues of the users for whom systemd has no unit.
func (p *program) runOthers(ctx context.Context) error { return mailq.RunOthers(ctx) }

// queue runs the modes that are about the queue.
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
	switch mode := p.cmd.Mode; {
	case queue.Unsupported == "":
	case mode == cmdline.Show, mode == cmdline.Delete, mode == cmdline.Retry:
		return status.Usage.Errorf("%s", queue.Unsupported)
	default:
		p.say(queue.Unsupported + ": mail that cannot be sent at once is not kept")
	}
	p.otherQueues = spool.Elsewhere(s.Identity, s.Queue)
	if p.servesAll() {
		p.addService(s)
	}
	return p.inQueue(ctx, s, err)
}

// addService adds the queue of the machine's service to those that root sees.
func (p *program) addService(s *submit.Submitter) {
	u, ok := mailq.Service(s.Config, s.Identity)
	if !ok {
		return
	}
	if u.UID != 0 {
		p.services = append(p.services, u)
	} else if q, err := queue.Existing(u.Queue, 0); err == nil && (s.Queue == nil || q.String() != s.Queue.String()) {
		p.otherQueues = append(p.otherQueues, q)
	}
}

// eachUser runs e in the queues of all other users, and in that of the service.
func (p *program) eachUser(ctx context.Context, w io.Writer, e mailq.Errand) (sum int, err error) {
	return mailq.EachUser(ctx, w, e, p.services, p.say)
}

// queueAs becomes another user, and then runs the mode in the queues of that user below the
// folder of all queues. A mode that only shows or removes entries does not read the user's
// configuration, and starts no process.
func (p *program) queueAs(ctx context.Context) (err error) {
	sends := p.cmd.Mode == cmdline.Run || p.cmd.Mode == cmdline.Retry
	if err := process.Become(p.cmd.As, !sends); err != nil {
		if os.Geteuid() == 0 { // the system refused a call; the exit code 64 would mean that there is no such entry
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
	if p.cmd.Folder != "" {
		queues = make([]*queue.Queue, 1)
		queues[0], err = queue.Existing(p.cmd.Folder, p.cmd.As)
	}
	if len(queues) == 0 || queues[0] == nil {
		return status.Usage.Wrap(err)
	}
	s.Queue, p.otherQueues = queues[0], queues[1:]
	return p.inQueue(ctx, s, nil)
}

// inQueue runs the mode in the queues of s. If there is no queue, noQueue says why.
func (p *program) inQueue(ctx context.Context, s *submit.Submitter, noQueue error) error {
	switch p.cmd.Mode {
	case cmdline.Status:
		return p.status(ctx, s)
	case cmdline.Run:
		return p.runQueue(ctx, s)
	}
	if p.cmd.As == 0 {
		defer p.wake(s)
	}
	switch p.cmd.Mode {
	case cmdline.List:
		return p.list(ctx, s)
	case cmdline.ListJSON:
		_, err := p.viewAll(ctx, s, os.Stdout, listJSON)
		return err
	case cmdline.Count:
		n, err := p.viewAll(ctx, s, os.Stdout, count)
		return errors.Join(err, p.print(fmt.Sprintln(n)))
	}
	if len(p.eachQueue(s)) == 0 && !p.servesAll() {
		return status.Usage.Errorf("there is no queue: %w", noQueue)
	}
	return p.entry(ctx, s)
}

// servesAll reports whether the mode is for the queues of all users: root runs it without
// --config.
func (p *program) servesAll() bool { return os.Geteuid() == 0 && p.cmd.Config == "" }

// entry shows, deletes or retries one entry or ALL. Root may name an entry of any user, and
// retries ALL of all users, but deletes only ALL of root's own.
func (p *program) entry(ctx context.Context, s *submit.Submitter) (err error) {
	errand, all := mailq.Errand{Entry: true}, false
	switch p.cmd.Mode {
	case cmdline.Show:
		errand.Args = []string{"--queue-show=" + p.cmd.Entry}
		_, err = p.find(s, func(s *submit.Submitter) (int, error) { return 0, mailq.Show(stdout(), s.Queue, p.cmd.Entry) })
	case cmdline.Delete:
		n, failure := p.find(s, func(s *submit.Submitter) (int, error) { return mailq.Delete(s.Queue, p.cmd.Entry) })
		errand.Args, err = []string{"--queue-delete=" + p.cmd.Entry}, p.done("deleted", n, failure)
	default:
		errand.Args, errand.Sends = []string{"--queue-retry=" + p.cmd.Entry}, true
		all = strings.EqualFold(p.cmd.Entry, "ALL")
		err = p.retry(ctx, s)
	}
	if !all && !errors.Is(err, queue.ErrGone) || !p.servesAll() {
		return err
	}
	n, others := p.eachUser(ctx, stdout(), errand)
	switch {
	case all:
		p.sayOthers(ctx)
		return errors.Join(err, others)
	case n == 0:
		return errors.Join(status.Usage.Errorf("%w, in root's queue or below %s", err, queue.Shared), others)
	}
	return others
}

// find calls do for each queue until one has the entry that the caller names; for ALL, for
// each queue. n is the sum of the results of do.
func (p *program) find(s *submit.Submitter, do func(*submit.Submitter) (int, error)) (n int, err error) {
	all := p.eachQueue(s)
	if len(all) == 0 {
		return do(s) // returns the error that there is no such entry
	}
	for _, s := range all {
		count, failure := do(s)
		n += count
		if strings.EqualFold(p.cmd.Entry, "ALL") {
			err = errors.Join(err, failure)
		} else if err = failure; !errors.Is(err, queue.ErrGone) {
			break
		}
	}
	return n, err
}

// retry makes one entry or ALL due, and then tries these entries.
func (p *program) retry(ctx context.Context, s *submit.Submitter) error {
	selection := runner.Selection{Now: true}
	if id, ok := queue.ParseID(strings.ToLower(p.cmd.Entry)); ok {
		selection.Match = func(e *queue.Entry) bool { return e.ID == id }
	}
	n, err := p.find(s, func(s *submit.Submitter) (int, error) {
		return mailq.Retry(s.Queue, p.cmd.Entry, func(e *queue.Entry, was queue.ID) {
			id := e.ID
			selection.Match = func(e *queue.Entry) bool { return e.ID == id }
			s.Log.Line(e.ID, false, "status", "queued", "reply", "queued again; it had failed as "+string(was))
			s.Console.Tell("queued as "+string(e.ID), nil)
		})
	})
	if n == 0 {
		return p.done("retried", n, err)
	}
	done, failure := p.pass(ctx, p.runners(s), selection)
	err = p.done("retried", n, errors.Join(err, failure, p.lack(s)))
	if p.cmd.As == 0 {
		p.sayRun(s, true, done)
	}
	return err
}

// lack returns an error if this process could not send entries because it was started
// without the secret of their account.
func (p *program) lack(s *submit.Submitter) error {
	f := s.Unwritten.Lack()
	if f == nil {
		return nil
	}
	p.account = f.Account
	return status.Credential.Errorf("%s", f.Reason)
}

// done prints to how many entries what was done. If n is 0 and there is an error, or the
// queue is that of another user, it prints nothing.
func (p *program) done(what string, n int, err error) error {
	if n == 0 && (err != nil || p.cmd.As != 0) {
		return err
	}
	return errors.Join(err, p.print(fmt.Sprintf("%s: %d\n", what, n)))
}

// runQueue is -q and --queue-run: it runs the user's queues; for root, also those of all
// users.
func (p *program) runQueue(ctx context.Context, s *submit.Submitter) error {
	run := p.cmd.Run
	selection := runner.Selection{Now: !run.Due, Match: mailq.Matching(run.Filter, run.Text, run.Not)}
	others := mailq.Errand{Args: []string{"-q" + run.String()}, Sends: true}
	runners := p.runners(s)
	pass := func() (runner.Outcome, error) { return p.pass(ctx, runners, selection) }
	switch {
	case run.None:
		return nil
	case run.Every > 0:
		s.Smarthosts.Patience = time.Minute
		own := runner.New(s)
		if s.Queue != nil {
			own = runners[0]
		}
		return own.Every(ctx, run.Every, selection.Match == nil, func() error {
			_, err := pass()
			if p.servesAll() {
				if _, err := p.eachUser(ctx, os.Stdout, others); err != nil && ctx.Err() == nil {
					p.sayLines(err.Error()) // an error of another user does not end the service
				}
			}
			return err
		})
	}
	var errs []error
	if run.Timer > 0 {
		errs = append(errs, s.MarkTimer(run.Timer, p.servesAll()))
		for _, q := range p.otherQueues {
			errs = append(errs, s.In(q).MarkTimer(run.Timer, false))
		}
	}
	if run.Due && p.servesAll() {
		return errors.Join(append(errs, p.timer(ctx, s, pass))...)
	}
	if p.cmd.As == 0 {
		defer p.wake(s)
	}
	done, err := pass()
	if errs = append(errs, err); err == nil {
		p.sayRun(s, selection.Now, done)
	}
	if selection.Now {
		errs = append(errs, p.lack(s))
	}
	if p.servesAll() {
		_, err := p.eachUser(ctx, os.Stdout, others)
		errs = append(errs, err)
		if p.sayOthers(ctx) {
			p.say("to try an account with a fault now: sendoff --queue-retry ALL")
		}
	}
	return errors.Join(errs...)
}

// sayOthers tells root at a terminal whose mail is still queued after a run. It reports
// whether an account of theirs has a fault: -q as another user does not try that account.
func (p *program) sayOthers(ctx context.Context) (fault bool) {
	if !process.IsTerminal(os.Stderr) {
		return false
	}
	all, _ := mailq.OverviewsOf(ctx, p.services)
	for _, o := range all {
		if o.Entries > 0 {
			p.sayLines(o.String())
			fault = fault || o.Fault != ""
		}
	}
	return fault
}

// runners returns a Runner for each queue of the user.
func (p *program) runners(s *submit.Submitter) (all []*runner.Runner) {
	for _, s := range p.eachQueue(s) {
		all = append(all, runner.New(s))
	}
	return all
}

// pass makes a pass in each queue, one after the other, and returns the sum of the
// outcomes.
func (p *program) pass(ctx context.Context, runners []*runner.Runner, selection runner.Selection) (sum runner.Outcome, err error) {
	for _, r := range runners {
		done, failure := r.Pass(ctx, selection)
		sum.Left, sum.Sent, sum.GivenUp = sum.Left+done.Left, sum.Sent+done.Sent, sum.GivenUp+done.GivenUp
		err = errors.Join(err, status.Temporary.Wrap(failure))
	}
	return sum, err
}

// sayRun tells a person the outcome of a run. After -q it also says which accounts are
// suspended, because their mail was not tried.
func (p *program) sayRun(s *submit.Submitter, now bool, done runner.Outcome) {
	if process.IsTerminal(os.Stderr) {
		whose := ""
		if users, _ := queue.Users(); os.Geteuid() == 0 && len(users)+len(p.services) > 0 {
			whose = "root's queue: "
		}
		p.say(whose + done.String())
	}
	if now && done.Left > 0 {
		for _, s := range p.eachQueue(s) {
			for _, line := range s.Throttle().Resting() {
				p.say(line)
			}
		}
	}
}

// timer starts runs of all users' queues. If a timer has called it, it does not wait for
// mail: root's own queue then runs in the background as well.
func (p *program) timer(ctx context.Context, s *submit.Submitter, pass func() (runner.Outcome, error)) error {
	_, lasts := s.Outlives()
	runOthers, err := mailq.StartEach(ctx, lasts, func(text string) { s.Log.Fault(errors.New(text)) })
	var others sync.WaitGroup
	if runOthers != nil {
		others.Go(runOthers)
	}
	defer others.Wait()
	if p.cmd.Run.Timer > 0 && lasts {
		for _, s := range p.eachQueue(s) {
			s.Detach()
		}
		return err
	}
	defer p.wake(s)
	done, failure := pass()
	if failure == nil {
		p.sayRun(s, false, done)
	}
	return errors.Join(err, failure)
}
