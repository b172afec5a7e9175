package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// box keeps the mails that a server took, each as an element of its slices.
type box struct {
	from []string
	got  []string
	errs []error // errors of the reader other than io.EOF
}

func (b *box) handle(_ context.Context, _ Client, e *envelope.Envelope, message io.Reader) error {
	text, err := io.ReadAll(message)
	if err != nil {
		b.errs = append(b.errs, err)
		return err
	}
	line := fmt.Sprintf("<%s>", e.From)
	for _, r := range e.To {
		line += fmt.Sprintf(" <%s>", r.Address)
	}
	b.from, b.got = append(b.from, line), append(b.got, string(text))
	return nil
}

// TestSmuggling sends a message with octets that look like its end, followed by commands for
// a second message.
func TestSmuggling(t *testing.T) {
	const second = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nevil\r\n"
	for _, like := range []string{"\n.\n", "\r.\r", "\n.\r\n", "\r\n.\r", "\r\n.\n", "\r.\r\n", "\n.\r", "\r.\n", "\r\r\n.\r\n\n.\r\n", "\r\n.\r\r\n", "\r\n\x00.\r\n"} {
		for _, pipe := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var b box
				var out strings.Builder
				in := "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\none" + like + second + ".\r\nQUIT\r\n"
				s := &Server{Handle: b.handle, Pipe: pipe}
				err := s.Serve(t.Context(), readWriter{strings.NewReader(in), &out})
				if len(b.got)+len(b.errs) != 1 {
					// Two messages are correct if the octets have a true end.
					if !strings.Contains(like, "\r\n.\r\n") {
						t.Errorf("%q, pipe %v: %d messages", like, pipe, len(b.got)+len(b.errs))
					}
					return
				}
				if err != nil || strings.Count(out.String(), "\r\n354 ") != 1 || !strings.HasSuffix(out.String(), "221 2.0.0 bye\r\n") {
					t.Errorf("%q, pipe %v: %v, %q", like, pipe, err, out.String())
				}
				switch bare := !strings.HasPrefix(like, "\r\n\x00"); {
				case !pipe && bare && (len(b.errs) != 1 || !strings.Contains(out.String(), "\r\n550 5.6.0 ")):
					t.Errorf("%q taken on a socket: %q", like, out.String())
				case pipe && (len(b.got) != 1 || !strings.HasSuffix(b.got[0], second)):
					t.Errorf("%q not taken on a pipe: %q", like, b.got)
				}
			})
		}
	}
}

type readWriter struct {
	io.Reader
	io.Writer
}

// TestTorn cuts a dialogue after each octet: a message is taken only if its end has come.
func TestTorn(t *testing.T) {
	const in = "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\none\r\n.two\r\n.\r\n"
	for n := range len(in) + 1 {
		var b box
		s := &Server{Handle: b.handle}
		err := s.Serve(t.Context(), readWriter{strings.NewReader(in[:n]), io.Discard})
		data := n >= strings.Index(in, "one")
		whole := n == len(in)
		if len(b.got) == 1 != whole || len(b.errs) == 1 != (data && !whole) || (err != nil) != (data && !whole) {
			t.Errorf("after %q: %d messages, errors %v, %v", in[:n], len(b.got), b.errs, err)
		}
		for _, e := range b.errs {
			if errors.Is(e, io.EOF) || status.KindOf(e) != status.Lost {
				t.Errorf("after %q: %v", in[:n], e)
			}
		}
	}
}

// TestHandle checks that the handler's error is the reply, and that what the
// handler does not read is not taken for commands.
func TestHandle(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "250 2.0.0 ok"},
		{errors.New("disk full"), "451 4.3.0 disk full"},
		{status.NotAllowed.Errorf("spam\r\n250 ok"), "554 5.7.1 spam??250 ok"},
		{status.TooBig.Errorf("large"), "552 5.3.4 large"},
		{status.Temporary.With(status.Code{Class: 4, Subject: 3, Detail: 1}, errors.New("full")), "452 4.3.1 full"},
		{status.AuthFailed.Errorf("login"), "451 4.7.8 login"},
	} {
		var out strings.Builder
		s := &Server{Handle: func(context.Context, Client, *envelope.Envelope, io.Reader) error { return c.err }}
		in := "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" + strings.Repeat("RSET\r\n", 10000) + ".\r\nQUIT\r\n"
		if err := s.Serve(t.Context(), readWriter{strings.NewReader(in), &out}); err != nil {
			t.Error(err)
		}
		_, got, _ := strings.Cut(out.String(), "by itself\r\n")
		if want := c.want + "\r\n221 2.0.0 bye\r\n"; got != want {
			t.Errorf("%v: %q, want %q", c.err, got, want)
		}
	}
}

