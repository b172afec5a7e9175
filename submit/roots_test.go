package submit

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// authority makes certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	return issue(t, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		Subject: pkix.Name{CommonName: "test authority"}})
}

// issue makes a certificate from a template, signed by a, or by itself if a is
// nil.
func issue(t *testing.T, a *authority, template *x509.Certificate) *authority {
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
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key}
}

// named is a certificate template with a subject.
func named(name string, c x509.Certificate) *x509.Certificate {
	c.Subject = pkix.Name{CommonName: name}
	return &c
}

// presented is what a server shows: its certificate and those of its issuers.
func presented(chain ...*authority) *tls.Config {
	c := tls.Certificate{PrivateKey: chain[0].key}
	for _, a := range chain {
		c.Certificate = append(c.Certificate, a.certificate.Raw)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

// openTLS makes a session with a server that speaks TLS as c says and sends no
// greeting.
func openTLS(t *testing.T, s *Submitter, a *config.Account, c *tls.Config) error {
	t.Helper()
	ours, err := s.tlsConfig(a, target{server: server(t, "smtps://mx.example"), name: "mx.example", port: 465, prove: "mx.example"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close() // no greeting
		tls.Server(conn, c).Handshake()
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	session, err := smtp.Open(context.Background(), conn, smtp.Options{Host: "mx.example", TLS: ours, Security: smtp.Implicit})
	if err == nil {
		session.Close()
		t.Fatal("it opened without a greeting")
	}
	return err
}

// TestCertificates has servers that are not the one that was meant; none gets
// to see a byte of mail or login, and each is told which certificate, name or
// date was wrong.
func TestCertificates(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	date := func(d time.Duration) string { return now.Add(d).UTC().Format(time.DateOnly) }
	today := "and this machine's clock says " + now.UTC().Format(time.DateOnly)
	ca := newAuthority(t)
	caTemplate := x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	intermediate := issue(t, ca, named("intermediate", caTemplate))
	old := caTemplate
	old.NotBefore, old.NotAfter = now.Add(-3*day), now.Add(-2*day)
	expired := issue(t, ca, named("old intermediate", old))
	constrained := caTemplate
	constrained.PermittedDNSDomains, constrained.PermittedDNSDomainsCritical = []string{"example.net"}, true
	elsewhere := issue(t, ca, named("for example.net", constrained))
	stranger := newAuthority(t)
	strange := issue(t, stranger, named("strange intermediate", caTemplate))
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)

	names := []string{"mx.example"}
	good := x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	self := issue(t, nil, named("mx.example", good))
	with := func(change func(*x509.Certificate)) *authority {
		c := good
		change(&c)
		return issue(t, ca, named("leaf", c))
	}
	tests := []struct {
		name  string
		chain []*authority
		words string // of the error; "" for none
	}{
		{"good", []*authority{with(func(*x509.Certificate) {})}, ""},
		{"wildcard", []*authority{with(func(c *x509.Certificate) { c.DNSNames = []string{"*.example"} })}, ""},
		{"intermediate", []*authority{issue(t, intermediate, named("leaf", good)), intermediate}, ""},
		{"expired", []*authority{with(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*day), now.Add(-day) })},
			"expired on " + date(-day) + ", " + today},
		{"not yet valid", []*authority{with(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(day), now.Add(2*day) })},
			"not valid before " + date(day) + ", " + today},
		{"expired intermediate", []*authority{issue(t, expired, named("leaf", good)), expired},
			`its issuer's, "old intermediate": expired on ` + date(-2*day) + ", " + today},
		{"another name", []*authority{with(func(c *x509.Certificate) { c.DNSNames = []string{"mx.example.net"} })},
			"it is for mx.example.net, not for mx.example"},
		{"many other names", []*authority{with(func(c *x509.Certificate) {
			c.DNSNames = []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"}
		})}, "it is for a.example, b.example, c.example, d.example, and 2 more, not for mx.example"},
		{"an address", []*authority{with(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{net.IPv4(192, 0, 2, 1)} })},
			"it is for 192.0.2.1, not for mx.example"},
		{"name only in CN", []*authority{issue(t, ca, named("mx.example", x509.Certificate{}))}, "it names no host at all, and so not mx.example"},
		{"self-signed", []*authority{self}, fmt.Sprintf("unknown authority: it is signed by itself, SHA-256 %x", sha256.Sum256(self.certificate.Raw))},
		{"another authority", []*authority{issue(t, strange, named("leaf", good)), strange},
			`unknown authority "CN=test authority", which issued "strange intermediate"`},
		{"another authority, which comes along", []*authority{issue(t, stranger, named("leaf", good)), stranger}, `unknown authority "CN=test authority"`},
		{"intermediate missing", []*authority{issue(t, intermediate, named("leaf", good))},
			`unknown authority "CN=intermediate", of which the server sends no certificate`},
		{"for clients only", []*authority{with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })},
			"it is not for servers (extended key usage)"},
		{"authority for other names", []*authority{issue(t, elsewhere, named("leaf", good)), elsewhere}, "is not permitted by any constraint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Submitter{rehearsal: &rehearsal{roots: roots}}
			err := openTLS(t, s, work(t), presented(tt.chain...))
			if tt.words == "" {
				if status.KindOf(err) != status.Connection { // it went on to the greeting
					t.Errorf("refused: %v", err)
				}
				return
			}
			if status.KindOf(err) != status.Insecure || !strings.HasPrefix(err.Error(), "TLS: certificate of mx.example: ") || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%v: %v; want %q in it", status.KindOf(err), err, tt.words)
			}
			if status.Hint(err) == "" && tt.name != "authority for other names" {
				t.Errorf("no hint for %v", err)
			}
		})
	}
}

