package smtpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/smtp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
)

// secure returns the TLS configurations of a server host and of its client.
func secure(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	cert, err := Certificate("127.0.0.1", "mx.example")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: trusting(cert), ServerName: "127.0.0.1"}
}

// trusting returns a pool of one certificate.
func trusting(cert tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return pool
}

func TestCertificate(t *testing.T) {
	cert, err := Certificate("127.0.0.1", "::1", "mx.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.0.0.1", "::1", "mx.example"} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: trusting(cert)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: "other.example", Roots: trusting(cert)}); err == nil {
		t.Error("good for a host that was not named")
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: trusting(cert), CurrentTime: time.Now().Add(25 * time.Hour)}); err == nil {
		t.Error("good for more than a day")
	}
}

// TestLoopback sends with the client of net/smtp over TCP and TLS, while another client says
// nothing. The end of ctx ends both sessions.
func TestLoopback(t *testing.T) {
	server, client := secure(t)
	got := make(chan string, 1)
	s := &Server{Auth: ann, RequireAuth: true, Handle: func(_ context.Context, c Client, e *envelope.Envelope, r io.Reader) error {
		text, err := io.ReadAll(r)
		got <- fmt.Sprintf("%+v %s %s %q", c, e.From, e.To[0].Address, text)
		return err
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address, wait, err := s.Loopback(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if err := send(address, client); err != nil {
		t.Error(err)
	} else if text, want := <-got, `{Extended:true User:ann} a@example.org b@example.org "one\r\n.\r\n"`; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	cancel()
	if err := wait(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("still listening")
	}
}

func send(address string, config *tls.Config) error {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	c, err := smtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", "ann", "secret", "127.0.0.1")); err != nil {
		return err
	}
	if err := c.Mail("a@example.org"); err != nil {
		return err
	}
	if err := c.Rcpt("b@example.org"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "one\n.\n"); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// pipes is a listener for clients in the same process.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return nil }

// TestSessionLimit checks that a client beyond the limit waits until another has left.
func TestSessionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var near [maxSessions + 1]net.Conn
		l := make(pipes, len(near))
		greeted := make(chan int, len(near))
		for i := range near {
			var far net.Conn
			near[i], far = net.Pipe()
			l <- far
			go func() {
				near[i].Read(make([]byte, 100))
				greeted <- i
			}()
		}
		done := make(chan error)
		go func() { done <- new(Server).ServeListener(ctx, once{l, sync.OnceValue(l.Close)}) }()
		synctest.Wait()
		if len(greeted) != maxSessions {
			t.Fatalf("%d sessions at once", len(greeted))
		}
		for range near {
			near[<-greeted].Close()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestStrangers checks that only a few clients that have not logged in have a session, and
// that another is accepted as soon as one of them has logged in or left.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := make(pipes, 4)
		var greeted atomic.Int32
		var near [4]net.Conn
		for i := range near {
			var far net.Conn
			near[i], far = net.Pipe()
			l <- far
			go func() {
				buffer := make([]byte, 1000)
				for n, err := near[i].Read(buffer); err == nil; n, err = near[i].Read(buffer) {
					if strings.HasPrefix(string(buffer[:n]), "220 ") {
						greeted.Add(1)
					}
				}
			}()
		}
		s := &Server{RequireAuth: true, Auth: anybody, LoginTime: 10 * time.Second, MaxLoggingIn: 1}
		done := make(chan error)
		go func() { done <- s.ServeListener(ctx, once{l, sync.OnceValue(l.Close)}) }()
		want := func(n int32, why string) {
			t.Helper()
			if synctest.Wait(); greeted.Load() != n {
				t.Fatalf("%s: %d clients are greeted, not %d", why, greeted.Load(), n)
			}
		}
		want(1, "nobody has logged in")
		io.WriteString(near[0], "EHLO x\r\nAUTH PLAIN AGEAYg==\r\n")
		want(2, "one has logged in")
		near[1].Close()
		want(3, "another has left")
		time.Sleep(10 * time.Second)
		want(4, "a third has taken its time")
		for _, c := range near {
			c.Close()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// once allows a listener to be closed twice, as the listeners of package net.
type once struct {
	net.Listener
	close func() error
}

func (o once) Close() error { return o.close() }

// FuzzServe gives any input to a session. Each message that a handler takes as complete must
// be in the input, dot-stuffed and followed by the end of data.
func FuzzServe(f *testing.F) {
	const head = "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
	for _, d := range dialogues {
		var in strings.Builder
		for _, l := range strings.Split(d.script, "\n") {
			if text, ok := strings.CutPrefix(strings.TrimLeft(l, "\t"), "C: "); ok && len(l) < 1000 {
				in.WriteString(text + "\r\n")
			}
		}
		f.Add([]byte(in.String()), false)
	}
	for _, tail := range []string{"\r\n.\r\n", ".\r\n", "a\n.\n", "..\r\n.\r\n", "a\r\n.\r", "\x00\xff\r\n.\r\nRSET\r\n"} {
		f.Add([]byte(head+tail), false)
		f.Add([]byte(strings.ReplaceAll(head+tail, "\r", "")), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, pipe bool) {
		if len(in) > 1<<14 {
			t.Skip("find is too slow for it")
		}
		var b box
		var out bytes.Buffer
		s := &Server{Handle: b.handle, Auth: ann, MaxSize: 1 << 12, Pipe: pipe, AllowUnqualified: pipe}
		_ = s.Serve(t.Context(), readWriter{bytes.NewReader(in), &out}) // why it ended depends on the input
		if n := bytes.Count(bytes.ToUpper(in), []byte("DATA")); len(b.got)+len(b.errs) > n {
			t.Fatalf("%d messages for %d DATA", len(b.got)+len(b.errs), n)
		}
		for _, l := range strings.SplitAfter(out.String(), "\r\n") {
			if text, ok := strings.CutSuffix(l, "\r\n"); l != "" && (!ok || len(text) < 4 || len(text) > 510 || strings.ContainsAny(text, "\r\n\x00")) {
				t.Errorf("reply line %q", l)
			}
		}
		rest := in
		for _, m := range b.got {
			if strings.ContainsAny(strings.ReplaceAll(m, "\r\n", ""), "\r\n") {
				t.Errorf("message with a bare CR or LF: %q", m)
			}
			if pipe {
				continue
			}
			var ok bool
			if rest, ok = find(m, rest); !ok {
				t.Errorf("message %q is not in the input", m)
			}
		}
	})
}

// FuzzLinear checks that commands and messages take a limited time for each octet.
func FuzzLinear(f *testing.F) {
	for _, pattern := range []string{"NOOP\r\n", "RCPT TO:<a@b>\r\n", "RCPT TO:<a@b> NOTIFY=", "<", "\"", "\\", "(", ".\r\n", "\r", "a\n", "AUTH PLAIN =\r\n", "\r\n.\r\nMAIL FROM:<>\r\nDATA\r\n"} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		for _, head := range []string{"EHLO x\r\n", "EHLO x\r\nMAIL FROM:<", "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"} {
			smtptest.Linear(t, pattern, func(in string) {
				var b box
				s := &Server{Handle: b.handle, Auth: ann, AllowUnqualified: true, MaxErrors: math.MaxInt}
				_ = s.Serve(t.Context(), readWriter{strings.NewReader(head + in), io.Discard}) // why it ended depends on the input
			})
		}
	})
}

// find looks for the message in the octets that a client sent, with dot-stuffing (RFC 5321
// section 4.5.2), and returns the octets after it.
func find(m string, in []byte) (rest []byte, ok bool) {
	for {
		_, after, found := bytes.Cut(in, []byte("\r\n"))
		if !found {
			return nil, false
		}
		in = after
		text, end, found := strings.Cut("\r\n"+string(in), "\r\n.\r\n")
		if found && strings.TrimPrefix(strings.ReplaceAll(text, "\r\n.", "\r\n")+"\r\n", "\r\n") == m {
			return []byte("\r\n" + end), true
		}
	}
}

// TestConstantMemory sends a message that is much larger than the memory it may take.
func TestConstantMemory(t *testing.T) {
	const head = "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
	const size = 16 << 20
	body := &io.LimitedReader{R: endless{}, N: size}
	var read int64
	s := &Server{Handle: func(_ context.Context, _ Client, _ *envelope.Envelope, r io.Reader) (err error) {
		read, err = io.Copy(io.Discard, r)
		return err
	}}
	in := io.MultiReader(strings.NewReader(head), body, strings.NewReader("\r\n.\r\nQUIT\r\n"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.Serve(t.Context(), readWriter{in, io.Discard}); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; read != size+2 || cost > 1<<20 {
		t.Errorf("read %d octets at the cost of %d", read, cost)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
