package trust

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/submit/smtp/smtptest"
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
	long := issue(t, nil, named(strings.Repeat("long ", 200)))
	text := inPEM(one, one, two, other, within, outside, alone, long)
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
		{"a name of a thousand octets", sentBy(leaf(long)), true},
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
			some, err := authorities(bytes.NewReader(text), tt.sent)
			if err != nil {
				t.Fatal(err)
			}
			want, got := verify(all), verify(some)
			if got != want || (got == "") != tt.trusted {
				t.Errorf("%q, with all authorities %q", got, want)
			}
		})
	}
}

// holds reports whether the authorities of r for c have c itself.
func holds(t *testing.T, r io.Reader, c *x509.Certificate) bool {
	t.Helper()
	pool, err := authorities(r, []*x509.Certificate{c})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: c.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// TestBundle checks that no authority of this system's bundle is lost: each is found by its
// own subject.
func TestBundle(t *testing.T) {
	for _, file := range bundles {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n := 0
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				continue
			}
			n++
			if !holds(t, bytes.NewReader(text), c) {
				t.Errorf("%s: %s is lost", file, c.Subject)
			}
		}
		t.Logf("%s: %d authorities", file, n)
	}
}

// TestBundleMemory checks that the authorities of a chain are found in little memory, however
// large the bundle is.
func TestBundleMemory(t *testing.T) {
	root := newAuthority(t)
	stranger := issue(t, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "stranger"}})
	for _, size := range []int{100, 1000} {
		text := append(bytes.Repeat(inPEM(stranger), size), inPEM(root)...)
		_, octets := smtptest.Allocated(func() {
			if !holds(t, bytes.NewReader(text), root.certificate) {
				t.Fatal("the authority was not found")
			}
		})
		t.Logf("%d certificates, %d octets: %d octets", size, len(text), octets)
		if octets > 32<<10 {
			t.Errorf("%d certificates: %d octets", size, octets)
		}
	}
}

// TestBundleHugeBlock holds that text which is too long for a certificate hides none of
// those around it.
func TestBundleHugeBlock(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	for _, size := range []int{maxBlock - 100, maxBlock, 3 * maxBlock} {
		for _, huge := range []string{strings.Repeat("A", size), strings.Repeat("A", size) + "\n-----END CERTIFICATE-----\n", "\n-----END CERTIFICATE-----" + strings.Repeat("A", size) + "\n"} {
			text := string(inPEM(before)) + "-----BEGIN CERTIFICATE-----\n" + huge + "\n" + string(inPEM(after))
			for _, a := range []*authority{before, after} {
				if !holds(t, strings.NewReader(text), a.certificate) {
					t.Errorf("%d octets: an authority is lost", len(huge))
				}
			}
		}
	}
}

// TestBundleChanges holds that a process which goes on trusts an authority that the
// administrator adds, and none that has been removed.
func TestBundleChanges(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "bundle.pem")
	t.Setenv("SSL_CERT_FILE", file)
	has := func(a *authority) bool {
		bundle := systemBundle()
		defer bundle.Close()
		return holds(t, bundle, a.certificate)
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

// FuzzAuthorities compares with x509.CertPool.AppendCertsFromPEM: whatever is around the
// certificates, and however they are written, those of the chain are found.
func FuzzAuthorities(f *testing.F) {
	block := string(inPEM(newAuthority(f)))
	const begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
	_, body, _ := strings.Cut(block, begin+"\n")
	body, _, _ = strings.Cut(body, "\n"+end)
	for _, text := range []string{
		block, block + block, "", begin, "no certificate\n" + block,
		strings.ReplaceAll(block, "\n", "\r\n"),
		strings.ReplaceAll(block, "\n", " \t\n"),
		begin + "\n" + strings.ReplaceAll(body, "\n", "") + "\n" + end,
		"text " + block, begin + "\n" + body + end, begin + "\n" + body + "\n" + end + " ", begin + "\n" + body + "\n" + end + "x",
		begin + " \n" + body + "\n" + end, begin + body + "\n" + end, begin + "\n\n" + body + "\n\n" + end,
		begin + "\nMII\n" + block,
		strings.Repeat(begin+"\nM-I\n"+end+"\n", 2) + block,
		begin + "\nName: value\n\n" + body + "\n" + end + "\n" + block,
		"-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n" + block,
		strings.Repeat("# comment\n", 2000) + block + strings.Repeat("-", 40<<10) + "\n" + block,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "-----END -----BEGIN ") {
			t.Skip("the library takes this BEGIN, though it does not begin its line")
		}
		var sent []*x509.Certificate
		for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
			if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" && len(block.Headers) == 0 {
				sent = append(sent, c)
			}
		}
		for _, c := range sent {
			all := x509.NewCertPool()
			all.AppendCertsFromPEM([]byte(text))
			some, err := authorities(strings.NewReader(text), []*x509.Certificate{c})
			if err != nil {
				t.Fatal(err)
			}
			options := x509.VerifyOptions{Roots: all, CurrentTime: c.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
			_, want := c.Verify(options)
			options.Roots = some
			if _, got := c.Verify(options); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v, with all authorities %v", got, want)
			}
		}
		if got := hasAuthority(strings.NewReader(text)); got != (len(sent) > 0) {
			t.Errorf("hasAuthority: %t, but there are %d", got, len(sent))
		}
	})
}
