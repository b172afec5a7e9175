package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"

	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// A dialogue is a golden transcript, with the client's options and its mails:
//
//	-- client --
//	security starttls                   no TLS if absent
//	auth ann secret                     PLAIN
//	lmtp                                instead of SMTP
//	one-flight                          Options.OneFlight
//	recipients 2                        in a transaction at most
//	mail a@example.org b@example.org,c@example.org message.eml
//	instead d@example.org b@example.org other.eml     Fallback of the mail before
//	-- outcome --
//	the text of outcome()
type dialogue struct {
	*smtptest.Transcript
	options Options
	mails   []Mail
	sent    int // number of mails that Deliver has taken
	results []outcome
	openErr error
	err     error
	trace   []string
	stalled bool // Options.Stalled was called
}

// An outcome is a result, and the number of its mail.
type outcome struct {
	mail int
	Result
}

var certificate, certificateErr = smtpd.Certificate("mx.example")

// roots trusts only the certificate of the test server.
func roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(certificate.Leaf)
	return pool
}

// leafTime is a time at which the certificate is valid: a synctest bubble has a clock of
// its own.
func leafTime() time.Time { return certificate.Leaf.NotBefore.Add(time.Hour) }

func readDialogue(t *testing.T, file string) *smtptest.Transcript {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := smtptest.Parse(filepath.Base(file), string(text))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func newDialogue(t *testing.T, tr *smtptest.Transcript) *dialogue {
	t.Helper()
	if certificateErr != nil {
		t.Fatal(certificateErr)
	}
	d := &dialogue{Transcript: tr}
	tr.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	d.options = Options{
		Host: "mx.example", Name: "client.example", Security: None,
		TLS:     &tls.Config{ServerName: "mx.example", RootCAs: roots(), Time: leafTime},
		Stalled: func() { d.stalled = true },
		Trace:   func(l Line) { d.trace = append(d.trace, fmt.Sprintf("%c: %s", l.From, l.Text)) },
	}
	for _, line := range tr.Section("client") {
		w := strings.Fields(line)
		switch w[0] {
		case "security":
			d.options.Security = map[string]Security{"starttls": StartTLS, "none": None}[w[1]]
		case "lmtp":
			d.options.LMTP = true
		case "one-flight":
			d.options.OneFlight = true
		case "recipients":
			d.options.MaxRecipients, _ = strconv.Atoi(w[1])
		case "auth":
			d.options.Auth = func(_ context.Context, offered []string, _ *tls.ConnectionState) (*Login, error) {
				if len(offered) == 0 {
					return nil, status.Insecure.Errorf("AUTH: the server does not offer it")
				}
				return &Login{Client: sasl.NewPlainClient("", w[1], w[2]), Secret: w[2]}, nil
			}
		case "mail", "instead":
			d.addMail(t, w[1], strings.Split(w[2], ","), strings.Join(tr.Section(w[3]), "\r\n")+"\r\n")
			if n := len(d.mails) - 1; w[0] == "instead" {
				d.mails[n-1].Fallback = d.instead(n, &d.mails[n-1])
			}
		default:
			t.Fatalf("%s: client: %q", tr.Name, line)
		}
	}
	return d
}

func (d *dialogue) addMail(t *testing.T, from string, to []string, text string) {
	t.Helper()
	e := &envelope.Envelope{}
	var err error
	if e.From, err = envelope.Parse(from); err != nil {
		t.Fatal(err)
	}
	for _, a := range to {
		address, err := envelope.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		e.To = append(e.To, envelope.Recipient{Address: address})
	}
	n := len(d.mails) + 1
	d.mails = append(d.mails, Mail{
		Envelope: e,
		Open: func(envelope.Form) (io.Reader, int64, error) {
			return strings.NewReader(text), int64(len(text)), nil
		},
		Done: func(r Result) { d.results = append(d.results, outcome{n, r}) },
	})
}

// instead makes mail n the Fallback of the mail before, and removes it from the mails.
func (d *dialogue) instead(n int, of *Mail) *Mail {
	m := d.mails[n]
	d.mails = d.mails[:n]
	var some []int
	for i, to := range of.Envelope.To {
		if slices.ContainsFunc(m.Envelope.To, func(r envelope.Recipient) bool { return r.Address == to.Address }) {
			some = append(some, i)
		}
	}
	m.To, m.Envelope.To = some, slices.Clone(of.Envelope.To)
	m.Done = func(r Result) { d.results = append(d.results, outcome{n, r}) }
	for i := range m.Envelope.To {
		m.Envelope.To[i].Notify = envelope.NotifyNever
	}
	return &m
}

// errRest is the outcome of a mail that Deliver returned as untried.
var errRest = errors.New("left to a new session")

// play runs the client against the server, and returns the server's error if the client
// deviates from the transcript.
func (d *dialogue) play() error {
	client, server := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- d.Serve(server) }()
	s, err := Open(context.Background(), client, d.options)
	d.openErr = err
	if err == nil {
		var rest []Mail
		rest, d.err = s.Deliver(context.Background(), func(yield func(Mail) bool) {
			for _, m := range d.mails {
				d.sent++
				if !yield(m) {
					return
				}
			}
		})
		for _, m := range rest {
			m.Fail(status.Lost.Errorf("%w, from %s", errRest, m.Envelope.From))
		}
		s.Close()
	}
	return <-served
}

