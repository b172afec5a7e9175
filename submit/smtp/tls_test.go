package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"

	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// TestTLSFailure has servers over TCP with which a TLS handshake fails, with the exact
// error and the start of the hint for each.
func TestTLSFailure(t *testing.T) {
	if certificateErr != nil {
		t.Fatal(certificateErr)
	}
	mine, err := smtpd.Certificate("client.example")
	if err != nil {
		t.Fatal(err)
	}
	strict := func(change func(*tls.Config)) func(net.Conn) {
		c := &tls.Config{Certificates: []tls.Certificate{certificate}}
		change(c)
		return func(conn net.Conn) {
			server := tls.Server(conn, c)
			if server.Handshake() == nil {
				io.WriteString(server, "220 mx.example\r\n")
			}
		}
	}
	wants := func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }
	knows := func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool() }
	old := func(change func(*tls.Config)) func(*tls.Config) {
		return func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12; change(c) }
	}
	// says returns a server that answers the client's first octets with the given text.
	says := func(answer string) func(net.Conn) {
		return func(conn net.Conn) {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, answer)
			if text, _ := io.ReadAll(conn); strings.Contains(string(text), "QUIT") {
				t.Errorf("after a handshake that failed, the server was told %q", text)
			}
		}
	}
	alert := func(n byte) func(net.Conn) { return says("\x15\x03\x03\x00\x02\x02" + string(rune(n))) }
	const asks = "set tls-cert and tls-key to the files"
	for _, tt := range []struct {
		name        string
		serve       func(net.Conn)
		client      []tls.Certificate
		kind        status.Kind
		words, hint string
	}{
		{"wants a certificate", strict(wants), nil, status.Insecure, "TLS: the server wants a client certificate (mx.example)", asks},
		{"wants a certificate, TLS 1.2", strict(old(wants)), nil, status.Insecure,
			"TLS: the server says: handshake failure (mx.example)", "server and sendoff have no cipher in common, or the server wants a client certificate"},
		{"finds it bad", alert(42), nil, status.Insecure,
			"TLS: the server does not take the client's certificate: bad certificate (mx.example)", "set tls-cert to a certificate that the server accepts"},
		{"gets one", strict(wants), []tls.Certificate{mine}, 0, "", ""},
		{"does not know it", strict(knows), []tls.Certificate{mine}, status.Insecure,
			"TLS: the server does not take the client's certificate: unknown certificate authority (mx.example)", "set tls-cert to a certificate that the server accepts"},
		{"does not know it, TLS 1.2", strict(old(knows)), []tls.Certificate{mine}, status.Insecure,
			"TLS: the server does not take the client's certificate: unknown certificate authority (mx.example)", "set tls-cert to a certificate that the server accepts"},
		{"finds it expired", alert(45), nil, status.Insecure,
			"TLS: the server does not take the client's certificate: expired certificate (mx.example)", "get a new certificate for tls-cert"},
		{"TLS 1.1", strict(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), nil, status.Insecure,
			"TLS: the server has no protocol version from TLS 1.2 on (mx.example)", "ask the server's administrator for TLS 1.2 or 1.3"},
		{"TLS 1.0, and knows no later one", says("\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" + strings.Repeat("r", 32) + "\x00\x00\x2f\x00"), nil, status.Insecure,
			"TLS: the server has no protocol version from TLS 1.2 on (mx.example)", "ask the server's administrator for TLS 1.2 or 1.3"},
		{"no cipher in common", alert(40), nil, status.Insecure, "TLS: the server says: handshake failure (mx.example)", "server and sendoff have no cipher in common"},
		{"unknown name", alert(112), nil, status.Insecure, "TLS: the server says: unrecognized name (mx.example)", "the server does not know that name"},
		{"an alert without a name", alert(99), nil, status.Insecure, "TLS: the server says: alert(99) (mx.example)", ""},
		{"plain SMTP", says("220 mx.example ESMTP\r\n"), nil, status.Insecure,
			"TLS: the server does not answer with TLS but with plain SMTP (mx.example)", `the server may expect STARTTLS at this port: try smtp://mx.example as server`},
		{"plain SMTP, several lines", says("220-mx.example ESMTP\r\n"), nil, status.Insecure,
			"TLS: the server does not answer with TLS but with plain SMTP (mx.example)", `the server may expect STARTTLS`},
		{"plain SMTP with a code of nines", says("999-9 ESMTP\r\n"), nil, status.Insecure,
			"TLS: the server does not answer with TLS but with plain SMTP (mx.example)", `the server may expect STARTTLS`},
		{"another protocol with digits", says("2200 x\r\n"), nil, status.Insecure, "TLS: the server does not answer with TLS (mx.example)", "smtps:// begins with TLS"},
		{"another protocol", says("SSH-2.0-OpenSSH_10.0\r\n"), nil, status.Insecure, "TLS: the server does not answer with TLS (mx.example)", "smtps:// begins with TLS"},
		{"TLS, but broken", says("\x16\x03\x03\xff\xff"), nil, status.Insecure, "TLS: oversized record received with length 65535 (mx.example)", ""},
		{"cut", func(conn net.Conn) {
			io.ReadFull(conn, make([]byte, 5))
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
		}, nil, status.Connection,
			"TLS: the server broke off the handshake (mx.example)", "a firewall may block TLS there"},
		{"cut in a record", func(conn net.Conn) {
			io.ReadFull(conn, make([]byte, 5))
			io.WriteString(conn, "\x16\x03\x03\x00\x7a\x02")
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
		}, nil, status.Connection, "TLS: the server broke off the handshake (mx.example)", "a firewall may block TLS there"},
		{"reset", func(conn net.Conn) { io.ReadFull(conn, make([]byte, 5)); conn.(*net.TCPConn).SetLinger(0) }, nil, status.Connection,
			"TLS: read: connection reset by peer in the handshake (mx.example)", ""},
	} {
		for _, security := range []Security{Implicit, StartTLS} {
			t.Run(fmt.Sprint(tt.name, ", ", map[Security]string{Implicit: "implicit", StartTLS: "STARTTLS"}[security]), func(t *testing.T) {
				client := &tls.Config{ServerName: "mx.example", RootCAs: roots(), Certificates: tt.client}
				err := openTo(t, security, client, tt.serve)
				if lost := errors.As(err, new(*LostHandshake)); lost != (tt.name == "reset" || tt.name == "cut") {
					t.Errorf("%v: lost is %v", err, lost)
				}
				if tt.words == "" {
					if status.KindOf(err) == status.Insecure {
						t.Errorf("%v", err)
					}
					return
				}
				if err == nil || status.KindOf(err) != tt.kind || err.Error() != tt.words || !strings.HasPrefix(status.Hint(err), tt.hint) {
					t.Errorf("\n got %v: %v (%s)\nwant %v: %v (%s)", status.KindOf(err), err, status.Hint(err), tt.kind, tt.words, tt.hint)
				}
			})
		}
	}
}

