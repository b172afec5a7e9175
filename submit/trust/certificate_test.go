package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// An authority is a certificate with its key.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	return issue(t, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		Subject: pkix.Name{CommonName: "test authority"}})
}

// issue makes a certificate from a template. a signs it; if a is nil, it is self-signed.
func issue(t testing.TB, a *authority, template *x509.Certificate) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.certificate, a.key
	}
	return &authority{sign(t, template, parent, key.Public(), signer), key}
}

func sign(t testing.TB, template, parent *x509.Certificate, key crypto.PublicKey, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// handshake returns the error of a session with a server that sends this chain, has the key
// of its first certificate, and sends no greeting.
func handshake(t *testing.T, a *config.Account, host string, sent ...*authority) error {
	t.Helper()
	c, err := Config(a, host, host)
	if err != nil {
		return err
	}
	shown := tls.Certificate{PrivateKey: sent[0].key}
	for _, link := range sent {
		shown.Certificate = append(shown.Certificate, link.certificate.Raw)
	}
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
		tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{shown}}).Handshake()
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	session, err := smtp.Open(context.Background(), conn, smtp.Options{Host: host, TLS: c, Security: smtp.Implicit})
	if err == nil {
		session.Close()
	}
	<-done
	return err
}

// good is the beginning of the error if the certificate verifies: the session then fails
// because there is no greeting.
const good = "greeting: "