// outcome returns the outcome of each mail and of the session, one line each.
func (d *dialogue) outcome() []string {
	var out []string
	if d.openErr != nil {
		out = append(out, fmt.Sprintf("open: %s %s: %v", status.KindOf(d.openErr), status.Of(d.openErr), d.openErr))
	}
	for _, r := range d.results {
		var to []string
		for _, i := range r.To {
			to = append(to, d.mails[r.mail-1].Envelope.To[i].Address.String())
		}
		line := fmt.Sprintf("mail %d: %s: ", r.mail, strings.Join(to, ", "))
		switch {
		case r.Unknown:
			line += fmt.Sprintf("unknown: %v", r.Err)
		case r.Err != nil:
			line += fmt.Sprintf("%s %s: %v", status.KindOf(r.Err), status.Of(r.Err), r.Err)
		default:
			line += fmt.Sprintf("taken: %s", r.Reply)
		}
		out = append(out, line)
	}
	if d.stalled {
		out = append(out, "stalled")
	}
	if d.err != nil {
		out = append(out, fmt.Sprintf("session: %s: %v", status.KindOf(d.err), d.err))
	}
	return out
}

// dialogues are the golden transcripts. In testdata/once the server itself violates SMTP,
// so that TestFaults does not use them.
func dialogues(t *testing.T, folders string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + folders + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	return files
}

func TestDialogues(t *testing.T) {
	for _, file := range dialogues(t, "*e") {
		tr := readDialogue(t, file)
		t.Run(tr.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDialogue(t, tr)
				if err := d.play(); err != nil {
					t.Error(err)
				}
				got, want := strings.Join(d.outcome(), "\n"), strings.Join(tr.Section("outcome"), "\n")
				if got != want {
					t.Errorf("outcome:\n%s\nwant:\n%s", got, want)
				}
				if strings.Contains(strings.Join(d.trace, "\n"), "secret") {
					t.Errorf("the trace shows the secret:\n%s", strings.Join(d.trace, "\n"))
				}
			})
		})
	}
}

// TestFaults plays every dialogue against servers with each fault in each place. It
// asserts what a caller relies on: a message counts as sent only if the reply to its dot
// is 2yz, no failure before MAIL is the message's, and a lost connection is Unknown
// exactly between the final dot and its reply. synctest finds goroutines that are left.
func TestFaults(t *testing.T) {
	for _, file := range dialogues(t, "dialogue") {
		tr := readDialogue(t, file)
		for name, v := range tr.Variants() {
			t.Run(tr.Name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDialogue(t, v)
					if err := d.play(); err != nil {
						t.Error(err)
					}
					checkFault(t, d)
					if t.Failed() {
						t.Log(strings.Join(append(d.trace, d.outcome()...), "\n"))
					}
				})
			})
		}
		for n, v := range tr.Cuts() {
			t.Run(fmt.Sprintf("%s/cut after %d", tr.Name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDialogue(t, v)
					d.play()
					checkResults(t, d)
					golden := strings.Join(tr.Section("outcome"), "\n")
					for _, r := range d.results {
						if r.Err != nil && !status.Of(r.Err).Temporary() && !strings.Contains(golden, r.Err.Error()) {
							t.Errorf("a cut is permanent: %v", r.Err)
						}
					}
				})
			})
		}
	}
}

