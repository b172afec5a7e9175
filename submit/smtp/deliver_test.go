package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"

	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

func address(t testing.TB, s string) envelope.Address {
	t.Helper()
	a, err := envelope.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func testEnvelope(t testing.TB) *envelope.Envelope {
	return &envelope.Envelope{
		From: address(t, "a@example.org"),
		To: []envelope.Recipient{{
			Address:  address(t, "b@example.org"),
			Notify:   envelope.NotifySuccess | envelope.NotifyFailure,
			Original: "b=+ü@example.org",
		}},
		Size: 42, Body: envelope.Body8BitMIME, UTF8: true, Return: envelope.ReturnHeaders, ID: "id 1\r\nRSET",
	}
}

func TestCommands(t *testing.T) {
	offered := func(keywords ...string) *Session {
		return &Session{offered: parseExtensions(keywords)}
	}
	all := offered("SIZE", "8BITMIME", "SMTPUTF8", "DSN")
	none := offered()
	e := testEnvelope(t)
	foreign := &envelope.Envelope{From: address(t, "ü@example.org"), To: []envelope.Recipient{{Address: address(t, "b@ü.example")}}}
	tests := []struct {
		s          *Session
		e          *envelope.Envelope
		mail, rcpt string
	}{
		{all, e, "MAIL FROM:<a@example.org> SIZE=42 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+201+0D+0ARSET",
			"RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+3D+2B+C3+BC@example.org"},
		{none, e, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>"},
		{offered("SIZE 42"), e, "MAIL FROM:<a@example.org> SIZE=42", "RCPT TO:<b@example.org>"},
		{offered("SIZE 41"), e, "error: the message has 42 octets, the server takes 41", "RCPT TO:<b@example.org>"},
		{offered("SIZE 0"), e, "MAIL FROM:<a@example.org> SIZE=42", "RCPT TO:<b@example.org>"},
		{offered("SIZE much"), e, "MAIL FROM:<a@example.org> SIZE=42", "RCPT TO:<b@example.org>"},
		{all, foreign, "MAIL FROM:<ü@example.org>", "RCPT TO:<b@ü.example>"},
		{none, foreign, "error: SMTPUTF8", "error: SMTPUTF8"},
		{none, &envelope.Envelope{To: e.To}, "MAIL FROM:<>", "RCPT TO:<b@example.org>"},
	}
	for _, tt := range tests {
		check := func(got string, err error, want string) {
			t.Helper()
			if words, bad := strings.CutPrefix(want, "error: "); bad {
				if err == nil || !strings.Contains(err.Error(), words) || status.Of(err).Temporary() {
					t.Errorf("%q, %v; want a permanent error with %q", got, err, words)
				}
			} else if got != want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		}
		got, err := tt.s.mailCommand(tt.e)
		check(got, err, tt.mail)
		got, err = tt.s.rcptCommand(&tt.e.To[0])
		check(got, err, tt.rcpt)
	}
}

func TestCommandIsOneLine(t *testing.T) {
	s := &Session{w: bufio.NewWriter(io.Discard)}
	for _, c := range []string{"EHLO a\r\nMAIL FROM:<>", "EHLO a\nb", "EHLO a\x00", "NOOP\r"} {
		if err := s.writeCommand(c); status.KindOf(err) != status.Bug {
			t.Errorf("%q was written: %v", c, err)
		}
	}
}

// stuff writes a message in pieces of n octets.
func stuff(message string, n int) (string, error) {
	var b bytes.Buffer
	s := &Session{w: bufio.NewWriter(&b)}
	d := dotWriter{w: s.w, lineStart: true}
	for i := 0; i < len(message); i += n {
		if err := d.write([]byte(message[i:min(i+n, len(message))])); err != nil {
			return "", err
		}
	}
	if err := d.end(s); err != nil {
		return "", err
	}
	s.w.Flush()
	return b.String(), nil
}

func TestDotStuffing(t *testing.T) {
	tests := []struct{ in, out string }{
		{"", ".\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{"a", "a\r\n.\r\n"},
		{".\r\n", "..\r\n.\r\n"},
		{"a\r\n.\r\n..b\r\n", "a\r\n..\r\n...b\r\n.\r\n"},
		{"a.\r\n\r\n.", "a.\r\n\r\n..\r\n.\r\n"},
		{"a\nb\r\n", ""},
		{"a\rb\r\n", ""},
		{"a\r\r\n", ""},
		{"a\r\n\n.\r\n", ""},
		{"\n", ""},
		{"\r", ""},
		{"a\r\n\r", ""},
		{"\r.\r\n", ""},
	}
	for _, tt := range tests {
		for n := 1; n <= len(tt.in)+1; n++ {
			got, err := stuff(tt.in, n)
			if got != tt.out || (err != nil) != (tt.out == "") {
				t.Errorf("%q in pieces of %d: %q, %v; want %q", tt.in, n, got, err, tt.out)
			}
		}
	}
}

// FuzzDotStuffing reads what was written as a server does (RFC 5321 section
// 4.5.2): exactly one message, and the same.
func FuzzDotStuffing(f *testing.F) {
	f.Add("a\r\n.\r\nb", uint8(1))
	f.Add("..\r\n\r\n", uint8(3))
	f.Add("\r\n.\n", uint8(2))
	f.Fuzz(func(t *testing.T, in string, n uint8) {
		out, err := stuff(in, int(n)+1)
		bare := strings.ContainsAny(strings.ReplaceAll(in, "\r\n", ""), "\r\n")
		if (err != nil) != bare {
			t.Fatalf("%q: %v", in, err)
		}
		if err != nil {
			return
		}
		var got strings.Builder
		lines := strings.SplitAfter(out, "\r\n")
		for i, line := range lines {
			if line == ".\r\n" {
				if i != len(lines)-2 || lines[i+1] != "" {
					t.Fatalf("%q ends early in %q", in, out)
				}
				break
			}
			got.WriteString(strings.TrimPrefix(line, "."))
		}
		if want := in; got.String() != want && got.String() != want+"\r\n" {
			t.Fatalf("%q became %q", in, got.String())
		}
	})
}

// taken is a server that takes mail but for what a test does to it: it
// answers EHLO, MAIL and RCPT, and DATA with data, then calls then.
func taken(t *testing.T, conn net.Conn, data string, then func(r *bufio.Reader)) {
	t.Helper()
	defer conn.Close()
	r := bufio.NewReader(conn)
	io.WriteString(conn, "220 mx\r\n")
	for _, reply := range []string{"250 mx", "250 ok", "250 ok", data} {
		if _, err := r.ReadString('\n'); err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, reply+"\r\n")
	}
	then(r)
}

// endless is a message without end. It sleeps so that a bubble's clock moves.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return copy(p, "all work and no play makes mail a dull play\r\n"), nil
}

func one(t *testing.T, message io.Reader, result *Result) func(func(Mail) bool) {
	return func(yield func(Mail) bool) {
		yield(Mail{
			Envelope: testEnvelope(t),
			Open:     func(envelope.Form) (io.Reader, int64, error) { return message, 0, nil },
			Done:     func(r Result) { *result = r },
		})
	}
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
	s.Deliver(ctx, one(t, message, &result))
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
		kind    status.Kind
		within  time.Duration
	}{
		{"the dot is waited for, whatever the time limit", Options{Timeout: 4 * time.Second}, strings.NewReader("x\r\n"),
			drain, true, status.Lost, 10 * time.Minute},
		{"a server that does not read", Options{Timeout: 4 * time.Second}, endless{},
			func(c net.Conn, _ *bufio.Reader) { time.Sleep(time.Hour) }, false, status.Lost, 6 * time.Second},
		{"a refusal in the middle of the message", Options{}, endless{},
			func(c net.Conn, r *bufio.Reader) {
				io.CopyN(io.Discard, r, 1000)
				go drain(c, r)
				io.WriteString(c, "552 5.3.4 enough\r\n")
				time.Sleep(time.Second)
			}, false, status.TooBig, time.Minute},
		{"a 250 in the middle of the message", Options{}, endless{},
			func(c net.Conn, r *bufio.Reader) {
				io.CopyN(io.Discard, r, 1000)
				go drain(c, r)
				io.WriteString(c, "250 2.0.0 queued\r\n")
				time.Sleep(time.Second)
			}, false, status.Lost, time.Minute},
		{"a 250 while the end of the message is stuck", Options{}, strings.NewReader("x\r\n"),
			func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, "250 2.0.0 queued\r\n") }, true, status.Lost, 2 * time.Second},
		{"the message cannot be read again", Options{}, io.MultiReader(strings.NewReader("x\r\n"), broken{}),
			drain, false, status.Temporary, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, took := deliverTo(t, context.Background(), tt.o, "354 go", tt.message, tt.then)
				if r.Err == nil || r.Unknown != tt.unknown || status.KindOf(r.Err) != tt.kind || took > tt.within {
					t.Errorf("unknown %t, %s after %s: %v", r.Unknown, status.KindOf(r.Err), took, r.Err)
				}
			})
		})
	}
}

