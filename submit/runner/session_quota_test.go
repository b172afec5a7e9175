//go:build unix

package runner

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/spool"
	"sendoff/submit/submittest"
	"sendoff/submit/throttle"
)

// A thrifty is a server that takes a limited number of mails in a session.
type thrifty struct {
	most   int    // mails in a session; after them how says what happens:
	how    string // "421", "close", "limits" (in the reply to EHLO), or "gone": no mail in later sessions
	noNull bool   // refuse the null sender

	mu       sync.Mutex
	sessions int
	mails    int      // MAIL commands
	taken    []string // "SENDER RECIPIENT"
}

func (h *thrifty) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions++
	go h.serve(server, h.how == "gone" && h.sessions > 1)
	return client, nil
}

func (h *thrifty) serve(conn net.Conn, gone bool) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 mx ESMTP")
	sender, to, mails := "", []string(nil), 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		reply := "250 ok"
		switch verb, arg, _ := strings.Cut(line, ":"); verb {
		case "EHLO client.example":
			if h.how == "limits" {
				reply = fmt.Sprintf("250-mx\r\n250 LIMITS MAILMAX=%d", h.most)
			}
		case "MAIL FROM":
			sender, to = arg, nil
			h.mu.Lock()
			h.mails++
			h.mu.Unlock()
			switch mails++; {
			case gone || mails > h.most && h.how != "close":
				say("421 4.7.0 Maximum message count per session reached")
				return
			case mails > h.most:
				return
			case h.noNull && strings.HasPrefix(arg, "<>"):
				reply = "501 5.5.4 Invalid MAIL FROM address provided"
			}
		case "RCPT TO":
			to = append(to, arg)
		case "DATA":
			say("354 go")
			for line := ""; line != ".\r\n"; {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			h.mu.Lock()
			for _, a := range to {
				h.taken = append(h.taken, sender+" "+a)
			}
			h.mu.Unlock()
		case "QUIT":
			say("221 bye")
			return
		}
		say(reply)
	}
}

