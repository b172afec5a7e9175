package submit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"sendoff/config"
	"sendoff/submit/status"
)

// bundles are the files that hold all certificate authorities of a system, as
// its distribution keeps them.
var bundles = [...]string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Arch, Alpine
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, Red Hat
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Red Hat, newer
	"/etc/ssl/cert.pem",                                 // Alpine, OpenBSD, FreeBSD
	"/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD
}

// bundle reads the system's authorities from its one file, which takes a
// fifth of the time of reading every file that holds one. nil: there is none,
// or the system has other ways, or the environment names others.
func bundle() *x509.CertPool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" ||
		os.Getenv("SSL_CERT_FILE") != "" || os.Getenv("SSL_CERT_DIR") != "" {
		return nil
	}
	for _, file := range bundles {
		if pem, err := os.ReadFile(file); err == nil {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(pem)
			return pool
		}
	}
	return nil
}

// systemRoots is bundle, read once; it may be started early.
var systemRoots = sync.OnceValue(bundle)

// tlsConfig says how to speak TLS with t for a: TLS 1.2 at least (RFC 8997), and
// a certificate that verifies. It is nil for a target without TLS.
func (s *Submitter) tlsConfig(a *config.Account, t target) (*tls.Config, error) {
	if t.server.Way().TLS == config.NoTLS {
		return nil, nil
	}
	name := cmp.Or(a.TLSName, t.prove)
	v := &verifier{name: name, fingerprint: a.TLSFingerprint}
	if s.rehearsal != nil {
		v.given = s.rehearsal.roots
	}
	if a.TLSCA != "" {
		pem, err := os.ReadFile(a.TLSCA)
		if err != nil {
			return nil, status.Config.Errorf("tls-ca: %w", err)
		}
		v.given = x509.NewCertPool()
		if !v.given.AppendCertsFromPEM(pem) {
			return nil, status.Config.Errorf("tls-ca: %s: no certificate in it", a.TLSCA)
		}
	}
	c := &tls.Config{
		ServerName:                  name,
		MinVersion:                  tls.VersionTLS12,
		DynamicRecordSizingDisabled: true, // full records from the start: a message is a bulk transfer
		// VerifyConnection does what is skipped here, against authorities
		// that are only read when they are needed.
		InsecureSkipVerify: true,
		VerifyConnection:   v.verify,
	}
	if a.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(a.TLSCert, cmp.Or(a.TLSKey, a.TLSCert))
		if err != nil {
			return nil, status.Config.Errorf("tls-cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if v.given == nil && v.fingerprint.IsZero() {
		go systemRoots()
	}
	return c, nil
}

// A verifier decides whether a server is the one that was meant.
type verifier struct {
	name        string
	fingerprint config.Fingerprint
	given       *x509.CertPool // nil: the system's
}

// verify is tls.Config.VerifyConnection. A fingerprint is all the proof there
// is to give; otherwise the chain must lead to an authority, be for servers,
// be valid today and bear the name (RFC 5280, RFC 9525).
func (v *verifier) verify(cs tls.ConnectionState) error {
	leaf := cs.PeerCertificates[0]
	if !v.fingerprint.IsZero() {
		certificate, key := sha256.Sum256(leaf.Raw), sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
		if want := v.fingerprint.Sum(); !bytes.Equal(certificate[:], want) && !bytes.Equal(key[:], want) {
			return fmt.Errorf("neither the certificate, %x, nor its key, %x, has the fingerprint in tls-fingerprint", certificate, key)
		}
		return nil
	}
	options := x509.VerifyOptions{DNSName: v.name, Roots: v.given, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if options.Roots == nil {
		options.Roots = systemRoots()
	}
	_, err := leaf.Verify(options)
	if unknown := new(x509.UnknownAuthorityError); errors.As(err, unknown) && v.given == nil {
		if options.Roots != nil {
			options.Roots = nil // the bundle was not all that the system trusts
			_, err = leaf.Verify(options)
		}
		if roots, rerr := x509.SystemCertPool(); err != nil && (rerr != nil || roots.Equal(x509.NewCertPool())) {
			err = x509.SystemRootsError{}
		}
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return nil
}