// TestEarlyRefusal has a server that refuses before it is asked, while the
// recipients are still on their way: no recipient's fault.
func TestEarlyRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		done := make(chan bool)
		go func() {
			defer close(done)
			defer server.Close()
			r := bufio.NewReaderSize(server, 16)
			io.WriteString(server, "220 mx\r\n")
			r.ReadString('\n')
			io.WriteString(server, "250-mx\r\n250 PIPELINING\r\n")
			r.ReadString('\n') // MAIL, and no further
			io.WriteString(server, "250 ok\r\n"+strings.Repeat("554 5.3.2 going down\r\n", 1000))
			time.Sleep(time.Second)
		}()
		s, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client"})
		if err != nil {
			t.Fatal(err)
		}
		e := testEnvelope(t)
		for range 5000 {
			e.To = append(e.To, e.To[0])
		}
		var result Result
		s.Deliver(context.Background(), func(yield func(Mail) bool) {
			yield(Mail{
				Envelope: e,
				Open:     func(envelope.Form) (io.Reader, int64, error) { return strings.NewReader("x\r\n"), 3, nil },
				Done:     func(r Result) { result = r },
			})
		})
		s.Close()
		<-done
		if result.Err == nil || !status.Of(result.Err).Temporary() {
			t.Errorf("%v", result.Err)
		}
		if result.Refused[1000] != nil {
			t.Errorf("a recipient that was not yet named is refused: %v", result.Refused[1000])
		}
	})
}

