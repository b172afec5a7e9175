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

// Root sees and runs the queues of all users, but never reads or writes in one:
// for each a process of our own becomes that user and does it.
//
//	root  mailq, -q, --queue-show … ── uid 1000 ── sendoff --queue-as=1000 -bp
//	                                └─ uid 1001 ── …
//
// What such a process says may be the user's own invention: it is bounded, in
// memory and time for all users together, and read before it is written.

// An Errand is what root has done in the queue of each other user.
type Errand struct {
	Args  []string // the options for it
	Shape Shape
	Sends bool // mail; else the process is killed when its time is over
	Entry bool // it is about one entry, which most users have not

	Patience time.Duration // for how long it keeps another user waiting; 0: to its end
}

// A Shape is the form in which an errand is answered.
type Shape uint8

const (
	Text Shape = iota
	JSON       // an entry a line, as ListJSON writes it
	Number
	Overviews // as StatusJSON writes them
)

// Bounds of the time of a user's process, and of that of all users together.
// Uids that no passwd entry has may be anybody's who has subordinate ones, any
// number of them: these have little time together, in an order left to chance.
const (
	listTime    = 20 * time.Second
	listEnd     = 5 * time.Minute
	runTime     = 30 * time.Minute
	runEnd      = time.Hour
	unknownTime = time.Minute
	unknownEnd  = 10 * time.Minute

	tendTime = 4 * time.Minute // with patience, of each and of all

	knownAtOnce   = 8
	unknownAtOnce = 2

	// lastWords is how long a process may go on that is told to end while it sends:
	// the answer to a message that is all sent is worth a minute.
	lastWords = 65 * time.Second
)

// Bounds of what users' processes may say, in octets. Each known user has a share
// of half of maxSaid, and more as long as the other half lasts; the others have
// something together.
const (
	maxSaid     = 64 << 20
	maxOne      = 16 << 20
	maxUnknown  = 256 << 10
	maxUnknowns = 4 << 20
)

// A saying is what a user's process has said, and how it ended.
type saying struct {
	queue.User
	said bounded
	err  error
}

