//go:build bench && linux

package bench

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// queued returns the configuration of a desk's sendoff with a queue of its own.
func (d *desk) queued(name string, s *server, oneFlight bool) (file, folder string) {
	folder = filepath.Join(d.dir, name)
	cmd := d.sendoff(s, nil, oneFlight)
	account, err := os.ReadFile(cmd.Args[2])
	if err != nil {
		d.t.Fatal(err)
	}
	text := strings.Replace(string(account), `queue = "off"`, fmt.Sprintf("queue = %q\nrunner = \"off\"", folder), 1)
	return d.file(name+".toml", text), folder
}

// fill queues n messages, with so many processes at once, and returns how long
// that took.
func (d *desk) fill(n, processes int, command func() *exec.Cmd) time.Duration {
	work := make(chan bool)
	var all sync.WaitGroup
	begin := time.Now()
	for range processes {
		all.Go(func() {
			for range work {
				if _, err := d.run(command(), tiny); err != nil {
					d.t.Error(err)
				}
			}
		})
	}
	for range n {
		work <- true
	}
	close(work)
	all.Wait()
	return time.Since(begin)
}

// enqueue prints how fast messages get into the queue, each by a process of
// its own.
func (d *desk) enqueue(config *tls.Config) {
	n := 400
	if testing.Short() {
		n = 16
	}
	s := listen(d.t, "tls", config, 0)
	file, _ := d.queued("enqueue", s, false)
	rows := []struct {
		name    string
		command func() *exec.Cmd
	}{
		{"sendoff", func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "bob@example.net") }},
		{"nullmailer", d.nullmailer.inject},
	}
	d.printf("Into the queue, synced: messages a second")
	d.printf("%-12s %16s %16s %18s", "", "1 process", "8 processes", "syncs a message")
	var base [2]float64
	for i, row := range rows {
		if i > 0 && !d.nullmailer.there() {
			d.printf("%-12s not to be had here", row.name)
			continue
		}
		var rate [2]float64
		for k, processes := range []int{1, 8} {
			rate[k] = float64(n) / d.fill(n, processes, row.command).Seconds()
		}
		if i == 0 {
			base = rate
		}
		d.printf("%-12s %8.0f (%5.2f) %8.0f (%5.2f) %18s", row.name, rate[0], rate[0]/base[0], rate[1], rate[1]/base[1], d.syncs(row.command()))
	}
	d.printf("")
}

// syncs counts the syncs of one run.
func (d *desk) syncs(cmd *exec.Cmd) string {
	trace := filepath.Join(d.dir, "trace")
	traced := exec.Command("strace", append([]string{"-f", "-q", "-o", trace, "-e", "trace=fsync,fdatasync,sync,syncfs"}, cmd.Args...)...)
	if _, err := d.run(traced, tiny); err != nil {
		return "no strace"
	}
	text, _ := os.ReadFile(trace)
	return fmt.Sprint(strings.Count(string(text), "sync("))
}

// drain prints how fast a queue empties over TLS with a login.
func (d *desk) drain(config *tls.Config) {
	d.printf("Out of the queue, implicit TLS and AUTH: messages a second (on so many connections)")
	d.printf("%-12s %22s %22s", "", "0 ms", "50 ms")
	n := 1000
	if testing.Short() {
		n = 20
	}
	base := [2]float64{}
	for i, row := range []struct {
		name  string
		n     int
		empty func(s *server, n int) time.Duration
		least [2]float64
	}{
		{"sendoff", n, func(s *server, n int) time.Duration { return d.empty(s, n, false) }, [2]float64{200, 34}},
		{"one-flight", n, func(s *server, n int) time.Duration { return d.empty(s, n, true) }, [2]float64{200, 200}},
		{"nullmailer", min(n, 25), d.nullmailer.empty, [2]float64{}},
	} {
		if i == 2 && !d.nullmailer.there() {
			d.printf("%-12s not to be had here", row.name)
			continue
		}
		text, met := "", true
		for k, delay := range []time.Duration{0, rtt} {
			s := listen(d.t, "tls", config, delay)
			rate := float64(row.n) / row.empty(s, row.n).Seconds()
			if i == 0 {
				base[k] = rate
			}
			met = met && rate >= row.least[k]
			text += fmt.Sprintf(" %7.0f (%5.2f) on %3d", rate, rate/base[k], s.sessions.Load())
			if got := int(s.taken.Load()); got != row.n {
				d.t.Errorf("%s: %d of %d messages were taken", row.name, got, row.n)
			}
		}
		if i < 2 && !testing.Short() { // a few messages say nothing about many
			text += fmt.Sprintf("   at least %.0f and %.0f: %s", row.least[0], row.least[1], verdict(met))
		}
		d.printf("%-12s%s", row.name, text)
	}
	d.printf("")
}

// empty fills sendoff's queue, and returns how long one run takes to empty it.
func (d *desk) empty(s *server, n int, oneFlight bool) time.Duration {
	file, folder := d.queued(fmt.Sprintf("drain-%d-%t", s.port, oneFlight), s, oneFlight)
	d.fill(1, 1, func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "bob@example.net") })
	d.multiply(folder, n)
	c, err := d.run(exec.Command(d.binary, "-C", file, "-q"), func(io.Writer) error { return nil })
	if err != nil {
		d.t.Fatal(err)
	}
	return c.wall
}

// multiply makes n entries of the one that a queue has.
func (d *desk) multiply(folder string, n int) {
	files, _ := filepath.Glob(filepath.Join(folder, "*.env"))
	if len(files) != 1 {
		d.t.Fatalf("%d entries in %s", len(files), folder)
	}
	id := strings.TrimSuffix(filepath.Base(files[0]), ".env")
	for _, end := range []string{".eml", ".env"} {
		text, err := os.ReadFile(filepath.Join(folder, id+end))
		if err != nil {
			d.t.Fatal(err)
		}
		for i := range n - 1 {
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s%05d%s", id[:11], i, end)), text, 0o600); err != nil {
				d.t.Fatal(err)
			}
		}
	}
}

// list prints what mailq costs with many entries.
func (d *desk) list(config *tls.Config) {
	n := 100_000
	if testing.Short() {
		n = 200
	}
	s := listen(d.t, "tls", config, 0)
	file, folder := d.queued("list", s, false)
	d.fill(1, 1, func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "bob@example.net") })
	d.multiply(folder, n)
	cmd := exec.Command(d.binary, "-C", file, "-bp")
	kB, err := d.peak(exec.Command(d.binary, "-C", file, "-bp"), func(io.Writer) error { return nil })
	if err != nil {
		d.t.Fatal(err)
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	r := bufio.NewReader(out)
	r.ReadString('\n')
	line := time.Since(begin)
	io.Copy(io.Discard, r)
	if err := cmd.Wait(); err != nil {
		d.t.Fatal(err)
	}
	d.printf("mailq with %d entries: first line after %.0f ms, all after %.0f ms, %.1f MB; at most 64 MB: %s\n",
		n, ms(line), ms(time.Since(begin)), float64(kB)/1000, verdict(kB <= 64_000))
}
