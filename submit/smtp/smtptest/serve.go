package smtptest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pause is how long the client gets to prove that it has nothing more to say.
// In a synctest bubble that is exact; on a real clock a client that dawdles is
// not found out, but none is accused wrongly.
const pause = time.Millisecond

// player is one run of a transcript.
type player struct {
	*Transcript
	raw  net.Conn // below TLS
	conn net.Conn
	in   *bufio.Reader
	quit bool // the client said QUIT and need not listen any more

	begins bool // after the script the connection is the caller's

	chunk int // octets of a chunk that BDAT announced
}

// Serve plays the server's part on conn, closes it, and returns the first
// deviation of the client from the script, up to the fault if there is one.
// After the fault it answers as the script would have, as far as the client
// follows it, and finds fault with nothing. It returns at the latest when the
// client closes.
func (t *Transcript) Serve(conn net.Conn) error {
	t.content.Reset()
	p := &player{Transcript: t, raw: conn}
	p.use(conn)
	defer func() { p.conn.Close() }()
	err := p.play()
	if t.after >= 0 {
		return nil
	}
	return err
}

// Begin plays the server's part of a script on conn, and returns what the client
// says after its last line, for a server that goes on in a way that no script
// describes. A client that deviates fails t.
func Begin(t testing.TB, conn net.Conn, script string) *bufio.Reader {
	t.Helper()
	tr, err := Parse(t.Name(), script)
	if err != nil {
		t.Error(err)
		return bufio.NewReader(conn)
	}
	p := &player{Transcript: tr, raw: conn, begins: true}
	p.use(conn)
	if err := p.play(); err != nil {
		t.Error(err)
	}
	return p.in
}

// use makes conn the one to read and write.
func (p *player) use(conn net.Conn) {
	p.conn = conn
	r := io.Reader(conn)
	if p.after >= 0 {
		r = io.LimitReader(conn, int64(p.after))
	}
	p.in = bufio.NewReaderSize(r, 1<<16)
}

func (p *player) play() error {
	for i := 0; i < len(p.steps); {
		s := p.steps[i]
		if p.fault != nil && p.fault.step == i && s.kind == 'T' {
			return p.fail(nil)
		}
		var err error
		switch s.kind {
		case 'C':
			err = p.expect(s)
		case '+':
			err = p.readContent(s)
		case 'T':
			err = p.handshake(s)
		case 'S':
			end := i
			for end < len(p.steps) && p.steps[end].kind == 'S' {
				end++
			}
			if err = p.silent(s); err != nil {
				return err
			}
			if p.fault != nil && i <= p.fault.step && p.fault.step < end {
				return p.fail(p.steps[i:end])
			}
			err = p.say(s, lines(p.steps[i:end]))
			i = end - 1
		}
		if err != nil {
			return err
		}
		i++
	}
	if p.begins {
		return nil
	}
	return p.end()
}

func lines(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.text + "\r\n")
	}
	return b.String()
}

// line reads a line that ends with CRLF and has no CR or LF before it.
func (p *player) line() (string, error) {
	l, err := p.in.ReadString('\n')
	if err != nil {
		return l, err
	}
	text, ok := strings.CutSuffix(l, "\r\n")
	if !ok || strings.Contains(text, "\r") {
		return l, fmt.Errorf("%q has a bare CR or LF", l)
	}
	return text, nil
}

func (p *player) deviation(s step, format string, args ...any) error {
	return fmt.Errorf("%s:%d: client %s; want %c: %s", p.Name, s.line, fmt.Sprintf(format, args...), s.kind, s.text)
}

func (p *player) expect(s step) error {
	got, err := p.line()
	switch {
	case errors.Is(err, io.EOF) && got == "":
		return p.deviation(s, "closed")
	case err != nil:
		return p.deviation(s, "sent %.200q, then: %v", got, err)
	case got != s.text:
		return p.deviation(s, "sent %.200q", got)
	}
	p.quit = p.quit || strings.EqualFold(got, "QUIT")
	p.chunk = chunkSize(got)
	return nil
}

// chunkSize returns how many octets follow a BDAT command; 0 for any other.
func chunkSize(command string) int {
	n := 0
	if w := strings.Fields(command); len(w) > 1 && strings.EqualFold(w[0], "BDAT") {
		n, _ = strconv.Atoi(w[1])
	}
	return n
}

// readContent reads a chunk, or up to, but not including, the final dot.
func (p *player) readContent(s step) error {
	if p.chunk > 0 {
		return p.readChunk(s)
	}
	var got []string
	for {
		if next, err := p.in.Peek(3); err == nil && string(next) == ".\r\n" {
			break
		}
		l, err := p.line()
		if err != nil {
			return p.deviation(s, "did not finish the message: %v", err)
		}
		l = strings.TrimPrefix(l, ".")
		got = append(got, l)
		p.content.WriteString(l + "\r\n")
	}
	return p.compare(s, got)
}

// readChunk reads the octets that BDAT announced.
func (p *player) readChunk(s step) error {
	content := make([]byte, p.chunk)
	if n, err := io.ReadFull(p.in, content); err != nil {
		return p.deviation(s, "sent %d of the %d octets of the chunk: %v", n, p.chunk, err)
	}
	p.content.Write(content)
	return p.compare(s, strings.Split(strings.TrimSuffix(string(content), "\r\n"), "\r\n"))
}

// compare checks the lines of a message against those of its section.
func (p *player) compare(s step, got []string) error {
	want, known := p.sections[s.text]
	if !known {
		return nil
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return p.deviation(s, "ended the message before its line %d, %q", i+1, want[i])
		case i >= len(want):
			return p.deviation(s, "sent line %d of the message, %q, after its end", i+1, got[i])
		case got[i] != want[i]:
			return p.deviation(s, "sent line %d of the message as %q instead of %q", i+1, got[i], want[i])
		}
	}
	return nil
}

// silent checks that the client waits for what the script says next.
func (p *player) silent(s step) error {
	if p.begins { // its caller may count the time
		return nil
	}
	p.conn.SetReadDeadline(time.Now().Add(pause))
	defer p.conn.SetReadDeadline(time.Time{})
	if _, err := p.in.Peek(1); err == nil {
		early, _ := p.in.Peek(p.in.Buffered())
		return p.deviation(s, "did not wait but sent %.200q", early)
	} else if p.quit || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return p.deviation(s, "closed")
}

// say writes text, in one write or octet by octet. A client that said QUIT
// need not be there to hear it.
func (p *player) say(s step, text string) error {
	size := len(text)
	if p.trickle {
		size = 1
	}
	for i := 0; i < len(text); i += size {
		if _, err := io.WriteString(p.conn, text[i:i+size]); err != nil && !p.quit {
			return p.deviation(s, "does not listen (%v)", err)
		}
	}
	return nil
}

func (p *player) handshake(s step) error {
	if p.TLS == nil {
		return p.deviation(s, "cannot be served: no TLS configuration")
	}
	conn := tls.Server(p.conn, p.TLS)
	if err := conn.Handshake(); err != nil {
		return p.deviation(s, "failed in the handshake: %v", err)
	}
	p.use(conn)
	return nil
}

// end waits for the client to close.
func (p *player) end() error {
	more, err := io.ReadAll(p.in)
	if len(more) > 0 {
		return fmt.Errorf("%s: client sent %.200q after the end", p.Name, more)
	}
	if err != nil && !p.quit && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: client did not close: %w", p.Name, err)
	}
	return nil
}
