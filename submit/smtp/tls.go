package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"sendoff/submit/status"
)

// tlsFailure gives the error of a TLS handshake its kind and its words: a
// network that broke is Connection, anything that a person must look at is
// Insecure.
func tlsFailure(err error, host string) error {
	var (
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		roots     x509.SystemRootsError
		record    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &invalid):
		return status.Insecure.Errorf("TLS: certificate of %s: %s", host, describeInvalid(invalid))
	case errors.As(err, &name):
		return status.Insecure.Errorf("TLS: certificate of %s: %s", host, describeName(name))
	case errors.As(err, &authority):
		return status.Insecure.Errorf("TLS: certificate of %s: unknown authority %q", host, issuer(authority.Cert))
	case errors.As(err, &roots):
		return status.Insecure.Errorf("TLS: certificate of %s: no certificate authorities on this system", host)
	case errors.As(err, &record):
		return status.Insecure.Errorf("TLS: the server does not answer with TLS (%s)", host)
	case errors.As(err, &op) && op.Op == "remote error": // a TLS alert
		return status.Insecure.Errorf("TLS: the server says: %s (%s)", strings.TrimPrefix(op.Err.Error(), "tls: "), host)
	}
	var network net.Error
	broken := errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if broken {
		if op != nil {
			err = op.Err
		}
		return status.Connection.Errorf("TLS: %w (%s)", err, host)
	}
	if status.KindOf(err) == status.Insecure {
		return err
	}
	return status.Insecure.Errorf("TLS: %s (%s)", strings.TrimPrefix(err.Error(), "tls: "), host)
}

func describeInvalid(e x509.CertificateInvalidError) string {
	if e.Cert == nil || e.Reason != x509.Expired {
		return strings.TrimPrefix(e.Error(), "x509: ")
	}
	const day = time.DateOnly
	now := time.Now()
	if now.Before(e.Cert.NotBefore) {
		return fmt.Sprintf("not valid before %s, and this machine's clock says %s", e.Cert.NotBefore.Format(day), now.Format(day))
	}
	return fmt.Sprintf("expired on %s, and this machine's clock says %s", e.Cert.NotAfter.Format(day), now.Format(day))
}

func describeName(e x509.HostnameError) string {
	names := append([]string{}, e.Certificate.DNSNames...)
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("it names no host at all, and so not %s", e.Host)
	}
	return status.Printable(fmt.Sprintf("it is for %s, not for %s", strings.Join(names, ", "), e.Host))
}

func issuer(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return status.Printable(c.Issuer.String())
}
