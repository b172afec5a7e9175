package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sendoff/submit/status"
)

// fault returns the error for a server whose certificates, sent, do not verify: it says in
// plain words which certificate, which name or which date is wrong. Anything the text needs
// is looked up only here, after the connection has failed.
func (v *verifier) fault(sent []*x509.Certificate, err error) error {
	return status.Insecure.Errorf("TLS: certificate of %s: %s", v.host, status.Printable(v.words(sent, err)))
}

func (v *verifier) words(sent []*x509.Certificate, err error) string {
	var (
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		roots     x509.SystemRootsError
	)
	switch {
	case errors.As(err, &invalid):
		return v.invalid(sent, invalid)
	case errors.As(err, &name):
		return wrongName(name)
	case errors.As(err, &authority) && v.tlsCA == "" && noAuthorities(), errors.As(err, &roots):
		return "no certificate authorities on this system" + authoritiesPlace()
	case errors.As(err, &authority):
		return v.unknown(sent, authority)
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}

// noAuthorities reports whether the system has no authorities at all, as in a container
// with little more than this program.
func noAuthorities() bool {
	pool, err := x509.SystemCertPool()
	return err != nil || pool.Equal(x509.NewCertPool())
}

// authoritiesPlace returns ", as VARIABLE is VALUE" for the environment variable that says
// where the authorities are; "" if none is set.
func authoritiesPlace() string {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if place := os.Getenv(name); place != "" {
			return fmt.Sprintf(", as %s is %q", name, status.Line(place, maxName))
		}
	}
	return ""
}

func (v *verifier) invalid(sent []*x509.Certificate, e x509.CertificateInvalidError) string {
	switch e.Reason {
	case x509.Expired:
		return v.prefix(sent, e.Cert) + validity(e.Cert, time.Now())
	case x509.IncompatibleUsage:
		i := slices.IndexFunc(sent, func(c *x509.Certificate) bool { return !forServers(c) })
		if i < 0 {
			return "an authority above it is not for servers (extended key usage)"
		}
		return v.prefix(sent, sent[i]) + "it is not for servers (extended key usage)"
	case x509.CANotAuthorizedForThisName:
		return "an authority above it may not sign for this name: " + status.Line(strings.TrimPrefix(e.Detail, "x509: "), maxName)
	}
	return v.prefix(sent, e.Cert) + strings.TrimPrefix(e.Error(), "x509: ")
}

// prefix returns the beginning of a sentence about c, a certificate of the chain sent: ""
// for the server's own certificate, otherwise the name of c and a colon.
func (v *verifier) prefix(sent []*x509.Certificate, c *x509.Certificate) string {
	switch {
	case c == nil || c.Equal(sent[0]):
		return ""
	case selfIssued(c):
		return fmt.Sprintf("the authority %s in %s: ", fullName(c.Subject), v.trusted())
	case bytes.Equal(c.RawSubject, sent[0].RawIssuer):
		return fmt.Sprintf("its issuer's, %s: ", shortName(c))
	}
	return fmt.Sprintf("that of %s above it: ", shortName(c))
}

func (v *verifier) trusted() string {
	if v.tlsCA != "" {
		return "tls-ca"
	}
	return "this system"
}

// validity says since when c has expired, or from when it is valid. It shows dates, and the
// time of day only if the date is today.
func validity(c *x509.Certificate, now time.Time) string {
	words, at := "expired on", c.NotAfter
	if now.Before(c.NotBefore) {
		words, at = "not valid before", c.NotBefore
	}
	at, now = at.UTC(), now.UTC()
	layout := time.DateOnly
	if at.Format(layout) == now.Format(layout) {
		layout += " 15:04:05 UTC"
	}
	return fmt.Sprintf("%s %s, and this machine's clock says %s", words, at.Format(layout), now.Format(layout))
}

