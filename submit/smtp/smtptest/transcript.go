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
	Name     string
	TLS      *tls.Config // for S+ TLS
	fault    *Fault
	after    int // hang up after that many octets from the client; -1 never
	trickle  bool
	steps    []step
	sections map[string][]string
	content  bytes.Buffer
}

// A step is one line of the script. The kinds are C and S for a line, + for
// message content and T for the TLS handshake.
type step struct {
	kind byte
	line int
	text string
}

// kinds is the script's syntax.
var kinds = map[string]byte{"S:": 'S', "C:": 'C', "C+": '+', "S+": 'T'}

// Parse reads a transcript; name is for errors.
func Parse(name, text string) (*Transcript, error) {
	t := &Transcript{Name: name, after: -1, sections: make(map[string][]string)}
	section := ""
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i, l := range lines {
		if head, ok := strings.CutPrefix(l, "-- "); ok && strings.HasSuffix(head, " --") {
			section = strings.TrimSuffix(head, " --")
			t.sections[section] = nil
			continue
		}
		if len(t.sections) > 0 {
			t.sections[section] = append(t.sections[section], l)
			continue
		}
		if strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#") {
			continue
		}
		prefix := l[:min(2, len(l))]
		s := step{kind: kinds[prefix], line: i + 1, text: strings.TrimPrefix(l[len(prefix):], " ")}
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
func (t *Transcript) Section(name string) []string { return t.sections[name] }

// Message returns the content that the last Serve received for all its C+
// lines, with CRLF line endings and without dot-stuffing.
func (t *Transcript) Message() string { return t.content.String() }

// continues reports whether s is an S line that is not its reply's last.
func continues(s step) bool {
	return s.kind == 'S' && len(s.text) > 3 && s.text[3] == '-'
}

// answered returns for every S step, by its index, the index of the C step that
// it answers; -1 if there is none. The nth command of a flight has the nth reply.
// Replies left over belong to the final dot, which LMTP answers once for each
// recipient.
func (t *Transcript) answered() []int {
	out := slices.Repeat([]int{-1}, len(t.steps))
	for i := 0; i < len(t.steps); {
		var commands []int
		for ; i < len(t.steps) && t.steps[i].kind != 'S'; i++ {
			if t.steps[i].kind == 'C' {
				commands = append(commands, i)
			}
		}
		first, surplus := i, -len(commands)
		for ; i < len(t.steps) && t.steps[i].kind == 'S'; i++ {
			if !continues(t.steps[i]) {
				surplus++
			}
		}
		for j := first; j < i && len(commands) > 0; j++ {
			out[j] = commands[0]
			switch {
			case continues(t.steps[j]):
			case surplus > 0 && (len(commands) == 1 || t.steps[commands[0]].text == "."):
				surplus--
			default:
				commands = commands[1:]
			}
		}
	}
	return out
}
