package submit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// Root sees and runs the queues of all users, but never reads or writes in one:
// for each a process of our own becomes that user and does it. What such a
// process says may be the user's own invention.
//
//	root  mailq, -q, --queue-show … ── uid 1000 ── sendoff --queue-of-user list, /var/spool/sendoff/1000
//	                                └─ uid 1001 ── …

// Tasks are what is done in the queue of another user.
const (
	TaskList   = "list"
	TaskFailed = "failed" // ListFailed
	TaskJSON   = "json"
	TaskCount  = "count"
	TaskNow    = "now" // -q
	TaskDue    = "due" // --queue-run

	// These have the ID of an entry behind them.
	TaskShow   = "show="
	TaskDelete = "delete="
	TaskRetry  = "retry="
)

// Do does a task in the queue, and in the old one, of their entries those that
// match. It returns how many entries there are; what becomes of the mail of a
// run is for a list to say. What is done to one entry is said to w, and so is an
// error then; nothing is said of one that is not there.
func (s *Submitter) Do(ctx context.Context, w io.Writer, task string, match func(*queue.Entry) bool) (entries int, err error) {
	if verb, id, ok := strings.Cut(task, "="); ok {
		return 1, s.doOne(ctx, w, verb+"=", id)
	}
	for _, q := range s.queues() {
		n, failure := s.with(q).do(ctx, w, task, match)
		entries += n
		err = errors.Join(err, failure)
	}
	return entries, err
}

func (s *Submitter) do(ctx context.Context, w io.Writer, task string, match func(*queue.Entry) bool) (entries int, err error) {
	switch task {
	case TaskList:
		return List(w, s.Queue)
	case TaskFailed:
		return ListFailed(w, s.Queue)
	case TaskJSON:
		return 0, ListJSON(w, s.Queue)
	case TaskCount:
		ids, err := s.Queue.IDs()
		return len(ids), err
	}
	_, entries, err = s.Run(ctx, Selection{Now: task == TaskNow, Match: match})
	if err == nil && task == TaskDue {
		s.Beat()
	}
	return entries, status.Temporary.Wrap(err)
}

func (s *Submitter) doOne(ctx context.Context, w io.Writer, task, id string) (err error) {
	done, n := "", 0
	switch task {
	case TaskShow:
		err = s.Show(w, id)
	case TaskDelete:
		done = "removed"
		n, err = s.Delete(id)
	case TaskRetry:
		done = "tried"
		n, err = s.Retry(ctx, id)
	}
	switch {
	case errors.Is(err, queue.ErrGone):
		return nil
	case err != nil:
		fmt.Fprintln(w, err)
	case done != "":
		_, err = fmt.Fprintf(w, "%s: %d\n", done, n)
	}
	return err
}

// Bounds of what another user's process may say, and of its time.
const (
	maxListed = 64 << 20
	maxSaid   = 64 << 10
	listTime  = time.Minute
	runTime   = 30 * time.Minute
)

// Uids that no passwd entry has may be anybody's who has subordinate ones, any
// number of them: these have little time together, in an order left to chance.
const (
	strangers    = 2 // at once
	strangerTime = time.Minute
	strangersEnd = 10 * time.Minute
	acquainted   = 8 // others at once
)

// sends reports whether mail is sent in a task.
func sends(task string) bool {
	name, _, _ := strings.Cut(task, " ")
	return name == TaskNow || name == TaskDue || strings.HasPrefix(name, TaskRetry)
}

// EachUser does task, perhaps with a filter or an ID behind it, in the queues of all users
// but root, several at once, and writes what they say to w, with what could act
// on a terminal replaced. The sum is that of TaskCount, or how many users have
// something in their queue. warn hears of folders that are not what they should
// be.
func EachUser(ctx context.Context, w io.Writer, task string, warn func(string)) (sum int, err error) {
	users, strange := queue.Users()
	for _, err := range strange {
		warn(err.Error())
	}
	said := make([]bytes.Buffer, len(users))
	failures := make([]error, len(users))
	limit, bound := listTime, maxListed
	if sends(task) {
		limit, bound = runTime, maxSaid
	}
	var all sync.WaitGroup
	known, unknown := make(chan bool, acquainted), make(chan bool, strangers)
	end := time.Now().Add(strangersEnd)
	for _, i := range rand.Perm(len(users)) {
		u, running, limit := users[i], known, limit
		if !process.IsKnown(u.UID) {
			running, limit = unknown, min(limit, strangerTime)
		}
		all.Go(func() {
			running <- true
			defer func() { <-running }()
			if running == unknown && time.Now().After(end) || ctx.Err() != nil {
				failures[i] = errors.New("not come to")
				return
			}
			b := &bounded{w: &said[i], left: bound}
			failures[i] = process.RunAs(ctx, process.User{UID: u.UID, GID: u.GID}, b, limit, "--queue-of-user", task)
			if b.cut && failures[i] == nil {
				failures[i] = fmt.Errorf("more than %d KB, of which the rest is not shown", bound>>10)
			}
		})
	}
	all.Wait()
	var errs []error
	for i, u := range users {
		if failures[i] != nil && ctx.Err() == nil {
			errs = append(errs, status.Temporary.Errorf("queue of uid %d: %w", u.UID, failures[i]))
		}
		n, err := relay(w, task, u.UID, said[i].String())
		sum += n
		errs = append(errs, err)
	}
	return sum, errors.Join(errs...)
}

// relay writes what the process of one user has said.
func relay(w io.Writer, task string, uid int, text string) (sum int, err error) {
	if text == "" {
		return 0, nil
	}
	if task == TaskCount {
		fmt.Sscanf(text, "%d", &sum)
		return max(sum, 0), nil
	}
	var b strings.Builder
	if task != TaskJSON {
		fmt.Fprintf(&b, "(user %s)\n", process.UserName(uid))
	}
	for line := range strings.Lines(text) {
		line = status.Printable(strings.TrimRight(line, "\r\n"))
		if task == TaskJSON && !json.Valid([]byte(line)) {
			continue
		}
		b.WriteString(line + "\n")
	}
	_, err = io.WriteString(w, b.String())
	return 1, err
}

// bounded takes so many octets, and drops the rest.
type bounded struct {
	w    io.Writer
	left int
	cut  bool // something was dropped
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.cut = b.cut || n < len(p)
	if _, err := b.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
