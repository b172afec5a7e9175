package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

// taken is a server that accepts EHLO, MAIL and RCPT, answers DATA with data, and then
// calls then, the part that a test provides.
func taken(t *testing.T, conn net.Conn, data string, then func(r *bufio.Reader)) {
	t.Helper()
	defer conn.Close()
	r := smtptest.Begin(t, conn, "S: 220 mx\nC: EHLO client\nS: 250 mx\nC: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@example.org>\nS: 250 ok\nC: DATA")
	io.WriteString(conn, data+"\r\n")
	then(r)
}

// endless is a message without end. It sleeps so that the clock of a synctest bubble moves.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return copy(p, "all work and no play makes mail a dull play\r\n"), nil
}

func deliverTo(t *testing.T, ctx context.Context, o Options, data string, message io.Reader, then func(net.Conn, *bufio.Reader)) (result Result, took time.Duration) {
	t.Helper()
	client, server := net.Pipe()
	served := make(chan bool)
	go func() {
		taken(t, server, data, func(r *bufio.Reader) { then(server, r) })
		close(served)
	}()
	o.Security, o.Host, o.Name = None, "mx", "client"
	s, err := Open(ctx, client, o)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	s.Deliver(ctx, one(testEnvelope(t), message, &result))
	took = time.Since(start)
	s.Close()
	<-served
	return result, took
}

func drain(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }

func TestPatience(t *testing.T) {
	tests := []struct {
		name    string
		o       Options
		message io.Reader
		then    func(net.Conn, *bufio.Reader)
		unknown bool
		stalled bool
		kind    status.Kind
		within  time.Duration
	}{
		{"the dot is waited for, whatever the time limit", Options{Timeout: 4 * time.Second}, strings.NewReader("x\r\n"),
			drain, true, true, status.Lost, 10 * time.Minute},
		{"a server that does not read", Options{Timeout: 4 * time.Second}, endless{},
			func(c net.Conn, _ *bufio.Reader) { time.Sleep(time.Hour) }, false, true, status.Lost, 6 * time.Second},
		{"a refusal in the middle of the message", Options{}, endless{},
			func(c net.Conn, r *bufio.Reader) {
				io.CopyN(io.Discard, r, 1000)
				go drain(c, r)
				io.WriteString(c, "552 5.3.4 enough\r\n")
				time.Sleep(time.Second)
			}, false, false, status.TooBig, time.Minute},
		{"a 250 in the middle of the message", Options{}, endless{},
			func(c net.Conn, r *bufio.Reader) {
				io.CopyN(io.Discard, r, 1000)
				go drain(c, r)
				io.WriteString(c, "250 2.0.0 queued\r\n")
				time.Sleep(time.Second)
			}, false, false, status.Lost, time.Minute},
		{"a 250 while the end of the message is stuck", Options{}, strings.NewReader("x\r\n"),
			func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, "250 2.0.0 queued\r\n") }, true, false, status.Lost, 2 * time.Second},
		{"the message cannot be read again", Options{}, io.MultiReader(strings.NewReader("x\r\n"), broken{}),
			drain, false, false, status.Temporary, time.Minute},
		{"a bug where the message is read", Options{}, io.MultiReader(strings.NewReader("x\r\n"), buggy{}),
			drain, false, false, status.Bug, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stalled := false
				tt.o.Stalled = func() { stalled = true }
				r, took := deliverTo(t, context.Background(), tt.o, "354 go", tt.message, tt.then)
				if stalled != tt.stalled {
					t.Errorf("stalled is %t", stalled)
				}
				if r.Err == nil || r.Unknown != tt.unknown || status.KindOf(r.Err) != tt.kind || took > tt.within {
					t.Errorf("unknown %t, %s after %s: %v", r.Unknown, status.KindOf(r.Err), took, r.Err)
				}
			})
		})
	}
}

