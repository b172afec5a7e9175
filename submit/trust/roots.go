// Package trust decides whether a server is the one that the account names, and says in
// plain words why not.
//
//	account's tls- settings ── Config ──> *tls.Config
//	                                        │ at each handshake
//	              verify: tls-fingerprint, or a chain to tls-ca or the system's authorities
//	                                        │ if that fails
//	              certificate.go: which certificate, which name, which date is wrong
//
// Port judges a port of this machine, which needs no certificate, by the user who listens
// there.
//
// The package knows nothing of sockets and SMTP. Of an account it knows only the tls-
// settings and server-user.
//
// Errors: status.Insecure if a server is not trusted; status.Config if a file of tls-ca,
// tls-cert or tls-key cannot be used.
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
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// bundles are the files in which distributions keep all certificate authorities.
var bundles = [...]string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Arch, Alpine
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, Red Hat
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Red Hat, newer
	"/etc/ssl/cert.pem",                                 // Alpine, OpenBSD, FreeBSD
	"/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD
}

// systemBundle opens the file in which the system keeps its authorities: to read a file for
// each authority takes five times as long. It returns nil if there is no bundle, or the
// system keeps them elsewhere.
func systemBundle() *os.File {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return nil
	}
	files := bundles[:]
	switch file := os.Getenv("SSL_CERT_FILE"); {
	case file != "":
		files = []string{file}
	case os.Getenv("SSL_CERT_DIR") != "":
		return nil
	}
	for _, name := range files {
		if f, err := process.OpenRegular(name); err == nil {
			return f
		}
	}
	return nil
}

// Config returns the TLS configuration for a server of a: TLS 1.2 at least (RFC 8997), and
// verify decides about the certificate. host is the server's name in errors. prove is the
// name that the certificate must have, unless a.TLSName is set. The error, of kind
// status.Config, is about a file of the account's settings.
func Config(a *config.Account, host, prove string) (*tls.Config, error) {
	v := &verifier{host: host, name: cmp.Or(a.TLSName, prove), fingerprints: a.TLSFingerprint, tlsCA: a.TLSCA}
	if a.TLSCA != "" {
		if err := checkAuthorities(a.TLSCA); err != nil {
			return nil, err
		}
	}
	c := &tls.Config{
		ServerName:                  v.name,
		MinVersion:                  tls.VersionTLS12,
		DynamicRecordSizingDisabled: true, // full records from the start: a message is a bulk transfer
		// verify replaces the verification that is skipped here: it reads the authorities
		// only if they are needed.
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
	return c, nil
}

// legacySuites returns the ciphers of TLS 1.2 and, for tls-legacy, the AES ciphers with RSA
// key exchange. They are safe as long as nobody has the server's private key.
func legacySuites() []uint16 {
	suites := []uint16{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	for _, suite := range tls.CipherSuites() {
		suites = append(suites, suite.ID)
	}
	return suites
}

// WithClassicalShares returns c without the key shares of post-quantum algorithms, which
// have more than a thousand octets: the ClientHello then fits into one packet. done is
// called after the server's certificate has been verified; it may be nil.
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

// checkAuthorities returns an error if the file of tls-ca has no authority.
func checkAuthorities(file string) error {
	f, err := openRegular(file)
	if err != nil {
		return status.Config.Errorf("tls-ca: %w", err)
	}
	defer f.Close()
	if hasAuthority(f) {
		return nil
	}
	f.Seek(0, io.SeekStart) // cannot fail: f is a regular file
	text, err := io.ReadAll(f)
	if err != nil {
		return status.Config.Errorf("tls-ca: %w", err)
	}
	if bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		return status.Config.Errorf("tls-ca: %s: a key, but no certificate in it", file)
	}
	if _, err := x509.ParseCertificates(text); err == nil && len(text) > 0 {
		return status.Config.Errorf("tls-ca: %s: the certificate in it is DER, not PEM", file)
	}
	return status.Config.Errorf("tls-ca: %s: no certificate in it", file)
}

// openRegular opens a file that a setting names. It refuses a device or a FIFO: its end may
// never come, and then no mail would be sent or queued.
func openRegular(file string) (*os.File, error) {
	f, err := process.OpenRegular(file)
	if err == process.ErrNotRegular {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return f, err
}

func readRegular(file string) ([]byte, error) {
	f, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// clientCertificate reads the files of tls-cert and tls-key; both may be the same file. If
// the certificate is not valid today, the error says so: the server would only send an
// alert.
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

// A verifier decides whether a server is the one that the account names.
type verifier struct {
	host         string // the server's name in the configuration, for errors
	name         string // the name that the certificate must have
	fingerprints []config.Fingerprint
	tlsCA        string // the file of the authorities; "": those of the system
}

// verify is tls.Config.VerifyConnection. If the account has fingerprints, one of them must
// match, and nothing else is checked. Otherwise the chain must lead to an authority, be for
// servers, be valid today and have the name (RFC 5280, RFC 9525). No serial number may be
// negative: the library accepts negative ones because package main has set
// x509negativeserial=1, for servers with a fingerprint.
func (v *verifier) verify(cs tls.ConnectionState) error {
	leaf := cs.PeerCertificates[0]
	if len(v.fingerprints) > 0 {
		if !v.pinned(leaf.Raw) && !v.pinned(leaf.RawSubjectPublicKeyInfo) {
			// The text has both fingerprints, for the administrator to compare.
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
	options := x509.VerifyOptions{DNSName: v.name, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if v.tlsCA != "" {
		file, err := openRegular(v.tlsCA)
		if err != nil {
			return status.Config.Errorf("tls-ca: %w", err)
		}
		defer file.Close()
		if options.Roots, err = authorities(file, cs.PeerCertificates); err != nil {
			return status.Config.Errorf("tls-ca: %w", err)
		}
	} else if bundle := systemBundle(); bundle != nil {
		defer bundle.Close()
		// After an error the pool lacks authorities, as a bundle may.
		options.Roots, _ = authorities(bundle, cs.PeerCertificates)
	}
	_, err := leaf.Verify(options)
	if unknown := new(x509.UnknownAuthorityError); errors.As(err, unknown) && v.tlsCA == "" && options.Roots != nil {
		options.Roots = nil // the bundle may lack authorities that the system trusts
		_, err = leaf.Verify(options)
	}
	if err != nil {
		return v.fault(cs.PeerCertificates, err)
	}
	return nil
}

// pinned reports whether the SHA-256 of der, a certificate or a public key, is one of the
// fingerprints.
func (v *verifier) pinned(der []byte) bool {
	return slices.Contains(v.fingerprints, sha256.Sum256(der))
}
