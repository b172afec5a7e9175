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

// ErrNoTLS is that of a server that speaks something else.
var ErrNoTLS = errors.New("the server does not answer with TLS")

// tlsFailure gives the error of a TLS handshake its kind and its words: a
// network that broke is Connection, anything that a person must look at is
// Insecure. What is wrong with a certificate is said by who verified it.
func tlsFailure(err error, host string) error {
	if status.KindOf(err) == status.Insecure {
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

// A LostHandshake is the error of a TLS handshake that the network has reset, or
// in which nothing came from the server. Something on the way may be unable to
// take a ClientHello of more than one packet.
type LostHandshake struct{ error }

func (l *LostHandshake) Unwrap() error { return l.error }

// hearing is a connection that notes whether anything has come.
type hearing struct {
	net.Conn
	heard atomic.Bool
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.heard.Store(true)
	}
	return n, err
}

// NetConn returns the connection below, as tls.Conn does.
func (h *hearing) NetConn() net.Conn { return h.Conn }

// lost returns failure, which is what a handshake came to with err, as a
// LostHandshake if the network has reset it, or ended it before anything came.
func (h *hearing) lost(err, failure error) error {
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	unsent := errors.Is(err, io.ErrClosedPipe) // there was nobody from the start
	if status.KindOf(failure) == status.Connection && !unsent && !(ended && h.heard.Load()) {
		return &LostHandshake{failure}
	}
	return failure
}

// oldTLS is said of a server whose newest version has known weaknesses (RFC
// 8996).
const oldTLS = "the server has no protocol version from TLS 1.2 on"

// insteadOfTLS says what the first octets of an answer without TLS are.
func insteadOfTLS(begin []byte) string {
	if strings.Trim(string(begin[:3]), "0123456789") == "" && (begin[3] == ' ' || begin[3] == '-') {
		return " but with plain SMTP"
	}
	return ""
}

// alert returns what a TLS alert says, in crypto/tls's words; "" if err is none
// that the server sent.
func alert(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return ""
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: ")
}

// describeAlert says what a server means by an alert (RFC 8446 section 6.2).
// That it wants a certificate of the client comes, with TLS 1.3, when the
// client's handshake is over.
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