// TestHalfReply has a server that begins to speak before it has the message.
func TestHalfReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, took := deliverTo(t, context.Background(), Options{}, "354 go\r\n2", strings.NewReader("x\r\n"), drain)
		if r.Err == nil || r.Unknown || took > 2*moment {
			t.Errorf("unknown %t after %s: %v", r.Unknown, took, r.Err)
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk gone") }

// TestInterrupt ends the context at each stage.
func TestInterrupt(t *testing.T) {
	why := errors.New("interrupted")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		r, took := deliverTo(t, ctx, Options{}, "354 go", strings.NewReader("x\r\n"), drain)
		if !r.Unknown || took != time.Second+patience {
			t.Errorf("after the dot: unknown %t after %s: %v", r.Unknown, took, r.Err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		r, took := deliverTo(t, ctx, Options{}, "354 go", endless{}, drain)
		if r.Unknown || r.Err == nil || took > 2*time.Second {
			t.Errorf("in the message: unknown %t after %s: %v", r.Unknown, took, r.Err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(why) })
		client, server := net.Pipe()
		go drain(server, bufio.NewReader(server))
		_, err := Open(ctx, client, Options{Security: None, Host: "mx", Name: "client"})
		if !errors.Is(err, why) || status.KindOf(err) != status.Connection {
			t.Errorf("before the greeting: %v", err)
		}
		server.Close()
	})
}

// TestSlowWithEach has a server that takes its time with each of many
// recipients, and ends within six times the limit of one.
func TestSlowWithEach(t *testing.T) {
	for _, pipelining := range []string{"", "-PIPELINING"} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			done := make(chan bool)
			go func() {
				defer close(done)
				r := bufio.NewReader(server)
				io.WriteString(server, "220 mx\r\n")
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "EHLO") {
						io.WriteString(server, "250"+strings.Replace(pipelining, "-", "-mx\r\n250 ", 1)+"\r\n")
						continue
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
			s.Deliver(context.Background(), func(yield func(Mail) bool) {
				yield(Mail{
					Envelope: e,
					Open:     func(envelope.Form) (io.Reader, int64, error) { return strings.NewReader("x\r\n"), 3, nil },
					Done:     func(r Result) { result = r },
				})
			})
			s.Close()
			if took := time.Since(start); result.Err == nil || !status.Of(result.Err).Temporary() || took > 25*time.Second {
				t.Errorf("%q: %s: %v", pipelining, took, result.Err)
			}
			<-done
		})
	}
}

