package throttle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// account returns an account of a configuration file.
func account(t *testing.T, name string) *config.Account {
	t.Helper()
	a := &config.Account{Name: name, File: "config.toml", User: name}
	if err := a.Servers.UnmarshalText([]byte("smtps://" + name + ".example")); err != nil {
		t.Fatal(err)
	}
	return a
}

// open returns a Throttle with a queue and a configuration of their own.
func open(t *testing.T) *Throttle {
	t.Helper()
	q, err := queue.Open(filepath.Join(t.TempDir(), "queue"), os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	return New(q, config.Default(), new(Unwritten))
}

// pass changes the times in an account's files as if a time had passed.
func pass(t *testing.T, l *Throttle, key string, by time.Duration) {
	t.Helper()
	f := l.Fault(key)
	f.At, f.Next, f.Since = f.At.Add(-by), f.Next.Add(-by), f.Since.Add(-by)
	if err := l.setFault(key, f); err != nil {
		t.Fatal(err)
	}
}

// TestOtherFaultsWhileResting tests that the wait after a failed login is shortened
// neither by another fault of the account, nor by two processes with different wrong
// secrets.
func TestOtherFaultsWhileResting(t *testing.T) {
	l, a := open(t), account(t, "work")
	secret := func(text string) credential.Secret {
		x, err := credential.NewSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	one, other := secret("one"), secret("other")
	rests := func(x credential.Secret) bool {
		return l.Refused(a, func() (credential.Secret, error) { return x, nil }) != nil
	}
	failed := func(err error, secret *credential.Secret) {
		t.Helper()
		if err := l.Note(Key(a), a.Name, err, secret); err != nil {
			t.Fatal(err)
		}
	}
	failed(status.AuthFailed.Errorf("535 no"), &one)
	failed(status.Credential.Errorf("no secret here"), nil)
	failed(status.AuthFailed.Errorf("535 no"), &other)
	failed(status.Connection.Errorf("nobody there"), nil)
	if !rests(one) || !rests(other) || rests(secret("a third")) {
		t.Errorf("%v %v %v", rests(one), rests(other), rests(secret("a third")))
	}
	if f := l.Fault(Key(a)); !strings.Contains(f.Reason, "535") {
		t.Errorf("%+v", f)
	}
	if err := l.Rest(a); !errors.As(err, new(*TooSoon)) {
		t.Errorf("Rest: %v", err)
	}
	pass(t, l, Key(a), 3*time.Hour)
	failed(status.Connection.Errorf("nobody there"), nil)
	if f := l.Fault(Key(a)); f.Login || rests(one) || l.Rest(a) != nil {
		t.Errorf("after the rest: %+v", f)
	}
}

// TestWorksEndsFaults tests that Works forgets the faults of a server that the account
// had before, but no limit.
func TestWorksEndsFaults(t *testing.T) {
	l, a := open(t), account(t, "work")
	limited := account(t, "work")
	limited.User = "another"
	failures := errors.Join(
		l.Note("0123", "work", status.Connection.Errorf("connect to old:25: refused"), nil),
		l.Note("4567", "other", status.Connection.Errorf("connect to other:25: refused"), nil),
		l.Note(Key(a), a.Name, status.Connection.Errorf("connect to new:25: refused"), nil))
	if _, err := l.Met(limited, status.Limited.Errorf("450 slow"), "x"); err != nil || failures != nil {
		t.Fatal(err, failures)
	}
	l.Works(a)
	left := make(map[string]bool)
	for _, f := range Faults(l.queue) {
		left[f.file] = true
	}
	if len(left) != 2 || !left["fault-4567"] || !left["fault-"+Key(limited)] {
		t.Errorf("left: %v", left)
	}
}

// TestLimitOfTheFuture tests that a limit with a time in the future, written by a wrong
// clock, is over when a message is taken.
func TestLimitOfTheFuture(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, 48 * time.Hour, 5 * 365 * 24 * time.Hour} {
		l, a := open(t), account(t, "work")
		then := time.Now().Add(by)
		if err := l.setFault(Key(a), &Fault{Account: a.Name, Limit: true, Failures: 1, Since: then, At: then, Next: then.Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		l.Taken(a, time.Now())
		if l.Limit(Key(a)) != nil {
			t.Errorf("the limit of %s from now is not over", by)
		}
	}
}

// TestFaultFile tests that a fault is read as it was written, and that an incomplete
// file is no fault.
func TestFaultFile(t *testing.T) {
	l := open(t)
	now := time.Now().UTC().Round(0)
	f := &Fault{Account: "work", Login: true, Limit: true, Reason: "535 no", Failures: 3, Since: now, At: now.Add(time.Second),
		Next: now.Add(time.Minute), MetBy: []string{"a", "b"}, Salt: "salt", Hash: []string{"c", "d"}, file: "fault-1"}
	if err := l.setFault("1", f); err != nil {
		t.Fatal(err)
	}
	if got := l.Fault("1"); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", f) {
		t.Errorf("read %+v, wrote %+v", got, f)
	}
	text := l.queue.State.Read("fault-1")
	if err := l.queue.State.Write("fault-1", text[:len(text)-1]); err != nil {
		t.Fatal(err)
	}
	if got := l.Fault("1"); got != nil {
		t.Errorf("a file that is cut is read as %+v", got)
	}
}

// TestUnwritten tests that this process remembers a fault that the disk does not take,
// and that Note returns the disk's error.
func TestUnwritten(t *testing.T) {
	l, a := open(t), account(t, "work")
	if err := os.MkdirAll(filepath.Join(l.queue.String(), "account", faultPrefix+Key(a), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Note(Key(a), a.Name, status.Connection.Errorf("nobody there"), nil); err == nil {
		t.Error("no error, though nothing can be written")
	}
	if f := l.Fault(Key(a)); f == nil || f.Failures != 1 {
		t.Errorf("fault: %+v", f)
	}
	if err := l.Note(Key(a), a.Name, fmt.Errorf("secret: %w", credential.Lacking("none")), nil); err != nil {
		t.Error(err)
	}
	if l.unwritten.Lack() == nil || !l.unwritten.LacksFor(Key(a)) || l.unwritten.LacksFor("other") {
		t.Error("the process does not know what it lacks")
	}
}

// TestNothingWithoutQueue tests that a nil Throttle holds nothing back.
func TestNothingWithoutQueue(t *testing.T) {
	l, a := New(nil, config.Default(), nil), account(t, "work")
	a.Rate = config.Rate{Messages: 1, Time: time.Minute}
	for range 3 {
		if err := l.Note(Key(a), a.Name, status.AuthFailed.Errorf("535 no"), new(credential.Secret)); err != nil {
			t.Error(err)
		}
		if rests, err := l.Met(a, status.Limited.Errorf("450 slow"), "x"); rests || err != nil {
			t.Error(rests, err)
		}
	}
	if err := errors.Join(l.Rest(a), l.Pace(a, true), l.Pace(a, true)); err != nil {
		t.Error(err)
	}
	if _, err := l.Slot(t.Context(), a, 0); err != nil {
		t.Error(err)
	}
	if done, err := l.Admit(a); err != nil {
		t.Error(err)
	} else {
		done()
	}
}
