// Package submittest has what tests of several packages of submit need: a smarthost
// that answers as its functions say, and a Submitter whose accounts lead to it.
package submittest

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
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/spool"
)

// A Post is a smarthost that answers as its functions say.
type Post struct {
	Up     func() bool
	Login  func() string          // the reply to AUTH; nil: none is offered
	Mail   func() string          // the reply to MAIL; nil: 250
	Rcpt   func(to string) string // the reply to RCPT; nil: 250
	Dot    func() string          // the reply to the final dot; nil: 250
	DotFor func(to string) string // likewise, for the last recipient
	Mails  []string               // whole messages that were taken
	To     []string               // the recipients that were taken
	Dials  []time.Time            // when somebody came, or tried to
	Logins int
}

// posting is held by whoever counts.
var posting sync.Mutex

// Count is called for what several sessions may do at once.
func (p *Post) Count(f func()) {
	posting.Lock()
	defer posting.Unlock()
	f()
}

// Dial connects to the smarthost.
func (p *Post) Dial(context.Context, string, string) (net.Conn, error) {
	p.Count(func() { p.Dials = append(p.Dials, time.Now()) })
	if p.Up != nil && !p.Up() {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	go p.Serve(server)
	return client, nil
}

// Serve answers a client.
func (p *Post) Serve(conn net.Conn) {
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
			if p.Login != nil {
				say("250-mx")
				say("250 AUTH PLAIN")
				continue
			}
			say("250 mx")
		case "AUTH":
			p.Count(func() { p.Logins++ })
			say(p.Login())
		case "MAIL":
			time.Sleep(time.Millisecond) // so that there is a before and an after
			reply := "250 ok"
			if p.Mail != nil {
				reply = p.Mail()
			}
			say(reply)
			if strings.HasPrefix(reply, "421") {
				return
			}
		case "RCPT":
			reply := "250 ok"
			if p.Rcpt != nil {
				reply = p.Rcpt(line)
			}
			if last = line; reply[0] == '2' {
				p.Count(func() { p.To = append(p.To, line) })
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
			if p.Dot != nil {
				reply = p.Dot()
			}
			if p.DotFor != nil {
				reply = p.DotFor(last)
			}
			if reply[0] == '2' {
				p.Count(func() { p.Mails = append(p.Mails, b.String()) })
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

// Office is a Submitter with a queue, whose accounts lead to p.
func Office(t *testing.T, p *Post) *submit.Submitter {
	t.Helper()
	q, err := queue.Open(filepath.Join(t.TempDir(), "queue"), os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Aliases = config.Off // whatever this machine has
	a := Account(t, "ann@example.org")
	a.File, a.Deliver = "config.toml", config.DeliverNow
	a.Servers = config.List[config.Server]{Server(t, "smtp+plain://127.0.0.1:25")}
	if a.User = ""; p.Login != nil {
		a.User = "ann@example.org"
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte("wrong\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		ref, err := credential.ParseRef("file:" + secret)
		if err != nil {
			t.Fatal(err)
		}
		a.Secret = config.List[credential.Ref]{ref}
	}
	c.Accounts = []*config.Account{a}
	c.Runner = config.Off
	s := &submit.Submitter{Config: c, Identity: Host, Spool: spool.Spool{Queue: q, Runner: c.Runner}, Sendmail: true, Smarthosts: smarthost.New(&credential.Store{Home: "/nonexistent"})}
	s.Smarthosts.Dialer.Dial = p.Dial
	return s
}

// Submit submits a message to the account work, or another.
func Submit(t *testing.T, s *submit.Submitter, to ...string) error {
	t.Helper()
	r := Request(t, s.Config.Accounts[0], nil, "Subject: x\n\nbody\n", to...)
	defer r.Message.Close()
	return s.Submit(t.Context(), r)
}

// Left returns how many entries wait, and how many were given up.
func Left(t *testing.T, s *submit.Submitter) (waiting, failed int) {
	t.Helper()
	ids, err := s.Queue.IDs()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(s.Queue.String(), "failed", "*.env"))
	return len(ids), len(files)
}

// Parse reads an address.
func Parse(t testing.TB, s string) envelope.Address {
	t.Helper()
	a, err := envelope.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Account is an account whose provider takes only its own address.
func Account(t testing.TB, from ...string) *config.Account {
	t.Helper()
	a := &config.Account{Name: "work", User: "ann@example.org", MaxRecipients: 100}
	for _, text := range from {
		var p config.Pattern
		if err := p.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		a.From = append(a.From, p)
	}
	return a
}

// Host is who runs sendoff in these tests, and where.
var Host = config.Identity{
	Login: "root", FullName: "Charlie Root",
	Hostname: "vm", FQDN: "vm.lan", Mailname: "mail.example.com",
}

// Request is for a message to recipients of an account.
func Request(t testing.TB, a *config.Account, sender *string, text string, to ...string) *submit.Request {
	t.Helper()
	m, err := message.Read(strings.NewReader(text), message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	r := &submit.Request{Account: a, Message: m}
	if sender != nil {
		address := Parse(t, *sender)
		r.Sender = &address
	}
	for _, s := range to {
		r.To = append(r.To, submit.Wanted{Recipient: envelope.Recipient{Address: Parse(t, s)}, Origin: "argument"})
	}
	return r
}

// Server is what a URL of the configuration names.
func Server(t testing.TB, url string) config.Server {
	t.Helper()
	var s config.Server
	if err := s.UnmarshalText([]byte(url)); err != nil {
		t.Fatal(err)
	}
	return s
}
