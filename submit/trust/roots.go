// Package trust decides whether a server is the one that was meant, and says in
// words why not.
//
//	account's tls- settings ── Config ──> *tls.Config
//	                                        │ at each handshake
//	              verify: tls-fingerprint, or a chain to tls-ca or the system's authorities
//	                                        │ if that fails
//	              certificate.go: which certificate, which name, which date is wrong
//
// Port does the same for a port of this machine, which has no certificate: it is
// the one that was meant if its owner may know the secret.
//
// The package must not know sockets, SMTP, or more of an account than its tls-
// settings and its server-user.
//
// Errors: status.Insecure for a server that is not trusted; status.Config for a
// file of tls-ca, tls-cert or tls-key that cannot be used.
package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
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

// systemRoots reads the system's authorities from one file, which takes a fifth of the
// time of reading a file for each authority. nil: there is no such file, or the
// system has other ways, or the environment names other files. Config calls it early,
// in a goroutine.
var systemRoots = sync.OnceValue(func() *x509.CertPool {
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
})

// Config returns how to speak TLS with a server of a: TLS 1.2 at least (RFC 8997),
// and a certificate that verifies. host is the server's name in errors; prove is
// the name that the certificate must bear, unless the account's tls-name is another.
// The error, of kind status.Config, is about a file of the account's settings.
func Config(a *config.Account, host, prove string) (*tls.Config, error) {
	v := &verifier{host: host, name: cmp.Or(a.TLSName, prove), fingerprints: a.TLSFingerprint}
	if a.TLSCA != "" {
		var err error
		if v.given, err = authorities(a.TLSCA); err != nil {
			return nil, err
		}
	}
	c := &tls.Config{
		ServerName:                  v.name,
		MinVersion:                  tls.VersionTLS12,
		DynamicRecordSizingDisabled: true, // full records from the start: a message is a bulk transfer
		// VerifyConnection does what is skipped here, against authorities
		// that are only read when they are needed.
		InsecureSkipVerify: true,
		VerifyConnection:   v.verify,
	}
	if a.TLSLegacy {
		c.CipherSuites = legacySuites()
	}
	if a.TLSCert != "" {
		pair, err := clientCertificate(a.TLSCert, a.TLSKey)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if v.given == nil && len(v.fingerprints) == 0 {
		go systemRoots()
	}
	return c, nil
}

// legacySuites returns the ciphers of TLS 1.2 and, for tls-legacy, those with AES
// that agree on keys by RSA: nobody breaks these who lacks the server's key.
func legacySuites() []uint16 {
	suites := []uint16{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	for _, suite := range tls.CipherSuites() {
		suites = append(suites, suite.ID)
	}
	return suites
}

// WithClassicalShares returns c with a ClientHello of one packet: without the key
// shares of post-quantum algorithms, which take more than a thousand octets. done
// is called when the server's certificate has verified; it may be nil.
func WithClassicalShares(c *tls.Config, done func()) *tls.Config {
	if c == nil {
		return nil
	}
	c = c.Clone()
	c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	verify := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		err := verify(cs)
		if err == nil && done != nil {
			done()
		}
		return err
	}
	return c
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := readRegular(file)
	if err != nil {
		return nil, status.Config.Errorf("tls-ca: %w", err)
	}
	pool := x509.NewCertPool()
	switch {
	case pool.AppendCertsFromPEM(text):
		return pool, nil
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		return nil, status.Config.Errorf("tls-ca: %s: a key, but no certificate in it", file)
	}
	if _, err := x509.ParseCertificates(text); err == nil && len(text) > 0 {
		return nil, status.Config.Errorf("tls-ca: %s: the certificate in it is DER, not PEM", file)
	}
	return nil, status.Config.Errorf("tls-ca: %s: no certificate in it", file)
}

// readRegular reads a file that a setting names. The end of a device or a pipe may
// never come, and no mail would leave or wait.
func readRegular(file string) ([]byte, error) {
	f, err := process.OpenRegular(file)
	if err == process.ErrNotRegular {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// clientCertificate reads the files of tls-cert and tls-key, which may be the same.
// A certificate that the server would refuse with an alert is refused here, in words.
func clientCertificate(file, keyFile string) (tls.Certificate, error) {
	fail := func(format string, args ...any) (tls.Certificate, error) {
		return tls.Certificate{}, status.Config.Errorf(format, args...)
	}
	text, err := readRegular(file)
	if err != nil {
		return fail("tls-cert: %w", err)
	}
	key := text
	if keyFile != "" {
		if key, err = readRegular(keyFile); err != nil {
			return fail("tls-key: %w", err)
		}
	}
	keyFile = cmp.Or(keyFile, file)
	pair, err := tls.X509KeyPair(text, key)
	switch {
	case err == nil:
	case !bytes.Contains(text, []byte("CERTIFICATE-----")):
		return fail("tls-cert: %s: no certificate in it", file)
	case bytes.Contains(key, []byte("ENCRYPTED")):
		return fail("tls-key: %s: the key is encrypted with a passphrase", keyFile)
	case !bytes.Contains(key, []byte("PRIVATE KEY-----")):
		return fail("tls-key: %s: no key in it", keyFile)
	case strings.Contains(err.Error(), "does not match"):
		return fail("tls-cert: %s: the key in %s is of another certificate", file, keyFile)
	default:
		return fail("tls-cert: %s: %s", file, strings.TrimPrefix(err.Error(), "tls: "))
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		return fail("tls-cert: %s: the client certificate %s: %s", file, fullName(pair.Leaf.Subject), validity(pair.Leaf, now))
	}
	return pair, nil
}

// A verifier decides whether a server is the one that was meant.
type verifier struct {
	host         string // as the configuration has it, for errors
	name         string // that its certificate must bear
	fingerprints []config.Fingerprint
	given        *x509.CertPool // nil: the system's
}

// verify is tls.Config.VerifyConnection. Where the account has fingerprints, one of
// them is all the proof that is needed, and nothing else is proof. Otherwise the
// chain must lead to an authority, be for servers, be valid today and bear the name
// (RFC 5280, RFC 9525), and have no negative serial number, which the library takes
// only because main says so, for servers that a fingerprint vouches for.
func (v *verifier) verify(cs tls.ConnectionState) error {
	leaf := cs.PeerCertificates[0]
	if len(v.fingerprints) > 0 {
		if !v.pinned(leaf.Raw) && !v.pinned(leaf.RawSubjectPublicKeyInfo) {
			// Both, to be compared with those that the administrator has.
			return v.fault(cs.PeerCertificates, fmt.Errorf("neither it, %x, nor its key, %x, has the fingerprint in tls-fingerprint",
				sha256.Sum256(leaf.Raw), sha256.Sum256(leaf.RawSubjectPublicKeyInfo)))
		}
		return nil
	}
	for _, c := range cs.PeerCertificates {
		if c.SerialNumber.Sign() < 0 {
			return v.fault(cs.PeerCertificates, negativeSerial(cs.PeerCertificates, c))
		}
	}
	options := x509.VerifyOptions{DNSName: v.name, Roots: v.given, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if options.Roots == nil {
		options.Roots = systemRoots()
	}
	_, err := leaf.Verify(options)
	if unknown := new(x509.UnknownAuthorityError); errors.As(err, unknown) && v.given == nil && options.Roots != nil {
		options.Roots = nil // the bundle was not all that the system trusts
		_, err = leaf.Verify(options)
	}
	if err != nil {
		return v.fault(cs.PeerCertificates, err)
	}
	return nil
}

// pinned reports whether der, a certificate or a public key, has one of the
// fingerprints.
func (v *verifier) pinned(der []byte) bool {
	return slices.Contains(v.fingerprints, sha256.Sum256(der))
}
