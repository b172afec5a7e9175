//go:build !race && unix

package runner

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/mailq"
	"sendoff/submit/submittest"
)

// TestRunnerRestsWithoutName tests that the runner sleeps while the server of an account
// that is in no configuration file is down.
func TestRunnerRestsWithoutName(t *testing.T) {
	for name, by := range map[string]config.Choice{
		"--server":       {CommandLine: config.Override{Server: "smtp+plain://127.0.0.1:25"}},
		"SENDOFF_SERVER": {Environment: config.Override{Server: "smtp+plain://127.0.0.1:25"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &submittest.Post{Up: func() bool { return false }}
				s := office(t, p)
				loads := 0
				s.Load = func(config.Override) (*config.Config, error) { loads++; return s.Config, nil }
				postpone(t, s.Submitter, by, "From: ann@example.org\nSubject: x\n\nbody\n")
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := s.UntilEmpty(ctx); err != nil {
					t.Fatal(err)
				}
				if len(p.Dials) < 4 || len(p.Dials) > 10 || loads > 3*len(p.Dials) {
					t.Errorf("%d sessions, for which the configuration was read %d times", len(p.Dials), loads)
				}
			})
		})
	}
}

// TestBusyEntryStopsNoOther tests that an entry which another process has claimed does
// not stop other entries, and is not noted as the account's fault.
func TestBusyEntryStopsNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &submittest.Post{}
		s := office(t, p)
		first := postpone(t, s.Submitter, config.Choice{}, "From: ann@example.org\nSubject: first\n\nbody\n")
		postpone(t, s.Submitter, config.Choice{}, "From: ann@example.org\nSubject: second\n\nbody\n")
		c, err := s.Queue.Claim(first.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, n, err := s.Run(t.Context(), Selection{}); err != nil || n != 1 || len(p.Mails) != 1 || !strings.Contains(p.Mails[0], "second") {
			t.Errorf("%d left, %q taken: %v", n, p.Mails, err)
		}
		var b strings.Builder
		if _, err := mailq.List(&b, s.Queue, ""); err != nil || strings.HasPrefix(b.String(), "(") {
			t.Errorf("%v\n%s", err, b.String())
		}
		c.Release()
		if err := s.UntilEmpty(t.Context()); err != nil || len(p.Mails) != 2 {
			t.Errorf("%d taken: %v", len(p.Mails), err)
		}
	})
}

// TestNotifyCommandOfTheEntry tests that the notify-command for an entry that was given
// up comes from the entry's configuration, not from that of the runner.
func TestNotifyCommandOfTheEntry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := office(t, &submittest.Post{Rcpt: func(string) string { return "550 5.1.1 no such user" }})
		told := filepath.Join(t.TempDir(), "told")
		c := *s.Config
		c.NotifyCommand = "touch " + told
		s.Load = func(config.Override) (*config.Config, error) { return &c, nil }
		e := postpone(t, s.Submitter, config.Choice{}, "Subject: x\n\nbody\n")
		claim, err := s.Queue.Claim(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		claim.Sender = &envelope.Address{} // the null sender gets no notice
		if err := claim.Update(); err != nil {
			t.Fatal(err)
		}
		claim.Release()
		if err := s.UntilEmpty(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, failed := submittest.Left(t, s.Submitter); failed != 1 {
			t.Errorf("%d failed", failed)
		}
		if _, err := os.Stat(told); err != nil {
			t.Error(err)
		}
	})
}
