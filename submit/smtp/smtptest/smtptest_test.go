package smtptest

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const golden = `# two flights and a message
S: 220 mx.example ESMTP
C: EHLO client.example
S: 250-mx.example
S: 250 PIPELINING
C: MAIL FROM:<a@example.org>
C: RCPT TO:<b@example.org>
C: DATA
S: 250 ok
S: 550 5.1.1 no such user
S: 354 go
C+ message.eml
C: .
S: 250 queued
C: QUIT
-- message.eml --
Subject: dots

.
# not a comment
-- refused --
b@example.org 5.1.1
`

// dialogue is the client's half of the golden transcript, a flight an element.
var dialogue = []string{
	"EHLO client.example\r\n",
	"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
	"Subject: dots\r\n\r\n..\r\n# not a comment\r\n.\r\n",
	"QUIT\r\n",
}

// converse runs a client that awaits the replies of each flight, n lines,
// before it sends the next, and closes when the server does or after a minute.
func converse(t *testing.T, tr *Transcript, flights ...string) (heard string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		done := make(chan error)
		go func() { done <- tr.Serve(server) }()
		client.SetDeadline(time.Now().Add(time.Minute))
		var b strings.Builder
		buf := make([]byte, 1<<18)
		for _, f := range flights {
			for { // the server has said all it has to say when a second passes
				client.SetReadDeadline(time.Now().Add(time.Second))
				n, err := client.Read(buf)
				b.Write(buf[:n])
				if err != nil || b.Len() > 1<<18 {
					break
				}
			}
			client.SetDeadline(time.Now().Add(time.Minute))
			if _, err := io.WriteString(client, f); err != nil {
				break
			}
		}
		client.Close()
		heard, err = b.String(), <-done
	})
	return heard, err
}

func parse(t *testing.T, text string) *Transcript {
	t.Helper()
	tr, err := Parse("golden", text)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestServe(t *testing.T) {
	tr := parse(t, golden)
	heard, err := converse(t, tr, dialogue...)
	if err != nil {
		t.Fatal(err)
	}
	if want := "220 mx.example ESMTP\r\n250-mx.example\r\n250 PIPELINING\r\n250 ok\r\n550 5.1.1 no such user\r\n354 go\r\n250 queued\r\n"; heard != want {
		t.Errorf("client heard %q, want %q", heard, want)
	}
	if want := "Subject: dots\r\n\r\n.\r\n# not a comment\r\n"; tr.Message() != want {
		t.Errorf("message %q, want %q", tr.Message(), want)
	}
	if got := strings.Join(tr.Section("refused"), "|"); got != "b@example.org 5.1.1" {
		t.Errorf("section %q", got)
	}
}

func TestServeDeviations(t *testing.T) {
	replace := func(i int, with ...string) []string {
		return append(append(append([]string{}, dialogue[:i]...), with...), dialogue[i+1:]...)
	}
	for name, c := range map[string]struct {
		flights []string
		want    string
	}{
		"wrong line":      {replace(0, "EHLO other\r\n"), `golden:3: client sent "EHLO other"; want C: EHLO client.example`},
		"early":           {replace(0, dialogue[0]+"NOOP\r\n"), `golden:4: client did not wait but sent "NOOP\r\n"`},
		"bare LF":         {replace(0, "EHLO client.example\n"), "bare CR or LF"},
		"not pipelined":   {replace(1, "MAIL FROM:<a@example.org>\r\n"), `golden:7: client sent "Subject: dots"`},
		"closed":          {dialogue[:1], "client closed; want S: 250-mx.example"},
		"other content":   {replace(2, "Subject: dots\r\n.\r\n"), "ended the message before its line 2"},
		"not dot-stuffed": {replace(2, "Subject: dots\r\n\r\n.\r\n# not a comment\r\n.\r\n"), "ended the message before its line 3"},
		"more content":    {replace(2, "Subject: dots\r\n\r\n..\r\n# not a comment\r\n\r\n.\r\n"), "after its end"},
		"after the end":   {append(dialogue, "NOOP\r\n"), `client sent "NOOP\r\n" after the end`},
	} {
		_, err := converse(t, parse(t, golden), c.flights...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{"", "# only\n", "X: y\n", "S: 220\nsomething\n", "S+ tls\n"} {
		if _, err := Parse("x", text); err == nil {
			t.Errorf("Parse(%q) has no error", text)
		}
	}
}

func TestVariants(t *testing.T) {
	heard := map[string]string{}
	for name, v := range parse(t, golden).Variants() {
		h, err := converse(t, v, dialogue...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(h) > 100 {
			h = h[len(h)-100:]
		}
		heard[name] = h
	}
	if want := 1 + 7*len(faults); len(heard) != want {
		t.Errorf("%d variants, want %d", len(heard), want)
	}
	for name, want := range map[string]string{
		"trickle":         "354 go\r\n250 queued\r\n",
		"line 2 421":      "421 4.3.2 closing\r\n",
		"line 4 4yz":      "450 4.2.0 not now\r\n250 ok\r\n550 5.1.1 no such user\r\n354 go\r\n250 queued\r\n",
		"line 9 5yz":      "550 5.0.0 never\r\n550 5.1.1 no such user\r\n354 go\r\n250 queued\r\n",
		"line 10 silence": "250 PIPELINING\r\n250 ok\r\n",
		"line 14 cut":     "354 go\r\n",
		"line 14 torn":    "354 go\r\n250-",
		"line 14 bare":    "354 go\r\n250\r\n",
	} {
		if !strings.HasSuffix(heard[name], want) {
			t.Errorf("%s: client heard %q, want %q at the end", name, heard[name], want)
		}
	}
}

// TestImprovise plays a client that turns to other commands than the script's.
func TestImprovise(t *testing.T) {
	for name, v := range parse(t, golden).Variants() {
		if name != "line 4 5yz" {
			continue
		}
		if f := v.Fault(); f.Command != "EHLO client.example" || f.Replies != "250-mx.example" || !f.Again || f.Within {
			t.Errorf("fault %+v", f)
		}
		heard, err := converse(t, v, dialogue[0], "HELO client.example\r\n", "MAIL FROM:<a@example.org> SIZE=9\r\n",
			"RCPT TO:<x@example.org>\r\n", "RCPT TO:<b@example.org>\r\n", "RSET\r\n", "QUIT\r\n")
		want := "220 mx.example ESMTP\r\n550 5.0.0 never\r\n250 ok\r\n250 ok\r\n503 5.5.1 not now\r\n550 5.1.1 no such user\r\n250 ok\r\n"
		if err != nil || heard != want {
			t.Errorf("client heard %q, %v; want %q", heard, err, want)
		}
		return
	}
	t.Error("no such variant")
}

func TestCuts(t *testing.T) {
	total, all := 0, strings.Join(dialogue, "")
	for n, v := range parse(t, golden).Cuts() {
		if n != total {
			t.Fatalf("cut %d follows %d", n, total-1)
		}
		total++
		if n%10 != 0 {
			continue
		}
		if _, err := converse(t, v, dialogue...); err != nil {
			t.Errorf("cut %d: %v", n, err)
		}
	}
	if total != len(all) {
		t.Errorf("%d cuts, want %d", total, len(all))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(golden)
	f.Add("S: 220-\nS: \nS+ TLS\nC+ -\nC: .\nS: 250\nS: 25\nS: 250\n")
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := Parse("fuzz", text)
		if err != nil {
			return
		}
		for name, v := range tr.Variants() {
			if v.Fault() == nil && name != "trickle" {
				t.Errorf("%s has no fault", name)
			}
		}
		for range tr.Cuts() {
			return
		}
	})
}