// TestCertificateWords has the exact texts for faults of certificates, and the hints.
// TODAY, LEAF and KEY stand for the date and the fingerprints of the first certificate and
// of its key.
func TestCertificateWords(t *testing.T) {
	type template = x509.Certificate
	named := func(cn string) pkix.Name { return pkix.Name{CommonName: cn} }
	ca := func(cn string) template {
		return template{Subject: named(cn), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	}
	with := func(c template, change func(*template)) *template { change(&c); return &c }
	past, future := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2097, 2, 3, 4, 5, 6, 0, time.UTC)
	expired := func(c *template) { c.NotBefore, c.NotAfter = past.AddDate(-1, 0, 0), past }
	early := func(c *template) { c.NotBefore, c.NotAfter = future, future.AddDate(1, 0, 0) }
	leaf := template{DNSNames: []string{"mx.example"}}
	plain := func(*template) {}

	root := issue(t, nil, with(ca("Root"), plain))
	middle := issue(t, root, with(ca("Middle"), plain))
	imposter := issue(t, nil, with(ca("Root"), plain)) // a different key under the same name
	oldRoot := issue(t, nil, with(ca("Root"), expired))
	oldMiddle := issue(t, root, with(ca("Middle"), expired))
	newMiddle := issue(t, root, with(ca("Middle"), early))
	noCA := issue(t, root, with(leaf, func(c *template) { c.Subject = named("Clerk") }))
	narrow := issue(t, root, with(ca("Narrow"), func(c *template) { c.PermittedDNSDomains = []string{"other.example"} }))
	clients := issue(t, root, with(ca("Middle"), func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
	sha1 := func(c *template) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }
	weakMiddle := issue(t, root, with(ca("Middle"), sha1))
	rootless := issue(t, imposter, with(ca("Middle"), plain))
	names := func(names ...string) func(*template) {
		return func(c *template) { c.DNSNames = names }
	}
	by := func(signer *authority, change func(*template), more ...*authority) []*authority {
		return append([]*authority{issue(t, signer, with(leaf, change))}, more...)
	}
	const sure = "is this the server you meant? If so, compare the SHA-256 with its administrator"

	for _, tt := range []struct {
		name, host  string
		root        *authority
		sent        []*authority
		words, hint string // hint: its beginning
	}{
		{"good", "mx.example", root, by(middle, plain, middle), good, ""},
		{"wildcard", "mx.example", root, by(root, names("*.example")), good, ""},
		{"chain in disorder", "mx.example", root, by(middle, plain, root, imposter, middle), good, ""},
		{"trusted itself", "mx.example", middle, by(middle, plain), good, ""},
		{"expired", "mx.example", root, by(root, expired),
			"expired on 2001-02-03, and this machine's clock says TODAY", "the server's administrator must renew it, unless the clock of this machine is wrong"},
		{"not yet valid", "mx.example", root, by(root, early),
			"not valid before 2097-02-03, and this machine's clock says TODAY", "is this machine's clock right?"},
		{"expired intermediate", "mx.example", root, by(oldMiddle, plain, oldMiddle),
			`its issuer's, "Middle": expired on 2001-02-03, and this machine's clock says TODAY`, "the server's administrator must renew it"},
		{"intermediate not yet valid", "mx.example", root, by(newMiddle, plain, newMiddle),
			`its issuer's, "Middle": not valid before 2097-02-03, and this machine's clock says TODAY`, "is this machine's clock right?"},
		{"expired root", "mx.example", oldRoot, by(oldRoot, plain),
			`the authority "CN=Root" in tls-ca: expired on 2001-02-03, and this machine's clock says TODAY`, "put the new certificate of the authority into tls-ca"},
		{"expired root, sent", "mx.example", oldRoot, by(oldRoot, plain, oldRoot),
			`the authority "CN=Root" in tls-ca: expired on 2001-02-03, and this machine's clock says TODAY`, "put the new certificate of the authority into tls-ca"},
		{"another name", "mx.example", root, by(root, names("mx.example.net")),
			"it is for mx.example.net, not for mx.example", "is this the server you meant?"},
		{"wildcard too high", "mx.example", root, by(root, names("*.mx.example", "*")),
			"it is for *.mx.example, *, not for mx.example", "is this the server you meant?"},
		{"many names", "mx.example", root, by(root, names("a", "b", "c", "d", "e", "f")),
			"it is for a, b, c, d, and 2 more, not for mx.example", "is this the server you meant?"},
		{"a name without end", "mx.example", root, by(root, names(strings.Repeat("a.", 200)+"x")),
			"it is for " + strings.Repeat("a.", 50) + "..., not for mx.example", "is this the server you meant?"},
		{"a name to act on a terminal", "mx.example", root, by(root, names("\x1b[2J", "a\nb")),
			"it is for \ufffd[2J, a b, not for mx.example", "is this the server you meant?"},
		{"name only in CN", "mx.example", root, by(root, func(c *template) { c.DNSNames, c.Subject = nil, named("mx.example") }),
			`it names no host, so it is not for mx.example; its common name "mx.example" does not count`, "only a name in the subjectAltName of the certificate counts"},
		{"no name", "mx.example", root, by(root, names()),
			"it names no host, so it is not for mx.example", "only a name in the subjectAltName of the certificate counts"},
		{"another address", "127.0.0.1", root, by(root, func(c *template) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")} }),
			"it is for mx.example, 192.0.2.1, 2001:db8::1, not for 127.0.0.1", "is this the server you meant?"},
		{"a name, no address", "127.0.0.1", root, by(root, plain),
			"it is for mx.example, not for 127.0.0.1", "is this the server you meant?"},
		{"self-signed", "mx.example", root, by(nil, func(c *template) { c.Subject = named("mx") }),
			`unknown authority: it is self-signed, SHA-256 LEAF`, sure},
		{"self-signed without a subject", "mx.example", root, by(nil, plain),
			`unknown authority: it is self-signed, SHA-256 LEAF`, sure},
		{"self-signed anew", "mx.example", issue(t, nil, with(leaf, func(c *template) { c.Subject = named("mx") })), by(nil, func(c *template) { c.Subject = named("mx") }),
			`unknown authority: it is self-signed, SHA-256 LEAF; the one of that name in tls-ca is another`, sure},
		{"private authority", "mx.example", issue(t, nil, with(ca("Known"), plain)), by(middle, plain, middle, root),
			`unknown authority "CN=Root", which is not in tls-ca; SHA-256 LEAF`, "is this the server you meant?"},
		{"private authority of a known name", "mx.example", root, by(imposter, plain, imposter),
			`unknown authority "CN=Root", which is not in tls-ca; SHA-256 LEAF; the one of that name in tls-ca is another`, "put the new certificate of the authority into tls-ca, once"},
		{"intermediate missing", "mx.example", root, by(middle, plain),
			`unknown authority "CN=Middle", of which the server sends no certificate`, "the server's administrator must add the intermediate certificate"},
		{"second intermediate missing", "mx.example", issue(t, nil, with(ca("Known"), plain)), by(middle, plain, middle),
			`unknown authority "CN=Root", which issued "Middle"`, "the server's administrator must add the intermediate certificate"},
		{"intermediate of another authority of that name", "mx.example", root, by(rootless, plain, rootless),
			`unknown authority "CN=Root", which issued "Middle"; the one of that name in tls-ca is another`, "put the new certificate of the authority into tls-ca, once"},
		{"not signed by what is sent", "mx.example", root, by(middle, plain, rootless),
			`not signed by the certificate of "CN=Middle" that the server sends with it`, "the server's administrator must install the right chain"},
		{"signed by no authority", "mx.example", root, by(noCA, plain, noCA),
			`signed by "CN=Clerk", which is no authority`, "the server's administrator must install the right chain"},
		{"for clients only", "mx.example", root, by(root, func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			"it is not for servers (extended key usage)", "is this the server you meant?"},
		{"for code only", "mx.example", root, by(root, func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }),
			"it is not for servers (extended key usage)", "is this the server you meant?"},
		{"intermediate for clients only", "mx.example", root, by(clients, plain, clients),
			`its issuer's, "Middle": it is not for servers (extended key usage)`, "is this the server you meant?"},
		{"name constraint", "mx.example", root, by(narrow, plain, narrow),
			`an authority above it may not sign for this name: DNS name "mx.example" is not permitted by any constraint`, "the server's administrator must get a certificate from another authority"},
		{"SHA-1", "mx.example", root, by(root, sha1),
			"signed with ECDSA-SHA1, which is too weak to prove anything", "the server's administrator must renew that certificate"},
		{"SHA-1 in the intermediate", "mx.example", root, by(weakMiddle, plain, weakMiddle),
			`its issuer's, "Middle": signed with ECDSA-SHA1, which is too weak to prove anything`, "the server's administrator must renew that certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := new(config.Account)
			a.TLSCA = filepath.Join(t.TempDir(), "ca.pem")
			writePEM(t, a.TLSCA, "CERTIFICATE", tt.root.certificate.Raw)
			err := handshake(t, a, tt.host, tt.sent...)
			if tt.words == good {
				if status.KindOf(err) != status.Connection || !strings.HasPrefix(err.Error(), good) {
					t.Errorf("refused: %v", err)
				}
				return
			}
			want := "TLS: certificate of " + tt.host + ": " + expand(tt.words, tt.sent[0].certificate)
			if err == nil || err.Error() != want || status.KindOf(err) != status.Insecure {
				t.Fatalf("%v:\n got %v\nwant %s", status.KindOf(err), err, want)
			}
			if hint := status.Hint(err); !strings.HasPrefix(hint, tt.hint) {
				t.Errorf("hint %q, want %q", hint, tt.hint)
			}
		})
	}
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expand replaces TODAY, LEAF and KEY.
func expand(words string, c *x509.Certificate) string {
	return strings.NewReplacer(
		"TODAY", time.Now().UTC().Format(time.DateOnly),
		"LEAF", fmt.Sprintf("%x", sha256.Sum256(c.Raw)),
		"KEY", fmt.Sprintf("%x", sha256.Sum256(c.RawSubjectPublicKeyInfo)),
	).Replace(words)
}

// TestValidityToday: if the date is today, the text has the time of day as well.
func TestValidityToday(t *testing.T) {
	at := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	c := &x509.Certificate{NotBefore: at, NotAfter: at.AddDate(0, 1, 0)}
	east := time.FixedZone("", 3600)
	for _, tt := range []struct {
		now  time.Time
		want string
	}{
		{at.Add(-time.Minute).In(east), "not valid before 2026-11-03 12:00:00 UTC, and this machine's clock says 2026-11-03 11:59:00 UTC"},
		{at.AddDate(-1, 0, 0), "not valid before 2026-11-03, and this machine's clock says 2025-11-03"},
		{c.NotAfter.Add(time.Second), "expired on 2026-12-03 12:00:00 UTC, and this machine's clock says 2026-12-03 12:00:01 UTC"},
		{time.Unix(0, 0), "not valid before 2026-11-03, and this machine's clock says 1970-01-01"},
	} {
		if got := validity(c, tt.now); got != tt.want {
			t.Errorf("\n got %s\nwant %s", got, tt.want)
		}
	}
}

// TestFingerprints: a matching fingerprint is enough, and without a match nothing else is.
func TestFingerprints(t *testing.T) {
	leaf := issue(t, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "old"}, NotAfter: time.Now().Add(-time.Minute)})
	trusted := newAuthority(t)
	other := issue(t, trusted, &x509.Certificate{DNSNames: []string{"mx.example"}})
	whole, key := config.Fingerprint(sha256.Sum256(leaf.certificate.Raw)), config.Fingerprint(sha256.Sum256(leaf.certificate.RawSubjectPublicKeyInfo))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", trusted.certificate.Raw)
	for _, tt := range []struct {
		name string
		pins config.Fingerprints
		sent []*authority
		ok   bool
	}{
		{"certificate", config.Fingerprints{whole}, []*authority{leaf}, true},
		{"public key", config.Fingerprints{key}, []*authority{leaf}, true},
		{"the second", config.Fingerprints{{1}, key}, []*authority{leaf}, true},
		{"another", config.Fingerprints{{1}, {2}}, []*authority{leaf}, false},
		{"another, and a good chain", config.Fingerprints{whole}, []*authority{other}, false},
		{"only above another", config.Fingerprints{whole, key}, []*authority{other, leaf}, false},
		{"none", nil, []*authority{leaf}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := new(config.Account)
			a.TLSCA, a.TLSFingerprint = ca, tt.pins
			err := handshake(t, a, "mx.example", tt.sent...)
			if tt.ok {
				if !strings.HasPrefix(err.Error(), good) {
					t.Errorf("refused: %v", err)
				}
				return
			}
			want := expand("TLS: certificate of mx.example: neither it, LEAF, nor its key, KEY, has the fingerprint in tls-fingerprint", tt.sent[0].certificate)
			if status.KindOf(err) != status.Insecure || err.Error() != want && tt.pins != nil {
				t.Errorf("\n got %v\nwant %s", err, want)
			}
			if tt.pins != nil && !strings.HasPrefix(status.Hint(err), "if it was renewed, ask") {
				t.Errorf("hint %q", status.Hint(err))
			}
		})
	}
}

