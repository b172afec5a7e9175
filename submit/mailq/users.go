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

// The shapes.
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
	listTime     = 20 * time.Second
	listEnd      = 5 * time.Minute
	runTime      = 30 * time.Minute
	runEnd       = time.Hour
	strangerTime = time.Minute
	strangersEnd = 10 * time.Minute

	tendTime = 4 * time.Minute // with patience, of each and of all

	acquainted = 8 // at once
	strangers  = 2 // others at once

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
	maxStranger = 256 << 10
	maxStrange  = 4 << 20
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
	answers := e.ask(ctx, users, nil)
	var failures manyErrors
	for i := range answers {
		a := &answers[i]
		n, err := e.relay(w, a)
		sum += n
		if err != nil {
			return sum, err // nobody reads it
		}
		if a.faulty() {
			a.err = errors.New("it takes more memory than it may, or met a fault")
		}
		if a.err != nil && ctx.Err() == nil {
			failures.add(fmt.Errorf("queue of user %s: %w", process.UserName(a.UID), a.err))
		}
	}
	return sum, status.Temporary.Wrap(failures.join())
}

// ask does e for each of users, and calls each, if it is not nil, with each
// answer as it comes, one at a time.
func (e Errand) ask(ctx context.Context, users []queue.User, each func(*saying)) []saying {
	answers := make([]saying, len(users))
	known, unknown := newCrowd(e, acquainted), newCrowd(e, strangers)
	unknown.limit, unknown.end = min(known.limit, strangerTime), time.Now().Add(strangersEnd)
	known.pool.Store(maxSaid / 2)
	unknown.pool.Store(maxStrange)
	friends := make([]bool, len(users))
	n := 0
	for i, u := range users {
		if friends[i] = process.IsKnown(u.UID); friends[i] {
			n++
		}
	}
	share := maxSaid / 2 / max(1, n)
	var all sync.WaitGroup
	var one sync.Mutex
	for _, i := range rand.Perm(len(users)) {
		a, c := &answers[i], known
		a.User, a.said = users[i], bounded{own: share, most: maxOne}
		if !friends[i] {
			c, a.said = unknown, bounded{most: maxStranger}
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
			if each != nil {
				one.Lock()
				defer one.Unlock()
				each(a)
			}
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
		return errors.New("no time was left for it")
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
		err = fmt.Errorf("all but the first %d KB is not shown", a.said.kept.Len()>>10)
	}
	return err
}

// relay writes what the process of one user has said.
func (e Errand) relay(w io.Writer, a *saying) (sum int, err error) {
	defer func() { a.said.kept = bytes.Buffer{} }()
	if a.said.kept.Len() == 0 {
		return 0, nil
	}
	switch e.Shape {
	case Number:
		return a.number(), nil
	case JSON:
		return 1, relayJSON(w, a)
	case Overviews:
		return 1, relayStatus(w, a)
	}
	if _, err := fmt.Fprintf(w, "(user %s)\n", process.UserName(a.UID)); err != nil {
		return 0, err
	}
	for {
		line, end := a.said.kept.ReadString('\n')
		line = status.Printable(strings.TrimRight(line, "\r\n"))
		if a.faulty() && (strings.HasPrefix(line, "runtime: ") || strings.HasPrefix(line, "fatal error: ")) {
			return 1, nil
		}
		if strings.HasPrefix(line, "(user ") {
			line = ""
		} else if line != "" || end == nil {
			line += "\n"
		}
		if _, err := io.WriteString(w, line); err != nil || end != nil {
			return 1, err
		}
	}
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

// relayJSON writes those lines that are an entry, and says whose each of them is.
func relayJSON(w io.Writer, a *saying) error {
	name := process.UserName(a.UID)
	for {
		line, end := a.said.kept.ReadBytes('\n')
		l := listed{}
		err := json.Unmarshal(line, &l)
		if _, ok := queue.ParseID(string(l.ID)); ok && err == nil && (l.State == stateQueued || l.State == stateFailed) {
			l.User, l.UID = name, a.UID
			if err := status.WriteJSON(w, l); err != nil {
				return err
			}
		}
		if end != nil {
			return nil
		}
	}
}

// relayStatus writes those lines that are an Overview, and says whose each is.
func relayStatus(w io.Writer, a *saying) error {
	name := process.UserName(a.UID)
	for {
		line, end := a.said.kept.ReadBytes('\n')
		var o Overview
		if err := json.Unmarshal(line, &o); err == nil {
			o.User = name
			if err := o.JSON(w); err != nil {
				return err
			}
		}
		if end != nil {
			return nil
		}
	}
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
	for rest := p; len(rest) > 0; {
		if b.own == 0 && !b.refill() {
			b.cut = true
			break
		}
		n := min(len(rest), b.own)
		b.kept.Write(rest[:n])
		b.own -= n
		rest = rest[n:]
	}
	return len(p), nil
}

// refill takes a piece from the pool.
func (b *bounded) refill() bool {
	const piece = 64 << 10
	if b.kept.Len()+piece > b.most {
		return false
	}
	if b.pool.Add(-piece) < 0 {
		b.pool.Add(piece)
		return false
	}
	b.own = piece
	return true
}

// manyErrors keeps the first errors, and counts all.
type manyErrors struct {
	errs []error
	n    int
}

// maxErrors is how many errors of the same kind are said.
const maxErrors = 10

func (s *manyErrors) add(err error) {
	if s.n++; s.n <= maxErrors {
		s.errs = append(s.errs, err)
	}
}

func (s *manyErrors) join() error {
	if more := s.n - maxErrors; more > 0 {
		s.errs = append(s.errs, fmt.Errorf("and %d more", more))
	}
	return errors.Join(s.errs...)
}
