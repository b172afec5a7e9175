package smtp

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/submit/status"
)

// TestWriterStops holds that the errors differ for a server that reads nothing and for a
// server that has closed the connection in the middle of a message.
func TestWriterStops(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		then       func(net.Conn, *bufio.Reader)
	}{
		{"it takes nothing", "the server took nothing for 4s", func(net.Conn, *bufio.Reader) { time.Sleep(time.Hour) }},
		{"it hangs up", "end of message: EOF", func(c net.Conn, r *bufio.Reader) { io.CopyN(io.Discard, r, 1000) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := deliverTo(t, context.Background(), Options{Timeout: 4 * time.Second}, "354 go", endless{}, tt.then)
			if r.Err == nil || r.Unknown || status.KindOf(r.Err) != status.Lost || !strings.Contains(r.Err.Error(), tt.want) {
				t.Errorf("%s: unknown %t: %v", tt.name, r.Unknown, r.Err)
			}
		})
	}
}

// cut is a connection that fails to write after left octets, while a read gets nothing.
type cut struct {
	net.Conn
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// TestWriterFails holds that a failed write is not reported as a server that reads nothing.
func TestWriterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		served := make(chan bool)
		go func() {
			defer close(served)
			taken(t, server, "354 go", func(r *bufio.Reader) { drain(server, r) })
		}()
		s, err := Open(context.Background(), &cut{client, 1000}, Options{Security: None, Host: "mx", Name: "client", Timeout: 4 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var r Result
		start := time.Now()
		s.Deliver(context.Background(), one(testEnvelope(t), endless{}, &r))
		took := time.Since(start)
		s.Close()
		<-served
		if r.Err == nil || r.Unknown || status.KindOf(r.Err) != status.Lost || strings.Contains(r.Err.Error(), "took nothing") || took > 4*time.Second {
			t.Errorf("unknown %t after %s: %v", r.Unknown, took, r.Err)
		}
	})
}

// TestSilentTakesNoTime holds that the check for unexpected replies does not wait if the
// server has sent nothing.
func TestSilentTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, took := deliverTo(t, context.Background(), Options{}, "354 go", strings.NewReader("x\r\n"), func(c net.Conn, r *bufio.Reader) {
			for line := ""; line != ".\r\n"; {
				line, _ = r.ReadString('\n')
			}
			io.WriteString(c, "250 ok\r\n")
			drain(c, r)
		})
		if r.Err != nil || took != 0 {
			t.Errorf("%s: %v", took, r.Err)
		}
	})
}
