package submit

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/outcome"
	"sendoff/submit/smtp"
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
		r.To = append(r.To, Wanted{Recipient: envelope.Recipient{Address: parse(t, s)}, Origin: "argument"})
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
			"ann@example.org", "ann@example.org", `"www@vm" <ann@example.org>`},
		{"the host's name with another private end", "", "www@vm.home.arpa", own, false, "<www@VM.home.arpa>", "root@vm.home.arpa",
			"ann@example.org", "root@vm.home.arpa", `"www@vm" <ann@example.org>`},
		{"a name is kept before the host's", "", "www@vm.local", own, false, "www@vm.local (Web)", "root@vm",
			"ann@example.org", "ann@example.org", "ann@example.org (Web)"},
		{"another host's private name", "", "www@nas.lan", own, false, "www@nas.lan", "root@nas.lan",
			"www@nas.lan", "root@nas.lan", "www@nas.lan"},
		{"localhost as programs have it built in", "", "nut@localhost.localdomain", own, false, "nut@LOCALHOST.localdomain", "root@localhost.localdomain",
			"ann@example.org", "ann@example.org", "ann@example.org"},
		{"localhost of IPv4", "", "nut@localhost4.localdomain4", own, false, "nut@localhost4", "root@localhost4.localdomain4",
			"ann@example.org", "ann@example.org", "ann@example.org"},
		{"localhost of IPv6", "", "nut@ip6-localhost", own, false, "nut@localhost6.localdomain6", "root@x.localhost",
			"ann@example.org", "ann@example.org", "ann@example.org"},
		{"domain leaves private ends", "example.net", "www@vm.local", own, false, "www@vm.local", "root@vm.local",
			"www@vm.local", "root@vm.local", "www@vm.local"},
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
			j, err := s.Resume(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := j.Envelope.From.String(); got != tt.wantSender {
				t.Errorf("sender %q (%s), want %q", got, j.From, tt.wantSender)
			}
			if got := j.To[0].Address.String(); got != tt.wantTo {
				t.Errorf("recipient %q (%s), want %q", got, j.To[0].Why, tt.wantTo)
			}
			content := text(t, j.Message)
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
	j, err := s.Resume(request(t, a, nil, "Subject: x\n", "root"))
	if err != nil {
		t.Fatal(err)
	}
	if j.Envelope.From.String() != "root@mail.example.com" || j.To[0].Address.String() != "root@mail.example.com" {
		t.Errorf("from %v to %v", j.Envelope.From, j.recipients())
	}
	if content := text(t, j.Message); !strings.Contains(content, "From: Charlie Root <root@mail.example.com>\r\n") {
		t.Error(content)
	}
}

