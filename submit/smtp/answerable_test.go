package smtp

import (
	"bufio"
	"net"
	"strings"
	"testing"
)

// leaving is a connection that calls a function with all octets written so far, at each
// Write.
type leaving struct {
	net.Conn
	out  *strings.Builder
	seen func(sent string)
}

func (l leaving) Write(p []byte) (int, error) {
	l.out.Write(p)
	l.seen(l.out.String())
	return len(p), nil
}

// TestAnswerableBeforeItLeaves holds that the step of a message is answerable before its
// last octet leaves: the reply may come at once, and must not count as early.
func TestAnswerableBeforeItLeaves(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		for _, quit := range []bool{false, true} {
			for size := 16300; size < 16420; size++ {
				answerable(t, chunked, quit, size)
			}
			for _, size := range []int{3, 60_000, 131_071, 131_072, 131_073, 300_000} {
				answerable(t, chunked, quit, size)
			}
		}
	}
}

func answerable(t *testing.T, chunked, quit bool, size int) {
	t.Helper()
	text := strings.Repeat("x", size-2) + "\r\n"
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	s := &Session{conn: conn}
	tr := &transaction{mail: new(Mail), s: s, message: strings.NewReader(text), size: int64(size), chunked: chunked, open: true, ready: true, accepted: []int{0}}
	s.offered = map[string]string{"PIPELINING": ""}
	steps := tr.end(!quit)
	w := newWriter(steps)
	end := "\r\n.\r\n"
	early := false
	s.w = bufio.NewWriterSize(leaving{conn, new(strings.Builder), func(sent string) {
		whole := strings.Contains(sent, end)
		if chunked {
			_, body, _ := strings.Cut(sent, " LAST\r\n")
			whole = len(body) >= size
		}
		early = early || whole && w.answerable.Load() == 0
	}}, 16<<10)
	if err := s.writeSteps(steps, w); err != nil {
		t.Fatal(err)
	}
	if early {
		t.Errorf("chunked %t, QUIT %t, %d octets: the message left before it was answerable", chunked, quit, size)
	}
}
