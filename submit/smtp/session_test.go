package smtp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"

	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

// A verifier is a login whose server proves nothing.
type verifier struct{ sasl.Client }

func (verifier) Verify() error { return errors.New("no proof") }
func (verifier) Reason() error { return errors.New("the token has expired") }

// TestVerifier holds that a 235 without the proof that the mechanism requires is an error,
// and that a refusal shows the mechanism's reason.
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

// TestNextMechanism: if the server does not know a mechanism that it offers, the session
// tries the next. If the server refuses the password, the session tries no other. When no
// mechanism is left, the error is the first refusal.
func TestNextMechanism(t *testing.T) {
	const plain, login = "C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: ", "C: AUTH LOGIN YW5u\nS: "
	tests := []struct{ dialogue, want string }{
		{plain + "504 5.7.4 Unrecognized authentication type\n" + login + "235 2.7.0 ok\n", ""},
		{plain + "504 no\n" + login + "235 ok\n", ""},
		{plain + "501 5.5.4 no such mechanism\n" + login + "235 ok\n", ""},
		{plain + "504 5.5.4 no\n" + login + "504 5.5.4 neither\n", "AUTH PLAIN: 504 5.5.4 no (mx)"},
		{plain + "504 5.5.4 no\n" + login + "535 5.7.8 wrong\n", "AUTH LOGIN: 535 5.7.8 wrong (mx)"},
		{plain + "535 5.7.8 wrong\n", "AUTH PLAIN: 535 5.7.8 wrong (mx)"},
		{plain + "501 5.5.2 what?\n", "AUTH PLAIN: 501 5.5.2 what? (mx)"},
		{plain + "454 4.5.4 later\n", "AUTH PLAIN: 454 4.5.4 later (mx)"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			tr, err := smtptest.Parse("next", "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 AUTH PLAIN LOGIN\n"+tt.dialogue)
			if err != nil {
				t.Fatal(err)
			}
			client, server := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- tr.Serve(server) }()
			session, err := Open(context.Background(), client, Options{
				Security: None, Host: "mx", Name: "client",
				Auth: func(_ context.Context, offered []string, _ *tls.ConnectionState) (*Login, error) {
					switch {
					case slices.Contains(offered, "PLAIN"):
						return &Login{Client: sasl.NewPlainClient("", "ann", "secret"), Secret: "secret"}, nil
					case slices.Contains(offered, "LOGIN"):
						return &Login{Client: sasl.NewLoginClient("ann", "secret"), Secret: "secret"}, nil
					}
					return nil, status.AuthFailed.Errorf("nothing left")
				},
			})
			if err == nil {
				session.quit = true // the script has no QUIT
				session.Close()
			}
			if got := fmt.Sprint(err); err != nil && got != tt.want || err == nil && tt.want != "" {
				t.Errorf("%s: %v, want %q", tt.dialogue, err, tt.want)
			}
			<-served
		})
	}
}

// TestSilence: a server that does not answer a ClientHello is given up after
// Options.Silence; a server that has begun to answer has the time of a handshake.
func TestSilence(t *testing.T) {
	for _, tt := range []struct {
		says  string
		lost  bool
		words string
	}{
		{"", true, "TLS: no answer within 10s while shaking hands for TLS (mx)"},
		{"\x16", false, "TLS: no answer within 1m0s while shaking hands for TLS (mx)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			go func() {
				server.Read(make([]byte, 4096))
				io.WriteString(server, tt.says)
				io.Copy(io.Discard, server)
			}()
			_, err := Open(context.Background(), client, Options{Host: "mx", Name: "client",
				TLS: &tls.Config{ServerName: "mx"}, Silence: 10 * time.Second, Timeout: time.Minute})
			if lost := errors.As(err, new(*LostHandshake)); lost != tt.lost || err == nil || err.Error() != tt.words {
				t.Errorf("%q: %v, lost %v", tt.says, err, lost)
			}
		})
	}
}

// TestMask hides a secret in each form in which a server may repeat it: as it is, in base64
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

// TestClose holds how long Close takes in TLS: a server that reads gets QUIT; for a server
// that does not read, Close waits only as long as for the writing of QUIT.
func TestClose(t *testing.T) {
	if certificateErr != nil {
		t.Fatal(certificateErr)
	}
	for name, tt := range map[string]struct {
		reads, broken bool
		want          string
		within        time.Duration
	}{
		"reads":                 {true, false, "QUIT\r\n <nil>", 0},
		"does not read":         {false, false, "", time.Second},
		"is out of step":        {true, true, " <nil>", 0},
		"is not there any more": {false, true, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer server.Close()
				heard := make(chan string, 1)
				go func() {
					conn := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate}})
					r := smtptest.Begin(t, conn, "S: 220 mx\nC: EHLO client\nS: 250 mx")
					if tt.reads {
						text, err := io.ReadAll(r)
						heard <- fmt.Sprint(string(text), " ", err)
					}
				}()
				s, err := Open(t.Context(), client, Options{Host: "mx", Name: "client", TLS: &tls.Config{ServerName: "mx.example", RootCAs: roots(), Time: leafTime}})
				if err != nil {
					t.Fatal(err)
				}
				s.broken = tt.broken
				begun := time.Now()
				s.Close()
				if took := time.Since(begun); took != tt.within {
					t.Errorf("took %s", took)
				}
				if !tt.reads {
					return
				}
				if got := <-heard; got != tt.want {
					t.Errorf("the server heard %q, want %q", got, tt.want)
				}
			})
		})
	}
}
