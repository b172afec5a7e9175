//go:build unix

package dial

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"sendoff/submit/status"
)

// TestPipe tests that the connection to a command is a socket, that Close waits for the
// command at most pipeTime, and that Explain knows its last line on stderr.
func TestPipe(t *testing.T) {
	conn, err := new(Dialer).run(server(t, "pipe:sh -c 'echo first >&2; read x; echo last $x >&2; exec sleep 60'"))
	if err != nil {
		t.Skip(err)
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil || raw.Control(func(uintptr) {}) != nil {
		t.Errorf("no descriptor: %v", err)
	}
	conn.Write([]byte("word\n"))
	begin := time.Now()
	conn.Close()
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("closed after %s", took)
	}
	if got := Explain(conn, status.Connection.Errorf("EOF")).Error(); got != "EOF: last word" {
		t.Errorf("%q", got)
	}
}

// TestPipeLastWords tests that the output of a command can be read after its end.
func TestPipeLastWords(t *testing.T) {
	conn, err := new(Dialer).run(server(t, "pipe:echo 250 taken"))
	if err != nil {
		t.Skip(err)
	}
	<-conn.(*pipe).ended
	said, err := io.ReadAll(conn)
	if string(said) != "250 taken\n" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
	conn.Close()
}

func TestTail(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"one", "one"},
		{"one\ntwo\r\n\n", "two"},
		{"\x1b[2Jx\n", "\ufffd[2Jx"},
		{strings.Repeat("x", 5000) + "\nend", "end"},
		{strings.Repeat("x", 5000), strings.Repeat("x", maxTail)},
	} {
		var whole, pieces tail
		whole.Write([]byte(tt.in))
		for i := range len(tt.in) {
			pieces.Write([]byte{tt.in[i]})
		}
		if whole.last() != tt.want || pieces.last() != tt.want {
			t.Errorf("%.20q: %q, %q; want %q", tt.in, whole.last(), pieces.last(), tt.want)
		}
	}
}
