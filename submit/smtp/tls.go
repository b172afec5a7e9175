package smtp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"

	"sendoff/submit/status"
)

// ErrNoTLS says that the server answered the TLS handshake with something other than TLS.
var ErrNoTLS = errors.New("the server does not answer with TLS")

// tlsFailure returns the error of a TLS handshake that failed with err: Connection for a
// broken network, Insecure for everything that a person must look at. An error of the
// verifier, about the certificate or the file of tls-ca, is returned unchanged.
func tlsFailure(err error, host string) error {
	if kind := status.KindOf(err); kind == status.Insecure || kind == status.Config {
		return err
	}
	var (
		record tls.RecordHeaderError
		op     *net.OpError
	)
	if errors.As(err, &record) && record.Conn != nil {
		return status.Insecure.Errorf("TLS: %w%s (%s)", ErrNoTLS, insteadOfTLS(record.RecordHeader[:]), host)
	}
	if text := alert(err); text != "" {
		return status.Insecure.Errorf("TLS: %s (%s)", describeAlert(text), host)
	}
	var network net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return status.Connection.Errorf("TLS: the server broke off the handshake (%s)", host)
	case errors.As(err, &network), errors.Is(err, io.ErrClosedPipe), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if errors.As(err, &op) {
			err = op.Err
		}
		return status.Connection.Errorf("TLS: %w in the handshake (%s)", err, host)
	}
	text := strings.TrimPrefix(err.Error(), "tls: ")
	if strings.Contains(text, "unsupported protocol version") {
		text = oldTLS
	}
	return status.Insecure.Errorf("TLS: %s (%s)", status.Printable(text), host)
}

// A LostHandshake is the error of a TLS handshake that was reset, or in which nothing came
// from the server. A device in the network may drop a ClientHello of more than one packet.
type LostHandshake struct{ error }

func (l *LostHandshake) Unwrap() error { return l.error }

// bottom returns the connection that carries conn, without TLS.
func bottom(conn net.Conn) net.Conn {
	for {
		c, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = c.NetConn()
	}
}

// answerConn is a connection that notes whether the server has sent anything.
type answerConn struct {
	net.Conn
	answered atomic.Bool
}

func (h *answerConn) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.answered.Store(true)
	}
	return n, err
}

// NetConn returns the connection below, as tls.Conn does.
func (h *answerConn) NetConn() net.Conn { return h.Conn }

// markLost returns failure, the error of a handshake that ended with err. It makes failure
// a LostHandshake if the connection was reset, or ended before anything came.
func (h *answerConn) markLost(err, failure error) error {
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	neverOpen := errors.Is(err, io.ErrClosedPipe)
	if status.KindOf(failure) == status.Connection && !neverOpen && !(ended && h.answered.Load()) {
		return &LostHandshake{failure}
	}
	return failure
}

// oldTLS is the error for a server that has only TLS 1.1 or older, which have known
// weaknesses (RFC 8996).
const oldTLS = "the server has no protocol version from TLS 1.2 on"

// insteadOfTLS returns the end of an ErrNoTLS message, by the first octets of the
// server's answer; "" if they are not an SMTP reply.
func insteadOfTLS(begin []byte) string {
	if strings.Trim(string(begin[:3]), "0123456789") == "" && (begin[3] == ' ' || begin[3] == '-') {
		return " but with plain SMTP"
	}
	return ""
}

// alert returns the text of a TLS alert from the server, in the words of crypto/tls; "" if
// err is none.
func alert(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return ""
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: ")
}

// describeAlert returns in words what the server means by an alert (RFC 8446 section 6.2).
// With TLS 1.3 the alert "certificate required" comes after the client's handshake is over.
func describeAlert(text string) string {
	switch text {
	case "certificate required":
		return "the server wants a client certificate"
	case "bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
		"unknown certificate", "unknown certificate authority", "access denied":
		return "the server does not take the client's certificate: " + text
	case "protocol version not supported":
		return oldTLS
	}
	return "the server says: " + text
}
