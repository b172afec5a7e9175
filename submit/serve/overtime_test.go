//go:build !race && unix

package serve

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/mailq"
	"sendoff/submit/process"
	"sendoff/submit/runner"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/submittest"
)

// handOver sends a message to v over a pipe, and returns the reply to the final dot and
// how long it took. leave waits until Serve returns.
func handOver(t *testing.T, ctx context.Context, v *Service, to ...string) (reply string, took time.Duration, leave func()) {
	t.Helper()
	client, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- v.Serve(ctx, theirs) }()
	reply, took, hangUp := dialogue(t, client, to...)
	return reply, took, func() {
		hangUp()
		if err := <-served; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour) // until the smarthost sees that the connection is closed
	}
}

// after returns a function that waits for d before it returns the reply.
func after(d time.Duration, reply string) func() string {
	return func() string {
		time.Sleep(d)
		return reply
	}
}

// TestReplyInTime tests that a client does not wait for a slow smarthost, that the queue
// has the message meanwhile, and that the smarthost's reply in the end is the outcome.
func TestReplyInTime(t *testing.T) {
	silent := func(what string) func(string) string {
		return func(to string) string {
			if strings.Contains(to, what) {
				time.Sleep(time.Hour)
			}
			return "250 ok"
		}
	}
	for name, tt := range map[string]struct {
		post           submittest.Post
		to             []string
		reply          string
		soon           bool // the client gets its reply before replyTime
		mails          int  // messages that the smarthost has taken after the session
		waiting        int  // entries in the queue after the session
		unknown        bool // the entries may have been delivered
		notice, failed bool
	}{
		"soon":         {post: submittest.Post{Dot: after(19*time.Second, "250 ok")}, reply: "250", soon: true, mails: 1},
		"refused soon": {post: submittest.Post{Dot: after(19*time.Second, "550 no")}, reply: "554", soon: true, failed: true},
		"late":         {post: submittest.Post{Dot: after(9*time.Minute, "250 ok")}, reply: "250", mails: 1},
		"refused late": {post: submittest.Post{Dot: after(9*time.Minute, "550 no")}, reply: "250", waiting: 1, notice: true},
		"put off late": {post: submittest.Post{Dot: after(9*time.Minute, "450 no")}, reply: "250", waiting: 1},
		"never":        {post: submittest.Post{Dot: after(11*time.Minute, "250 ok")}, reply: "250", waiting: 1, unknown: true, mails: 1},
		"silent RCPT":  {post: submittest.Post{Rcpt: silent("bob")}, reply: "250", waiting: 1},
		"only one":     {post: submittest.Post{Rcpt: silent("carol")}, to: []string{"bob@example.net", "carol@example.net"}, reply: "250", waiting: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := tt.post
				s := submittest.Office(t, &p)
				if tt.to == nil {
					tt.to = []string{"bob@example.net"}
				}
				reply, took, leave := handOver(t, t.Context(), &Service{Submitter: s}, tt.to...)
				if !strings.HasPrefix(reply, tt.reply) || took > replyTime || !tt.soon && took < replyTime {
					t.Errorf("%q after %s", reply, took)
				}
				if !tt.soon {
					e := only(t, s)
					if !s.Queue.Busy(e.ID) || !e.Unknown || len(e.To) != len(tt.to) {
						t.Errorf("meanwhile it is %+v", e)
					}
					var list strings.Builder
					if _, err := mailq.List(&list, s.Queue, ""); err != nil || !strings.Contains(list.String(), "has not answered yet") || strings.Contains(list.String(), "may have been delivered") {
						t.Errorf("meanwhile it is listed, %v:\n%s", err, &list)
					}
					time.Sleep(2 * time.Minute) // the entry is due
					if _, err := runner.New(s).Pass(t.Context(), runner.Selection{}); err != nil || len(p.Dials) != 1 {
						t.Errorf("%v, somebody else sends it", err)
					}
				}
				leave()
				files, _ := filepath.Glob(filepath.Join(s.Queue.String(), "failed", "*.env"))
				n, _ := submittest.Left(t, s)
				if len(p.Mails) != tt.mails && !tt.unknown || n != tt.waiting || len(files) > 0 != tt.failed {
					t.Fatalf("%d were taken, %d wait, %d failed", len(p.Mails), n, len(files))
				}
				if n == 0 {
					return
				}
				e := only(t, s)
				if s.Queue.Busy(e.ID) || e.Reason != "" || e.Unknown != tt.unknown || !e.Notice.IsZero() != tt.notice || tt.notice == (e.Attempts == 1) {
					t.Errorf("in the end it is %+v", e)
				}
			})
		})
	}
}

// TestReplyWithoutQueue tests that the client waits if there is no queue.
func TestReplyWithoutQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &submittest.Post{Dot: after(time.Minute, "550 no")}
		s := submittest.Office(t, p)
		s.Queue, s.NoQueue = nil, "no queue"
		reply, took, leave := handOver(t, t.Context(), &Service{Submitter: s}, "bob@example.net")
		if !strings.HasPrefix(reply, "554") || took < time.Minute {
			t.Errorf("%q after %s", reply, took)
		}
		leave()
	})
}

