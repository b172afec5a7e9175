//go:build unix

package submit

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/smtpd"
)

// tinyMessage has all the fields that would be added, so that its size is the same in each run.
const tinyMessage = "From: ann@example.org\nTo: bob@example.net\nSubject: hello\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.org>\n\nIt works.\n"

// dialogue returns the transcript of one submission of tinyMessage.
func dialogue(security string, oneFlight bool) string {
	const greeting, tls, login = "S: 220 mx\n", "S+ TLS\n", "C: AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzd29yZGZpc2g=\nS: 235 ok\n"
	ehlo := func(extension string) string {
		return "C: EHLO example.org\nS: 250-mx\nS: 250-PIPELINING\nS: 250-CHUNKING\nS: 250 " + extension + "\n"
	}
	begin := map[string]string{
		"plain":    greeting + ehlo("HELP"),
		"tls":      tls + greeting + ehlo("AUTH PLAIN") + login,
		"starttls": greeting + ehlo("STARTTLS") + "C: STARTTLS\nS: 220 go\n" + tls + ehlo("AUTH PLAIN") + login,
	}[security]
	flight := "C: MAIL FROM:<ann@example.org>\nC: RCPT TO:<bob@example.net>\n"
	replies := "S: 250 ok\nS: 250 ok\n"
	if oneFlight {
		flight += fmt.Sprintf("C: BDAT %d LAST\nC+ any\n", len(tinyMessage)+strings.Count(tinyMessage, "\n")) + replies + "S: 250 taken\nC: QUIT\n"
	} else {
		flight += "C: DATA\n" + replies + "S: 354 go\nC+ any\nC: .\nC: QUIT\nS: 250 taken\n"
	}
	return begin + flight
}

// TestRoundTrips checks how often a whole submission waits for the server, the TCP connection
// included.
func TestRoundTrips(t *testing.T) {
	certificate, err := smtpd.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		security, scheme string
		oneFlight        bool
		trips            int64
	}{
		{"plain", "smtp+plain", false, 5},
		{"tls", "smtps", false, 7},
		{"starttls", "smtp", false, 9},
		{"plain", "smtp+plain", true, 4},
		{"tls", "smtps", true, 6},
		{"starttls", "smtp", true, 8},
	} {
		t.Run(fmt.Sprintf("%s one-flight=%t", tt.security, tt.oneFlight), func(t *testing.T) {
			transcript, err := smtptest.Parse("dialogue", dialogue(tt.security, tt.oneFlight))
			if err != nil {
				t.Fatal(err)
			}
			transcript.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			served := make(chan error, 1)
			go func() {
				conn, err := l.Accept()
				if err == nil {
					err = transcript.Serve(conn)
				}
				served <- err
			}()
			s, a := newSmarthost(t).submitter(t, "swordfish")
			a.Servers = []config.Server{server(t, tt.scheme+"://"+l.Addr().String())}
			a.TLSCA, a.OneFlight = writeCA(t, certificate), tt.oneFlight
			if tt.security == "plain" {
				a.User = ""
			}
			trips := new(atomic.Int64)
			s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				trips.Add(1)
				wrote := new(atomic.Bool)
				wrote.Store(true) // the last packet of TCP's handshake, which the greeting answers
				return counted{conn, wrote, trips, 0}, err
			}
			if err := s.Submit(t.Context(), request(t, a, nil, tinyMessage, "bob@example.net")); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
			if n := trips.Load(); n != tt.trips {
				t.Errorf("%d round trips, want %d", n, tt.trips)
			}
		})
	}
}

// TestSubmissionMemory checks what one submission over TLS allocates, the server's part
// included.
func TestSubmissionMemory(t *testing.T) {
	s, a := newSmarthost(t).submitter(t, "swordfish")
	submit := func() {
		if err := s.Submit(t.Context(), request(t, a, nil, tinyMessage, "bob@example.net")); err != nil {
			t.Fatal(err)
		}
	}
	submit()
	objects, octets := smtptest.Allocated(submit)
	t.Logf("%d objects, %d octets", objects, octets)
	if objects > 2200 || octets > 500_000 {
		t.Errorf("%d objects, %d octets", objects, octets)
	}
}

// TestRecipientsMemory checks that the memory for a queued message grows no faster than its
// recipients.
func TestRecipientsMemory(t *testing.T) {
	smtptest.LinearMemory(t, 1000, func(n int) func() {
		s := queueing(t)
		var to []string
		for i := range n {
			to = append(to, fmt.Sprintf("r%d@example.net", i))
		}
		text := "Subject: x\nBcc: " + strings.Join(to, ",\n ") + "\n\nx\n"
		return func() {
			m, err := message.Read(strings.NewReader(text), message.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			r := &Request{Account: s.Config.Accounts[0], Message: m, QueueOnly: true}
			list, bad := m.Recipients()
			for _, b := range list {
				r.To = append(r.To, Wanted{Recipient: envelope.Recipient{Address: b.Address}, Origin: "header"})
			}
			if err := s.Submit(t.Context(), r); err != nil || len(bad) > 0 {
				t.Fatal(err, bad)
			}
		}
	})
}
