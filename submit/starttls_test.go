package submit

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// StartTLS plays a server on conn up to STARTTLS (RFC 3207), and returns the
// connection inside TLS, for a server that does not know the command: the
// greeting, which is the first that server writes, does not go out. A client
// that leaves before is an error.
func StartTLS(conn net.Conn, config *tls.Config) (net.Conn, error) {
	in := bufio.NewReader(conn)
	reply := "220 mx.example ESMTP\r\n"
	for {
		if _, err := io.WriteString(conn, reply); err != nil {
			return nil, err
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case verb == "EHLO":
			reply = "250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
		case verb == "QUIT":
			return nil, io.EOF
		case verb != "STARTTLS":
			reply = "530 5.7.0 say STARTTLS first\r\n"
		case in.Buffered() > 0:
			return nil, errors.New("client sent more than STARTTLS before TLS")
		default:
			_, err := io.WriteString(conn, "220 2.0.0 go ahead\r\n")
			return &greeted{Conn: tls.Server(conn, config)}, err
		}
	}
}

// greeted is a connection whose client has had a greeting.
type greeted struct {
	net.Conn
	begun bool
}

func (g *greeted) Write(p []byte) (int, error) {
	if !g.begun {
		g.begun = true
		return len(p), nil
	}
	return g.Conn.Write(p)
}