// A verifier is a login whose server proves nothing.
type verifier struct{ sasl.Client }

func (verifier) Verify() error { return errors.New("no proof") }
func (verifier) Reason() error { return errors.New("the token has expired") }

// TestVerifier does not believe a 235 without the proof that the mechanism
// demands, and tells its reason for a refusal.
func TestVerifier(t *testing.T) {
	for reply, want := range map[string]string{
		"235 2.7.0 welcome": "insecure: AUTH PLAIN: no proof (mx)",
		"535 5.7.8 no":      "login failed: AUTH PLAIN: 535 5.7.8 no (mx): the token has expired",
		"454 4.7.0 later":   "connection: AUTH PLAIN: 454 4.7.0 later (mx)",
	} {
		synctest.Test(t, func(t *testing.T) {
			tr, err := smtptest.Parse("verifier", "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: "+reply+"\n")
			if err != nil {
				t.Fatal(err)
			}
			client, server := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- tr.Serve(server) }()
			_, err = Open(context.Background(), client, Options{
				Security: None, Host: "mx", Name: "client",
				Auth: func(context.Context, []string, *tls.ConnectionState) (*Login, error) {
					return &Login{Client: verifier{sasl.NewPlainClient("", "ann", "secret")}, Secret: "secret"}, nil
				},
			})
			if got := fmt.Sprintf("%s: %v", status.KindOf(err), err); err == nil || got != want {
				t.Errorf("%s: %q, want %q", reply, got, want)
			}
			<-served
		})
	}
}

// TestMask hides a secret wherever a server may repeat it: as it is, in base64
// with padding or without, and in the base64 of a longer text.
func TestMask(t *testing.T) {
	const secret = "sw0rdf1sh"
	s := &Session{}
	s.hide(secret)
	for _, before := range []string{"", "a", "ab", "abc", "\x00ann\x00", "\x00anna\x00", "\x00annab\x00"} {
		for _, after := range []string{"", "x", "xy", "xyz"} {
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
				line := encoding.EncodeToString([]byte(before + secret + after))
				masked := s.mask("535 " + line)
				for n := range 3 {
					inner := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00\x00"[:n] + secret))
					if part := inner[4 : len(inner)-3]; strings.Contains(masked, part) {
						t.Errorf("%q is shown as %q, with %q", before+secret+after, masked, part)
					}
				}
			}
		}
	}
	if got := s.mask("bad " + secret); got != "bad ****" {
		t.Errorf("%q", got)
	}
}

// TestTrickle gives a server that sends an octet at a time no more than the
// time limit for each reply.
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

// TestManyRecipients has as many recipients as fit no buffer, in one flight: a
// client that does not read while it writes would block, and one that waits
// between them would deviate from the transcript.
func TestManyRecipients(t *testing.T) {
	const recipients = 5000
	var commands, replies strings.Builder
	e := testEnvelope(t)
	e.To = nil
	for i := range recipients {
		to := fmt.Sprintf("r%d@example.org", i)
		e.To = append(e.To, envelope.Recipient{Address: address(t, to)})
		fmt.Fprintf(&commands, "C: RCPT TO:<%s>\n", to)
		fmt.Fprintf(&replies, "S: 250 ok\n")
	}
	tr, err := smtptest.Parse("many", "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 PIPELINING\n"+
		"C: MAIL FROM:<a@example.org>\n"+commands.String()+"C: DATA\n"+
		"S: 250 ok\n"+replies.String()+"S: 354 go\n"+
		"C+ message\nC: .\nC: QUIT\nS: 250 ok\n")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- tr.Serve(server) }()
		s, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client"})
		if err != nil {
			t.Fatal(err)
		}
		result := Result{Err: errors.New("none")}
		s.Deliver(context.Background(), func(yield func(Mail) bool) {
			yield(Mail{
				Envelope: e,
				Open:     func(envelope.Form) (io.Reader, int64, error) { return strings.NewReader("x\r\n"), 3, nil },
				Done:     func(r Result) { result = r },
			})
		})
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if result.Err != nil {
			t.Error(result.Err)
		}
	})
}