// checkResults checks rules that hold for every server.
func checkResults(t *testing.T, d *dialogue) {
	t.Helper()
	if d.openErr != nil {
		if status.KindOf(d.openErr).Scope() != status.Account || !status.Of(d.openErr).Temporary() {
			t.Errorf("before MAIL: %s %s: %v", status.KindOf(d.openErr), status.Of(d.openErr), d.openErr)
		}
		if len(d.results) > 0 {
			t.Error("a result without a session")
		}
		return
	}
	for n, m := range d.mails[:d.sent] {
		for i, to := range m.Envelope.To {
			if got := d.resultsOf(n+1, i); got != 1 {
				t.Errorf("mail %d has %d results for %s", n+1, got, to.Address)
			}
		}
	}
	for _, r := range d.results {
		if r.Err == nil && r.Reply.Class() != 2 {
			t.Errorf("mail %d counts as taken, but the reply to its dot is %q", r.mail, r.Reply)
		}
		if r.Unknown && (r.Err == nil || !status.Of(r.Err).Temporary() || r.Reply.Code != 0) {
			t.Errorf("mail %d is unknown, with error %v and reply %q", r.mail, r.Err, r.Reply)
		}
	}
}

// resultsOf counts the results of a mail for a recipient, by its index.
func (d *dialogue) resultsOf(mail, to int) int {
	n := 0
	for _, r := range d.results {
		for _, i := range r.To {
			if r.mail == mail && i == to {
				n++
			}
		}
	}
	return n
}

func checkFault(t *testing.T, d *dialogue) {
	t.Helper()
	checkResults(t, d)
	f := d.Fault()
	if f == nil { // slow, but right
		if got, want := strings.Join(d.outcome(), "\n"), strings.Join(d.Section("outcome"), "\n"); got != want {
			t.Errorf("outcome:\n%s\nwant:\n%s", got, want)
		}
		return
	}
	verb, _, _ := strings.Cut(f.Command, " ")
	lost := !f.Again && f.Kind != "421" && f.Kind != "bare" && f.Kind != "bare LF"
	unknown, rest := 0, 0
	for _, r := range d.results {
		if r.Unknown {
			unknown++
		}
		if errors.Is(r.Err, errRest) {
			rest++
		}
	}
	next := verb == "MAIL" && f.Nth > 1 || verb == "RSET" // not the first mail of the session
	gone := f.Kind == "cut" || f.Kind == "torn"
	left := next && (f.Kind == "421" || gone)
	may := f.Again || d.options.OneFlight && gone || // a message sent in full is unknown, unless it was refused before
		strings.Contains(strings.Join(d.Section("outcome"), "\n"), errRest.Error())
	if left != (rest > 0) && !may {
		t.Errorf("%d mails are left to a new session", rest)
	}
	switch verb {
	case "", "EHLO", "HELO", "STARTTLS", "S+", "AUTH":
		if (lost || f.Kind == "421") && d.openErr == nil {
			t.Error("the session opened")
		}
	case "MAIL", "RCPT", "DATA", "RSET":
		if unknown > 0 && f.Kind != "bare LF" && !d.options.OneFlight {
			t.Error("unknown, before the final dot")
		}
		if lost && d.err == nil {
			t.Error("the session goes on")
		}
	case ".", "BDAT":
		if f.Kind == "bare LF" && (d.options.LMTP || d.options.OneFlight) || f.Kind == "421" && d.options.LMTP {
			break // this reply is valid, but the replies after it are lost
		}
		if lost != (unknown > 0) && !d.refusedAll() {
			t.Errorf("unknown is %t, want %t", unknown > 0, lost)
		}
	}
}

// refusedAll reports whether the server refused all recipients of some mail, so that the
// reply to its dot does not count.
func (d *dialogue) refusedAll() bool {
	for n, m := range d.mails[:d.sent] {
		refused := 0
		for _, r := range d.results {
			var by *Refusal
			if r.mail == n+1 && errors.As(r.Err, &by) && r.Reply.Code == 0 {
				refused += len(r.To)
			}
		}
		if refused == len(m.Envelope.To) {
			return true
		}
	}
	return false
}
