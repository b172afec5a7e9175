package smtp

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"sendoff/submit/smtp/smtptest"
)

// TestStay calls Deliver several times with KeepOpen: QUIT is sent only by Close, and RSET
// ends the transaction of a mail that was refused.
func TestStay(t *testing.T) {
	const mail = "C: MAIL FROM:<a@example.org>\nC: RCPT TO:<r0@example.org>\n"
	const taken = "C: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC+ any\nC: .\nS: 250 taken\n"
	const refused = "C: DATA\nS: 250 ok\nS: 550 5.1.1 no\nS: 503 no\nC: RSET\nS: 250 ok\n"
	const chunk = "C: BDAT 6 LAST\nC+ any\nS: 250 ok\nS: 250 ok\nS: 250 taken\n"
	const pipelining = "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 PIPELINING\n"
	for name, tt := range map[string]struct {
		script    string
		oneFlight bool
		refused   int // number of the call of Deliver whose mail is refused
	}{
		"taken":      {pipelining + mail + taken + mail + taken + mail + taken + "C: QUIT\n", false, -1},
		"refused":    {pipelining + mail + taken + mail + refused + mail + taken + "C: QUIT\n", false, 1},
		"one-flight": {chunkingScript + mail + chunk + "C: RSET\n" + mail + "C: BDAT 6 LAST\nC+ any\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 taken\nC: RSET\n" + mail + "C: BDAT 6 LAST\nC+ any\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 taken\nC: QUIT\n", true, -1},
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
				opening, cancel := context.WithCancel(t.Context())
				s, err := Open(opening, client, Options{Security: None, Host: "mx", Name: "client", KeepOpen: true, OneFlight: tt.oneFlight})
				if err != nil {
					t.Fatal(err)
				}
				for n := range 3 {
					cancel() // after Deliver: must not disturb the session
					synctest.Wait()
					var results []Result
					var ctx context.Context
					ctx, cancel = context.WithCancel(t.Context())
					if _, err := s.Deliver(ctx, mailing(t, 1, "text\r\n", &results)); err != nil {
						t.Fatalf("delivery %d: %v", n, err)
					}
					if len(results) != 1 || (results[0].Err != nil) != (n == tt.refused) {
						t.Errorf("delivery %d: %+v", n, results)
					}
				}
				cancel()
				s.Close()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