// TestFingerprint trusts a certificate, or a key, whoever signed it, and
// nothing else; what it got instead it says.
func TestFingerprint(t *testing.T) {
	leaf := issue(t, nil, named("anything", x509.Certificate{NotAfter: time.Now().Add(-time.Minute)}))
	certificate := fmt.Sprintf("%x", sha256.Sum256(leaf.certificate.Raw))
	key := fmt.Sprintf("%x", sha256.Sum256(leaf.certificate.RawSubjectPublicKeyInfo))
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{certificate, true},
		{strings.ToUpper(key), true},
		{strings.Repeat("00", 32), false},
	} {
		a := work(t)
		if err := a.TLSFingerprint.UnmarshalText([]byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		err := openTLS(t, &Submitter{}, a, presented(leaf))
		if tt.ok != (status.KindOf(err) == status.Connection) {
			t.Errorf("%s: %v", tt.text, err)
		}
		if !tt.ok && (!strings.Contains(err.Error(), certificate) || !strings.Contains(err.Error(), key) || status.Hint(err) == "") {
			t.Errorf("%v; want both fingerprints and a hint", err)
		}
	}
}

// TestHandshakes has servers that want something else than we do.
func TestHandshakes(t *testing.T) {
	ca := newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	leaf := issue(t, ca, named("leaf", x509.Certificate{DNSNames: []string{"mx.example"}}))
	for _, tt := range []struct {
		name   string
		change func(*tls.Config)
		words  string
	}{
		{"wants a certificate", func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, "TLS: the server wants a client certificate (mx.example)"},
		{"wants a certificate, TLS 1.2", func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, "TLS: the server says: "},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "protocol version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := presented(leaf)
			tt.change(c)
			err := openTLS(t, &Submitter{rehearsal: &rehearsal{roots: roots}}, work(t), c)
			if status.KindOf(err) != status.Insecure || !strings.Contains(err.Error(), tt.words) || status.Hint(err) == "" {
				t.Errorf("%v: %v; want %q in it, and a hint", status.KindOf(err), err, tt.words)
			}
		})
	}
}
