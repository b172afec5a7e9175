package smtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

// chunkingScript begins a session with a server that offers CHUNKING.
const chunkingScript = "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250-PIPELINING\nS: 250 CHUNKING\n"

// oneFlight opens a session over a pipe. The channel yields the server's error when the
// session is closed.
func oneFlight(t *testing.T, script string) (*Session, <-chan error) {
	t.Helper()
	tr, err := smtptest.Parse("script", script)
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- tr.Serve(server) }()
	s, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client", OneFlight: true})
	if err != nil {
		t.Fatal(err)
	}
	return s, served
}

// mailing returns n mails with the same message, and collects their results.
func mailing(t *testing.T, n int, text string, results *[]Result) func(func(Mail) bool) {
	return func(yield func(Mail) bool) {
		for i := range n {
			e := &envelope.Envelope{From: address(t, "a@example.org")}
			e.To = []envelope.Recipient{{Address: address(t, fmt.Sprintf("r%d@example.org", i))}}
			m := Mail{
				Envelope: e,
				Open: func(envelope.Form) (io.Reader, int64, error) {
					return strings.NewReader(text), int64(len(text)), nil
				},
				Done: func(r Result) { *results = append(*results, r) },
			}
			if !yield(m) {
				return
			}
		}
	}
}

// transactions returns the script of a client that sends the mails from to to in one
// flight.
func transactions(from, to, size int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		if i > 0 {
			b.WriteString("C: RSET\n")
		}
		fmt.Fprintf(&b, "C: MAIL FROM:<a@example.org>\nC: RCPT TO:<r%d@example.org>\nC: BDAT %d LAST\nC+ any\n", i, size)
	}
	return b.String()
}

// TestSixteenInFlight sends twenty messages: sixteen in the first flight, the
// others in the second. Each is larger than every buffer.
func TestSixteenInFlight(t *testing.T) {
	text := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 800)
	replies := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			if i > 0 {
				b.WriteString("S: 250 reset\n")
			}
			fmt.Fprintf(&b, "S: 250 ok\nS: 250 ok\nS: 250 took %d\n", i)
		}
		return b.String()
	}
	synctest.Test(t, func(t *testing.T) {
		s, served := oneFlight(t, chunkingScript+
			transactions(0, 16, len(text))+replies(0, 16)+transactions(16, 20, len(text))+replies(16, 20)+"C: QUIT\n")
		var results []Result
		if _, err := s.Deliver(context.Background(), mailing(t, 20, text, &results)); err != nil {
			t.Error(err)
		}
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		for i, r := range results {
			if want := fmt.Sprintf("250 took %d", i); r.Err != nil || r.Reply.String() != want {
				t.Errorf("mail %d: %s, %v; want %s", i, r.Reply, r.Err, want)
			}
		}
		if len(results) != 20 {
			t.Errorf("%d results", len(results))
		}
	})
}

// TestCutInFlight has a server that leaves after it has accepted two of sixteen messages.
// After a 421 it has accepted no other, so that the fourteen go to a new session; if it
// leaves without a reply, their outcome is unknown. Deliver takes no further mails.
func TestCutInFlight(t *testing.T) {
	for _, row := range []struct {
		last                  string
		taken, unknown, again int
	}{
		{"S: 250 reset\nS: 421 enough\n", 2, 0, 14},
		{"S: 421 enough\n", 2, 0, 14},
		{"S: 250 reset\n", 2, 14, 0},
		{"", 2, 14, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, served := oneFlight(t, chunkingScript+transactions(0, 16, 3)+
				"S: 250 ok\nS: 250 ok\nS: 250 one\nS: 250 reset\nS: 250 ok\nS: 250 ok\nS: 250 two\n"+row.last)
			var results []Result
			rest, err := s.Deliver(context.Background(), mailing(t, 20, "x\r\n", &results))
			if err == nil {
				t.Error("the session goes on")
			}
			s.Close()
			<-served
			taken, unknown := 0, 0
			for _, r := range results {
				if r.Err == nil {
					taken++
				} else if r.Unknown {
					unknown++
				}
			}
			if taken != row.taken || unknown != row.unknown || len(rest) != row.again || len(results)+len(rest) != 16 {
				t.Errorf("%q: %d taken, %d unknown of %d, %d for a new session", row.last, taken, unknown, len(results), len(rest))
			}
		})
	}
}

// TestLargeWaitsForRecipients sends a message over 64 kB: it is not sent before
// a recipient is accepted, and not at all if none is.
func TestLargeWaitsForRecipients(t *testing.T) {
	text := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1000)
	synctest.Test(t, func(t *testing.T) {
		s, served := oneFlight(t, chunkingScript+
			"C: MAIL FROM:<a@example.org>\nC: RCPT TO:<r0@example.org>\n"+
			"S: 250 ok\nS: 550 5.1.1 no\n"+
			"C: RSET\nC: MAIL FROM:<a@example.org>\nC: RCPT TO:<r1@example.org>\n"+
			"S: 250 ok\nS: 250 ok\nS: 250 ok\n"+
			fmt.Sprintf("C: BDAT %d LAST\nC+ any\nC: QUIT\nS: 250 took it\n", len(text)))
		var results []Result
		if _, err := s.Deliver(context.Background(), mailing(t, 2, text, &results)); err != nil {
			t.Error(err)
		}
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if len(results) != 2 || status.KindOf(results[0].Err) != status.NoUser || results[1].Err != nil {
			t.Errorf("%+v", results)
		}
	})
}

