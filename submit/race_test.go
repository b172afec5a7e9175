//go:build unix

package submit

import (
	"context"
	"io"
	mathrand "math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// These tests hold in real time, with short waits, and so under the race detector,
// what others hold with a faked one.

// quick is an office whose waits are short.
func quick(t *testing.T, p *post) *Submitter {
	t.Helper()
	s := office(t, p)
	s.Config.Retry = config.List[config.Duration]{{Duration: 20 * time.Millisecond}, {Duration: 100 * time.Millisecond}}
	s.memory = new(memory)
	return s
}

// TestRunnerInRealTime has a runner send what waits for an account that is down at
// first, over several sessions, while others submit.
func TestRunnerInRealTime(t *testing.T) {
	up := make(chan struct{})
	p := &post{up: func() bool {
		select {
		case <-up:
			return true
		default:
			return false
		}
	}}
	s := quick(t, p)
	for range 12 {
		if err := submit(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.Runner(t.Context()); err != nil {
			t.Error(err)
		}
	})
	close(up)
	for range 4 {
		all.Go(func() {
			process := *s
			if err := submit(t, &process, "carol@example.net"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.Runner(t.Context()); err != nil { // what came when the first was at its end
		t.Fatal(err)
	}
	if n, _ := left(t, s); n > 0 || len(p.mails) != 16 {
		t.Errorf("%d wait, %d are taken", n, len(p.mails))
	}
}

// TestSessionsThatFailAtOnce has several sessions of an account fail together.
func TestSessionsThatFailAtOnce(t *testing.T) {
	var came sync.Map
	p := &post{}
	p.mail = func() string {
		came.Store(time.Now(), true)
		return "421 4.3.2 closing"
	}
	s := quick(t, p)
	s.Config.Accounts[0].Deliver = config.DeliverQueue
	for range 12 {
		if err := submit(t, s, "bob@example.net"); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, n, err := s.Run(t.Context(), Selection{Now: true}); err != nil || n != 12 {
			t.Fatalf("%d wait: %v", n, err)
		}
	}
}

// TestListenInRealTime has clients come at once to a server for many, whose
// configuration changes meanwhile, while its queue is run.
func TestListenInRealTime(t *testing.T) {
	p := &post{}
	s := quick(t, p)
	s.Config.Accounts[0].Deliver = config.DeliverQueue
	if err := submit(t, s, "waiting@example.net"); err != nil {
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
	sockets, _, err := Sockets(socket)
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
	for n := 1; n > 0; n, _ = left(t, s) {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	all.Wait()
	if len(p.mails) != 7 {
		t.Errorf("%d are taken", len(p.mails))
	}
}

// TestSizeIsRenewed announces the size that the configuration allows now.
func TestSizeIsRenewed(t *testing.T) {
	s := quick(t, &post{})
	c := *s.Config
	c.QueueLimit = 12345678
	s.Load = func(config.Override) (*config.Config, error) { return &c, nil }
	v := &Service{Submitter: s}
	client, theirs := net.Pipe()
	defer client.Close()
	sockets, _, err := Sockets(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer sockets[0].Close()
	d := v.listener(t.Context(), s, sockets[0])
	if err := d.Greet(&guest{Conn: theirs, door: &door{guests: make(map[kind]int)}}, d); err != nil {
		t.Fatal(err)
	}
	if d.MaxSize != 12345678 || s.Queue.MaxBytes.Load() != 12345678 {
		t.Errorf("SIZE %d, %d octets in the queue", d.MaxSize, s.Queue.MaxBytes.Load())
	}
}

// TestBugs holds that a bug that a message meets in a writer's goroutine ends nothing
// else.
func TestBugs(t *testing.T) {
	t.Run("the writer of a message", func(t *testing.T) {
		client, server := net.Pipe()
		go new(post).serve(server)
		session, err := smtp.Open(t.Context(), client, smtp.Options{Name: "client.example", Host: "mx", Security: smtp.None})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		var got error
		e := envelope.Envelope{From: parse(t, "ann@example.org"), To: []envelope.Recipient{{Address: parse(t, "bob@example.net")}}}
		mail := smtp.Mail{
			Envelope: &e,
			Open:     func(envelope.Form) (io.Reader, int64, error) { return buggy{}, 10, nil },
			Done:     func(r smtp.Result) { got = r.Err },
		}
		session.Deliver(t.Context(), func(yield func(smtp.Mail) bool) { yield(mail) })
		if status.KindOf(got) != status.Bug {
			t.Errorf("%v", got)
		}
	})
}

// buggy is a message that cannot be read for a bug.
type buggy struct{}

func (buggy) Read([]byte) (int, error) { panic("of no use") }

// shortReply lets clients wait for d at most, until the test is over.
func shortReply(t *testing.T, d time.Duration) {
	was := replyTime
	replyTime = d
	t.Cleanup(func() { replyTime = was })
}

// TestReplyInRealTime answers a client before the smarthost does, while others look
// at the queue, and run it.
func TestReplyInRealTime(t *testing.T) {
	shortReply(t, 20*time.Millisecond)
	for reply, mails := range map[string]int{"250 ok": 1, "450 no": 0, "550 no": 0} {
		asked, answer := make(chan struct{}), make(chan struct{})
		p := &post{dot: func() string {
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
		other := *s
		other.memory = nil
		if _, n, err := other.Run(t.Context(), Selection{Now: true}); n != 1 || err != nil || len(p.dials) != 1 {
			t.Errorf("%s: %d wait, %v, after %d sessions", reply, n, err, len(p.dials))
		}
		close(answer)
		all.Wait()
		v.Wait()
		if n, _ := left(t, s); n != 1-mails || len(p.mails) != mails {
			t.Errorf("%s: %d wait, %d are taken", reply, n, len(p.mails))
		}
	}
}

// TestReplyAtTheLastMoment has messages get their outcome when the time of the
// client is just over: each is delivered once, and none is left.
func TestReplyAtTheLastMoment(t *testing.T) {
	shortReply(t, time.Millisecond)
	const n = 30
	p := &post{dot: func() string { time.Sleep(mathrand.N(2 * time.Millisecond)); return "250 ok" }}
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
	if waiting, failed := left(t, s); waiting+failed > 0 || len(p.mails) != n {
		t.Errorf("%d wait, %d failed, %d are taken", waiting, failed, len(p.mails))
	}
}
