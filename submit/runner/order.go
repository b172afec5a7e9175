package runner

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"time"

	"sendoff/submit/queue"
	"sendoff/submit/spool"
)

// A process that wants entries tried now leaves that to the runner of the queue, if there
// is one: the runner may have secrets and sessions that the process has not.
//
//	-q, --queue-retry                  the runner
//	write the order ───────────────>   look: the wanted entries are due now
//	                  <─────────────   note in the order that it is taken
//	wait                               try the entries
//	                  <─────────────   remove the order
//	look what has become of them
//
// The order is a text in the state folder: a token, and the IDs of the entries, or none
// for all. If no runner takes the order in time, the process tries the entries itself.

const (
	orderState = "order"
	orderLock  = "ordering"      // the lock of the process whose order it is
	orderTime  = 5 * time.Second // for a runner to take the order
	orderPoll  = 20 * time.Millisecond
	orderTaken = " taken" // ends the token of an order that a runner has taken
)

// order has the runner of the queue try the selected entries now, and waits until it has.
// It reports false if no runner does that.
func (r *Runner) order(ctx context.Context, selection Selection) (o Outcome, ok bool) {
	state := r.s.Queue.State
	if running, err := state.Locked(spool.RunnerLock); !running || err != nil {
		return o, false
	}
	release, err := state.LockWithin(orderLock, orderTime)
	if err != nil {
		return o, false
	}
	defer release()
	var wanted []string
	for e, err := range r.s.Queue.Entries() {
		if err == nil && (selection.Match == nil || selection.Match(e)) {
			wanted = append(wanted, string(e.ID))
		}
	}
	token, text := rand.Text(), wanted
	if selection.Match == nil {
		text = nil // they may be too many for a state
	}
	if len(wanted) > 0 {
		if r.s.Smarthosts.Secrets.Store.Interactive {
			r.s.Throttle().Allow()
		}
		if state.Write(orderState, []byte(strings.Join(append([]string{token}, text...), "\n"))) != nil {
			return o, false
		}
		defer state.Write(orderState, nil)
		if !r.awaitOrder(ctx, token) {
			return o, false
		}
	}
	return r.became(wanted), true
}

// awaitOrder waits until the runner has removed the order with that token. It reports
// false if no runner has taken the order, or will.
func (r *Runner) awaitOrder(ctx context.Context, token string) bool {
	state, begun := r.s.Queue.State, time.Now()
	for {
		line, _, _ := bytes.Cut(state.Read(orderState), []byte("\n"))
		name, taken := strings.CutSuffix(string(line), orderTaken)
		if name != token {
			return true
		}
		running, err := state.Locked(spool.RunnerLock)
		if !running || err != nil || !taken && time.Since(begun) > orderTime {
			return false
		}
		select {
		case <-ctx.Done():
			return true // whoever wanted it does not any more
		case <-time.After(orderPoll):
		}
	}
}

// became returns what has become of the entries with these IDs.
func (r *Runner) became(ids []string) (o Outcome) {
	left, _ := r.s.Queue.IDs()
	o.Left = len(left)
	for _, id := range ids {
		e, err := r.s.Queue.Read(queue.ID(id))
		switch {
		case err == queue.ErrGone && r.s.Queue.FailedAt(queue.ID(id)).IsZero():
			o.Sent++
		case err == queue.ErrGone, err == nil && !e.Notice.IsZero():
			o.GivenUp++
		}
	}
	return o
}

// An order is one that a runner has taken.
type order struct {
	token string
	ids   map[queue.ID]bool
	begun bool // the look that makes the entries due is over
}

// takeOrder takes the order of another process, if there is a new one. all are the IDs of
// the queue. The caller holds r.mu.
func (r *run) takeOrder(all []queue.ID) {
	if !r.takesOrders || r.ordered != nil {
		return
	}
	token, ids, named := strings.Cut(string(r.s.Queue.State.Read(orderState)), "\n")
	if token == "" || strings.HasSuffix(token, orderTaken) {
		return
	}
	r.ordered = &order{token: token, ids: make(map[queue.ID]bool)}
	if !named {
		for _, id := range all {
			r.ordered.ids[id] = true
		}
	}
	for id := range strings.FieldsSeq(ids) {
		r.ordered.ids[queue.ID(id)] = true
	}
	r.s.Log.Fault(r.s.Queue.State.Write(orderState, []byte(token+orderTaken)))
	for id, entry := range r.known {
		if !entry.inGroup && r.wants(id) {
			delete(r.known, id) // another process may have changed it
		}
	}
}

// isOrdering reports whether this look begins to carry out an order.
func (r *run) isOrdering() bool { return r.ordered != nil && !r.ordered.begun }

// wants reports whether an order that this look begins to carry out has the entry.
func (r *run) wants(id queue.ID) bool { return r.isOrdering() && r.ordered.ids[id] }

// isOrdered reports whether the order that this run carries out has the entry.
func (r *run) isOrdered(id queue.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ordered != nil && r.ordered.ids[id]
}

// endOrder removes the order when all its entries were tried that could be. The caller holds
// r.mu.
func (r *run) endOrder() {
	if r.ordered == nil {
		return
	}
	r.ordered.begun = true
	for id, entry := range r.known {
		if entry.inGroup && r.ordered.ids[id] {
			return
		}
	}
	if string(r.s.Queue.State.Read(orderState)) == r.ordered.token+orderTaken {
		r.s.Log.Fault(r.s.Queue.State.Write(orderState, nil))
	}
	r.ordered = nil
}