// TestTLSFiles: files that cannot be used for tls-ca, tls-cert and tls-key.
func TestTLSFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	pair := issue(t, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "client"}})
	old := issue(t, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)})
	for name, a := range map[string]*authority{"good": pair, "old": old} {
		key, err := x509.MarshalPKCS8PrivateKey(a.key)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, name+".key", "PRIVATE KEY", key)
		writePEM(t, name+".pem", "CERTIFICATE", a.certificate.Raw)
	}
	writePEM(t, "locked.key", "ENCRYPTED PRIVATE KEY", []byte("?"))
	writePEM(t, "broken.pem", "CERTIFICATE", []byte("?"))
	for name, text := range map[string]string{"empty": "", "text": "hello\n", "der": string(pair.certificate.Raw)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ ca, cert, key, words, hint string }{
		{"good.pem", "good.pem", "good.key", "", ""},
		{"missing", "", "", "tls-ca: open missing: ", ""},
		{".", "", "", "tls-ca: .: not a regular file", ""},
		{"empty", "", "", "tls-ca: empty: no certificate in it", "name a PEM file: it has lines"},
		{"text", "", "", "tls-ca: text: no certificate in it", "name a PEM file: it has lines"},
		{"broken.pem", "", "", "tls-ca: broken.pem: no certificate in it", "name a PEM file: it has lines"},
		{"good.key", "", "", "tls-ca: good.key: a key, but no certificate in it", "name a PEM file: it has lines"},
		{"der", "", "", "tls-ca: der: the certificate in it is DER, not PEM", "convert it"},
		{"", "missing", "", "tls-cert: open missing: ", ""},
		{"", "good.pem", "missing", "tls-key: open missing: ", ""},
		{"", "good.pem", "", "tls-key: good.pem: no key in it", "set tls-key"},
		{"", "good.pem", "text", "tls-key: text: no key in it", "set tls-key"},
		{"", "good.key", "good.key", "tls-cert: good.key: no certificate in it", "name a PEM file: it has lines"},
		{"", "good.pem", "locked.key", "tls-key: locked.key: the key is encrypted with a passphrase", "use a key without a passphrase"},
		{"", "good.pem", "old.key", "tls-cert: good.pem: the key in old.key is of another certificate", "set tls-key to the key"},
		{"", "broken.pem", "good.key", "tls-cert: broken.pem: x509: malformed certificate", ""},
		{"", "old.pem", "old.key", expand(`tls-cert: old.pem: the client certificate "CN=client": expired on 2001-02-03, and this machine's clock says TODAY`, pair.certificate), "get a new certificate"},
	} {
		a := new(config.Account)
		a.TLSCA, a.TLSCert, a.TLSKey = tt.ca, tt.cert, tt.key
		a.TLSFingerprint = config.Fingerprints{{1}} // so that the system's authorities are not read
		_, err := Config(a, "mx.example", "mx.example")
		if tt.words == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.words) || status.KindOf(err) != status.Config || !strings.HasPrefix(status.Hint(err), tt.hint) {
			t.Errorf("%v: %v (%s); want %s (%s)", status.KindOf(err), err, status.Hint(err), tt.words, tt.hint)
		}
	}
}
