//go:build bench && linux

package bench

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
		prepare()
		inject() *exec.Cmd // queues one message
		empty(s *server, n int) time.Duration
	}
}

// queuers are the peers that can be run here.
func (d *desk) queuers() []queuer {
	all := []queuer{{"nullmailer", 25, newNullmailer(d)}, {"Postfix", 300, newPostfix(d)}, {"dma", 300, newDMA(d)}, {"Exim", 100, newExim(d)}}
	return slices.DeleteFunc(all, func(q queuer) bool {
		if !q.peer.there() {
			d.printf("%-12s not to be had here", q.name)
			return true
		}
		return false
	})
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
	n, rounds := 80, 5
	if testing.Short() {
		n = 16
	}
	s := listen(d.t, "tls", config, 0)
	file, _ := d.queued("enqueue", s, false)
	d.printf("Into the queue, synced: messages a second; median of %d times %d messages", few(rounds), n)
	names := []string{"sendoff"}
	commands := []func() *exec.Cmd{func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "bob@example.net") }}
	for _, q := range d.queuers() {
		q.peer.prepare()
		names, commands = append(names, q.name), append(commands, q.peer.inject)
	}
	took := make([][2][]cost, len(names))
	for _, command := range commands {
		d.fill(1, 1, command) // which makes the folders
	}
	interleave(rounds, len(names), func(i int) {
		for k, processes := range []int{1, 8} {
			took[i][k] = append(took[i][k], cost{wall: d.fill(n, processes, commands[i])})
		}
	})
	d.printf("%-12s %16s %16s %18s", "", "1 process", "8 processes", "syncs a message")
	rates := make([][2]float64, len(names))
	for i, name := range names {
		for k, row := range []string{rowIn1, rowIn8} {
			rates[i][k] = float64(n) / median(took[i][k]).wall.Seconds()
			d.note(row, name, rates[i][k])
		}
		d.printf("%-12s %8.0f (%5.2f) %8.0f (%5.2f) %18s", name, rates[i][0], rates[i][0]/rates[0][0], rates[i][1], rates[i][1]/rates[0][1], d.syncs(commands[i]()))
	}
	if i := slices.Index(names, "Postfix"); i > 0 {
		d.printf("1 process at least 1.5 of Postfix's rate: %s", verdict(rates[0][0] >= 1.5*rates[i][0]))
	}
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

// A drain is a program that empties a queue of n messages.
type drain struct {
	name  string
	n     int
	empty func(s *server, n int) time.Duration
	// At 0 and at 50 ms, a measurement each.
	took               [2][]cost
	connections, taken [2]int32 // of the last measurement
}

// rate is how many messages left in a second.
func (r *drain) rate(k int) float64 { return float64(r.n) / median(r.took[k]).wall.Seconds() }

// drain prints how fast a queue empties over TLS with a login.
func (d *desk) drain(config *tls.Config) {
	d.printf("Out of the queue, implicit TLS and AUTH: messages a second (on so many connections); median of 3")
	n, most := 1000, 1000
	if testing.Short() {
		n, most = 20, 4
	}
	rows := []*drain{
		{name: "sendoff", n: n, empty: func(s *server, n int) time.Duration { return d.empty(s, n, false) }},
		{name: "one-flight", n: n, empty: func(s *server, n int) time.Duration { return d.empty(s, n, true) }},
	}
	for _, q := range d.queuers() {
		rows = append(rows, &drain{name: q.name, n: min(most, q.most), empty: q.peer.empty})
	}
	interleave(3, len(rows), func(i int) {
		for k, delay := range []time.Duration{0, rtt} {
			s, r := listen(d.t, "tls", config, delay), rows[i]
			wall := r.empty(s, r.n)
			r.connections[k], r.taken[k] = s.sessions.Load(), s.taken.Load()
			// A peer that is slow has sent fewer: it would have needed longer.
			r.took[k] = append(r.took[k], cost{wall: wall * time.Duration(r.n) / time.Duration(max(1, r.taken[k]))})
			if i < 2 && int(r.taken[k]) != r.n {
				d.t.Errorf("%s: %d of %d messages were taken", r.name, r.taken[k], r.n)
			}
		}
	})
	d.printf("%-12s %22s %22s", "", "0 ms", "50 ms")
	ahead := true
	for i, r := range rows {
		text := ""
		for k, row := range []string{rowOut, rowOutFar} {
			text += fmt.Sprintf(" %7.0f (%5.2f) on %3d", r.rate(k), r.rate(k)/rows[0].rate(k), r.connections[k])
			if int(r.taken[k]) != r.n { // a peer that is slow here is no fault of ours
				text += fmt.Sprintf(", %d of %d taken", r.taken[k], r.n)
			}
			d.note(row, r.name, r.rate(k))
		}
		ahead = ahead && (i < 2 || rows[0].rate(0) > r.rate(0))
		d.printf("%-12s%s", r.name, text)
	}
	if !testing.Short() { // a few messages say nothing about many
		d.printf("at least 200 and 34, one-flight 200 at 50 ms, and at 0 ms ahead of all: %s",
			verdict(rows[0].rate(0) >= 200 && rows[0].rate(1) >= 34 && rows[1].rate(1) >= 200 && ahead))
	}
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