// TestReplyThenSignal tests that the queue keeps a message whose client got 250 if the
// process must end.
func TestReplyThenSignal(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		synctest.Test(t, func(t *testing.T) {
			p := &submittest.Post{Dot: after(9*time.Minute, "250 ok")}
			s := submittest.Office(t, p)
			ctx, cancel := context.WithCancelCause(t.Context())
			v := &Service{Submitter: s}
			reply, _, leave := handOver(t, ctx, v, "bob@example.net")
			if !strings.HasPrefix(reply, "250") {
				t.Error(reply)
			}
			begin := time.Now()
			cancel(process.Stopped{Signal: sig})
			v.Wait()
			if took := time.Since(begin); took < 5*time.Second || took > 6*time.Second {
				t.Errorf("it waited %s for the smarthost", took)
			}
			if e := only(t, s); !e.Unknown || s.Queue.Busy(e.ID) {
				t.Errorf("it is %+v", e)
			}
			leave()
		})
	}
}

// TestListenStays tests that a server with an idle time does not end while a message has
// no outcome, and that its runner does not try such a message.
func TestListenStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &submittest.Post{Dot: after(9*time.Minute, "250 ok")}
		s := submittest.Office(t, p)
		l := &hall{clients: make(chan net.Conn), closed: make(chan bool)}
		begin := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- (&Service{Submitter: s}).Listen(t.Context(), []net.Listener{l}, idleTime) }()
		client, theirs := net.Pipe()
		l.clients <- theirs
		reply, took, leave := dialogue(t, client, "bob@example.net")
		if !strings.HasPrefix(reply, "250") || took > replyTime {
			t.Errorf("%q after %s", reply, took)
		}
		leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took < 9*time.Minute || took > 10*time.Minute {
			t.Errorf("it ended after %s", took)
		}
		if n, _ := submittest.Left(t, s); n > 0 || len(p.Mails) != 1 || len(p.Dials) != 1 {
			t.Errorf("%d wait, %d were taken in %d sessions", n, len(p.Mails), len(p.Dials))
		}
	})
}

// idleTime is how long the server of TestListenStays waits for another client.
const idleTime = 30 * time.Second

// A hall is a listener whose clients are in this process.
type hall struct {
	clients chan net.Conn
	closed  chan bool
	once    sync.Once
}

func (h *hall) Accept() (net.Conn, error) {
	select {
	case conn := <-h.clients:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *hall) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *hall) Addr() net.Addr { return &net.UnixAddr{Name: "/none", Net: "unix"} }

// A bug in the submission of one message is reported in its reply, and ends nothing else.
func TestReplyToPanic(t *testing.T) {
	a := submittest.Account(t, "ann@example.org")
	aliases := filepath.Join(t.TempDir(), "aliases")
	if err := os.WriteFile(aliases, []byte("bob: /dev/null\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := submittest.Office(t, new(submittest.Post))
	s.Config.Aliases, s.Config.Accounts = aliases, []*config.Account{a}
	s.Console = &status.Console{Person: func(string, error) { panic("s0me bug") }}
	v := &Service{}
	err := v.handle(t.Context(), s, nil, submittest.Request(t, a, nil, "\n", "bob"))
	v.Wait()
	if status.KindOf(err) != status.Bug || !strings.Contains(err.Error(), "TestReplyToPanic") {
		t.Errorf("got %v", err)
	}
}

// TestReplyThenPanic tests that the delivery of a message stops at a bug: a client that
// hears of it sends the message again, and other processes may try the entry.
func TestReplyThenPanic(t *testing.T) {
	for took, want := range map[time.Duration]string{time.Second: "554 5.3.5", time.Minute: "250"} {
		synctest.Test(t, func(t *testing.T) {
			p := &submittest.Post{Dot: after(took, "250 taken")}
			s := submittest.Office(t, p)
			var conn net.Conn
			s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (_ net.Conn, err error) {
				conn, err = p.Dial(ctx, network, address)
				return conn, err
			}
			s.Smarthosts.Trace = func(l smtp.Line) {
				if l.Text == "250 taken" {
					panic("some bug")
				}
			}
			reply, _, leave := handOver(t, t.Context(), &Service{Submitter: s}, "bob@example.net")
			if !strings.HasPrefix(reply, want) {
				t.Errorf("%s: %q", took, reply)
			}
			leave()
			conn.Close() // a bug may leave it open
			if n, _ := submittest.Left(t, s); n > 0 != (want == "250") {
				t.Errorf("%s: %d wait", took, n)
			} else if n > 0 && s.Queue.Busy(only(t, s).ID) {
				t.Errorf("%s: nobody else can send it", took)
			}
		})
	}
}
