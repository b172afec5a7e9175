package submit

import (
	"io"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/status"
)

func parse(t testing.TB, s string) envelope.Address {
	t.Helper()
	a, err := envelope.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// work is an account whose provider takes only its own address.
func work(t testing.TB, from ...string) *config.Account {
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

// host is who runs sendoff in these tests, and where.
var host = config.Identity{
	Login: "root", FullName: "Charlie Root",
	Hostname: "vm", FQDN: "vm.lan", Mailname: "mail.example.com",
}

func request(t testing.TB, a *config.Account, sender *string, text string, to ...string) *Request {
	t.Helper()
	m, err := message.Read(strings.NewReader(text), message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	r := &Request{Account: a, Message: m}
	if sender != nil {
		address := parse(t, *sender)
		r.Sender = &address
	}
	for _, s := range to {
		r.To = append(r.To, Wanted{envelope.Recipient{Address: parse(t, s)}, "argument"})
	}
	return r
}

func text(t testing.TB, m *message.Message) string {
	t.Helper()
	r, _, err := m.Open(envelope.Form{EightBit: true, UTF8: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLocalNames holds the fresh-install defaults: cron's mail passes a
// provider that takes only the account's own address, without a rule.
func TestLocalNames(t *testing.T) {
	own := []string{"ann@example.org"}
	tests := []struct {
		name, domain, sender string // sender "-": none given
		from                 []string
		force                bool
		header, to           string
		wantSender, wantTo   string
		wantFrom             string // the From field
	}{
		{"cron", "", "-", own, false, "root (Cron Daemon)", "root",
			"ann@example.org", "ann@example.org", "ann@example.org (Cron Daemon)"},
		{"a display name is kept", "", "root", own, false, "Cron <root@localhost>", "root@localhost",
			"ann@example.org", "ann@example.org", "Cron <ann@example.org>"},
		{"a single label", "", "www@vm", own, false, "www@vm", "root@vm",
			"ann@example.org", "ann@example.org", "ann@example.org"},
		{"the host's full name", "", "www@VM.lan", own, false, "www@vm.lan", "root@vm.lan",
			"ann@example.org", "ann@example.org", "ann@example.org"},
		{"mailname is local for senders only", "", "www@mail.example.com", own, false, "www@mail.example.com", "root@mail.example.com",
			"ann@example.org", "root@mail.example.com", "ann@example.org"},
		{"a foreign sender is left alone", "", "bob@example.net", own, false, "bob@example.net", "carol@example.net",
			"bob@example.net", "carol@example.net", "bob@example.net"},
		{"another address of the account too", "", "x@lists.example.org", []string{"ann@example.org", "*@lists.example.org"}, false,
			"x@lists.example.org", "root@lists.example.org", "x@lists.example.org", "root@lists.example.org", "x@lists.example.org"},
		{"a local address that is the account's", "", "ann@vm.lan", []string{"ann@vm.lan"}, false, "ann@vm.lan", "root@vm.lan",
			"ann@vm.lan", "root@vm.lan", "ann@vm.lan"},
		{"the null sender stays", "", "", own, false, "root", "bob@example.net",
			"", "bob@example.net", "ann@example.org"},
		{"domain qualifies and replaces nothing", "example.net", "root", own, false, "root (Cron Daemon)", "root",
			"root@example.net", "root@example.net", "root@example.net (Cron Daemon)"},
		{"domain leaves localhost", "example.net", "root@localhost", own, false, "root@localhost", "root@localhost",
			"root@localhost", "root@localhost", "root@localhost"},
		{"the user, where from has only patterns", "", "-", []string{"*@example.org"}, false, "root", "root",
			"ann@example.org", "ann@example.org", "ann@example.org"},
		{"force-sender", "", "bob@example.net", own, true, "Bob <bob@example.net>", "carol@example.net",
			"ann@example.org", "carol@example.net", "Bob <ann@example.org>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := work(t, tt.from...)
			a.ForceSender = tt.force
			s := &Submitter{Config: &config.Config{Domain: tt.domain, Accounts: []*config.Account{a}}, Identity: host}
			sender := &tt.sender
			if tt.sender == "-" {
				sender = nil
			}
			r := request(t, a, sender, "From: "+tt.header+"\nTo: "+tt.to+"\nSubject: x\n\nbody\n", tt.to)
			j, err := s.prepare(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := j.envelope.From.String(); got != tt.wantSender {
				t.Errorf("sender %q (%s), want %q", got, j.sender, tt.wantSender)
			}
			if got := j.envelope.To[0].Address.String(); got != tt.wantTo {
				t.Errorf("recipient %q (%s), want %q", got, j.origins[0], tt.wantTo)
			}
			content := text(t, j.message)
			for _, line := range []string{"From: " + tt.wantFrom + "\r\n", "To: " + tt.wantTo + "\r\n"} {
				if !strings.Contains(content, line) {
					t.Errorf("no %q in\n%s", line, content)
				}
			}
			if got := strings.Contains(content, "Reply-To: Bob <bob@example.net>\r\n"); got != tt.force {
				t.Errorf("Reply-To is there: %t\n%s", got, content)
			}
		})
	}
}

// TestNoOwnAddress has an account that nothing can be replaced by: names get
// the host's domain, because mail to root must go somewhere.
func TestNoOwnAddress(t *testing.T) {
	a := &config.Account{Name: "relay", MaxRecipients: 100}
	s := &Submitter{Config: &config.Config{}, Identity: host}
	j, err := s.prepare(request(t, a, nil, "Subject: x\n", "root"))
	if err != nil {
		t.Fatal(err)
	}
	if j.envelope.From.String() != "root@mail.example.com" || j.envelope.To[0].Address.String() != "root@mail.example.com" {
		t.Errorf("from %v to %v", j.envelope.From, j.envelope.To)
	}
	if content := text(t, j.message); !strings.Contains(content, "From: Charlie Root <root@mail.example.com>\r\n") {
		t.Error(content)
	}
}

func TestDuplicates(t *testing.T) {
	a := work(t, "ann@example.org")
	s := &Submitter{Config: &config.Config{Accounts: []*config.Account{a}}, Identity: host}
	j, err := s.prepare(request(t, a, nil, "Subject: x\n", "bob@example.net", "bob@EXAMPLE.net", "Bob@example.net", "root", "ann@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, to := range j.envelope.To {
		got = append(got, to.Address.String())
	}
	if want := "bob@example.net Bob@example.net ann@example.org"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSignedMailKeepsItsHeader(t *testing.T) {
	a := work(t, "ann@example.org")
	s := &Submitter{Config: &config.Config{Accounts: []*config.Account{a}}, Identity: host}
	sender := "root"
	j, err := s.prepare(request(t, a, &sender, "From: root\nTo: root\nBcc: bob@example.net\nDKIM-Signature: v=1\n\nbody\n", "root"))
	if err != nil {
		t.Fatal(err)
	}
	content := text(t, j.message)
	if j.envelope.From.String() != "ann@example.org" || !strings.Contains(content, "From: root\r\nTo: root\r\nDKIM-Signature: v=1\r\n") ||
		!strings.Contains(content, "Message-ID: ") || strings.Contains(content, "Bcc") {
		t.Errorf("from %v:\n%s", j.envelope.From, content)
	}
}

func TestMaxSize(t *testing.T) {
	a := work(t, "ann@example.org")
	a.MaxSize = 100
	s := &Submitter{Config: &config.Config{}, Identity: host}
	_, err := s.prepare(request(t, a, nil, "Subject: x\n\n"+strings.Repeat("x\n", 100), "bob@example.net"))
	if status.KindOf(err) != status.TooBig {
		t.Errorf("%v", err)
	}
}

func TestHelloName(t *testing.T) {
	tests := []struct {
		hostname, fqdn, sender, own, want string
	}{
		{"set.example.org", "mx.example.com", "a@example.net", "", "set.example.org"},
		{"", "mx.example.com", "a@example.net", "", "mx.example.com"},
		{"", "vm.lan", "a@example.net", "ann@example.org", "example.net"},
		{"", "vm.lan", "", "ann@example.org", "example.org"},
		{"", "vm.localdomain", "", "", "vm"},
		{"", "", "a@ü.example", "", "vm"},
		{"", "", "a@[192.0.2.1]", "", "vm"},
	}
	for _, tt := range tests {
		s := &Submitter{Config: &config.Config{Hostname: tt.hostname}, Identity: config.Identity{Hostname: "vm", FQDN: tt.fqdn}}
		if got := s.helloName(parse(t, tt.sender), parse(t, tt.own)); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
