// Package smtptest plays SMTP transcripts as a scripted server, and derives
// faulty servers from them.
//
// A transcript is what RFC 5321 prints and what -v prints:
//
//	# a refused recipient does not stop the others
//	S: 220 mx.example ESMTP           a line from the server
//	C: EHLO client.example            a line that the client must send
//	S: 250-mx.example
//	S: 250 PIPELINING
//	…
//	C: DATA
//	S: 354 go
//	C+ message.eml                    message content: that of the section
//	C: .                              of this name, or any if there is none;
//	                                  behind BDAT as many octets as it says
//	S: 250 ok
//	C: QUIT
//	-- message.eml --
//	Subject: hello
//	-- refused --
//	b@example.org 5.1.1
//
// The order of C and S lines asserts the flights: the server reads a run of C
// lines to its end before it writes the following run of S lines, in one
// write, and before it does, the client must have nothing more to say. The
// line "S+ TLS" is the server's half of a TLS handshake.
//
// Errors: the first deviation from the script, as file:line and what was
// wanted.
package smtptest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// A Transcript is a script for one connection, with or without a fault. It is
// not safe for concurrent use; each Serve plays it from the start.
type Transcript struct {
	Name    string
	TLS     *tls.Config // for S+ TLS
	fault   *Fault
	after   int // hang up after that many octets from the client; -1 never
	trickle bool
	steps   []step
	content bytes.Buffer
	parts   []section
}

// A step is one line of the script. The kinds are C and S for a line, + for
// message content and T for the TLS handshake.
type step struct {
	kind byte
	line int
	text string
}

type section struct {
	name  string
	lines []string
}

// prefixes is the script's syntax.
var prefixes = [...]struct {
	prefix string
	kind   byte
}{
	{"S:", 'S'},
	{"C:", 'C'},
	{"C+", '+'},
	{"S+", 'T'},
}

// Parse reads a transcript; name is for errors.
func Parse(name, text string) (*Transcript, error) {
	t := &Transcript{Name: name, after: -1}
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i, l := range lines {
		if head, ok := strings.CutPrefix(l, "-- "); ok && strings.HasSuffix(head, " --") {
			t.parts = append(t.parts, section{name: strings.TrimSuffix(head, " --")})
			continue
		}
		if n := len(t.parts); n > 0 {
			t.parts[n-1].lines = append(t.parts[n-1].lines, l)
			continue
		}
		if strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#") {
			continue
		}
		s := step{line: i + 1}
		for _, p := range prefixes {
			if rest, ok := strings.CutPrefix(l, p.prefix); ok {
				s.kind, s.text = p.kind, strings.TrimPrefix(rest, " ")
			}
		}
		if s.kind == 0 || s.kind == 'T' && s.text != "TLS" {
			return nil, fmt.Errorf("%s:%d: not a line of a transcript: %q", name, i+1, l)
		}
		t.steps = append(t.steps, s)
	}
	if len(t.steps) == 0 {
		return nil, fmt.Errorf("%s: empty transcript", name)
	}
	return t, nil
}

// Section returns the lines of the section with that name, nil if there is
// none.
func (t *Transcript) Section(name string) []string {
	for _, p := range t.parts {
		if p.name == name {
			return p.lines
		}
	}
	return nil
}

// Message returns the content that the last Serve received for all its C+
// lines, with CRLF line endings and without dot-stuffing.
func (t *Transcript) Message() string { return t.content.String() }

// hasSection reports whether a C+ line names a section, so that its content
// is known.
func (t *Transcript) hasSection(name string) bool {
	return slices.ContainsFunc(t.parts, func(p section) bool { return p.name == name })
}

// A reply is a run of S lines that answers one command.
type reply struct {
	first int // index of its first step
	lines []string
}

// answers returns for every C step, by its index, the reply that the script
// has for it: the nth command of a flight has the nth reply. Replies left over
// belong to the final dot, which LMTP answers once for each recipient.
func (t *Transcript) answers() [][]reply {
	out := make([][]reply, len(t.steps))
	for i := 0; i < len(t.steps); {
		var commands []int
		for ; i < len(t.steps) && t.steps[i].kind != 'S'; i++ {
			if t.steps[i].kind == 'C' {
				commands = append(commands, i)
			}
		}
		var replies []reply
		for more := false; i < len(t.steps) && t.steps[i].kind == 'S'; i++ {
			if !more {
				replies = append(replies, reply{first: i})
			}
			r := &replies[len(replies)-1]
			r.lines = append(r.lines, t.steps[i].text)
			more = len(t.steps[i].text) > 3 && t.steps[i].text[3] == '-'
		}
		surplus := max(0, len(replies)-len(commands))
		for n, c := range commands {
			take := 1
			if t.steps[c].text == "." || n == len(commands)-1 {
				take, surplus = 1+surplus, 0
			}
			take = min(take, len(replies))
			out[c], replies = replies[:take], replies[take:]
		}
	}
	return out
}
