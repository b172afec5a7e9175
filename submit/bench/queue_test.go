//go:build bench && linux

package bench

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A queuer is a peer that has a queue.
type queuer struct {
	name string
	most int // messages that it is to send: fewer of a slow one
	peer interface {
		there() bool
		inject() *exec.Cmd
		empty(s *server, n int) time.Duration
	}
}

func (d *desk) queuers() []queuer {
	return []queuer{{"nullmailer", 25, newNullmailer(d)}, {"Postfix", 300, newPostfix(d)}}
}

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
	d.printf("Into the queue, synced: messages a second")
	d.printf("%-12s %16s %16s %18s", "", "1 process", "8 processes", "syncs a message")
	var base [2]float64
	row := func(name string, command func() *exec.Cmd) {
		d.fill(1, 1, command) // which makes the folders
		var rate [2]float64
		for k, processes := range []int{1, 8} {
			rate[k] = float64(n) / d.fill(n, processes, command).Seconds()
		}
		if base[0] == 0 {
			base = rate
		}
		d.printf("%-12s %8.0f (%5.2f) %8.0f (%5.2f) %18s", name, rate[0], rate[0]/base[0], rate[1], rate[1]/base[1], d.syncs(command()))
	}
	row("sendoff", func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "bob@example.net") })
	for _, q := range d.queuers() {
		if q.peer.there() {
			row(q.name, q.peer.inject)
		} else {
			d.printf("%-12s not to be had here", q.name)
		}
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
	var base [2]float64
	row := func(name string, n int, empty func(*server, int) time.Duration) (rate [2]float64) {
		text := ""
		for k, delay := range []time.Duration{0, rtt} {
			s := listen(d.t, "tls", config, delay)
			rate[k] = float64(n) / empty(s, n).Seconds()
			if base[k] == 0 {
				base[k] = rate[k]
			}
			text += fmt.Sprintf(" %7.0f (%5.2f) on %3d", rate[k], rate[k]/base[k], s.sessions.Load())
			switch got := int(s.taken.Load()); {
			case got == n:
			case name == "sendoff" || name == "one-flight":
				d.t.Errorf("%s: %d of %d messages were taken", name, got, n)
			default: // a peer that is slow here is no fault of ours
				text += fmt.Sprintf(", %d of %d taken", got, n)
			}
		}
		d.printf("%-12s%s", name, text)
		return rate
	}
	ours := row("sendoff", n, func(s *server, n int) time.Duration { return d.empty(s, n, false) })
	oneFlight := row("one-flight", n, func(s *server, n int) time.Duration { return d.empty(s, n, true) })
	ahead := true
	for _, q := range d.queuers() {
		if !q.peer.there() {
			d.printf("%-12s not to be had here", q.name)
			continue
		}
		theirs := row(q.name, min(n, q.most), q.peer.empty)
		ahead = ahead && ours[0] > theirs[0]
	}
	if !testing.Short() { // a few messages say nothing about many
		d.printf("at least 200 and 34, one-flight 200 at 50 ms, and at 0 ms ahead of all: %s", verdict(ours[0] >= 200 && ours[1] >= 34 && oneFlight[1] >= 200 && ahead))
	}
	d.printf("")
}

// empty fills sendoff's queue, and returns how long one run takes to empty it.
func (d *desk) empty(s *server, n int, oneFlight bool) time.Duration {
	file, folder := d.queued(fmt.Sprintf("drain-%d-%t", s.port, oneFlight), s, oneFlight)
	d.fill(1, 1, func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "bob@example.net") })
	d.multiply(folder, n)
	c, err := d.run(exec.Command(d.binary, "-C", file, "-q"), nothing)
	if err != nil {
		d.t.Fatal(err)
	}
	return c.wall
}

// multiply makes copies of an entry until a queue has n.
func (d *desk) multiply(folder string, n int) {
	files, _ := filepath.Glob(filepath.Join(folder, "*.env"))
	if len(files) == 0 {
		d.t.Fatalf("no entry in %s", folder)
	}
	id := strings.TrimSuffix(filepath.Base(files[0]), ".env")
	for _, end := range []string{".eml", ".env"} {
		text, err := os.ReadFile(filepath.Join(folder, id+end))
		if err != nil {
			d.t.Fatal(err)
		}
		for i := len(files); i < n; i++ {
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s%05d%s", id[:11], i-1, end)), text, 0o600); err != nil {
				d.t.Fatal(err)
			}
		}
	}
}
