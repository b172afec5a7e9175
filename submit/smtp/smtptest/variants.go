package smtptest

import (
	"fmt"
	"io"
	"iter"
	"strings"
)

// A Fault is what a variant does wrong, and where.
type Fault struct {
	fault
	Line    int    // of the transcript
	Replies string // the S line that is replaced
	Command string // the C line it would have answered; "" for the greeting, "S+ TLS" for the handshake
	Within  bool   // not the first line of its reply: an answer of another class breaks the reply
	Again   bool   // the session goes on after it
	Nth     int    // Command is the first, second … with its verb that is answered
	step    int
}

// A fault is a way in which a server fails to say an S line. With text the line is
// replaced, and % is the code it should have had; a fault that goes on is followed
// by the rest of the script as far as the client follows it.
type fault struct {
	Kind string
	text string
	tls  bool          // makes sense in place of a handshake
	then func(*player) // nil: the fault goes on
}

var faults = [...]fault{
	{"421", "421 4.3.2 closing\r\n", false, (*player).cut},
	{"4yz", "450 4.2.0 not now\r\n", false, nil},
	{"5yz", "550 5.0.0 never\r\n", false, nil},
	{"garbage", "\x00\x1b[2J\xff what?\r\n", true, (*player).drain},
	{"bare", "%\r\n", false, nil}, // the code alone is a whole reply
	{"bare LF", "% ok\n", false, (*player).drain},
	{"long line", "% " + strings.Repeat("x", 1<<17) + "\r\n", false, (*player).drain},
	{"endless reply", "", false, (*player).endless},
	{"silence", "", true, (*player).drain},
	{"cut", "", true, (*player).cut},
	{"torn", "%-", false, (*player).cut},
}

// Fault returns what t does wrong; nil if it is as it was parsed or only slow.
func (t *Transcript) Fault() *Fault { return t.fault }

// Variants yields the transcripts that have one S line, or the handshake,
// replaced by each fault in turn, and one that sends its replies octet by
// octet and is otherwise right.
func (t *Transcript) Variants() iter.Seq2[string, *Transcript] {
	return func(yield func(string, *Transcript) bool) {
		slow := t.copy()
		slow.trickle = true
		if !yield("trickle", slow) {
			return
		}
		answered := t.answered()
		seen := make(map[string]int) // replies to each verb
		for i, s := range t.steps {
			if s.kind != 'S' && s.kind != 'T' {
				continue
			}
			f := Fault{Line: s.line, Replies: s.text, Within: s.kind == 'S' && i > 0 && continues(t.steps[i-1]), step: i}
			if c := answered[i]; c >= 0 {
				f.Command = t.steps[c].text
			} else if s.kind == 'T' {
				f.Command = "S+ TLS"
			}
			verb, _, _ := strings.Cut(f.Command, " ")
			if !f.Within {
				seen[verb]++
			}
			f.Nth = seen[verb]
			for _, row := range faults {
				if s.kind == 'T' && !row.tls {
					continue
				}
				v, f := t.copy(), f
				f.fault, f.Again = row, row.then == nil && !f.Within
				v.fault = &f
				if !yield(fmt.Sprintf("line %d %s", s.line, row.Kind), v) {
					return
				}
			}
		}
	}
}

// Cuts yields the transcripts that are right until the client has sent n
// octets, and then hang up; for every n up to the whole dialogue, whose
// content must be in sections. There is none for a transcript with TLS, where
// octets are not text.
func (t *Transcript) Cuts() iter.Seq2[int, *Transcript] {
	total, chunk := 0, 0
	for _, s := range t.steps {
		switch s.kind {
		case 'C':
			total += len(s.text) + 2
			chunk = chunkSize(s.text)
		case '+':
			for _, l := range t.Section(s.text) {
				total += len(l) + 2
				if strings.HasPrefix(l, ".") && chunk == 0 {
					total++
				}
			}
		case 'T':
			return func(func(int, *Transcript) bool) {}
		}
	}
	return func(yield func(int, *Transcript) bool) {
		for n := range total {
			v := t.copy()
			v.after = n
			if !yield(n, v) {
				return
			}
		}
	}
}

func (t *Transcript) copy() *Transcript {
	return &Transcript{Name: t.Name, TLS: t.TLS, after: -1, steps: t.steps, sections: t.sections}
}

// fail plays the fault in the flight of S steps where it belongs.
func (p *player) fail(flight []step) error {
	i := 0
	for i < len(flight) && flight[i].line < p.fault.Line {
		i++
	}
	out := lines(flight[:i]) + strings.ReplaceAll(p.fault.text, "%", p.fault.code())
	if p.fault.then != nil {
		io.WriteString(p.conn, out)
		p.fault.then(p)
		return nil
	}
	for i < len(flight) && continues(flight[i]) {
		i++
	}
	out += lines(flight[min(i+1, len(flight)):])
	io.WriteString(p.conn, out)
	p.improvise(strings.Contains("\n"+out, "\n354"))
	return nil
}

// code is the code of the line that is replaced, as far as there is one.
func (f *Fault) code() string { return f.Replies[:min(3, len(f.Replies))] }

func (p *player) cut()   { p.raw.Close() }
func (p *player) drain() { io.Copy(io.Discard, p.in) }

// endless sends a reply without end; a client that believes in one is stopped
// after a million lines.
func (p *player) endless() {
	for range 1 << 20 {
		if _, err := io.WriteString(p.conn, p.fault.code()+"-and\r\n"); err != nil {
			return
		}
	}
	p.drain()
}

// improvise goes on after a fault: a command that the script still holds gets
// the script's reply, whatever came between; another gets that of a server
// without imagination. data says that message content comes first.
func (p *player) improvise(data bool) {
	answered, from := p.answered(), p.fault.step
	for !p.quit {
		if data && p.readContent(step{}) != nil {
			break
		}
		l, err := p.line()
		if err != nil {
			break
		}
		out := improvised(l)
		io.CopyN(io.Discard, p.in, int64(chunkSize(l)))
		for j := from; j < len(p.steps); j++ {
			if s := p.steps[j]; s.kind == 'C' && address(s.text) == address(l) {
				out, from = "", j+1
				for k, c := range answered {
					if c == j {
						out += p.steps[k].text + "\r\n"
					}
				}
				break
			}
		}
		io.WriteString(p.conn, out)
		data = strings.HasPrefix(out, "354")
		if s := p.steps[min(from+1, len(p.steps)-1)]; s.kind == 'T' && strings.HasPrefix(out, "220") && p.handshake(s) != nil {
			break
		}
		p.quit = strings.EqualFold(l, "QUIT")
	}
	p.drain()
}

// address returns a command without the parameters behind its address.
func address(command string) string {
	head, _, _ := strings.Cut(command, "> ")
	return strings.TrimSuffix(head, ">")
}

func improvised(command string) string {
	switch verb, _, _ := strings.Cut(strings.ToUpper(command), " "); verb {
	case "QUIT":
		return "221 bye\r\n"
	case "EHLO", "HELO", "RSET", "NOOP":
		return "250 ok\r\n"
	case "*":
		return "501 cancelled\r\n"
	}
	return "503 5.5.1 not now\r\n"
}
