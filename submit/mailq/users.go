package mailq

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
	"sync/atomic"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// Root shows and runs the queues of all users, but never reads or writes in a queue as
// root. For each user, a process of this program becomes that user and does the work:
//
//	root  mailq, -q, --queue-show … ── uid 1000 ── sendoff --queue-as=1000 -bp
//	                                └─ uid 1001 ── …
//
// The user can forge the output of this process. So its size is limited, as well as the
// memory and the time for all users together, and each line is checked before it is shown.

// An Errand is the work that root has done in the queue of each other user.
type Errand struct {
	Args  []string // the options of the user's process
	Shape Shape
	Sends bool // sends mail: at its time limit the process may finish a message; otherwise it is killed
	Entry bool // is about one entry: most users do not have it

	Patience time.Duration // after this time the next user's process starts, although this one still runs; 0: wait for its end
}

// A Shape is the form of the answer to an Errand.
type Shape uint8

const (
	Text Shape = iota
	JSON       // an entry per line, as ListJSON writes it
	Number
	Overviews // as StatusJSON writes them
)

// Time limits for a user's process (…Time) and for all users together (…End). A user with
// subordinate uids can make folders for thousands of uids without a passwd entry: all of
// these share little time, and their order is random.
const (
	listTime    = 20 * time.Second
	listEnd     = 5 * time.Minute
	runTime     = 30 * time.Minute
	runEnd      = time.Hour
	unknownTime = time.Minute
	unknownEnd  = 10 * time.Minute

	patientTime = 4 * time.Minute // with Patience: for each process and for all

	knownAtOnce   = 8
	unknownAtOnce = 2

	// sendGrace is how long a process that sends may go on after its time limit: a message
	// that is sent already then gets its answer.
	sendGrace = 65 * time.Second
)

// Limits for the output of the users' processes, in octets. Known users have equal shares
// of half of maxOutput. The other half goes to those who need more, until it is used up.
// Users without a passwd entry share maxAllUnknown.
const (
	maxOutput     = 64 << 20
	maxPerUser    = 16 << 20
	maxPerUnknown = 256 << 10
	maxAllUnknown = 4 << 20
)

// OverviewErrand asks for the Overviews of a user.
var OverviewErrand = Errand{Args: []string{"--status", "--json"}, Shape: Overviews}

// An answer is the output of a user's process, and how the process ended.
type answer struct {
	queue.User
	output bounded
	err    error
}

// EachUser runs e for all users but root, and for also, several at a time, and writes their
// output to w, without control characters. sum is the sum of the numbers for the Shape Number; otherwise
// it is the number of users with output. warn is called about names in the folder of queues
// that do not belong to users.
func EachUser(ctx context.Context, w io.Writer, e Errand, also []queue.User, warn func(string)) (sum int, err error) {
	users, odd := queue.Users()
	if odd != nil {
		warn(odd.Error())
	}
	if err := spool.CanServe(append(users, also...)); err != nil {
		return 0, err
	}
	if e.Sends {
		var expired []queue.User
		users, expired = byExpiry(users)
		for _, text := range waitingOf(ctx, expired) {
			warn(text)
		}
	}
	answers := e.ask(ctx, append(users, also...))
	var failures []error
	for i := range answers {
		a := &answers[i]
		n, err := e.relay(w, a)
		sum += n
		if err != nil {
			return sum, err // the reader of w has closed it
		}
		if a.faulty() {
			a.err = errors.New("the process that reads it needed too much memory, or crashed")
		}
		if a.err != nil && ctx.Err() == nil {
			failures = append(failures, fmt.Errorf("queue of user %s: %w", process.UserName(a.UID), a.err))
		}
	}
	return sum, status.Temporary.Wrap(joinFew(failures))
}

// OverviewsOf returns the Overviews of all users but root, and of also.
func OverviewsOf(ctx context.Context, also []queue.User) ([]*Overview, error) {
	var output bytes.Buffer
	_, err := EachUser(ctx, &output, OverviewErrand, also, func(string) {}) // mailq reports odd names
	all, _ := ReadStatus(&output)
	return all, err
}

// ask runs e for each of users, and returns their answers in the same order.
func (e Errand) ask(ctx context.Context, users []queue.User) []answer {
	answers := make([]answer, len(users))
	known, unknown := newBudget(e, knownAtOnce), newBudget(e, unknownAtOnce)
	unknown.limit, unknown.end = min(known.limit, unknownTime), time.Now().Add(unknownEnd)
	known.pool.Store(maxOutput / 2)
	unknown.pool.Store(maxAllUnknown)
	isKnown := make([]bool, len(users))
	n := 0
	for i, u := range users {
		if isKnown[i] = process.IsKnown(u.UID); isKnown[i] {
			n++
		}
	}
	share := maxOutput / 2 / max(1, n)
	var all sync.WaitGroup
	for _, i := range rand.Perm(len(users)) {
		a, c := &answers[i], known
		a.User, a.output = users[i], bounded{share: share, most: max(share, maxPerUser)}
		if !isKnown[i] {
			c, a.output = unknown, bounded{most: maxPerUnknown}
		}
		a.output.pool = &c.pool
		all.Go(func() {
			c.slots <- true
			freeSlot := sync.OnceFunc(func() { <-c.slots })
			if e.Patience > 0 {
				time.AfterFunc(e.Patience, freeSlot)
			}
			a.err = c.run(ctx, e, a)
			freeSlot()
		})
	}
	all.Wait()
	return answers
}

