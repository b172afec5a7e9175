package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
	foreignDomain := &envelope.Envelope{From: address(t, "a@bücher.example"), To: []envelope.Recipient{{Address: address(t, "ü@example.org")}}}
	withTLS := &envelope.Envelope{From: e.From, To: e.To, RequireTLS: true}
	protected := &Session{tls: new(tls.ConnectionState), offered: parseExtensions([]string{"REQUIRETLS"})}
	tests := []struct {
		s          *Session
		e          *envelope.Envelope
		mail, rcpt string
	}{
		{all, e, "MAIL FROM:<a@example.org> SIZE=42 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+201+0D+0ARSET",
			"RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+3D+2B+C3+BC@example.org"},
		{none, e, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>"},
		{offered("SIZE 42"), e, "MAIL FROM:<a@example.org> SIZE=42", "RCPT TO:<b@example.org>"},
		{offered("SIZE 41"), e, "error: the message has 42 octets, the server accepts at most 41", "RCPT TO:<b@example.org>"},
		{offered("SIZE 0"), e, "MAIL FROM:<a@example.org> SIZE=42", "RCPT TO:<b@example.org>"},
		{offered("SIZE much"), e, "MAIL FROM:<a@example.org> SIZE=42", "RCPT TO:<b@example.org>"},
		{all, foreign, "MAIL FROM:<ü@example.org>", "RCPT TO:<b@ü.example>"},
		{none, foreign, "error: SMTPUTF8", "RCPT TO:<b@xn--tda.example>"},
		{none, foreignDomain, "MAIL FROM:<a@xn--bcher-kva.example>", "error: SMTPUTF8"},
		{protected, withTLS, "MAIL FROM:<a@example.org> REQUIRETLS", "RCPT TO:<b@example.org>"},
		{protected, e, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>"},
		{offered("REQUIRETLS"), withTLS, "error: REQUIRETLS", "RCPT TO:<b@example.org>"},
		{all, withTLS, "error: REQUIRETLS", "RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+3D+2B+C3+BC@example.org"},
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

// TestRemarks asks for what the server does not offer, and holds that the mail is sent
// nevertheless, with one remark.
func TestRemarks(t *testing.T) {
	var said []string
	s := &Session{o: Options{Trace: func(l Line) { said = append(said, l.Text) }}}
	e := testEnvelope(t)
	e.From = address(t, "a@bücher.example")
	for range 2 {
		if _, err := s.mailCommand(e); err != nil {
			t.Fatal(err)
		}
	}
	said = slices.DeleteFunc(said, func(l string) bool { return strings.Contains(l, "<a@xn--bcher-kva.example>") })
	if len(said) != 1 || !strings.Contains(said[0], "DSN") {
		t.Errorf("%q", said)
	}
	said = nil
	if _, err := s.mailCommand(&envelope.Envelope{From: address(t, "a@example.org")}); err != nil || said != nil {
		t.Errorf("%q, %v; nothing was wished for", said, err)
	}
}

func TestMaxRecipients(t *testing.T) {
	tests := []struct {
		limits       string
		ours, before int
		want         int
	}{
		{"", 0, 0, math.MaxInt},
		{"", 100, 0, 100},
		{"RCPTMAX=10", 100, 0, 10},
		{"MAILMAX=3 rcptmax=10 RCPTDOMAINMAX=1", 0, 0, 10},
		{"RCPTMAX=1000", 100, 0, 100},
		{"RCPTMAX=1000", 100, 7, 7},
		{"RCPTMAX=0", 100, 0, 100},
		{"RCPTMAX=-1 RCPTMAX=x RCPTMAX", 100, 0, 100},
		{"RCPTMAX=99999999999999999999", 100, 0, 100},
	}
	for _, tt := range tests {
		s := &Session{o: Options{MaxRecipients: tt.ours}, offered: map[string]string{"LIMITS": tt.limits}, mostRecipients: tt.before}
		if got := s.maxRecipients(); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
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
	d := contentWriter{w: s.w, stuffing: true, lineStart: true}
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

// FuzzDotStuffing reads the written octets as a server does (RFC 5321 section 4.5.2): the
// server must get exactly one message, unchanged.
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

// one is a sequence of one mail, whose result goes to result.
func one(e *envelope.Envelope, message io.Reader, result *Result) func(func(Mail) bool) {
	return func(yield func(Mail) bool) {
		yield(Mail{
			Envelope: e,
			Open:     func(envelope.Form) (io.Reader, int64, error) { return message, 0, nil },
			Done:     func(r Result) { *result = r },
		})
	}
}

// TestEarlyRefusal has a server that sends a refusal while the recipients are still being
// written: the refusal must not count for a recipient.
func TestEarlyRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		done := make(chan bool)
		go func() {
			defer close(done)
			defer server.Close()
			r := smtptest.Begin(t, server, "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 PIPELINING")
			r.ReadString('\n') // MAIL; the rest is not read
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
		var last Result
		s.Deliver(context.Background(), one(e, strings.NewReader("x\r\n"), &last))
		s.Close()
		<-done
		if last.Err == nil || !status.Of(last.Err).Temporary() {
			t.Errorf("%v", last.Err)
		}
		if len(last.To) <= 4000 {
			t.Errorf("recipients that were not yet named are refused: only %d are not", len(last.To))
		}
	})
}

// TestManyRecipients has more recipients in one flight than any buffer holds. A client
// that does not read while it writes would block; a client that waits between recipients
// would deviate from the transcript.
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
		s.Deliver(context.Background(), one(e, strings.NewReader("x\r\n"), &result))
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if result.Err != nil {
			t.Error(result.Err)
		}
	})
}
