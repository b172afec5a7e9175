package mailq

import (
	"context"
	"fmt"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// Root's timer waits for no user's mail:
//
//	sendoff --queue-run=5m ─┬─ sendoff-queue@UID.service, for a known user who has mail
//	                        └─ sendoff --queue-tend: who has no passwd entry, or all
//	                           where there is no systemd

// valid parts users, without root, by whether their accounts have expired.
func valid(users []queue.User) (valid, expired []queue.User) {
	out := process.Expired(time.Now())
	for _, u := range users {
		if out[u.UID] {
			expired = append(expired, u)
		} else {
			valid = append(valid, u)
		}
	}
	return valid, expired
}

// countErrand asks how many entries users have.
var countErrand = Errand{Args: []string{"-bP"}, Shape: Number}

// LockedOut says, for root, for which users' mail nothing is done, because their
// accounts have expired.
func LockedOut(ctx context.Context) []string {
	users, _ := queue.Users()
	_, expired := valid(users)
	return waitingOf(ctx, expired)
}

func waitingOf(ctx context.Context, expired []queue.User) (texts []string) {
	for _, a := range countErrand.ask(ctx, expired) {
		if n := a.number(); n > 0 {
			texts = append(texts, fmt.Sprintf("the account of user %[1]s has expired, so %[2]d message%[3]s will stay in the queue; to renew it: sudo chage -E -1 %[1]s", process.UserName(a.UID), n, status.Plural(n)))
		}
	}
	return texts
}

// StartEach has the queue of each other user run, and waits for none. Where all that
// we start ends with us, as in some containers, lasts is false; then tend has to be
// called, if it is not nil, which takes a while. warn hears of users whose mail waits
// because their accounts have expired. Odd names in the folder are for lists to tell.
func StartEach(ctx context.Context, lasts bool, warn func(text string)) (tend func(), err error) {
	users, _ := queue.Users()
	if err := spool.CanServe(users); err != nil {
		return nil, err
	}
	users, expired := valid(users)
	for _, text := range waitingOf(ctx, expired) {
		warn(text)
	}
	units, rest := byUnit(users)
	if len(rest) > 0 && !lasts {
		tend = func() { Tend(ctx) }
	} else if len(rest) > 0 {
		if _, err := process.Start("--queue-tend"); err != nil {
			return nil, status.Temporary.Wrap(err)
		}
	}
	var failures []error
	for _, a := range countErrand.ask(ctx, units) {
		if a.err == nil && a.number() == 0 {
			continue
		}
		if err := spool.Systemctl(ctx, "start", "--no-block", fmt.Sprintf("sendoff-queue@%d.service", a.UID)); err != nil {
			failures = append(failures, err)
		}
	}
	return tend, status.Temporary.Wrap(joinFew(failures))
}

// byUnit parts users by whether a unit runs their queue.
func byUnit(users []queue.User) (units, rest []queue.User) {
	if !spool.HasUserUnit() {
		return nil, users
	}
	for _, u := range users {
		if process.IsKnown(u.UID) {
			units = append(units, u)
		} else {
			rest = append(rest, u)
		}
	}
	return units, rest
}

// Tend runs the queues of the users that StartEach leaves to it. Nobody is kept
// waiting for long by one whose mail takes long.
func Tend(ctx context.Context) error {
	users, _ := queue.Users()
	users, _ = valid(users)
	_, users = byUnit(users)
	run := Errand{Args: []string{"--queue-run"}, Sends: true, Patience: 10 * time.Second}
	run.ask(ctx, users)
	return nil
}
