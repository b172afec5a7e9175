package runner

import (
	"context"
	"testing"
	"time"

	"sendoff/submit"
	"sendoff/submit/smarthost"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// A user has a queue, and a Runner for it.
type user struct {
	*submit.Submitter
	*Runner
}

// office returns a user whose accounts have the server p.
func office(t *testing.T, p *submittest.Post) *user {
	t.Helper()
	s := submittest.Office(t, p)
	s.Unwritten = new(throttle.Unwritten)
	return &user{s, New(s)}
}

// another returns another process of the same user.
func (u *user) another() *user {
	s := *u.Submitter
	s.Unwritten, s.Smarthosts = new(throttle.Unwritten), s.Smarthosts.Clone()
	return &user{&s, New(&s)}
}

// Run makes a pass.
func (u *user) Run(ctx context.Context, which Selection) (next time.Time, left int, err error) {
	o, err := u.Pass(ctx, which)
	return o.Next, o.Left, err
}

// send submits a message to the account work.
func send(t *testing.T, u *user, to ...string) error {
	t.Helper()
	return submittest.Submit(t, u.Submitter, to...)
}

// sendAlong submits a message, and then calls Along as a caller does.
func sendAlong(t *testing.T, u *user, to ...string) error {
	t.Helper()
	if !TakesAlong(u.Submitter, &submit.Request{Account: u.Config.Accounts[0]}) {
		t.Error("nothing may go along")
	}
	u.Smarthosts.Idle = new(smarthost.Idle)
	defer u.Smarthosts.Idle.Close()
	err := send(t, u, to...)
	if err := u.Along(t.Context(), u.Config.Accounts[0], u.Smarthosts.Idle); err != nil {
		t.Error(err)
	}
	return err
}

// after returns a function that waits for d before it returns the reply.
func after(d time.Duration, reply string) func() string {
	return func() string {
		time.Sleep(d)
		return reply
	}
}