// TestHalfReply has a server that sends half a reply before it has the message.
func TestHalfReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, took := deliverTo(t, context.Background(), Options{}, "354 go\r\n2", strings.NewReader("x\r\n"), drain)
		if r.Err == nil || r.Unknown || took > 2*shortWait {
			t.Errorf("unknown %t after %s: %v", r.Unknown, took, r.Err)
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk gone") }

type buggy struct{}

func (buggy) Read([]byte) (int, error) { panic("a bug") }

// TestInterrupt ends the context at each stage.
func TestInterrupt(t *testing.T) {
	why := errors.New("interrupted")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		r, took := deliverTo(t, ctx, Options{}, "354 go", strings.NewReader("x\r\n"), drain)
		if !r.Unknown || !errors.Is(r.Err, why) || took != time.Second+patience {
			t.Errorf("after the dot: unknown %t after %s: %v", r.Unknown, took, r.Err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		r, took := deliverTo(t, ctx, Options{}, "354 go", endless{}, drain)
		if r.Unknown || !errors.Is(r.Err, why) || took > 2*time.Second {
			t.Errorf("in the message: unknown %t after %s: %v", r.Unknown, took, r.Err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		client, server := net.Pipe()
		go drain(server, bufio.NewReader(server))
		start := time.Now()
		_, err := Open(ctx, client, Options{Security: None, Host: "mx", Name: "client"})
		if took := time.Since(start); !errors.Is(err, why) || status.KindOf(err) != status.Connection || took != time.Second {
			t.Errorf("before the greeting: %v after %s", err, took)
		}
		server.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		client, server := net.Pipe()
		go io.WriteString(server, "220 mx\r\n") // the server reads nothing
		_, err := Open(ctx, client, Options{Security: None, Host: "mx", Name: "client"})
		if !errors.Is(err, why) || status.KindOf(err) != status.Connection {
			t.Errorf("while EHLO is written: %v", err)
		}
		server.Close()
	})
}

// TestSlowWithEach has a server that is slow with each of many recipients: the session ends
// after six times the limit of one.
func TestSlowWithEach(t *testing.T) {
	for _, offer := range []string{"S: 250 mx", "S: 250-mx\nS: 250 PIPELINING"} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			done := make(chan bool)
			go func() {
				defer close(done)
				r := smtptest.Begin(t, server, "S: 220 mx\nC: EHLO client\n"+offer)
				for {
					if _, err := r.ReadString('\n'); err != nil {
						return
					}
					time.Sleep(3 * time.Second)
					if _, err := io.WriteString(server, "250 ok\r\n"); err != nil {
						return
					}
				}
			}()
			s, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client", Timeout: 4 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			e := testEnvelope(t)
			for range 15 {
				e.To = append(e.To, e.To[0])
			}
			var result Result
			start := time.Now()
			s.Deliver(context.Background(), one(e, strings.NewReader("x\r\n"), &result))
			s.Close()
			if took := time.Since(start); result.Err == nil || !status.Of(result.Err).Temporary() || took > 25*time.Second {
				t.Errorf("%q: %s: %v", offer, took, result.Err)
			}
			<-done
		})
	}
}

// TestSlowDot has a server whose reply to a final dot takes longer than all commands of a
// mail may take: that does not shorten the time for the next mail.
func TestSlowDot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		done := make(chan bool)
		go func() {
			defer close(done)
			r := smtptest.Begin(t, server, "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 PIPELINING")
			for {
				line, err := r.ReadString('\n')
				switch {
				case err != nil:
					return
				case line == "DATA\r\n":
					io.WriteString(server, "354 go\r\n")
				case line == ".\r\n":
					time.Sleep(time.Minute)
					io.WriteString(server, "250 ok\r\n")
				case strings.HasPrefix(line, "MAIL"), strings.HasPrefix(line, "RCPT"):
					io.WriteString(server, "250 ok\r\n")
				}
			}
		}()
		s, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client", Timeout: 4 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var results [2]Result
		s.Deliver(context.Background(), func(yield func(Mail) bool) {
			for i := range results {
				one(testEnvelope(t), strings.NewReader("x\r\n"), &results[i])(yield)
			}
		})
		s.Close()
		<-done
		for i, r := range results {
			if r.Err != nil || r.Reply.Class() != 2 {
				t.Errorf("mail %d: %v", i+1, r.Err)
			}
		}
	})
}

// TestLimits holds the time limits of RFC 5321 section 4.5.3.2, and that Options.Timeout
// shortens all of them except the limit of the final dot.
func TestLimits(t *testing.T) {
	usual, short := Session{}, Session{o: Options{Timeout: time.Second}}
	for p, want := range map[phase]time.Duration{
		greeting: 5 * time.Minute, hello: 5 * time.Minute, startTLS: 5 * time.Minute, handshake: 5 * time.Minute, auth: 5 * time.Minute,
		mail: 5 * time.Minute, rcpt: 5 * time.Minute, data: 2 * time.Minute, block: 3 * time.Minute, dot: 10 * time.Minute, reset: 5 * time.Minute,
	} {
		shorter := time.Second
		if p == dot {
			shorter = want
		}
		if got := usual.limit(p); got != want {
			t.Errorf("%s: %s, want %s", phases[p].doing, got, want)
		}
		if got := short.limit(p); got != shorter {
			t.Errorf("%s, with a shorter limit: %s, want %s", phases[p].doing, got, shorter)
		}
	}
}

// TestTrickle holds that a server which sends a reply octet by octet gets only the time
// limit of one reply.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		done := make(chan bool)
		go func() {
			defer close(done)
			for range 10000 {
				time.Sleep(400 * time.Millisecond)
				if _, err := io.WriteString(server, "2"); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		_, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client", Timeout: 4 * time.Second})
		if err == nil || time.Since(start) > 6*time.Second {
			t.Errorf("%s: %v", time.Since(start), err)
		}
		server.Close()
		<-done
	})
}
