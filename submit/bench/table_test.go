//go:build bench && linux

// Package bench measures sendoff beside its peers, as a person would run them:
// whole processes, their defaults, the same server, the same run. .ci/bench
// installs the peers and prints the table.
//
//	client ── pipe ── message
//	   │
//	   └── loopback, or a line of 50 ms (delay_test.go) ── server_test.go
//
// No figure fails it: a busy machine is not a fault. It fails when something
// cannot be run, which with -short is all that it looks at.
package bench

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const rtt = 50 * time.Millisecond

// TestTable prints the table.
func TestTable(t *testing.T) {
	d := &desk{t: t, dir: t.TempDir(), notes: map[cell]float64{}}
	d.binary = d.build("sendoff", "sendoff")
	config := d.certificate()
	d.floor = d.build("floor", "./testdata/floor")
	d.head()
	for _, part := range []struct {
		name string
		run  func(*desk, *tls.Config)
	}{
		{"trips", (*desk).trips},
		{"one-shot", (*desk).oneShot},
		{"pipe", (*desk).pipe},
		{"file", (*desk).fromFile},
		{"start-up", (*desk).startUp},
		{"size", (*desk).size},
		{"enqueue", (*desk).enqueue},
		{"drain", (*desk).drain},
		{"growth", (*desk).growth},
	} {
		t.Run(part.name, func(t *testing.T) {
			d.t = t
			part.run(d, config)
			d.printf("")
		})
	}
	d.readme()
}

func (d *desk) printf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// build builds a program as it is shipped, and installs it by a copy, as is
// usual: what the linker has just written is in the page cache in small pieces,
// which costs each start a fifth more.
func (d *desk) build(name, what string) string {
	d.t.Helper()
	out := filepath.Join(d.dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w -funcalign=16", "-o", out+".built", what)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%v\n%s", err, text)
	}
	if text, err := exec.Command("install", "-m", "755", out+".built", out).CombinedOutput(); err != nil {
		d.t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// certificate makes an authority and a certificate for localhost, and has the
// system trust it for as long as the test runs, if it may.
func (d *desk) certificate() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "sendoff benchmark"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		d.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	system := "/usr/local/share/ca-certificates/sendoff-bench.crt"
	if err := os.WriteFile(system, text, 0o644); err == nil && exec.Command("update-ca-certificates").Run() == nil {
		d.t.Cleanup(func() {
			os.Remove(system)
			exec.Command("update-ca-certificates", "--fresh").Run()
		})
	} else {
		d.ca = d.file("ca.pem", string(text))
	}
	d.authority = d.file("authority.pem", string(text))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// first returns the first line that a command prints.
func first(words ...string) string {
	out, _ := exec.Command(words[0], words[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func (d *desk) head() {
	d.printf("%s, %s, %s, %d cores, %s", time.Now().Format(time.DateOnly), first("uname", "-sr"), cpuModel(), runtime.NumCPU(), runtime.Version())
	for _, peer := range [][]string{{"msmtp", "--version"}, {"curl", "--version"}, {"swaks", "--version"}, {"dpkg-query", "-W", "esmtp"}, {"dpkg-query", "-W", "postfix"}} {
		d.printf("%.70s", first(peer...))
	}
	packages, _ := filepath.Glob(filepath.Join(os.Getenv("SENDOFF_PEERS"), "*.deb"))
	for _, file := range packages {
		d.printf("%s", filepath.Base(file))
	}
	trust := "the system's"
	if d.ca != "" {
		trust = "one given file, since this is not root"
	}
	d.printf("certificate authorities: %s", trust)
	d.printf("floor: a client with the fewest round trips that does nothing else; one-flight: sendoff with that setting")
	d.printf("(1.00): beside the row that has 1.00; met, MISSED: whether a goal is reached, which is no error\n")
}

func cpuModel() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "model name\t: "); ok {
			return name
		}
	}
	return runtime.GOARCH
}

func recipients(n int) []string {
	var to []string
	for i := range n {
		to = append(to, fmt.Sprintf("r%d@example.net", i))
	}
	return to
}

func tiny(w io.Writer) error {
	_, err := io.WriteString(w, "From: Ann <ann@example.org>\nTo: bob@example.net\nSubject: hello\n\nIt works.\n")
	return err
}

// median returns the middle of each figure, 0 if there is none.
func median(costs []cost) cost {
	if len(costs) == 0 {
		return cost{}
	}
	pick := func(of func(cost) time.Duration) time.Duration {
		var all []time.Duration
		for _, c := range costs {
			all = append(all, of(c))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{wall: pick(func(c cost) time.Duration { return c.wall }), cpu: pick(func(c cost) time.Duration { return c.cpu })}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// verdict says whether a target is met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// few returns n, or 1 where only is tried whether all can be run.
func few(n int) int {
	if testing.Short() {
		return 1
	}
	return n
}

// interleave does each of n things several times, in a new order each time: who
// runs after a large program finds cold caches.
func interleave(times, n int, do func(i int)) {
	for range few(times) {
		for _, i := range mathrand.Perm(n) {
			do(i)
		}
	}
}
