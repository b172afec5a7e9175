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
	"math"
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
	d := &desk{t: t, dir: t.TempDir()}
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
		{"large", (*desk).large},
		{"start-up", (*desk).startUp},
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
	for _, peer := range [][]string{{"msmtp", "--version"}, {"curl", "--version"}, {"swaks", "--version"}} {
		d.printf("%.70s", first(peer...))
	}
	trust := "the system's"
	if d.ca != "" {
		trust = "one given file, since this is not root"
	}
	d.printf("certificate authorities: %s\n", trust)
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

// median runs something n times and returns the middle of each figure.
func median(costs []cost) cost {
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

// trips prints round trips, by the time that they add at 50 ms.
func (d *desk) trips(config *tls.Config) {
	d.printf("Round trips with the TCP connection, and wall time at a round trip of 50 ms")
	d.printf("%-28s %10s %10s %10s %10s %10s   %s", "", "sendoff", "one-flight", "msmtp", "curl", "swaks", "target")
	want := map[string][2]int{"plain": {5, 4}, "tls": {7, 6}, "starttls": {9, 8}}
	names := map[string]string{"plain": "plain", "tls": "implicit TLS, AUTH", "starttls": "STARTTLS, AUTH"}
	for _, security := range []string{"plain", "tls", "starttls"} {
		near, far := listen(d.t, security, config, 0), listen(d.t, security, config, rtt)
		for _, n := range []int{1, 100} {
			row := fmt.Sprintf("%-28s", fmt.Sprintf("%s, to %d", names[security], n))
			met := true
			for i, c := range clients {
				times := few(3)
				if n > 1 && i > 1 {
					times = 1 // a hundred round trips: a wrong one does not show
				}
				if n > 1 && i > 2 && testing.Short() {
					continue
				}
				here, there := d.repeat(times, c, near, recipients(n)), d.repeat(times, c, far, recipients(n))
				count := int(math.Round(float64(there.wall-here.wall) / float64(rtt)))
				row += fmt.Sprintf(" %3d %3.0f ms", count, ms(there.wall))
				if i < 2 {
					trips := want[security][i]
					met = met && count <= trips && there.wall <= time.Duration(trips)*rtt+20*time.Millisecond
				}
			}
			d.printf("%s   %d and %d, and +20 ms: %s", row, want[security][0], want[security][1], verdict(met))
		}
	}
}

// few returns n, or 1 where only is tried whether all can be run.
func few(n int) int {
	if testing.Short() {
		return 1
	}
	return n
}

// repeat runs a client n times with a tiny message.
func (d *desk) repeat(n int, c client, s *server, to []string) cost {
	var costs []cost
	for range n {
		one, err := d.run(c.command(d, s, to), tiny)
		if err != nil {
			d.t.Fatalf("%s, %s: %v", c.name, s.security, err)
		}
		costs = append(costs, one)
	}
	return median(costs)
}

// oneShot prints what a tiny message costs over TLS on loopback.
func (d *desk) oneShot(config *tls.Config) {
	s := listen(d.t, "tls", config, 0)
	rows := []client{
		{"floor", (*desk).theFloor},
		clients[0],
		{"  SSL_CERT_FILE", func(d *desk, s *server, to []string) *exec.Cmd {
			cmd := d.sendoff(s, to, false)
			cmd.Env = append(cmd.Env, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")
			return cmd
		}},
	}
	if before := os.Getenv("SENDOFF_BEFORE"); before != "" {
		rows = append(rows, client{"  before", func(d *desk, s *server, to []string) *exec.Cmd {
			cmd := d.sendoff(s, to, false)
			cmd.Path, cmd.Args[0] = before, before
			return cmd
		}})
	}
	rows = append(rows, clients[1:]...)
	d.printf("One tiny message, implicit TLS and AUTH on loopback, the system's authorities; median of 60, beside the floor")
	d.printf("%-16s %18s %18s %16s", "", "wall", "CPU", "peak memory")
	costs := make([][]cost, len(rows))
	for range few(60) {
		for _, i := range mathrand.Perm(len(rows)) { // who runs after a large program finds cold caches
			costs[i] = append(costs[i], d.repeat(1, rows[i], s, recipients(1)))
		}
	}
	var floor cost
	for i, c := range rows {
		m := median(costs[i])
		m.rss = d.rss(c, s, tiny)
		note := ""
		switch i {
		case 0:
			floor = m
		case 1:
			note = fmt.Sprintf("   at most 1.35, 1.6, 10.5 MB: %s", verdict(ratio(m.wall, floor.wall) <= 1.35 && ratio(m.cpu, floor.cpu) <= 1.6 && m.rss <= 10_500))
		}
		d.printf("%-16s %8.2f ms (%4.2f) %8.2f ms (%4.2f) %6.1f MB (%4.2f)%s", c.name, ms(m.wall), ratio(m.wall, floor.wall),
			ms(m.cpu), ratio(m.cpu, floor.cpu), float64(m.rss)/1000, float64(m.rss)/float64(floor.rss), note)
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func (d *desk) rss(c client, s *server, message func(io.Writer) error) int {
	kB, err := d.peak(c.command(d, s, recipients(1)), message)
	if err != nil {
		d.t.Fatalf("%s: %v", c.name, err)
	}
	return kB
}

// bulk writes a message of size octets, in lines of 72 characters.
func bulk(size int) func(io.Writer) error {
	line := strings.Repeat("All work and no play ", 4)[:71] + "\n"
	block := strings.Repeat(line, (64<<10)/len(line))
	return func(w io.Writer) error {
		_, err := io.WriteString(w, "From: Ann <ann@example.org>\nTo: bob@example.net\nSubject: large\n\n")
		for n := 0; n < size && err == nil; n += len(block) {
			_, err = io.WriteString(w, block)
		}
		return err
	}
}

// large prints what 100 MB from a pipe cost.
func (d *desk) large(config *tls.Config) {
	size := 100_000_000
	if testing.Short() {
		size /= 100
	}
	d.printf("100 MB from a pipe (swaks: 10 MB); best of 3")
	d.printf("%-12s %18s %18s %16s", "", "speed", "CPU per MB", "peak memory")
	for _, security := range []string{"plain", "tls"} {
		s := listen(d.t, security, config, 0)
		best := make([]cost, len(clients))
		octets := make([]int, len(clients))
		for range few(3) {
			for i, c := range clients {
				octets[i] = size
				if c.name == "swaks" {
					octets[i] = size / 10
				}
				one, err := d.run(c.command(d, s, recipients(1)), bulk(octets[i]))
				if err != nil {
					d.t.Fatalf("%s, %s: %v", c.name, security, err)
				}
				if best[i].wall == 0 || one.wall < best[i].wall {
					best[i] = one
				}
			}
		}
		speed := func(i int) float64 { return float64(octets[i]) / 1e6 / best[i].wall.Seconds() }
		d.printf("%s", security)
		for i, c := range clients {
			note := ""
			rss := d.rss(c, s, bulk(octets[i]))
			if i == 0 {
				note = fmt.Sprintf("   ahead of curl, at most 20 MB: %s", verdict(speed(0) > speed(3) && rss <= 20_000))
			}
			d.printf("  %-10s %6.0f MB/s (%5.2f) %6.2f ms/MB (%4.1f) %6.1f MB%s", c.name, speed(i), speed(i)/speed(0),
				ms(best[i].cpu)/float64(octets[i])*1e6, float64(best[i].cpu)/float64(octets[i])/(float64(best[0].cpu)/float64(octets[0])), float64(rss)/1000, note)
		}
	}
}

// startUp prints what it costs to begin.
func (d *desk) startUp(*tls.Config) {
	d.printf("Start-up: --version; median of 60")
	var ours, theirs []cost
	for range few(60) {
		for _, row := range []struct {
			program string
			costs   *[]cost
		}{{d.binary, &ours}, {d.floor, &theirs}} {
			one, err := d.run(exec.Command(row.program, "--version"), nothing)
			if err != nil {
				d.t.Fatal(err)
			}
			*row.costs = append(*row.costs, one)
		}
	}
	a, b := median(ours), median(theirs)
	d.printf("%-46s %5.2f ms wall, %5.2f ms CPU", "sendoff", ms(a.wall), ms(a.cpu))
	d.printf("%-46s %5.2f ms wall, %5.2f ms CPU", "a Go program with crypto/tls, net and pflag", ms(b.wall), ms(b.cpu))
	d.printf("ratio %.2f (CPU %.2f), at most 1.25: %s", ratio(a.wall, b.wall), ratio(a.cpu, b.cpu), verdict(ratio(a.wall, b.wall) <= 1.25))
}
