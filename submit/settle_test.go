//go:build unix

package submit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/outcome"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// TestPolicy holds what becomes of a recipient against the prose of settle.go, for
// every kind of failure, in the sendoff face, as sendmail and from the queue.
func TestPolicy(t *testing.T) {
	type verdicts [3]outcome.Verdict // sendoff, sendmail, queue
	all := map[status.Kind]verdicts{
		status.Bug:        {outcome.Refused, outcome.Refused, outcome.Waits},
		status.Config:     {outcome.Returned, outcome.Waits, outcome.Waits},
		status.AuthFailed: {outcome.Returned, outcome.Waits, outcome.Waits},
		status.Insecure:   {outcome.Returned, outcome.Waits, outcome.Waits},
		status.Credential: {outcome.Returned, outcome.Waits, outcome.Waits},
	}
	for k := range status.Lost + 1 { // the last
		want, ok := all[k]
		if !ok {
			want = verdicts{outcome.Refused, outcome.Refused, outcome.Refused}
			if k.Code().Temporary() {
				want = verdicts{outcome.Waits, outcome.Waits, outcome.Waits}
			}
		}
		err := k.Errorf("it failed")
		got := verdicts{(&Submitter{}).becomes(err, false), (&Submitter{Sendmail: true}).becomes(err, false), (&Submitter{}).becomes(err, true)}
		if got != want {
			t.Errorf("%s: got %v, want %v", k, got, want)
		}
	}
	stop := status.Temporary.Wrap(process.Stopped{Signal: os.Interrupt})
	if got := (&Submitter{Sendmail: true}).becomes(stop, false); got != outcome.Returned {
		t.Errorf("Ctrl-C: got %v", got)
	}
	if got := (&Submitter{}).becomes(stop, true); got != outcome.Waits {
		t.Errorf("Ctrl-C in a run of the queue: got %v", got)
	}
	if got := (&Submitter{}).becomes(errors.New("what nobody has classified"), false); got != outcome.Waits {
		t.Errorf("an error without a kind: got %v", got)
	}
}

// queueing is a Submitter with a queue and an account, called as sendmail.
func queueing(t *testing.T) *Submitter {
	t.Helper()
	q, err := queue.Open(filepath.Join(t.TempDir(), "queue"), os.Geteuid())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Aliases, c.Accounts = config.Off, []*config.Account{work(t, "ann@example.org")}
	return &Submitter{Config: c, Identity: host, Spool: spool.Spool{Queue: q, Runner: config.Off}, Sendmail: true, Smarthosts: smarthost.New(&credential.Store{})}
}

// only returns the one entry of the queue.
func only(t *testing.T, s *Submitter) *queue.Entry {
	t.Helper()
	ids, err := s.Queue.IDs()
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d entries, %v", len(ids), err)
	}
	e, err := s.Queue.Read(ids[0])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestOneOutcomeEach has a delivery that forgets a recipient, and one that has two
// outcomes for one: the caller hears of the bug, the sendmail face keeps a copy, and
// an entry of the queue waits.
func TestOneOutcomeEach(t *testing.T) {
	never := status.NoUser.Errorf("550 nobody")
	for name, results := range map[string][]smtp.Result{
		"none": {{To: []int{0}}},
		"two":  {{To: []int{0, 1}}, {To: []int{1}, Err: never}},
	} {
		s := queueing(t)
		r := request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n", "bob@example.net", "carol@example.net")
		play := func() *Job {
			j, err := s.Resume(r)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(j.Close)
			for _, result := range results {
				j.add(envelope.Address{}, result)
			}
			return j
		}
		err := s.Keep(play())
		if status.Exit(err) != status.Bug.Exit() || !strings.Contains(err.Error(), "already sent to <bob@example.net>") {
			t.Errorf("%s: %v", name, err)
		}
		copies, _ := filepath.Glob(filepath.Join(s.Queue.String(), "failed", "*.eml"))
		if len(copies) != 1 {
			t.Errorf("%s: %d copies", name, len(copies))
		}
		e := &queue.Entry{ID: r.ID(), To: []queue.Recipient{{Recipient: r.To[0].Recipient}, {Recipient: r.To[1].Recipient}}}
		s.SettleEntry(play(), e)
		if len(e.To) != 1 || e.Waiting() != 1 || e.To[0].Address != r.To[1].Address || !e.Unknown || !e.To[0].Code.Temporary() {
			t.Errorf("%s: left %+v, unknown %t", name, e.To, e.Unknown)
		}
	}
}

// TestNothingToQueue has a temporary fault of a message that has no recipients to
// wait for: the caller must hear of it, for nothing is queued.
func TestNothingToQueue(t *testing.T) {
	s := queueing(t)
	r := request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n")
	if err := s.Refuse(r, status.Config.Errorf("no such account")); status.Exit(err) == 0 {
		t.Error("exit 0, and nothing waits")
	}
}

// TestUnknownIsRemembered has a session that breaks when the server may have the
// message: the entry says so, and only for the recipients of that transaction.
func TestUnknownIsRemembered(t *testing.T) {
	s := queueing(t)
	r := request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n", "bob@example.net", "carol@example.net")
	j, err := s.Resume(r)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	lost := status.Lost.Errorf("end of message: EOF")
	j.add(envelope.Address{}, smtp.Result{To: []int{1}, Err: lost, Unknown: true})
	j.add(envelope.Address{}, smtp.Result{To: []int{0}, Err: status.NoUser.Errorf("550 nobody")})
	if err := s.Keep(j); status.Exit(err) != status.NoUser.Exit() || !strings.Contains(err.Error(), "it may have been delivered to <carol@example.net>; queued as ") {
		t.Errorf("got %v", err)
	}
	if e := only(t, s); !e.Unknown || len(e.To) != 1 || e.To[0].Address.String() != "carol@example.net" || e.Attempts != 1 {
		t.Errorf("%+v", e)
	}
}