// EachUser does e in the queues of all users but root, several at once, and writes
// what they say to w, with what could act on a terminal replaced. The sum is that
// of the numbers, or how many users have said something. warn hears of names in
// the folder of all queues that are no user's.
func EachUser(ctx context.Context, w io.Writer, e Errand, warn func(string)) (sum int, err error) {
	users, odd := queue.Users()
	if odd != nil {
		warn(odd.Error())
	}
	if err := spool.CanServe(users); err != nil {
		return 0, err
	}
	if e.Sends {
		var expired []queue.User
		users, expired = valid(users)
		for _, text := range waitingOf(ctx, expired) {
			warn(text)
		}
	}
	answers := e.ask(ctx, users)
	var failures []error
	for i := range answers {
		a := &answers[i]
		n, err := e.relay(w, a)
		sum += n
		if err != nil {
			return sum, err // nobody reads it
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

// ask does e for each of users, and returns their answers in the same order.
func (e Errand) ask(ctx context.Context, users []queue.User) []saying {
	answers := make([]saying, len(users))
	known, unknown := newCrowd(e, knownAtOnce), newCrowd(e, unknownAtOnce)
	unknown.limit, unknown.end = min(known.limit, unknownTime), time.Now().Add(unknownEnd)
	known.pool.Store(maxSaid / 2)
	unknown.pool.Store(maxUnknowns)
	isKnown := make([]bool, len(users))
	n := 0
	for i, u := range users {
		if isKnown[i] = process.IsKnown(u.UID); isKnown[i] {
			n++
		}
	}
	share := maxSaid / 2 / max(1, n)
	var all sync.WaitGroup
	for _, i := range rand.Perm(len(users)) {
		a, c := &answers[i], known
		a.User, a.said = users[i], bounded{own: share, most: max(share, maxOne)}
		if !isKnown[i] {
			c, a.said = unknown, bounded{most: maxUnknown}
		}
		a.said.pool = &c.pool
		all.Go(func() {
			c.places <- true
			leave := sync.OnceFunc(func() { <-c.places })
			if e.Patience > 0 {
				time.AfterFunc(e.Patience, leave)
			}
			a.err = c.run(ctx, e, a)
			leave()
		})
	}
	all.Wait()
	return answers
}

// A crowd is users who share time and memory.
type crowd struct {
	places chan bool
	limit  time.Duration // of each
	end    time.Time     // of all
	pool   atomic.Int64
}

func newCrowd(e Errand, places int) *crowd {
	c := &crowd{places: make(chan bool, places), limit: listTime, end: time.Now().Add(listEnd)}
	if e.Sends {
		c.limit, c.end = runTime, time.Now().Add(runEnd)
	}
	if e.Patience > 0 {
		c.limit, c.end = tendTime, time.Now().Add(tendTime)
	}
	return c
}

// run runs the process of one user.
func (c *crowd) run(ctx context.Context, e Errand, a *saying) error {
	left := min(c.limit, time.Until(c.end))
	if left <= 0 || ctx.Err() != nil {
		return errors.New("no time was left to read it")
	}
	child := process.Child{UID: a.UID, Args: e.Args, Errors: e.Shape == Text, Limit: left}
	if e.Sends {
		child.Grace = lastWords
	}
	err := child.Run(ctx, &a.said)
	if exit := new(process.ExitError); e.Entry && errors.As(err, exit) && exit.Code == status.Usage.Exit() {
		a.said.kept.Reset() // it is not there
		return nil
	}
	if err == nil && a.said.cut {
		err = fmt.Errorf("only the first %d KB are shown", a.said.kept.Len()>>10)
	}
	return err
}

// relay writes what the process of one user has said, line by line.
func (e Errand) relay(w io.Writer, a *saying) (sum int, err error) {
	defer func() { a.said.kept = bytes.Buffer{} }()
	if a.said.kept.Len() == 0 {
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
		line, end := a.said.kept.ReadString('\n')
		switch e.Shape {
		case JSON:
			err = relayEntry(w, line, name, a.UID)
		case Overviews:
			err = relayOverview(w, line, name)
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

// faulty reports whether Go's runtime has ended the process, as where there was no
// memory left. It says so with all that the process was doing.
func (a *saying) faulty() bool {
	const byGo = 2
	exit := process.ExitError{}
	return errors.As(a.err, &exit) && exit.Code == byGo
}

// number is how many entries a user has. A billion is no number of entries.
func (a *saying) number() (n int) {
	fmt.Sscanf(a.said.kept.String(), "%9d", &n)
	return max(n, 0)
}

// relayEntry writes a line that is an entry, and says whose the entry is.
func relayEntry(w io.Writer, line, user string, uid int) error {
	var l listed
	err := json.Unmarshal([]byte(line), &l)
	if _, ok := queue.ParseID(string(l.ID)); !ok || err != nil || l.State != stateQueued && l.State != stateFailed {
		return nil
	}
	l.User, l.UID = user, uid
	return status.WriteJSON(w, l)
}

// relayOverview writes a line that is an Overview, and says whose the Overview is.
func relayOverview(w io.Writer, line, user string) error {
	var o Overview
	if err := json.Unmarshal([]byte(line), &o); err != nil {
		return nil
	}
	o.User = user
	return status.WriteJSON(w, &o)
}

// bounded keeps so many octets, and drops the rest. The buffer is not embedded: it
// has a way to read without a bound.
type bounded struct {
	kept      bytes.Buffer
	own, most int           // octets: that are there for it alone, and in all
	pool      *atomic.Int64 // those that are there for whoever comes first
	cut       bool          // something was dropped
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.cut {
		return len(p), nil
	}
	n := min(len(p), b.most-b.kept.Len())
	if shared := n - max(0, b.own-b.kept.Len()); shared > 0 {
		if lack := -b.pool.Add(int64(-shared)); lack > 0 {
			lack = min(lack, int64(shared))
			b.pool.Add(lack)
			n -= int(lack)
		}
	}
	b.kept.Write(p[:n])
	b.cut = n < len(p)
	return len(p), nil
}

// maxErrors is how many errors of the same kind are said.
const maxErrors = 10

// joinFew joins the first errors, and counts the rest.
func joinFew(errs []error) error {
	if more := len(errs) - maxErrors; more > 0 {
		errs = append(errs[:maxErrors], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}
