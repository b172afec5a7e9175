package smtp

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

// TestTrySender asks about a sender, in one flight if the server offers PIPELINING, and
// holds that Deliver may follow, and that Server returns all that the server offered.
func TestTrySender(t *testing.T) {
	const head = "S: 220-mx ESMTP\nS: 220 at your service\nC: EHLO client\nS: 250-mx\nS: 250-size 1000\nS: 250-LIMITS MAILMAX=1\nS: 250-AUTH PLAIN LOGIN\n"
	for name, tt := range map[string]struct{ script, want string }{
		"taken":      {head + "S: 250 8BITMIME\nC: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RSET\nS: 250 ok\nC: QUIT\n", "<nil>"},
		"refused":    {head + "S: 250 8BITMIME\nC: MAIL FROM:<a@example.org>\nS: 550 5.7.1 not you\nC: RSET\nS: 250 ok\nC: QUIT\n", "not allowed: MAIL FROM:<a@example.org>: 550 5.7.1 not you (mx)"},
		"pipelining": {head + "S: 250 PIPELINING\nC: MAIL FROM:<a@example.org>\nC: RSET\nS: 450 later\nS: 250 ok\nC: QUIT\n", "deferred: MAIL FROM:<a@example.org>: 450 later (mx)"},
		"lost":       {head + "S: 250 8BITMIME\nC: MAIL FROM:<a@example.org>\nS: 421 4.3.2 going down\n", "limit: MAIL FROM:<a@example.org>: 421 4.3.2 going down (mx)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, err := smtptest.Parse(name, tt.script)
				if err != nil {
					t.Fatal(err)
				}
				client, server := net.Pipe()
				served := make(chan error, 1)
				go func() { served <- tr.Serve(server) }()
				s, err := Open(context.Background(), client, Options{Security: None, Host: "mx", Name: "client"})
				if err != nil {
					t.Fatal(err)
				}
				known := s.Server()
				if known.Greeting != "mx ESMTP at your service" || known.TLS != nil || !slices.Equal(known.Mechanisms, []string{"LOGIN", "PLAIN"}) ||
					!slices.Contains(known.Extensions, "SIZE 1000") || !slices.Contains(known.Extensions, "8BITMIME") && !slices.Contains(known.Extensions, "PIPELINING") || !slices.IsSorted(known.Extensions) {
					t.Errorf("%+v", known)
				}
				from, err := envelope.Parse("a@example.org")
				if err != nil {
					t.Fatal(err)
				}
				got := "<nil>"
				if err := s.TrySender(context.Background(), &envelope.Envelope{From: from}); err != nil {
					got = fmt.Sprintf("%s: %v", status.KindOf(err), err)
				}
				if got != tt.want {
					t.Errorf("got %s\nwant %s", got, tt.want)
				}
				if s.More() {
					t.Error("TrySender does not count as one of the mails that the server allows")
				}
				s.Close()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
