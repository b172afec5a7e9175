package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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

// A dialogue is a golden transcript with what the client is to do:
//
//	-- client --
//	security starttls                   none if absent
//	auth ann secret                     PLAIN
//	mail a@example.org b@example.org,c@example.org message.eml
//	-- outcome --
//	what outcome() says
type dialogue struct {
	*smtptest.Transcript
	options Options
	mails   []Mail
	sent    int // mails that were asked for
	results []Result
	openErr error
	err     error
	trace   []string
}

var certificate, roots, certificateErr = smtpd.Certificate("mx.example")

// leafTime is a time at which the certificate is valid; a synctest bubble has
// one of its own.
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
		TLS:   &tls.Config{ServerName: "mx.example", RootCAs: roots, Time: leafTime},
		Trace: func(l Line) { d.trace = append(d.trace, fmt.Sprintf("%c: %s", l.From, l.Text)) },
	}
	for _, line := range tr.Section("client") {
		w := strings.Fields(line)
		switch w[0] {
		case "security":
			d.options.Security = map[string]Security{"starttls": StartTLS, "none": None}[w[1]]
		case "auth":
			d.options.Auth = func(_ context.Context, offered []string, _ *tls.ConnectionState) (*Login, error) {
				return &Login{Client: sasl.NewPlainClient("", w[1], w[2]), Secret: w[2]}, nil
			}
		case "mail":
			d.addMail(t, w[1], strings.Split(w[2], ","), strings.Join(tr.Section(w[3]), "\r\n")+"\r\n")
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
	d.mails = append(d.mails, Mail{
		Envelope: e,
		Open: func(envelope.Form) (io.Reader, int64, error) {
			return strings.NewReader(text), int64(len(text)), nil
		},
		Done: func(r Result) { d.results = append(d.results, r) },
	})
}

// play runs client and server against each other, and returns what the server
// found wrong.
func (d *dialogue) play() error {
	client, server := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- d.Serve(server) }()
	s, err := Open(context.Background(), client, d.options)
	d.openErr = err
	if err == nil {
		d.err = s.Deliver(context.Background(), func(yield func(Mail) bool) {
			for _, m := range d.mails {
				d.sent++
				if !yield(m) {
					return
				}
			}
		})
		s.Close()
	}
	return <-served
}

// outcome says what became of everything, a line each.
func (d *dialogue) outcome() []string {
	var out []string
	if d.openErr != nil {
		out = append(out, fmt.Sprintf("open: %s %s: %v", status.KindOf(d.openErr), status.Of(d.openErr), d.openErr))
	}
	for i, r := range d.results {
		for j, err := range r.Refused {
			if err != nil {
				out = append(out, fmt.Sprintf("%s: %s %s: %v", d.mails[i].Envelope.To[j].Address, status.KindOf(err), status.Of(err), err))
			}
		}
		switch {
		case r.Unknown:
			out = append(out, fmt.Sprintf("mail %d: unknown: %v", i+1, r.Err))
		case r.Err != nil:
			out = append(out, fmt.Sprintf("mail %d: %s %s: %v", i+1, status.KindOf(r.Err), status.Of(r.Err), r.Err))
		case r.Reply.Code != 0:
			out = append(out, fmt.Sprintf("mail %d: taken: %s", i+1, r.Reply))
		default:
			out = append(out, fmt.Sprintf("mail %d: not sent", i+1))
		}
	}
	if d.err != nil {
		out = append(out, fmt.Sprintf("session: %s: %v", status.KindOf(d.err), d.err))
	}
	return out
}

// dialogues are the golden transcripts. Those in testdata/once have a server
// that is wrong itself, so that no faults are derived from them.
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

// TestFaults plays every dialogue against servers that do each thing wrong in
// each place. What is asserted is what a caller relies on: a message counts as
// taken only if its dot was answered with 2yz, nothing before MAIL is ever the
// message's fault, and a lost connection is Unknown exactly between the final
// dot and its reply. That no goroutine is left, synctest sees.
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

// checkResults checks what holds whatever a server does.
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
	if len(d.results) != d.sent {
		t.Errorf("%d results for %d mails", len(d.results), d.sent)
	}
	for i, r := range d.results {
		refused := 0
		for _, err := range r.Refused {
			if err != nil {
				refused++
			}
		}
		if r.Err == nil && refused < len(r.Refused) && r.Reply.Class() != 2 {
			t.Errorf("mail %d counts as taken, but the reply to its dot is %q", i+1, r.Reply)
		}
		if r.Unknown && (r.Err == nil || !status.Of(r.Err).Temporary() || r.Reply.Code != 0) {
			t.Errorf("mail %d is unknown, with error %v and reply %q", i+1, r.Err, r.Reply)
		}
	}
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
	unknown := 0
	for _, r := range d.results {
		if r.Unknown {
			unknown++
		}
	}
	switch verb {
	case "", "EHLO", "HELO", "STARTTLS", "S+", "AUTH":
		if (lost || f.Kind == "421") && d.openErr == nil {
			t.Error("the session opened")
		}
	case "MAIL", "RCPT", "DATA":
		if unknown > 0 && f.Kind != "bare LF" {
			t.Error("unknown, before the final dot")
		}
		if lost && d.err == nil {
			t.Error("the session goes on")
		}
	case ".":
		if lost != (unknown > 0) && !d.refusedAll() {
			t.Errorf("unknown is %t, want %t", unknown > 0, lost)
		}
	}
}

// refusedAll reports whether some mail had all its recipients refused, so that
// its dot matters to nobody.
func (d *dialogue) refusedAll() bool {
	for _, r := range d.results {
		n := 0
		for _, err := range r.Refused {
			if err == nil {
				n++
			}
		}
		if n == 0 {
			return true
		}
	}
	return false
}