// TestTimeouts lets clients be slow in every phase, with the clock of synctest.
func TestTimeouts(t *testing.T) {
	const mail = "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
	for _, c := range []struct {
		name   string
		server Server
		say    string
		every  time.Duration // between two octets of the client
		want   time.Duration
	}{
		{"silence", Server{}, "", 0, 5 * time.Minute},
		{"half a line", Server{Timeout: time.Minute}, "EHL", 0, time.Minute},
		{"a trickling command", Server{Timeout: time.Minute}, "", 10 * time.Second, time.Minute},
		{"silence in a message", Server{Timeout: time.Minute}, mail + "one", 0, time.Minute},
		{"a trickling message", Server{Timeout: time.Minute, Lifetime: time.Hour}, mail + "one", 10 * time.Second, time.Hour},
		{"a patient server", Server{Timeout: -1, Lifetime: 24 * time.Hour}, "", 0, 24 * time.Hour},
		{"no login", Server{RequireAuth: true, LoginTime: 10 * time.Second}, "NOOP\r\n", 0, 10 * time.Second},
		{"a login", Server{RequireAuth: true, LoginTime: 10 * time.Second, Auth: anybody, Timeout: time.Minute}, "EHLO x\r\nAUTH PLAIN AGEAYg==\r\n", 0, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b box
				c.server.Handle = b.handle
				client, server := net.Pipe()
				var writer sync.WaitGroup
				defer writer.Wait()
				writer.Go(func() {
					io.WriteString(client, c.say)
					for c.every > 0 {
						time.Sleep(c.every)
						if _, err := io.WriteString(client, "x"); err != nil {
							return
						}
					}
				})
				heard := make(chan string)
				go func() {
					all, _ := io.ReadAll(client)
					heard <- string(all)
				}()
				began := time.Now()
				err := c.server.Serve(t.Context(), server)
				server.Close()
				if took := time.Since(began); err == nil || took != c.want {
					t.Errorf("ended after %v: %v", took, err)
				}
				if all := <-heard; !strings.HasSuffix(all, "421 4.4.2 nothing heard for too long\r\n") || len(b.got) > 0 {
					t.Errorf("client heard %q; %d messages", all, len(b.got))
				}
			})
		})
	}
}

// anybody accepts every login.
func anybody(user, password string) error { return nil }

// TestContext ends sessions that wait for the client.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		client, server := net.Pipe()
		go io.Copy(io.Discard, client)
		began := time.Now()
		err := (&Server{}).Serve(ctx, server)
		server.Close()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestMessageNotAskedFor checks that the session ends if a client sends a message some time
// after its DATA was refused: the message could contain commands.
func TestMessageNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b box
		client, server := net.Pipe()
		ended := make(chan error)
		go func() {
			err := (&Server{Handle: b.handle}).Serve(t.Context(), server)
			server.Close()
			ended <- err
		}()
		var out strings.Builder
		go io.Copy(&out, client)
		for _, part := range []string{"EHLO x\r\nMAIL FROM:<a@example.org>\r\nDATA\r\n", "Subject: x\r\n\r\n", "RCPT TO:<b@example.org>\r\nDATA\r\nevil\r\n.\r\n"} {
			io.WriteString(client, part)
			time.Sleep(time.Second)
		}
		err := <-ended
		synctest.Wait()
		if err == nil || len(b.got) > 0 || !strings.Contains(out.String(), "554 5.5.1 no valid recipients\r\n421 4.5.0 ") {
			t.Errorf("%v, %d mails\n%s", err, len(b.got), out.String())
		}
	})
}

// scarce is a listener that at first has no file descriptors left.
type scarce struct {
	net.Listener
	failures int
}

func (s *scarce) Accept() (net.Conn, error) {
	if s.failures > 0 {
		s.failures--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

// TestShortage checks that the server goes on after an Accept that failed temporarily.
func TestShortage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var b box
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&Server{Handle: b.handle}).ServeListener(ctx, &scarce{l, 2}) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 4)
	if _, err := io.ReadFull(conn, greeting); err != nil || string(greeting) != "220 " {
		t.Errorf("%q, %v", greeting, err)
	}
	conn.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
