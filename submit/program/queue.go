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

// entry shows, deletes or retries one entry or ALL. Root may name an entry of any user.
func (p *program) entry(ctx context.Context, s *submit.Submitter) (err error) {
	errand := mailq.Errand{Entry: true}
	switch p.cmd.Mode {
	case cmdline.Show:
		errand.Args = []string{"--queue-show=" + p.cmd.Entry}
		_, err = p.find(s, func(s *submit.Submitter) (int, error) { return 0, mailq.Show(stdout(), s.Queue, p.cmd.Entry) })
	case cmdline.Delete:
		n, failure := p.find(s, func(s *submit.Submitter) (int, error) { return mailq.Delete(s.Queue, p.cmd.Entry) })
		errand.Args, err = []string{"--queue-delete=" + p.cmd.Entry}, p.done("deleted", n, failure)
	default:
		errand.Args, errand.Sends = []string{"--queue-retry=" + p.cmd.Entry}, true
		err = p.retry(ctx, s)
	}
	if !errors.Is(err, queue.ErrGone) || !p.servesAll() {
		return err
	}
	n, others := p.eachUser(ctx, stdout(), errand)
	if n == 0 {
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

// done prints to how many entries what was done. If n is 0 and there is an error, it prints
// nothing.
func (p *program) done(what string, n int, err error) error {
	if n == 0 && err != nil {
		return err
	}
	return errors.Join(err, p.print(fmt.Sprintf("%s: %d\n", what, n)))
}

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
	out := lists()
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

// otherUser returns the name of the user that this process of root has become; "": none.
func (p *program) otherUser() string {
	if p.cmd.As == 0 {
		return ""
	}
	return process.UserName(p.cmd.As)
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
	}
	return errors.Join(errs...)
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
		if users, _ := queue.Users(); os.Geteuid() == 0 && len(users) > 0 {
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
	if _, err := io.WriteString(lists(), text.String()); err != nil || worst == 0 || p.cmd.As != 0 {
		return err
	}
	return outcome(worst)
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
		var output bytes.Buffer
		mailq.EachUser(ctx, &output, mailq.OverviewErrand, p.services, func(string) {}) // the list has reported odd names already
		all, _ := mailq.ReadStatus(&output)
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