// TestInterruptInFlight interrupts a session that has sent the message, and has no reply
// yet, not even to MAIL: it waits for the replies as after a final dot.
func TestInterruptInFlight(t *testing.T) {
	for _, late := range []time.Duration{time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			served := make(chan bool)
			go func() {
				defer close(served)
				defer server.Close()
				r := smtptest.Begin(t, server, chunkingScript)
				for range 4 {
					r.ReadString('\n')
				}
				time.Sleep(late)
				io.WriteString(server, "250 ok\r\n250 ok\r\n250 took it\r\n")
			}()
			ctx, cancel := context.WithCancelCause(context.Background())
			s, err := Open(ctx, client, Options{Security: None, Host: "mx", Name: "client", OneFlight: true})
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(100*time.Millisecond, func() { cancel(errors.New("interrupted")) })
			var results []Result
			s.Deliver(ctx, mailing(t, 1, "x\r\n", &results))
			s.Close()
			<-served
			if len(results) != 1 || (results[0].Err == nil) != (late < patience) || results[0].Unknown != (late > patience) {
				t.Errorf("late by %s: %+v", late, results)
			}
		})
	}
}

// TestEarlyChunkReply has a server that accepts a message before it has read all of it.
func TestEarlyChunkReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		closed := make(chan bool)
		go func() {
			defer server.Close()
			r := smtptest.Begin(t, server, chunkingScript)
			io.ReadFull(r, make([]byte, 1000))
			io.WriteString(server, "250 ok\r\n250 ok\r\n250 took it\r\n")
			<-closed
		}()
		s, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client", OneFlight: true})
		if err != nil {
			t.Fatal(err)
		}
		var results []Result
		s.Deliver(context.Background(), mailing(t, 1, strings.Repeat("x\r\n", 20000), &results))
		s.Close()
		close(closed)
		if len(results) != 1 || results[0].Err == nil || results[0].Unknown {
			t.Errorf("%+v", results)
		}
	})
}

// TestChunkOfAnotherSize has a message whose size is not the size that Open returned: the
// server must not accept it, and must not read message text as commands.
func TestChunkOfAnotherSize(t *testing.T) {
	for _, said := range []int64{2, 4, 60000} {
		synctest.Test(t, func(t *testing.T) {
			s, served := oneFlight(t, chunkingScript+
				fmt.Sprintf("C: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@example.org>\nC: BDAT %d LAST\nC+ any\nS: 250 ok\n", said))
			result := Result{}
			s.Deliver(context.Background(), func(yield func(Mail) bool) {
				e := &envelope.Envelope{From: address(t, "a@example.org"), To: []envelope.Recipient{{Address: address(t, "b@example.org")}}}
				yield(Mail{
					Envelope: e,
					Open: func(envelope.Form) (io.Reader, int64, error) {
						return strings.NewReader("x\r\n"), said, nil
					},
					Done: func(r Result) { result = r },
				})
			})
			s.Close()
			if err := <-served; err == nil {
				t.Error("the server got a whole chunk")
			}
			if result.Err == nil || result.Unknown {
				t.Errorf("%+v", result)
			}
		})
	}
}

// FuzzChunking sends a message by DATA and by BDAT: both servers receive the message, and
// nothing after it.
func FuzzChunking(f *testing.F) {
	f.Add("Subject: x\r\n\r\n.\r\n..\r\nQUIT\r\n", 1)
	f.Add("\r\n.\r\n", 2)
	f.Add("x\n.\n", 3)
	f.Fuzz(func(t *testing.T, text string, times int) {
		text = strings.Repeat(text, 1+max(0, times)%5)
		if !strings.HasSuffix(text, "\r\n") {
			text += "\r\n"
		}
		byData, err1 := carried(text, false)
		byChunk, err2 := carried(text, true)
		bare := strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n")
		if (err1 != nil) != bare || (err2 != nil) != bare {
			t.Fatalf("%q: DATA %v, BDAT %v", text, err1, err2)
		}
		if !bare && (byData != text || byChunk != text) {
			t.Fatalf("%q arrived as %q by DATA, as %q by BDAT", text, byData, byChunk)
		}
	})
}

// carried returns what a server receives of a message.
func carried(text string, chunked bool) (string, error) {
	var wire strings.Builder
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	s := &Session{w: bufio.NewWriterSize(&wire, 16), conn: conn}
	t := &transaction{s: s, message: strings.NewReader(text), size: int64(len(text)), chunked: chunked}
	if err := t.send(); err != nil {
		return "", err
	}
	s.w.Flush()
	sent := wire.String()
	if command := fmt.Sprintf("BDAT %d LAST\r\n", len(text)); chunked {
		content, ok := strings.CutPrefix(sent, command)
		if !ok || len(content) != len(text) {
			return "", fmt.Errorf("the chunk is %q", sent)
		}
		return content, nil
	}
	var got strings.Builder
	for line := range strings.SplitAfterSeq(sent, "\r\n") {
		if line == ".\r\n" {
			if !strings.HasSuffix(sent, "\r\n.\r\n") || strings.Index(sent, "\r\n.\r\n")+5 != len(sent) {
				return "", fmt.Errorf("it ends within %q", sent)
			}
			break
		}
		got.WriteString(strings.TrimPrefix(line, "."))
	}
	return got.String(), nil
}
