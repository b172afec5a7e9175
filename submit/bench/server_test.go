//go:build bench && linux

package bench

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server takes mail and forgets it. It offers what a good submission server
// does, and answers with as few writes as it can.
type server struct {
	port     int
	security string // plain, tls or starttls
	config   *tls.Config
	rtt      time.Duration

	sessions, taken atomic.Int32
}

func listen(t *testing.T, security string, config *tls.Config, rtt time.Duration) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &server{port: l.Addr().(*net.TCPAddr).Port, security: security, config: config, rtt: rtt}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.sessions.Add(1)
			go s.serve(delay(conn, rtt))
		}
	}()
	return s
}

// A session is one connection to a server.
type session struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

func (s *session) use(conn net.Conn) {
	s.conn, s.r, s.w = conn, bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
}

// say answers; while more commands are there the answer waits for theirs.
func (s *session) say(text string) {
	s.w.WriteString(text + "\r\n")
	if s.r.Buffered() == 0 {
		s.w.Flush()
	}
}

func (s *server) serve(conn net.Conn) {
	x := &session{}
	defer func() { x.conn.Close() }()
	x.use(conn)
	if s.security == "tls" {
		x.use(tls.Server(conn, s.config))
	}
	x.say("220 mx.example ESMTP")
	secure := s.security == "tls"
	for {
		line, err := x.r.ReadString('\n')
		if err != nil {
			return
		}
		verb, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			offer := "250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-CHUNKING\r\n"
			if s.security == "starttls" && !secure {
				offer += "250-STARTTLS\r\n"
			}
			if secure {
				offer += "250-AUTH PLAIN LOGIN\r\n"
			}
			x.say(offer + "250 ENHANCEDSTATUSCODES")
		case "STARTTLS":
			x.say("220 go")
			x.w.Flush()
			x.use(tls.Server(conn, s.config))
			secure = true
		case "AUTH":
			if !strings.Contains(args, " ") {
				x.say("334 ")
				x.r.ReadString('\n')
			}
			x.say("235 2.7.0 ok")
		case "DATA":
			x.say("354 go")
			if x.content() != nil {
				return
			}
			s.taken.Add(1)
			x.say("250 2.0.0 taken")
		case "BDAT":
			var n int64
			fmt.Sscan(args, &n)
			if int64(x.r.Buffered()) < n { // a client may wait for earlier replies before it sends the rest
				x.w.Flush()
			}
			if _, err := io.CopyN(io.Discard, x.r, n); err != nil {
				return
			}
			s.taken.Add(1)
			x.say("250 2.0.0 taken")
		case "QUIT":
			x.say("221 2.0.0 bye")
			x.w.Flush()
			return
		default:
			x.say("250 2.0.0 ok")
		}
	}
}

// content skips a message up to its final dot. It looks at what is buffered as
// a whole, so that it is not what limits the fastest client.
func (s *session) content() error {
	end := []byte("\r\n.\r\n")
	for {
		if _, err := s.r.Peek(len(end)); err != nil {
			return err
		}
		b, _ := s.r.Peek(s.r.Buffered())
		if i := bytes.Index(b, end); i >= 0 {
			s.r.Discard(i + len(end))
			return nil
		}
		s.r.Discard(len(b) - len(end) + 1)
	}
}