// A budget is the time and memory that a group of users shares.
type budget struct {
	slots chan bool
	limit time.Duration // of each process
	end   time.Time     // of all processes
	pool  atomic.Int64
}

func newBudget(e Errand, slots int) *budget {
	c := &budget{slots: make(chan bool, slots), limit: listTime, end: time.Now().Add(listEnd)}
	if e.Sends {
		c.limit, c.end = runTime, time.Now().Add(runEnd)
	}
	if e.Patience > 0 {
		c.limit, c.end = patientTime, time.Now().Add(patientTime)
	}
	return c
}

// run runs the process of one user.
func (c *budget) run(ctx context.Context, e Errand, a *answer) error {
	limit := min(c.limit, time.Until(c.end))
	if limit <= 0 || ctx.Err() != nil {
		return errors.New("no time was left to read it")
	}
	args := e.Args
	if a.Queue != "" {
		args = append([]string{"--queue-folder", a.Queue}, args...)
	}
	child := process.Child{UID: a.UID, Args: args, Errors: e.Shape == Text, Limit: limit}
	if e.Sends {
		child.Grace = sendGrace
	}
	err := child.Run(ctx, &a.output)
	if exit := new(process.ExitError); e.Entry && errors.As(err, exit) && exit.Code == status.Usage.Exit() {
		a.output.buffer.Reset() // the user does not have the entry
		return nil
	}
	if err == nil && a.output.cut {
		err = fmt.Errorf("only the first %d KB are shown", a.output.buffer.Len()>>10)
	}
	return err
}

// relay writes the output of one user's process to w, line by line.
func (e Errand) relay(w io.Writer, a *answer) (sum int, err error) {
	defer func() { a.output.buffer = bytes.Buffer{} }()
	if a.output.buffer.Len() == 0 {
		return 0, nil
	}
	name := process.UserName(a.UID)
	switch e.Shape {
	case Number:
		return a.number(), nil
	case Text:
		_, err = fmt.Fprintf(w, "(user %s)\n", name)
	}
	for err == nil {
		line, end := a.output.buffer.ReadString('\n')
		switch e.Shape {
		case JSON:
			err = relayEntry(w, line, name, a.UID)
		case Overviews:
			err = relayOverview(w, line, name, a.Queue != "")
		default:
			line = status.Printable(strings.TrimRight(line, "\r\n"))
			if a.faulty() && (strings.HasPrefix(line, "runtime: ") || strings.HasPrefix(line, "fatal error: ")) {
				return 1, nil
			}
			if strings.HasPrefix(line, "(user ") {
				line = ""
			} else if line != "" || end == nil {
				line += "\n"
			}
			_, err = io.WriteString(w, line)
		}
		if end != nil {
			break
		}
	}
	return 1, err
}

// faulty reports whether the Go runtime has ended the process, for example because it had
// no memory left. The output then has the stacks of all goroutines.
func (a *answer) faulty() bool {
	const byGo = 2
	exit := process.ExitError{}
	return errors.As(a.err, &exit) && exit.Code == byGo
}

// number returns how many entries a user has, at most 999999999; 0 if the answer has no
// number.
func (a *answer) number() (n int) {
	fmt.Sscanf(a.output.buffer.String(), "%9d", &n)
	return max(n, 0)
}

// relayEntry writes a line if it is an entry, and sets its user.
func relayEntry(w io.Writer, line, user string, uid int) error {
	var l listedEntry
	err := json.Unmarshal([]byte(line), &l)
	if _, ok := queue.ParseID(string(l.ID)); !ok || err != nil || l.State != stateQueued && l.State != stateFailed {
		return nil
	}
	l.User, l.UID = user, uid
	return status.WriteJSON(w, l)
}

// relayOverview writes a line if it is an Overview, and sets whose it is.
func relayOverview(w io.Writer, line, user string, service bool) error {
	var o Overview
	if err := json.Unmarshal([]byte(line), &o); err != nil {
		return nil
	}
	o.User, o.Service = user, service
	return status.WriteJSON(w, &o)
}

// bounded keeps the first octets written to it and drops the rest. The buffer is not
// embedded, because its ReadFrom has no limit.
type bounded struct {
	buffer      bytes.Buffer
	share, most int           // octets: reserved for this output, and the limit for it
	pool        *atomic.Int64 // octets that all outputs share, first come, first served
	cut         bool          // something was dropped
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.cut {
		return len(p), nil
	}
	n := min(len(p), b.most-b.buffer.Len())
	if shared := n - max(0, b.share-b.buffer.Len()); shared > 0 {
		if lack := -b.pool.Add(int64(-shared)); lack > 0 {
			lack = min(lack, int64(shared))
			b.pool.Add(lack)
			n -= int(lack)
		}
	}
	b.buffer.Write(p[:n])
	b.cut = n < len(p)
	return len(p), nil
}

// maxErrors is how many errors joinFew shows.
const maxErrors = 10

// joinFew joins the first maxErrors errors, and counts the rest.
func joinFew(errs []error) error {
	if more := len(errs) - maxErrors; more > 0 {
		errs = append(errs[:maxErrors], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}
