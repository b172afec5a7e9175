//go:build unix

package smtp

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

// patientConn is a connection with longer read deadlines than set, so that octets which
// have come are read even on a slow machine. It reads so slowly that a command which does
// not wait for the read would leave first.
type patientConn struct{ *net.TCPConn }

func (c patientConn) Read(p []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return c.TCPConn.Read(p)
}

func (c patientConn) SetReadDeadline(t time.Time) error {
	if time.Until(t) > 0 {
		t = t.Add(5 * time.Second)
	}
	return c.TCPConn.SetReadDeadline(t)
}

// TestUnasked has a server that sends a line between two mails. The line waits in the
// kernel, and must not count as the reply to the next command.
func TestUnasked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ready, served := make(chan bool), make(chan string, 1)
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		r := smtptest.Begin(t, conn, "S: 220 mx\nC: EHLO client\nS: 250 mx")
		<-ready
		io.WriteString(conn, "250 taken\r\n")
		text, _ := io.ReadAll(r)
		served <- string(text)
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), patientConn{conn.(*net.TCPConn)}, Options{Security: None, Host: "mx", Name: "client", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	for !pending(conn) {
		time.Sleep(time.Millisecond)
	}
	var r Result
	s.Deliver(context.Background(), one(testEnvelope(t), strings.NewReader("x\r\n"), &r))
	s.Close()
	if text := <-served; text != "" {
		t.Errorf("the server, which is out of step, was told %q", text)
	}
	if r.Err == nil || status.KindOf(r.Err) != status.Lost || !strings.Contains(r.Err.Error(), `the server answered "250 taken" before it was asked`) {
		t.Errorf("got %v", r.Err)
	}
}