// thrift returns a user with a queue, whose account has the server h.
func thrift(t *testing.T, h *thrifty) *user {
	t.Helper()
	q, err := queue.Open(filepath.Join(t.TempDir(), "queue"), os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Aliases, c.Runner, c.Hostname = config.Off, config.Off, "client.example"
	a := submittest.Account(t, "ann@example.org")
	a.File, a.User, a.Deliver = "config.toml", "", config.DeliverNow
	a.Servers = config.List[config.Server]{submittest.Server(t, "smtp+plain://127.0.0.1:25")}
	c.Accounts = []*config.Account{a}
	s := &submit.Submitter{Config: c, Identity: submittest.Host, Spool: spool.Spool{Queue: q, Runner: c.Runner}, Sendmail: true, Smarthosts: smarthost.New(&credential.Store{Home: "/nonexistent"}), Unwritten: new(throttle.Unwritten)}
	s.Smarthosts.Dialer.Dial = h.dial
	return &user{s, New(s)}
}

func (h *thrifty) submit(t *testing.T, s *user, sender *string, to ...string) error {
	t.Helper()
	r := submittest.Request(t, s.Config.Accounts[0], sender, "Subject: x\n\nbody\n", to...)
	defer r.Message.Close()
	return s.Submit(t.Context(), r)
}

// check tests which mails were taken, and in how many sessions.
func (h *thrifty) check(t *testing.T, sessions int, taken ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.Sort(h.taken)
	if !slices.Equal(h.taken, taken) {
		t.Errorf("taken %q, want %q", h.taken, taken)
	}
	if h.sessions != sessions {
		t.Errorf("%d sessions, want %d", h.sessions, sessions)
	}
}

// whole lists the ways in which a server says that it takes no more mails in a session.
var whole = []string{"421", "close", "limits"}

// TestSessionsOfQueue tests that one run of the queue sends all mails, however few a
// server takes in a session, and notes no fault or attempt for that.
func TestSessionsOfQueue(t *testing.T) {
	for _, how := range whole {
		t.Run(how, func(t *testing.T) {
			h := &thrifty{most: 2, how: how}
			s := thrift(t, h)
			s.Config.Sessions = 1
			s.Config.Accounts[0].Deliver = config.DeliverQueue
			var want []string
			for n := range 7 {
				to := fmt.Sprintf("r%d@example.net", n)
				want = append(want, "<ann@example.org> <"+to+">")
				if err := h.submit(t, s, nil, to); err != nil {
					t.Fatal(err)
				}
			}
			if _, left, err := s.Run(t.Context(), Selection{Now: true}); left > 0 || err != nil {
				t.Errorf("%d entries are left: %v", left, err)
			}
			h.check(t, 4, want...)
			if f := throttle.Faults(s.Queue); len(f) > 0 {
				t.Errorf("the account has a fault: %s", f[0].Reason)
			}
		})
	}
}

// TestSessionsOfMail tests the same for a mail that needs several transactions, at its
// first attempt and from the queue.
func TestSessionsOfMail(t *testing.T) {
	to := []string{"a@example.net", "b@example.net", "c@example.net", "d@example.net", "e@example.net"}
	var want []string
	for _, a := range to {
		want = append(want, "<ann@example.org> <"+a+">")
	}
	for _, how := range whole {
		for _, deliver := range []string{config.DeliverNow, config.DeliverQueue} {
			t.Run(fmt.Sprint(how, deliver), func(t *testing.T) {
				h := &thrifty{most: 2, how: how}
				s := thrift(t, h)
				s.Config.Accounts[0].MaxRecipients, s.Config.Accounts[0].Deliver = 1, deliver
				if err := h.submit(t, s, nil, to...); err != nil {
					t.Error(err)
				}
				if _, left, err := s.Run(t.Context(), Selection{Now: true}); left > 0 || err != nil {
					t.Errorf("%d entries are left: %v", left, err)
				}
				h.check(t, 3, want...)
			})
		}
	}
}

// TestSessionsForNull tests that if the refusal of the null sender was the last mail that
// a session allows, the mail from the other sender is sent in a new session.
func TestSessionsForNull(t *testing.T) {
	null := "<>"
	for _, how := range whole {
		for _, deliver := range []string{config.DeliverNow, config.DeliverQueue} {
			t.Run(fmt.Sprint(how, deliver), func(t *testing.T) {
				h := &thrifty{most: 1, how: how, noNull: true}
				s := thrift(t, h)
				s.Config.Accounts[0].Deliver = deliver
				if err := h.submit(t, s, &null, "a@example.net", "b@example.net"); err != nil {
					t.Error(err)
				}
				if _, left, err := s.Run(t.Context(), Selection{Now: true}); left > 0 || err != nil {
					t.Errorf("%d entries are left: %v", left, err)
				}
				h.check(t, 2, "<ann@example.org> <a@example.net>", "<ann@example.org> <b@example.net>")
			})
		}
	}
}

// TestSessionsKept tests that an idle session in which the server takes no more mails is
// replaced by a new one.
func TestSessionsKept(t *testing.T) {
	for _, how := range whole {
		t.Run(how, func(t *testing.T) {
			h := &thrifty{most: 1, how: how}
			s := thrift(t, h)
			s.Smarthosts.Idle = new(smarthost.Idle)
			defer s.Smarthosts.Idle.Close()
			for range 3 {
				if err := h.submit(t, s, nil, "a@example.net"); err != nil {
					t.Error(err)
				}
			}
			h.check(t, 3, slices.Repeat([]string{"<ann@example.org> <a@example.net>"}, 3)...)
			if n, err := s.Queue.IDs(); len(n) > 0 || err != nil {
				t.Errorf("%d entries wait, %v", len(n), err)
			}
		})
	}
}

// TestSessionsEnd tests that no further session is opened if the server takes no mail in
// a new session either: that is a limit of the account, not of the session.
func TestSessionsEnd(t *testing.T) {
	h := &thrifty{most: 2, how: "gone"}
	s := thrift(t, h)
	s.Config.Sessions = 1
	s.Config.Accounts[0].Deliver = config.DeliverQueue
	for n := range 6 {
		if err := h.submit(t, s, nil, fmt.Sprintf("r%d@example.net", n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, left, err := s.Run(t.Context(), Selection{Now: true}); left != 4 || err != nil {
		t.Errorf("%d entries are left: %v", left, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if refused := h.mails - len(h.taken); len(h.taken) != 2 || refused != h.sessions {
		t.Errorf("%d taken, %d MAILs refused in %d sessions", len(h.taken), refused, h.sessions)
	}
}
