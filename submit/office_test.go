//go:build unix

package submit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/spool"
)

// A post is a smarthost that answers as its functions say.
type post struct {
	up     func() bool
	login  func() string          // the reply to AUTH; nil: none is offered
	mail   func() string          // the reply to MAIL; nil: 250
	rcpt   func(to string) string // the reply to RCPT; nil: 250
	dot    func() string          // the reply to the final dot; nil: 250
	dotFor func(to string) string // likewise, for the last recipient
	mails  []string               // whole messages that were taken
	to     []string               // the recipients that were taken
	dials  []time.Time            // when somebody came, or tried to
	logins int
}

// posting is held by whoever counts.
var posting sync.Mutex

// count is called for what several sessions may do at once.
func (p *post) count(f func()) {
	posting.Lock()
	defer posting.Unlock()
	f()
}

func (p *post) dial(context.Context, string, string) (net.Conn, error) {
	p.count(func() { p.dials = append(p.dials, time.Now()) })
	if p.up != nil && !p.up() {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	go p.serve(server)
	return client, nil
}

func (p *post) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 mx ESMTP")
	last := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO":
			if p.login != nil {
				say("250-mx")
				say("250 AUTH PLAIN")
				continue
			}
			say("250 mx")
		case "AUTH":
			p.count(func() { p.logins++ })
			say(p.login())
		case "MAIL":
			time.Sleep(time.Millisecond) // so that there is a before and an after
			reply := "250 ok"
			if p.mail != nil {
				reply = p.mail()
			}
			say(reply)
			if strings.HasPrefix(reply, "421") {
				return
			}
		case "RCPT":
			reply := "250 ok"
			if p.rcpt != nil {
				reply = p.rcpt(line)
			}
			if last = line; reply[0] == '2' {
				p.count(func() { p.to = append(p.to, line) })
			}
			say(reply)
		case "DATA":
			say("354 go")
			var b strings.Builder
			for line := ""; line != ".\r\n"; {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
				b.WriteString(line)
			}
			reply := "250 ok"
			if p.dot != nil {
				reply = p.dot()
			}
			if p.dotFor != nil {
				reply = p.dotFor(last)
			}
			if reply[0] == '2' {
				p.count(func() { p.mails = append(p.mails, b.String()) })
			}
			say(reply)
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// office is a Submitter with a queue, whose accounts lead to p.
func office(t *testing.T, p *post) *Submitter {
	t.Helper()
	q, err := queue.Open(filepath.Join(t.TempDir(), "queue"), os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Aliases = config.Off // whatever this machine has
	a := work(t, "ann@example.org")
	a.File, a.Deliver = "config.toml", config.DeliverNow
	a.Servers = config.List[config.Server]{server(t, "smtp+plain://127.0.0.1:25")}
	if a.User = ""; p.login != nil {
		a.User = "ann@example.org"
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte("wrong\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		a.Secret = from(t, "file:"+secret)
	}
	c.Accounts = []*config.Account{a}
	c.Runner = config.Off
	return &Submitter{Config: c, Identity: host, Spool: spool.Spool{Queue: q, Runner: c.Runner}, Sendmail: true, Smarthosts: poolTo(p.dial)}
}

// submit submits a message to the account work, or another.
func submit(t *testing.T, s *Submitter, to ...string) error {
	t.Helper()
	r := request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n", to...)
	defer r.Message.Close()
	return s.Submit(t.Context(), r)
}

// left returns how many entries wait, and how many were given up.
func left(t *testing.T, s *Submitter) (waiting, failed int) {
	t.Helper()
	ids, err := s.Queue.IDs()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(s.Queue.String(), "failed", "*.env"))
	return len(ids), len(files)
}

// dialogue hands a message over by SMTP.
func dialogue(t *testing.T, client net.Conn, to ...string) (reply string, took time.Duration, hangUp func()) {
	t.Helper()
	r := bufio.NewReader(client)
	say := func(text, want string) string {
		t.Helper()
		if text != "" {
			fmt.Fprintf(client, "%s\r\n", text)
		}
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("%s: %q, %v", text, line, err)
		}
		return strings.TrimSpace(line)
	}
	say("", "220")
	say("HELO client.example", "250")
	say("MAIL FROM:<ann@example.org>", "250")
	for _, a := range to {
		say("RCPT TO:<"+a+">", "250")
	}
	say("DATA", "354")
	begin := time.Now()
	reply = say("Subject: x\r\n\r\nbody\r\n.", "")
	return reply, time.Since(begin), func() { client.Close() }
}

// only returns the one entry of the queue.
func only(t *testing.T, s *Submitter) *queue.Entry {
	t.Helper()
	ids, err := s.Queue.IDs()
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d entries, %v", len(ids), err)
	}
	e, err := s.Queue.Read(ids[0])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// postpone queues a message by a Choice that names no account of a file, as
// --server and SENDOFF_SERVER do.
func postpone(t *testing.T, s *Submitter, by config.Choice, text string) *queue.Entry {
	t.Helper()
	r := request(t, s.Config.Accounts[0], nil, text, "bob@example.net")
	defer r.Message.Close()
	account := *r.Account
	account.File = ""
	r.Account, r.By = &account, by
	e := s.entry(r)
	e.To = []queue.Recipient{{Recipient: r.To[0].Recipient}}
	e.Next = time.Now()
	if err := s.store(r, e, s.Queue.Add); err != nil {
		t.Fatal(err)
	}
	return e
}

// poolTo returns a Pool that dials so, for a user without a home.
func poolTo(dial func(context.Context, string, string) (net.Conn, error)) *smarthost.Pool {
	p := smarthost.New(&credential.Store{Home: "/nonexistent"})
	p.Dialer.Dial = dial
	return p
}
