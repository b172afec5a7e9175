//go:build unix

package serve

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/queue"
	"sendoff/submit/runner"
	"sendoff/submit/submittest"
)

// These tests run in real time with short waits, so that the race detector can run them.
// Other tests check the same with faked time.

// quick returns a Submitter with short waits.
func quick(t *testing.T, p *submittest.Post) *submit.Submitter {
	t.Helper()
	s := submittest.Office(t, p)
	s.Config.Retry = config.List[config.Duration]{{Duration: 20 * time.Millisecond}, {Duration: 100 * time.Millisecond}}
	return s
}

// TestListenInRealTime connects many clients at the same time to Listen, while the
// configuration changes and the queue is run.
func TestListenInRealTime(t *testing.T) {
	p := &submittest.Post{}
	s := quick(t, p)
	s.Config.Accounts[0].Deliver = config.DeliverQueue
	if err := submittest.Submit(t, s, "waiting@example.net"); err != nil {
		t.Fatal(err)
	}
	s.Config.Accounts[0].Deliver = config.DeliverNow
	var mu sync.Mutex
	limit := 0
	s.Load = func(config.Override) (*config.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		c := *s.Config
		limit += 1 << 20
		c.QueueLimit = config.Size(limit)
		return &c, nil
	}
	socket := filepath.Join(t.TempDir(), "s")
	sockets, err := Sockets(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v := &Service{Submitter: s}
	var all, clients sync.WaitGroup
	all.Go(func() {
		if err := v.Listen(ctx, sockets, 0); err != nil {
			t.Error(err)
		}
	})
	for range 6 {
		clients.Go(func() {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Error(err)
				return
			}
			if reply, _, hangUp := dialogue(t, conn, "bob@example.net"); !strings.HasPrefix(reply, "250") {
				t.Error(reply)
			} else {
				hangUp()
			}
		})
	}
	clients.Wait()
	for n := 1; n > 0; n, _ = submittest.Left(t, s) {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	all.Wait()
	if len(p.Mails) != 7 {
		t.Errorf("%d are taken", len(p.Mails))
	}
}

// TestSizeIsRenewed tests that a new session announces the size of the current
// configuration.
func TestSizeIsRenewed(t *testing.T) {
	s := quick(t, &submittest.Post{})
	c := *s.Config
	c.QueueLimit = 12345678
	s.Load = func(config.Override) (*config.Config, error) { return &c, nil }
	v := &Service{Submitter: s}
	client, theirs := net.Pipe()
	defer client.Close()
	sockets, err := Sockets(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer sockets[0].Close()
	d := v.listener(t.Context(), sockets[0], newClients())
	if _, err := d.Greet(theirs, d); err != nil {
		t.Fatal(err)
	}
	if d.MaxSize != 12345678 || s.Queue.MaxBytes.Load() != 12345678 {
		t.Errorf("SIZE %d, %d octets in the queue", d.MaxSize, s.Queue.MaxBytes.Load())
	}
}

// shortReply lets clients wait for d at most, until the test is over.
func shortReply(t *testing.T, d time.Duration) {
	was := replyTime
	replyTime = d
	t.Cleanup(func() { replyTime = was })
}

// TestReplyInRealTime tests that a client gets its reply before the smarthost's, while
// other processes list and run the queue.
func TestReplyInRealTime(t *testing.T) {
	shortReply(t, 20*time.Millisecond)
	for reply, mails := range map[string]int{"250 ok": 1, "450 no": 0, "550 no": 0} {
		asked, answer := make(chan struct{}), make(chan struct{})
		p := &submittest.Post{Dot: func() string {
			close(asked)
			<-answer
			return reply
		}}
		s := quick(t, p)
		v := &Service{Submitter: s}
		client, theirs := net.Pipe()
		var all sync.WaitGroup
		all.Go(func() {
			if err := v.Serve(t.Context(), theirs); err != nil {
				t.Error(err)
			}
		})
		if got, _, hangUp := dialogue(t, client, "bob@example.net"); !strings.HasPrefix(got, "250") {
			t.Errorf("%s: %s", reply, got)
		} else {
			hangUp()
		}
		<-asked
		if e := only(t, s); !s.Queue.Busy(e.ID) || !e.Unknown {
			t.Errorf("%s: meanwhile it is %+v", reply, e)
		}
		if o, err := runner.New(s).Pass(t.Context(), runner.Selection{Now: true}); o.Left != 1 || err != nil || len(p.Dials) != 1 {
			t.Errorf("%s: %d wait, %v, after %d sessions", reply, o.Left, err, len(p.Dials))
		}
		close(answer)
		all.Wait()
		v.Wait()
		if n, _ := submittest.Left(t, s); n != 1-mails || len(p.Mails) != mails {
			t.Errorf("%s: %d wait, %d are taken", reply, n, len(p.Mails))
		}
	}
}

// TestReplyAtTheLastMoment lets messages get their outcome just when replyTime ends: each
// is delivered once, and no entry is left.
func TestReplyAtTheLastMoment(t *testing.T) {
	shortReply(t, time.Millisecond)
	const n = 30
	p := &submittest.Post{Dot: func() string { time.Sleep(rand.N(2 * time.Millisecond)); return "250 ok" }}
	s := quick(t, p)
	s.Config.Sessions = n
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			client, theirs := net.Pipe()
			all.Go(func() {
				if err := (&Service{Submitter: s}).Serve(t.Context(), theirs); err != nil {
					t.Error(err)
				}
			})
			if reply, _, hangUp := dialogue(t, client, "bob@example.net"); !strings.HasPrefix(reply, "250") {
				t.Error(reply)
			} else {
				hangUp()
			}
		})
	}
	all.Wait()
	if waiting, failed := submittest.Left(t, s); waiting+failed > 0 || len(p.Mails) != n {
		t.Errorf("%d wait, %d failed, %d are taken", waiting, failed, len(p.Mails))
	}
}

// dialogue hands a message over by SMTP.
func dialogue(t *testing.T, client net.Conn, to ...string) (reply string, took time.Duration, hangUp func()) {
	t.Helper()
	r := bufio.NewReader(client)
	say := func(text, want string) string {
		t.Helper()
		if text != "" {
			fmt.Fprintf(client, "%s\r\n", text)
		}
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("%s: %q, %v", text, line, err)
		}
		return strings.TrimSpace(line)
	}
	say("", "220")
	say("HELO client.example", "250")
	say("MAIL FROM:<ann@example.org>", "250")
	for _, a := range to {
		say("RCPT TO:<"+a+">", "250")
	}
	say("DATA", "354")
	begin := time.Now()
	reply = say("Subject: x\r\n\r\nbody\r\n.", "")
	return reply, time.Since(begin), func() { client.Close() }
}

// only returns the one entry of the queue.
func only(t *testing.T, s *submit.Submitter) *queue.Entry {
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
