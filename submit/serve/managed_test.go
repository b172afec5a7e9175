//go:build !race && unix

// This test runs through minutes in a synctest bubble; see runner/run_test.go.

package serve

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/secret"
	"sendoff/submit/status"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// TestNewCredential tests that a service whose credential is no good ends after a while,
// although mail waits and clients come, and that one that a person has started goes on.
func TestNewCredential(t *testing.T) {
	for _, test := range []struct{ managed, busy bool }{{true, false}, {true, true}, {false, false}} {
		managed := test.managed
		synctest.Test(t, func(t *testing.T) {
			s := submittest.Office(t, &submittest.Post{})
			a := s.Config.Accounts[0]
			ref, err := secret.Parse("systemd:smtp")
			if err != nil {
				t.Fatal(err)
			}
			a.Secret, a.Deliver = config.List[secret.Ref]{ref}, config.DeliverQueue
			if err := submittest.Submit(t, s, "bob@example.net"); err != nil {
				t.Fatal(err)
			}
			v := &Service{Submitter: s, Managed: managed}
			begun, ended := time.Now(), make(chan error, 1)
			clients := newClients()
			go func() { ended <- v.waitIdle(t.Context(), clients, 30*time.Second) }()
			stop := make(chan bool)
			var busy sync.WaitGroup
			leave := sync.OnceFunc(func() { close(stop); busy.Wait() })
			defer leave()
			comeAndGo := func() {
				for {
					_, left, err := clients.enter(process.Peer{UID: 1000}, false)
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(9500 * time.Millisecond)
					left()
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
					}
				}
			}
			if test.busy {
				busy.Go(comeAndGo)
			}
			time.Sleep(20 * time.Minute)
			select {
			case err := <-ended:
				t.Fatalf("without a fault it ended: %v", err)
			default:
			}
			s.Throttle().Note(throttle.Key(a), a.Name, status.Credential.Errorf("systemd:smtp: the password is empty"), nil)
			time.Sleep(20 * time.Minute)
			select {
			case err := <-ended:
				if !managed || !errors.Is(err, errRenew) {
					t.Errorf("it ended after %s: %v", time.Since(begun), err)
				}
			default:
				if managed {
					t.Error("it did not end")
				}
				leave()
				s.Throttle().Forget(throttle.Key(a))
				s.Queue.Discard(only(t, s).ID)
				<-ended
			}
		})
	}
}

// TestListenUsersKept tests that a service which was started with a mistake in its
// configuration lets in the users of the last good one.
func TestListenUsersKept(t *testing.T) {
	s := submittest.Office(t, &submittest.Post{})
	var fault error
	s.Load = func(config.Override) (*config.Config, error) { return s.Config, fault }
	s.Config.ListenUsers = config.List[string]{"ann", "no such user"}
	if got := (&Service{Submitter: s}).listenUsers(); !slices.Equal(got, s.Config.ListenUsers) {
		t.Errorf("got %q", got)
	}
	want := slices.Clone(s.Config.ListenUsers)
	s.Config.ListenUsers = nil // of the default configuration
	fault = status.Config.Errorf("a mistake")
	if got := (&Service{Submitter: s, Fault: fault}).listenUsers(); !slices.Equal(got, want) {
		t.Errorf("with a mistake got %q, want %q", got, want)
	}
	mistake := fault
	fault = nil
	if got := (&Service{Submitter: s, Fault: mistake}).listenUsers(); len(got) > 0 {
		t.Errorf("after the mistake got %q", got)
	}
}

// TestForgetMended tests that a new process forgets the fault of a credential only if it was
// given another one.
func TestForgetMended(t *testing.T) {
	refused := credentialOf(t, "refused")
	for _, test := range []struct {
		name, given string
		secret      *credential.Secret // that the server refused; nil: it was missing
		forgets     bool
	}{
		{"missing, and still is", "", nil, false},
		{"was missing", "refused", nil, true},
		{"refused, and the same", "refused", &refused, false},
		{"refused, and another", "other", &refused, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := submittest.Office(t, &submittest.Post{})
			a := s.Config.Accounts[0]
			ref, err := secret.Parse("systemd:smtp")
			if err != nil {
				t.Fatal(err)
			}
			a.Secret, a.User = config.List[secret.Ref]{ref}, "user"
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "smtp"), []byte(test.given+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("CREDENTIALS_DIRECTORY", dir)
			s.Throttle().Note(throttle.Key(a), a.Name, status.Credential.Errorf("no password"), test.secret)
			(&Service{Submitter: s, Managed: true}).forgetMended(t.Context())
			if forgot := s.Throttle().Fault(throttle.Key(a)) == nil; forgot != test.forgets {
				t.Errorf("the fault is forgotten: %v; want %v", forgot, test.forgets)
			}
		})
	}
}

func credentialOf(t *testing.T, text string) credential.Secret {
	t.Helper()
	s, err := credential.NewSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
