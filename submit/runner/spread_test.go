//go:build unix

package runner

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/queue"
	"sendoff/submit/submittest"
)

// slowly makes notify-command wait until a file exists, and then write its events to
// another file. It returns the first file's name, and a function that reads the events.
func slowly(t *testing.T, s *user) (gate string, events func() []string) {
	t.Helper()
	dir := t.TempDir()
	gate = filepath.Join(dir, "gate")
	text := "#!/bin/sh\necho x >>" + dir + "/begun\nwhile [ -e " + dir + "/begun ] && [ ! -e " + gate + " ]; do sleep 0.05; done\necho $SENDOFF_EVENT >>" + dir + "/told\n"
	if err := os.WriteFile(filepath.Join(dir, "tell"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Config.NotifyCommand = "sh " + filepath.Join(dir, "tell")
	return gate, func() []string {
		if _, err := os.Stat(filepath.Join(dir, "begun")); err != nil {
			return nil
		}
		text, _ := os.ReadFile(filepath.Join(dir, "told"))
		return append([]string{"begun"}, strings.Fields(string(text))...)
	}
}

// withoutNotice puts an entry into the queue whose sender gets no notice.
func withoutNotice(t *testing.T, s *user) {
	t.Helper()
	claim, err := s.Queue.Claim(postpone(t, s.Submitter, config.Choice{}, "Subject: x\n\nbody\n").ID)
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Release()
	claim.Sender = &envelope.Address{}
	if err := claim.Update(); err != nil {
		t.Fatal(err)
	}
}

// until waits until a condition is true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 500 {
		if is() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(what)
}

// TestSlowCommand tests that mail of the account does not wait for notify-command, and
// that a runner which ends meanwhile still tells each event.
func TestSlowCommand(t *testing.T) {
	p := &submittest.Post{Rcpt: func(to string) string {
		if strings.Contains(to, "bob@") {
			return "550 5.1.1 no such user"
		}
		return "250 ok"
	}}
	s := quick(t, p)
	gate, events := slowly(t, s)
	withoutNotice(t, s)
	withoutNotice(t, s)
	process, c, a := *s, *s.Config, *s.Config.Accounts[0]
	a.Deliver = config.DeliverQueue
	c.Accounts, process.Config = []*config.Account{&a}, &c
	ended := make(chan error, 1)
	go func() { ended <- s.UntilEmpty(t.Context()) }()
	until(t, "no command ran", func() bool { return len(events()) > 0 })
	if err := send(t, &process, "carol@example.net"); err != nil {
		t.Fatal(err)
	}
	until(t, "mail waits for the command", func() (sent bool) {
		p.Count(func() { sent = len(p.Mails) == 1 })
		return sent
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(events(), " "); got != "begun failed failed" {
		t.Errorf("told %s", got)
	}
}

// TestSlowCommandAtTheEnd tests that a process that must end waits for one command at
// most.
func TestSlowCommandAtTheEnd(t *testing.T) {
	s := quick(t, &submittest.Post{Rcpt: func(string) string { return "550 5.1.1 no such user" }})
	gate, events := slowly(t, s)
	for range 4 {
		withoutNotice(t, s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.UntilEmpty(ctx) }()
	until(t, "no command ran", func() bool { return len(events()) > 0 })
	until(t, "not all have failed", func() bool { _, failed := submittest.Left(t, s.Submitter); return failed == 4 })
	cancel()
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(events(), " "); got != "begun failed" {
		t.Errorf("told %s", got)
	}
}

// TestFailedAlong tests that a person is told of an entry that was given up in the
// session of a new message.
func TestFailedAlong(t *testing.T) {
	p := &submittest.Post{Rcpt: func(to string) string {
		if strings.Contains(to, "bob@") {
			return "550 5.1.1 no such user"
		}
		return "250 ok"
	}}
	s := quick(t, p)
	s.Spool.Runner, s.Start = "on", nil // nothing runs the queue
	gate, events := slowly(t, s)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	withoutNotice(t, s)
	if err := sendAlong(t, s, "carol@example.net"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(events(), " "); got != "begun failed" {
		t.Errorf("told %s", got)
	}
}

// postpone queues a message whose account is in no configuration file, as with --server
// and SENDOFF_SERVER.
func postpone(t *testing.T, s *submit.Submitter, by config.Choice, text string) *queue.Entry {
	t.Helper()
	r := submittest.Request(t, s.Config.Accounts[0], nil, text, "bob@example.net")
	defer r.Message.Close()
	account := *r.Account
	account.File = ""
	r.Account, r.By = &account, by
	r.QueueOnly = true
	if err := s.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	c, err := s.Queue.Claim(r.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	c.Next = time.Now()
	if err := c.Update(); err != nil {
		t.Fatal(err)
	}
	return c.Entry
}

// TestTakesAlongLater checks that a message which is only queued takes no entry along: there
// is no session, and nobody should read the queue for that.
func TestTakesAlongLater(t *testing.T) {
	s := quick(t, new(submittest.Post))
	s.Spool.Runner, s.Start = "on", nil // nothing runs the queue
	postpone(t, s.Submitter, config.Choice{}, "Subject: x\n\ntext\n")
	now, queue, background := *s.Config.Accounts[0], *s.Config.Accounts[0], *s.Config.Accounts[0]
	now.Deliver, queue.Deliver, background.Deliver = config.DeliverNow, config.DeliverQueue, config.DeliverBackground
	for _, tt := range []struct {
		r    submit.Request
		want bool
	}{
		{submit.Request{Account: &now}, true},
		{submit.Request{Account: &now, QueueOnly: true}, false},
		{submit.Request{Account: &queue}, false},
		{submit.Request{Account: &background}, false},
	} {
		if got := TakesAlong(s.Submitter, &tt.r); got != tt.want {
			t.Errorf("deliver = %q, QueueOnly %t: %t", tt.r.Account.Deliver, tt.r.QueueOnly, got)
		}
	}
}