// openTo opens a session with a server whose side of the connection is serve.
func openTo(t *testing.T, security Security, config *tls.Config, serve func(net.Conn)) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if security == StartTLS {
			smtptest.Begin(t, conn, "S: 220 mx.example\nC: EHLO client.example\nS: 250-mx.example\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go")
		}
		serve(conn)
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	session, err := Open(context.Background(), conn, Options{Host: "mx.example", Name: "client.example", Security: security, TLS: config})
	if err == nil {
		session.Close()
	} else {
		conn.Close()
	}
	<-done
	return err
}

// TestVerifierError checks that an error of the verifier is returned unchanged: about the
// certificate, or about a file of authorities that has gone since the session began.
func TestVerifierError(t *testing.T) {
	if certificateErr != nil {
		t.Fatal(certificateErr)
	}
	serve := func(conn net.Conn) {
		tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
	}
	for _, want := range []error{status.Insecure.Errorf("TLS: certificate of mx.example: unknown authority"),
		status.Config.Errorf("tls-ca: %w", &fs.PathError{Op: "open", Path: "ca.pem", Err: syscall.ENOENT})} {
		client := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { return want }}
		if err := openTo(t, Implicit, client, serve); status.KindOf(err) != status.KindOf(want) || err.Error() != want.Error() {
			t.Errorf("%v: %v, want %v: %v", status.KindOf(err), err, status.KindOf(want), want)
		}
	}
}

// TestAlert holds that a TLS alert is Insecure before the first MAIL, and Lost after it.
func TestAlert(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for phase, kind := range map[phase]status.Kind{auth: status.Insecure, hello: status.Insecure, mail: status.Lost, dot: status.Lost} {
		if err := new(Session).outOfStep(step{phase: phase}, alert); status.KindOf(err) != kind {
			t.Errorf("in phase %d: %v", phase, err)
		}
	}
}