// forServers reports whether the extended key usage of c allows TLS servers (RFC 5280
// section 4.2.1.12).
func forServers(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// Limits for texts that people read: how many names of a certificate are shown, and how
// many octets of a name.
const (
	maxNames = 4
	maxName  = 100
)

func wrongName(e x509.HostnameError) string {
	c := e.Certificate
	all := Names(c)
	if all == "" {
		words := "it names no host, so it is not for " + e.Host
		if cn := c.Subject.CommonName; cn != "" {
			words += fmt.Sprintf("; its common name %q does not count", status.Line(cn, maxName))
		}
		return words
	}
	return fmt.Sprintf("it is for %s, not for %s", all, e.Host)
}

// Names returns the host names and addresses of c, at most maxNames of them.
func Names(c *x509.Certificate) string {
	var names []string
	for _, name := range c.DNSNames {
		names = append(names, status.Line(name, maxName))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	more := ""
	if n := len(names) - maxNames; n > 0 {
		names, more = names[:maxNames], fmt.Sprintf(", and %d more", n)
	}
	return strings.Join(names, ", ") + more
}

// unknown says where the chain ends, if it does not end at a trusted authority.
func (v *verifier) unknown(sent []*x509.Certificate, e x509.UnknownAuthorityError) string {
	top, why := followChain(sent)
	if why != "" {
		return v.prefix(sent, top) + why
	}
	leaf := sent[0]
	var words string
	switch {
	case top.Equal(leaf) && selfIssued(leaf):
		words = fmt.Sprintf("unknown authority: it is self-signed, SHA-256 %x", sha256.Sum256(leaf.Raw))
	case selfIssued(top):
		words = fmt.Sprintf("unknown authority %s, which is not in %s; SHA-256 %x", fullName(top.Issuer), v.trusted(), sha256.Sum256(leaf.Raw))
	case top.Equal(leaf):
		words = fmt.Sprintf("unknown authority %s, of which the server sends no certificate", fullName(top.Issuer))
	default:
		words = fmt.Sprintf("unknown authority %s, which issued %s", fullName(top.Issuer), shortName(top))
	}
	if strings.Contains(e.Error(), "candidate authority certificate") {
		words += "; the one of that name in " + v.trusted() + " is another"
	}
	return words
}

// Limits of followChain, because a server can send hundreds of certificates.
const (
	maxSent  = 16
	maxSteps = 8
)

// followChain follows the signatures from the server's own certificate upwards. top is the
// last certificate whose signer, if it was sent, could not be used. why says what is wrong
// with top or with its signature; "": nothing is wrong, the chain only ends there.
func followChain(sent []*x509.Certificate) (top *x509.Certificate, why string) {
	sent = sent[:min(len(sent), maxSent)]
	top = sent[0]
	for range maxSteps {
		if selfIssued(top) {
			return top, ""
		}
		if weak(top.SignatureAlgorithm) {
			return top, fmt.Sprintf("signed with %s, which is too weak to prove anything", top.SignatureAlgorithm)
		}
		var signer, sameName *x509.Certificate
		for _, c := range sent {
			if !bytes.Equal(c.RawSubject, top.RawIssuer) {
				continue
			}
			err := top.CheckSignatureFrom(c)
			if errors.As(err, new(x509.ConstraintViolationError)) {
				return top, fmt.Sprintf("signed by %s, which is no authority", fullName(c.Subject))
			}
			if sameName = c; err == nil {
				signer = c
				break
			}
		}
		switch {
		case signer != nil:
			top = signer
		case sameName != nil:
			return top, fmt.Sprintf("not signed by the certificate of %s that the server sends with it", fullName(sameName.Subject))
		default:
			return top, ""
		}
	}
	return top, ""
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// weak reports whether signatures with a can be forged.
func weak(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.DSAWithSHA256, x509.ECDSAWithSHA1:
		return true
	}
	return false
}

// fullName returns the quoted name of a certificate's subject or issuer.
func fullName(name pkix.Name) string {
	if name.String() == "" {
		return "without a name"
	}
	return fmt.Sprintf("%q", status.Line(name.String(), maxName))
}

// shortName returns the quoted common name of the subject of c; without one, fullName.
func shortName(c *x509.Certificate) string {
	if cn := c.Subject.CommonName; cn != "" {
		return fmt.Sprintf("%q", status.Line(cn, maxName))
	}
	return fullName(c.Subject)
}

// Chain says who has signed the certificates that a server has sent: "by NAME, NAME", the
// subjects of all but the first certificate and the issuer of the last; or "self-signed".
func Chain(sent []*x509.Certificate) string {
	sent = sent[:min(len(sent), maxSent)]
	if len(sent) == 1 && selfIssued(sent[0]) {
		return "self-signed"
	}
	var above []string
	for _, c := range sent[1:] {
		above = append(above, shortName(c))
	}
	if last := sent[len(sent)-1]; !selfIssued(last) {
		above = append(above, fullName(last.Issuer))
	}
	return "by " + strings.Join(above, ", ")
}

// negativeSerial returns the fault of c, which has a negative serial number: RFC 5280
// section 4.1.2.2 forbids it.
func negativeSerial(sent []*x509.Certificate, c *x509.Certificate) error {
	if c != sent[0] {
		return fmt.Errorf("that of %s above it has a negative serial number; SHA-256 of its own %x", shortName(c), sha256.Sum256(sent[0].Raw))
	}
	return fmt.Errorf("its serial number is negative; SHA-256 %x", sha256.Sum256(c.Raw))
}
