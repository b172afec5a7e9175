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

// Root's timer starts the runs of all users, and waits for none:
//
//	sendoff --queue-run=5m ─┬─ sendoff-queue@UID.service, for a known user who has mail
//	                        └─ sendoff --queue-tend: for users without a passwd entry; for
//	                           all users if there is no systemd

// byExpiry separates the users whose accounts have expired from the others.
func byExpiry(users []queue.User) (valid, expired []queue.User) {
	expiredUIDs := process.Expired(time.Now())
	for _, u := range users {
		if expiredUIDs[u.UID] {
			expired = append(expired, u)
		} else {
			valid = append(valid, u)
		}
	}
	return valid, expired
}

// countErrand asks each user's process for the number of entries.
var countErrand = Errand{Args: []string{"-bP"}, Shape: Number}

// LockedOut returns, for root, a text for each user whose mail stays in the queue because
// the user's account has expired.
func LockedOut(ctx context.Context) []string {
	users, _ := queue.Users()
	_, expired := byExpiry(users)
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

// StartEach starts a run of the queue of each other user, and does not wait for the runs. In
// some containers the processes that we start end with us: then lasts is false, and the
// caller has to call runOthers if it is not nil; it takes as long as the runs. warn is called
// for each user whose mail waits because the account has expired. Unknown names in the
// folder of queues are ignored: lists report them.
func StartEach(ctx context.Context, lasts bool, warn func(text string)) (runOthers func(), err error) {
	users, _ := queue.Users()
	if err := spool.CanServe(users); err != nil {
		return nil, err
	}
	users, expired := byExpiry(users)
	for _, text := range waitingOf(ctx, expired) {
		warn(text)
	}
	units, others := byUnit(users)
	if len(others) > 0 && !lasts {
		runOthers = func() { RunOthers(ctx) }
	} else if len(others) > 0 {
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
	return runOthers, status.Temporary.Wrap(joinFew(failures))
}

// byUnit separates the users for whom systemd has a unit from the others.
func byUnit(users []queue.User) (units, others []queue.User) {
	if !spool.HasUserUnit() {
		return nil, users
	}
	for _, u := range users {
		if process.IsKnown(u.UID) {
			units = append(units, u)
		} else {
			others = append(others, u)
		}
	}
	return units, others
}

// RunOthers runs the queues of the users for whom StartEach starts no unit. A user whose run
// takes long delays the next user at most for Patience.
func RunOthers(ctx context.Context) error {
	users, _ := queue.Users()
	users, _ = byExpiry(users)
	_, users = byUnit(users)
	run := Errand{Args: []string{"--queue-run"}, Sends: true, Patience: 10 * time.Second}
	run.ask(ctx, users)
	return nil
}
