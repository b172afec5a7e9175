package smtp

import (
	"bytes"
	"cmp"
	"crypto/sha256"
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
		weak      x509.InsecureAlgorithmError
		op        *net.OpError
	)
	refuse := func(words string) error {
		return status.Insecure.Errorf("TLS: certificate of %s: %s", host, status.Printable(words))
	}
	switch {
	case errors.As(err, &invalid):
		return refuse(describeInvalid(invalid, chain(err)))
	case errors.As(err, &name):
		return refuse(describeName(name))
	case errors.As(err, &authority):
		return refuse(describeAuthority(chain(err)))
	case errors.As(err, &roots):
		return refuse("no certificate authorities on this system")
	case errors.As(err, &weak):
		return refuse("signed by a method that is no longer safe: " + strings.TrimPrefix(weak.Error(), "x509: "))
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

// chain returns the certificates that the server sent, its own first.
func chain(err error) []*x509.Certificate {
	var v *tls.CertificateVerificationError
	if errors.As(err, &v) {
		return v.UnverifiedCertificates
	}
	return nil
}

// describeInvalid says what is wrong with which certificate of a chain.
func describeInvalid(e x509.CertificateInvalidError, chain []*x509.Certificate) string {
	which := ""
	if len(chain) > 0 && e.Cert != nil && !e.Cert.Equal(chain[0]) {
		which = fmt.Sprintf("its issuer's, %q: ", called(e.Cert))
	}
	switch {
	case e.Reason == x509.IncompatibleUsage:
		return which + "it is not for servers (extended key usage)"
	case e.Cert == nil || e.Reason != x509.Expired:
		return which + strings.TrimPrefix(e.Error(), "x509: ")
	}
	const day = time.DateOnly
	now := time.Now()
	if now.Before(e.Cert.NotBefore) {
		return which + fmt.Sprintf("not valid before %s, and this machine's clock says %s", e.Cert.NotBefore.Format(day), now.Format(day))
	}
	return which + fmt.Sprintf("expired on %s, and this machine's clock says %s", e.Cert.NotAfter.Format(day), now.Format(day))
}

// maxNames is how many names of a certificate an error shows.
const maxNames = 4

func describeName(e x509.HostnameError) string {
	names := append([]string{}, e.Certificate.DNSNames...)
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("it names no host at all, and so not %s", e.Host)
	}
	if more := len(names) - maxNames; more > 0 {
		names = append(names[:maxNames], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("it is for %s, not for %s", strings.Join(names, ", "), e.Host)
}

// describeAuthority says at which certificate of a chain the trust ends.
func describeAuthority(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return "unknown authority"
	}
	leaf, last := chain[0], chain[len(chain)-1]
	switch {
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		return fmt.Sprintf("unknown authority: it is signed by itself, SHA-256 %x", sha256.Sum256(leaf.Raw))
	case len(chain) == 1:
		return fmt.Sprintf("unknown authority %q, of which the server sends no certificate", leaf.Issuer)
	case bytes.Equal(last.RawIssuer, last.RawSubject):
		return fmt.Sprintf("unknown authority %q", last.Subject)
	}
	return fmt.Sprintf("unknown authority %q, which issued %q", last.Issuer, called(last))
}

// called returns what people call a certificate.
func called(c *x509.Certificate) string {
	return cmp.Or(c.Subject.CommonName, c.Subject.String(), "without a name")
}
