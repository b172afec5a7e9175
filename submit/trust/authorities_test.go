package trust

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func inPEM(all ...*authority) (text []byte) {
	for _, a := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})...)
	}
	return text
}

func sentBy(all ...*authority) (sent []*x509.Certificate) {
	for _, a := range all {
		sent = append(sent, a.certificate)
	}
	return sent
}

// crossSigned returns a certificate for the name and the key of a that by has signed.
func (a *authority) crossSigned(t *testing.T, by *authority) *authority {
	t.Helper()
	template := *a.certificate
	template.SubjectKeyId, template.AuthorityKeyId = nil, nil
	return &authority{sign(t, &template, by.certificate, a.key.Public(), by.key), a.key}
}

// TestPool checks that every chain is judged from the authorities that it names as it is from
// all of them, with the same words.
func TestPool(t *testing.T) {
	named := func(name string, constraint ...string) *x509.Certificate {
		return &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			Subject: pkix.Name{CommonName: name}, PermittedDNSDomains: constraint, PermittedDNSDomainsCritical: len(constraint) > 0}
	}
	leaf := func(by *authority) *authority {
		return issue(t, by, &x509.Certificate{DNSNames: []string{"mail.example.org"}, Subject: pkix.Name{CommonName: "leaf"}})
	}
	one, two, other := issue(t, nil, named("one")), issue(t, nil, named("two")), issue(t, nil, named("one"))
	within, outside := issue(t, nil, named("within", "example.org")), issue(t, nil, named("outside", "example.com"))
	stranger := issue(t, nil, named("stranger"))
	middle := issue(t, one, named("middle"))
	crossed := middle.crossSigned(t, two)
	oneByTwo, oneByStranger := one.crossSigned(t, two), one.crossSigned(t, stranger)
	alone := leaf(nil)
	text := inPEM(one, one, two, other, within, outside, alone)
	text = append(text, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"...)
	for _, tt := range []struct {
		name    string
		sent    []*x509.Certificate
		trusted bool
	}{
		{"root", sentBy(leaf(one)), true},
		{"second root", sentBy(leaf(two)), true},
		{"same name, another key", sentBy(leaf(other)), true},
		{"middle", sentBy(leaf(middle), middle), true},
		{"middle and root", sentBy(leaf(middle), middle, one), true},
		{"middle missing", sentBy(leaf(middle)), false},
		{"crossed", sentBy(leaf(middle), crossed), true},
		{"crossed, both", sentBy(leaf(middle), crossed, middle), true},
		{"root crossed", sentBy(leaf(one), oneByTwo), true},
		{"root crossed by a stranger", sentBy(leaf(one), oneByStranger), true},
		{"within its names", sentBy(leaf(within)), true},
		{"outside its names", sentBy(leaf(outside)), false},
		{"the certificate itself", sentBy(alone), true},
		{"the root itself", sentBy(one), false},
		{"stranger", sentBy(leaf(stranger), stranger), false},
		{"unrelated certificates", sentBy(leaf(one), stranger, two, middle), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := x509.NewCertPool()
			all.AppendCertsFromPEM(text)
			verify := func(roots *x509.CertPool) string {
				options := x509.VerifyOptions{DNSName: "mail.example.org", Roots: roots, Intermediates: x509.NewCertPool()}
				for _, c := range tt.sent[1:] {
					options.Intermediates.AddCert(c)
				}
				if _, err := tt.sent[0].Verify(options); err != nil {
					return err.Error()
				}
				return ""
			}
			want, got := verify(all), verify(parseAuthorities(text).pool(tt.sent))
			if got != want || (got == "") != tt.trusted {
				t.Errorf("%q, with all authorities %q", got, want)
			}
		})
	}
}

// TestBundle checks that no authority of this system's bundle is lost: each is found by its
// own subject.
func TestBundle(t *testing.T) {
	for _, file := range bundles {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		all, n := parseAuthorities(text), 0
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				continue
			}
			n++
			if !slices.ContainsFunc(all[string(c.RawSubject)], func(der []byte) bool { return bytes.Equal(der, c.Raw) }) {
				t.Errorf("%s: %s is lost", file, c.Subject)
			}
		}
		t.Logf("%s: %d authorities", file, n)
	}
}

// TestBundleChanges holds that a process which goes on trusts an authority that the
// administrator adds, and none that has been removed.
func TestBundleChanges(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "bundle.pem")
	t.Setenv("SSL_CERT_FILE", file)
	has := func(a *authority) bool {
		return slices.ContainsFunc(systemRoots()[string(a.certificate.RawSubject)], func(der []byte) bool { return bytes.Equal(der, a.certificate.Raw) })
	}
	write := func(all ...*authority) {
		t.Helper()
		if err := os.WriteFile(file+".new", inPEM(all...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	if !has(first) || has(second) {
		t.Error("the first bundle is not the one that was read")
	}
	write(first, second)
	if !has(first) || !has(second) {
		t.Error("an authority that was added is not trusted")
	}
	write(second)
	if has(first) || !has(second) {
		t.Error("an authority that was removed is still trusted")
	}
}