func TestDuplicates(t *testing.T) {
	a := work(t, "ann@example.org")
	s := &Submitter{Config: &config.Config{Accounts: []*config.Account{a}}, Identity: host}
	j, err := s.Resume(request(t, a, nil, "Subject: x\n", "bob@example.net", "bob@EXAMPLE.net", "Bob@example.net", "root", "ann@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, to := range j.To {
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
	j, err := s.Resume(request(t, a, &sender, "From: root\nTo: root\nBcc: bob@example.net\nDKIM-Signature: v=1\n\nbody\n", "root"))
	if err != nil {
		t.Fatal(err)
	}
	content := text(t, j.Message)
	if j.Envelope.From.String() != "ann@example.org" || !strings.Contains(content, "From: root\r\nTo: root\r\nDKIM-Signature: v=1\r\n") ||
		!strings.Contains(content, "Message-ID: ") || strings.Contains(content, "Bcc") {
		t.Errorf("from %v:\n%s", j.Envelope.From, content)
	}
}

func TestMaxSize(t *testing.T) {
	a := work(t, "ann@example.org")
	a.MaxSize = 100
	s := &Submitter{Config: &config.Config{}, Identity: host}
	_, err := s.Resume(request(t, a, nil, "Subject: x\n\n"+strings.Repeat("x\n", 100), "bob@example.net"))
	if status.KindOf(err) != status.TooBig {
		t.Errorf("%v", err)
	}
}

// aliased is a Submitter with an account and an alias file of that text.
func aliased(t testing.TB, text string, accounts ...*config.Account) *Submitter {
	t.Helper()
	c := config.Default()
	c.Aliases = filepath.Join(t.TempDir(), "aliases")
	if err := os.WriteFile(c.Aliases, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Accounts = accounts
	return &Submitter{Config: c, Identity: host}
}

func addressesOf(to []envelope.Recipient) (list []envelope.Address) {
	for _, r := range to {
		list = append(list, r.Address)
	}
	return list
}

// words writes recipients as words.
func words(to []envelope.Recipient) string {
	var words []string
	for _, a := range addressesOf(to) {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

// TestAliasShown has an alias in the header: the address that it stands for is
// shown where nobody else gets the message.
func TestAliasShown(t *testing.T) {
	const file = "root: bob@example.net\nadmin: root\nall: bob@example.net, carol@example.net\nsome: bob@example.net, /dev/null\n"
	for _, tt := range []struct {
		name, domain, header, to, want string
	}{
		{"one address", "", "To: root", "root", "To: bob@example.net"},
		{"its name stays", "", "To: The Boss <Root@localhost>", "root", "To: The Boss <bob@example.net>"},
		{"a chain", "", "Cc: admin", "admin", "Cc: bob@example.net"},
		{"the same name twice", "", "To: root, root@vm", "root root@vm", "To: bob@example.net, bob@example.net"},
		{"with a domain", "corp.example", "To: root", "root", "To: bob@example.net"},
		{"a name that it is not about", "", "To: root, admin", "root", "To: bob@example.net, ann@example.org"},
		{"not who sends, nor whom answers go to", "", "From: root\nReply-To: root\nTo: root", "root", "From: ann@example.org\r\nReply-To: ann@example.org\r\nTo: bob@example.net"},
		{"several addresses", "", "To: all", "all", "To: ann@example.org"},
		{"another recipient", "", "To: root", "root dave@example.net", "To: ann@example.org"},
		{"another name for the same", "", "To: root, admin", "root admin", "To: ann@example.org, ann@example.org"},
		{"an address and nowhere", "", "To: some", "some", "To: ann@example.org"},
		{"no alias", "", "To: nobody", "nobody", "To: ann@example.org"},
		{"signed", "", "DKIM-Signature: x\nTo: root", "root", "To: root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := work(t, "ann@example.org")
			s := aliased(t, file, a)
			s.Config.Domain = tt.domain
			j, err := s.Resume(request(t, a, nil, tt.header+"\n", strings.Fields(tt.to)...))
			if err != nil {
				t.Fatal(err)
			}
			if content := text(t, j.Message); !strings.Contains(content, tt.want+"\r\n") {
				t.Errorf("no %q in\n%s", tt.want, content)
			}
		})
	}
}

// TestAliases holds who is looked up in the alias file, and what becomes of the
// results.
func TestAliases(t *testing.T) {
	const file = "root: bob@example.net, carol\ncarol: carol@example.net\npostmaster: root\nlocal: someone, \\root\n" +
		"loop: pool\npool: loop\nann: dave@example.net\nx: y@vm.lan, y@lists.example.org\n"
	const both = "bob@example.net carol@example.net"
	for _, tt := range []struct {
		name, to, domain, more, want string
	}{
		{"a name", "root", "", "", both},
		{"its case", "ROOT", "", "", both},
		{"localhost", "root@localhost", "", "", both},
		{"a single label", "root@other", "", "", both},
		{"the host's full name", "root@VM.lan", "", "", both},
		{"not mailname", "root@mail.example.com", "", "", "root@mail.example.com"},
		{"not elsewhere", "root@example.net", "", "", "root@example.net"},
		{"not an account's domain", "ann@example.org", "", "", "ann@example.org"},
		{"through another", "postmaster", "", "", both},
		{"local results go to the account", "local", "", "", "ann@example.org"},
		{"so does a circle", "loop", "", "", "ann@example.org"},
		{"so does what has no alias", "nobody", "", "", "ann@example.org"},
		{"results that are local by their domain", "x", "", "", "ann@example.org y@lists.example.org"},
		{"catch-all", "nobody", "", "*: all@example.net\n", "all@example.net"},
		{"catch-all for nobody elsewhere", "nobody@example.net", "", "*: all@example.net\n", "nobody@example.net"},
		{"a domain", "root", "corp.example", "", both},
		{"a domain, results without one", "local", "corp.example", "", "someone@corp.example root@corp.example"},
		{"a domain, no alias", "nobody", "corp.example", "", "nobody@corp.example"},
		{"a domain, localhost", "root@localhost", "corp.example", "", both},
		{"the domain itself is elsewhere", "root@corp.example", "corp.example", "", "root@corp.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := work(t, "ann@example.org", "*@lists.example.org")
			s := aliased(t, file+tt.more, a)
			s.Config.Domain = tt.domain
			j, err := s.Resume(request(t, a, nil, "To: "+tt.to+"\n", tt.to))
			if err != nil {
				t.Fatal(err)
			}
			if got := words(j.recipients()); got != tt.want {
				t.Errorf("got %s %+v, want %s", got, j.To, tt.want)
			}
			if content := text(t, j.Message); strings.Contains(content, "bob@example.net") {
				t.Errorf("the header was looked up:\n%s", content)
			}
			r := request(t, a, nil, "\n", tt.to)
			r.To[0].NoAliases = true
			if j, err = s.Resume(r); err != nil || len(j.To) != 1 || strings.Contains(words(j.recipients()), "bob") {
				t.Errorf("without aliases: %s, %v", words(j.recipients()), err)
			}
		})
	}
}

func TestAliasOrigins(t *testing.T) {
	a := work(t, "ann@example.org")
	s := aliased(t, "postmaster: root\nroot: bob@example.net, carol\n", a)
	j, err := s.Resume(request(t, a, nil, "\n", "postmaster", "root", "bob@example.net"))
	if err != nil {
		t.Fatal(err)
	}
	by := "argument; for postmaster: alias postmaster, then root in " + s.Config.Aliases
	want := []string{by, by + "; for carol: a local name, whose mail goes to the account's own address"}
	var why []string
	var named [][]int
	for _, to := range j.To {
		why, named = append(why, to.Why), append(named, to.Named)
	}
	if !slices.Equal(why, want) {
		t.Errorf("got  %q\nwant %q", why, want)
	}
	if got := fmt.Sprint(named); got != "[[0 1 2] [0 1]]" {
		t.Errorf("wanted by %s", got)
	}
}

// What is wrong with an alias file is told once, and stops no mail.
func TestAliasWarning(t *testing.T) {
	a := work(t, "ann@example.org")
	s := aliased(t, "root: |prog, bob@example.net\nbroken\ncarol: /file\n", a)
	var told []string
	s.Console = &status.Console{Person: func(text string, _ error) { told = append(told, text) }}
	for range 2 {
		j, err := s.Resume(request(t, a, nil, "\n", "root", "carol"))
		if err != nil || words(j.recipients()) != "bob@example.net ann@example.org" {
			t.Errorf("to %s, %v", words(j.recipients()), err)
		}
	}
	if want := "warning: " + s.Config.Aliases + ":1: |prog: sendoff runs no commands for aliases; write an address; and 3 more: see newaliases"; len(told) != 1 || told[0] != want {
		t.Errorf("got %q, want %s once", told, want)
	}
	s = aliased(t, "broken\n", a)
	s.Console = &status.Console{Person: func(string, error) { t.Error("told without need") }}
	if _, err := s.Resume(request(t, a, nil, "\n", "bob@example.net")); err != nil {
		t.Error(err)
	}
}

// TestAsNamed holds what is queued of names of which some of what they stand
// for has failed.
func TestAsNamed(t *testing.T) {
	soon, never := status.Deferred.Errorf("450 later"), status.NoUser.Errorf("550 nobody")
	other := status.Deferred.Errorf("451 not yet")
	type fails map[string]error
	for _, tt := range []struct {
		name, to string
		fails    fails
		want     string // "!" for one that is not looked up again, "-" for one that is refused
	}{
		{"all, for one reason", "root", fails{"b@e.net": soon, "c@e.net": soon}, "root"},
		{"all, for several reasons", "root", fails{"b@e.net": soon, "c@e.net": other}, "root"},
		{"a part", "root", fails{"c@e.net": soon}, "c@e.net!"},
		{"a part for good", "root", fails{"c@e.net": never}, "-c@e.net!"},
		{"one for good and one for now", "root", fails{"b@e.net": soon, "c@e.net": never}, "b@e.net! -c@e.net!"},
		{"all for good", "root", fails{"b@e.net": never, "c@e.net": never}, "-root"},
		{"nothing", "root", fails{}, ""},
		{"a part, which was wanted by itself too", "root c@e.net", fails{"c@e.net": soon}, "c@e.net! c@e.net"},
		{"all, of which one was wanted by itself too", "root c@e.net", fails{"b@e.net": soon, "c@e.net": soon}, "root c@e.net"},
		{"what another name stands for too", "root bob", fails{"b@e.net": soon}, "b@e.net! bob"},
		{"the account's own address", "nobody ann@example.org", fails{"ann@example.org": soon}, "nobody ann@example.org"},
		{"one name twice", "root root", fails{"b@e.net": soon, "c@e.net": soon}, "root"},
		{"one address twice", "b@e.net b@e.net d@e.net", fails{"b@e.net": soon}, "b@e.net"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := work(t, "ann@example.org")
			s := aliased(t, "root: b@e.net, c@e.net\nbob: b@e.net\n", a)
			r := request(t, a, nil, "\n", strings.Fields(tt.to)...)
			j, err := s.Resume(r)
			if err != nil {
				t.Fatal(err)
			}
			for i, to := range j.To {
				j.add(envelope.Address{}, smtp.Result{To: []int{i}, Err: tt.fails[to.Address.String()]})
			}
			s.settle(j, s.entry(r), false)
			var got []string
			list, _ := j.named(outcome.Waits, outcome.Refused)
			for _, to := range list {
				word := to.Address.String()
				if to.Refused {
					word = "-" + word
				}
				if to.NoAliases {
					word += "!"
				}
				got = append(got, word)
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// FuzzPrepare holds that aliases, local names, a domain and force-sender make
// of any addresses, in envelope and header, only such as are safe in a command
// line and read as the same in a header; and that no recipient gets lost.
func FuzzPrepare(f *testing.F) {
	f.Add("root: a@x, bob\n*: \\c, \"d e\"@y\n", "Root (x) <root>, bob@localhost; g: \"a b\"", "root", "bob", "", true)
	f.Add("root: root, :x, |y\n", "root@vm,\r\n jörg@vm.lan, <>", "\"a b\"", "\"r, s\"@localhost", "corp.example", false)
	f.Add("", "a b, c@d, =?utf-8?q?x?= <root>", "", "x@[IPv6:::1]", "ü.example", true)
	f.Add("0", "\xe5 =?00000?0?0?= <0000>", "", "0", "ü.000000", false)
	f.Add("0", ", c@d, =?utf-8?q?x?=O)\xe8\x9b <root>", "", "x@[IPv6:::1]", "ü.example", false)
	f.Add("0", "c@duZ\xdfZ\xc0 <r@ot>", "", "x@[IPv6:::1]", "ü.example", true)
	f.Add("0", "\xe5 <0000>", "", "0", "ü.000000", false)
	f.Add("", "\u0602", "", "0", "", false)
	f.Add("\"d e\": <@a:b@c>, (x) y # z\n", "(", "a@vm.lan", "\"D e\"", "", false)
	f.Fuzz(func(t *testing.T, aliases, header, sender, to, domain string, force bool) {
		from, err := envelope.Parse(sender)
		recipient, errTo := envelope.Parse(to)
		if err != nil || errTo != nil || recipient.IsNull() || strings.Contains(strings.ToLower(aliases), ":include:/") {
			return
		}
		if a, err := envelope.Parse("x@" + domain); err != nil || a.Domain() != domain {
			domain = ""
		}
		a := work(t, "ann@example.org")
		a.ForceSender = force
		s := aliased(t, aliases, a)
		s.Config.Domain = domain
		m, err := message.Read(strings.NewReader("From: "+header+"\nTo: "+header+"\n\nbody\n"), message.Options{})
		if err != nil {
			return
		}
		defer m.Close()
		r := &Request{Account: a, Message: m, Sender: &from, To: []Wanted{{Recipient: envelope.Recipient{Address: recipient}}}}
		j, err := s.Resume(r)
		if err != nil {
			if k := status.KindOf(err); k != status.Config && k != status.Data {
				t.Errorf("%v is %s", err, k)
			}
			return
		}
		for _, address := range append(addressesOf(j.recipients()), j.Envelope.From) {
			if again, err := envelope.Parse(address.String()); err != nil || again != address {
				t.Errorf("%q is no address: %v", address, err)
			}
		}
		defer j.Close()
		if j.Envelope.From.IsNull() && (!from.IsNull() || force) || from.IsNull() && !j.Envelope.From.IsNull() && !force {
			t.Errorf("<%s> became <%s>", from, j.Envelope.From)
		}
		for _, resolved := range j.To {
			if resolved.Address.IsNull() || resolved.Address.Domain() == "" {
				t.Errorf("%s became %q, which no server takes", recipient, resolved.Address)
			}
			if len(resolved.Named) == 0 {
				t.Errorf("nobody wants %s", resolved.Address)
			}
		}
		if len(j.To) == 0 {
			t.Errorf("nobody gets the mail for %s", recipient)
		}
		checkHeader(t, header, r, j)
	})
}

// ambiguous finds encoded words that touch other text, or are in a quoted string. RFC 2047
// section 5 does not permit them, and programs read them in two ways.
var ambiguous = regexp.MustCompile(`[^\s,;:<>()]=\?|\?=[^\s,;:<>()]`)

// checkHeader holds that the addresses of the header are as many as before, and
// each as valid. A name is the same, unless the header is ambiguous, or the name has an
// encoded word in an unknown character set, and so is not decoded. White space may come
// where text that is not UTF-8 was encoded: it separates an encoded word. A list that is none has
// no number of them: its text is encoded, and may be read as anything.
func checkHeader(t *testing.T, header string, r *Request, j *Job) {
	t.Helper()
	if r.Message.Survey().Signed {
		return // nothing was changed
	}
	before, bad := r.Message.Recipients()
	again, err := message.Read(strings.NewReader(text(t, j.Message)), message.Options{})
	if err != nil {
		t.Fatalf("the message cannot be read any more: %v", err)
	}
	defer again.Close()
	after, _ := again.Recipients()
	if len(bad) > 0 {
		return
	}
	if len(before) != len(after) {
		t.Errorf("%d addresses in To became %d: %v, %v\n%s", len(before), len(after), before, after, text(t, j.Message))
		return
	}
	for i := range after {
		was, is := before[i].Name, after[i].Name
		if !utf8.ValidString(header) {
			was, is = strings.ReplaceAll(was, " ", ""), strings.ReplaceAll(is, " ", "")
		}
		sameName := was == is || strings.Contains(before[i].Name, "=?") || ambiguous.MatchString(header)
		if !sameName || after[i].Address.Domain() == "" {
			t.Errorf("%v became %v", before[i], after[i])
		}
	}
	_, had := r.Message.From()
	if author, ok := again.From(); had && !ok || ok && author.Address.Domain() == "" {
		t.Errorf("from %v\n%s", author, text(t, j.Message))
	}
}
