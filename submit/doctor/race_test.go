package doctor

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/dial/dialtest"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
)

// submitterFor returns a Submitter whose account has the server url in the network n, and
// no login.
func submitterFor(t *testing.T, url string, n *dialtest.Network) *submit.Submitter {
	t.Helper()
	var from config.Pattern
	if err := from.UnmarshalText([]byte("ann@example.org")); err != nil {
		t.Fatal(err)
	}
	a := &config.Account{Name: "work", MaxRecipients: 100, From: config.List[config.Pattern]{from}}
	if err := a.Servers.UnmarshalText([]byte(url)); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Accounts, c.Queue, c.Hostname = []*config.Account{a}, config.Off, "client.example"
	p := smarthost.New(&credential.Store{})
	p.Dialer.Lookup, p.Dialer.Dial = n.Lookup, n.Dial
	return &submit.Submitter{Config: c, Identity: config.Identity{Login: "root", Hostname: "vm"}, Smarthosts: p}
}

// TestDoctorInRealTime: many addresses are tried at the same time, and their dialogues are
// shown.
func TestDoctorInRealTime(t *testing.T) {
	n := &dialtest.Network{Began: time.Now(), Session: dialtest.Session, Hosts: map[string]dialtest.Peer{
		dialtest.At(dialtest.Four2): {Err: syscall.ECONNREFUSED}, dialtest.At(dialtest.Six1): {Says: "S: 421 4.3.2 busy\nC: QUIT\n"},
	}, Names: map[string]dialtest.Zone{"ip4:mx.example": {Found: []string{dialtest.Four1, dialtest.Four2}}, "ip6:mx.example": {Found: []string{dialtest.Six1, dialtest.Six2}}}}
	const hello = "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 250 SIZE 1000\nC: MAIL FROM:<ann@example.org>\nS: 250 ok\nC: RSET\nS: 250 ok\nC: QUIT\n"
	n.Hosts[dialtest.At(dialtest.Four1)], n.Hosts[dialtest.At(dialtest.Six2)] = dialtest.Peer{Says: hello}, dialtest.Peer{Says: hello}
	s := submitterFor(t, "smtp+plain://mx.example:25", n)
	s.Smarthosts.Trace = func(smtp.Line) {}
	var out strings.Builder
	Run(t.Context(), s, &out, Checkup{})
	lines := strings.Split(out.String(), "\n")
	for _, want := range []string{
		"ok    connect   smtp+plain://mx.example:25 (192.0.2.1:25)",
		"ok    connect   smtp+plain://mx.example:25 ([2001:db8::2]:25)",
		"ok    sender    MAIL FROM:<ann@example.org>, the account's own address",
		"note  EHLO      [2001:db8::1]:25: greeting: 421 4.3.2 busy (mx.example)",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s\nin %s", want, out.String())
		}
	}
	if !strings.Contains(out.String(), "\nnote  connect   connect to mx.example:25 at 192.0.2.2: connection refused") {
		t.Errorf("nothing of who refuses in\n%s", out.String())
	}
}
