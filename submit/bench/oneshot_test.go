//go:build bench && linux

package bench

import (
	"crypto/tls"
	"fmt"
	"math"
	"os"
	"os/exec"
	"testing"
	"time"
)

// once runs a client with a tiny message; nil if it cannot do that.
func (d *desk) once(c client, s *server, to []string) *cost {
	cmd := c.command(d, s, to)
	if cmd == nil {
		return nil
	}
	before := s.taken.Load()
	one, err := d.run(cmd, tiny)
	if err == nil && s.taken.Load() == before && one.wall < patience {
		err = fmt.Errorf("the server has taken nothing")
	}
	if err != nil {
		d.t.Fatalf("%s, %s: %v", c.name, s.security, err)
	}
	return &one
}

// trips prints round trips, by the time that they add at 50 ms.
func (d *desk) trips(config *tls.Config) {
	d.printf("Round trips with the TCP connection, and wall time at a round trip of 50 ms; median of 3")
	row := fmt.Sprintf("%-28s", "")
	for _, c := range clients {
		row += fmt.Sprintf(" %11s", c.name)
	}
	d.printf("%s   target", row)
	want := map[string][2]int{"plain": {5, 4}, "tls": {7, 6}, "starttls": {9, 8}}
	names := map[string]string{"plain": "plain", "tls": "implicit TLS, AUTH", "starttls": "STARTTLS, AUTH"}
	for _, security := range []string{"plain", "tls", "starttls"} {
		for _, n := range []int{1, 100} {
			row, met := fmt.Sprintf("%-28s", fmt.Sprintf("%s, to %d", names[security], n)), true
			for i, trip := range d.trip(security, config, n) {
				if trip.far == 0 {
					row += fmt.Sprintf(" %11s", "-")
					continue
				}
				count := int(math.Round(float64(trip.far-trip.near) / float64(rtt)))
				row += fmt.Sprintf(" %3d %4.0f ms", count, ms(trip.far))
				if i < 2 {
					trips := want[security][i]
					met = met && count <= trips && trip.far <= time.Duration(trips)*rtt+20*time.Millisecond
				}
				if security == "tls" {
					d.note(map[int]string{1: rowFar, 100: rowHundred}[n], clients[i].name, ms(trip.far))
				}
			}
			d.printf("%s   %d and %d, and +20 ms: %s", row, want[security][0], want[security][1], verdict(met))
		}
	}
}

// A trip is what a client takes on loopback and over a long line.
type trip struct{ near, far time.Duration }

// trip measures each client, with a message to n recipients.
func (d *desk) trip(security string, config *tls.Config, n int) []trip {
	near, far := listen(d.t, security, config, 0), listen(d.t, security, config, rtt)
	here, there := make([][]cost, len(clients)), make([][]cost, len(clients))
	interleave(3, len(clients), func(i int) {
		peer := n > 1 && i > 1
		if peer && (len(here[i]) > 0 || i > 2 && testing.Short()) {
			return // a hundred round trips: a wrong one does not show
		}
		if one := d.once(clients[i], near, recipients(n)); one != nil {
			here[i] = append(here[i], *one)
			there[i] = append(there[i], *d.once(clients[i], far, recipients(n)))
		}
	})
	trips := make([]trip, len(clients))
	for i := range clients {
		trips[i] = trip{median(here[i]).wall, median(there[i]).wall}
	}
	return trips
}

// bundle is the system's authorities in a file.
const bundle = "/etc/ssl/certs/ca-certificates.crt"

// ours are sendoff and, in a row each, what changes what it costs.
func ours() []client {
	return append([]client{
		clients[0],
		{"  SSL_CERT_FILE", func(d *desk, s *server, to []string) *exec.Cmd {
			cmd := d.sendoff(s, to, false)
			cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+bundle)
			return cmd
		}},
		{"  tls-ca", func(d *desk, s *server, to []string) *exec.Cmd {
			named := *d
			named.ca = bundle
			return named.sendoff(s, to, false)
		}},
	}, before()...)
}

// before is another build of sendoff, if there is one.
func before() []client {
	build := os.Getenv("SENDOFF_BEFORE")
	if build == "" {
		return nil
	}
	return []client{{"  before", func(d *desk, s *server, to []string) *exec.Cmd {
		cmd := d.sendoff(s, to, false)
		cmd.Path, cmd.Args[0] = build, build
		return cmd
	}}}
}

// oneShot prints what a tiny message costs over TLS on loopback.
func (d *desk) oneShot(config *tls.Config) {
	s := listen(d.t, "tls", config, 0)
	rows := append([]client{{"floor", (*desk).theFloor}}, append(ours(), clients[1:]...)...)
	d.printf("One tiny message, implicit TLS and AUTH on loopback, the system's authorities; median of 60, beside the floor")
	d.printf("%-16s %18s %18s %16s", "", "wall", "CPU", "peak memory")
	costs := make([][]cost, len(rows))
	interleave(60, len(rows), func(i int) {
		if one := d.once(rows[i], s, recipients(1)); one != nil {
			costs[i] = append(costs[i], *one)
		}
	})
	var floor, sendoff cost
	for i, c := range rows {
		if costs[i] == nil {
			d.printf("%-16s %11s %18s %16s", c.name, "-", "-", "-")
			continue
		}
		m := median(costs[i])
		m.rss = d.rss(c.command(d, s, recipients(1)), tiny)
		d.note(rowOne, c.name, ms(m.wall))
		note := ""
		switch i {
		case 0:
			floor = m
		case 1:
			sendoff = m
			note = fmt.Sprintf("   at most 1.35, 1.6, 10.5 MB: %s", verdict(ratio(m.wall, floor.wall) <= 1.35 && ratio(m.cpu, floor.cpu) <= 1.6 && m.rss <= 10_500))
		case 2, 3:
			note = fmt.Sprintf("   as with the system's store, at most 1.1 of it: %s", verdict(ratio(m.wall, sendoff.wall) <= 1.1))
		}
		d.printf("%-16s %8.2f ms (%4.2f) %8.2f ms (%4.2f) %6.1f MB (%4.2f)%s", c.name, ms(m.wall), ratio(m.wall, floor.wall),
			ms(m.cpu), ratio(m.cpu, floor.cpu), float64(m.rss)/1000, float64(m.rss)/float64(floor.rss), note)
	}
}

func (d *desk) rss(cmd *exec.Cmd, message source) int {
	kB, err := d.peak(cmd, message)
	if err != nil {
		d.t.Fatalf("%s: %v", cmd.Path, err)
	}
	return kB
}

// startUp prints what it costs to begin.
func (d *desk) startUp(*tls.Config) {
	d.printf("Start-up: --version; median of 60")
	programs := []string{d.binary, d.floor}
	costs := make([][]cost, len(programs))
	interleave(60, len(programs), func(i int) {
		one, err := d.run(exec.Command(programs[i], "--version"), nothing)
		if err != nil {
			d.t.Fatal(err)
		}
		costs[i] = append(costs[i], one)
	})
	a, b := median(costs[0]), median(costs[1])
	d.printf("%-46s %5.2f ms wall, %5.2f ms CPU", "sendoff", ms(a.wall), ms(a.cpu))
	d.printf("%-46s %5.2f ms wall, %5.2f ms CPU", "a Go program with crypto/tls, net and pflag", ms(b.wall), ms(b.cpu))
	d.printf("ratio %.2f (CPU %.2f), at most 1.25: %s", ratio(a.wall, b.wall), ratio(a.cpu, b.cpu), verdict(ratio(a.wall, b.wall) <= 1.25))
}

// size prints how large the programs are, without the libraries that the peers
// load.
func (d *desk) size(*tls.Config) {
	d.printf("Size of the program; sendoff loads no libraries")
	unpacked := os.Getenv("SENDOFF_PEERS") + "/usr/sbin/"
	for _, program := range []struct{ name, file string }{
		{"sendoff", d.binary}, {"floor", d.floor}, {"msmtp", "/usr/bin/msmtp"}, {"curl", "/usr/bin/curl"}, {"swaks", "/usr/bin/swaks"}, {"esmtp", "/usr/bin/esmtp"},
		{"nullmailer-send", unpacked + "nullmailer-send"}, {"Postfix's smtp", "/usr/lib/postfix/sbin/smtp"}, {"dma", unpacked + "dma"}, {"Exim", unpacked + "exim4"},
	} {
		info, err := os.Stat(program.file)
		if err != nil {
			d.printf("%-16s %8s", program.name, "-")
			continue
		}
		note := ""
		if program.file == d.binary {
			note = "   at most 10.5 MB: " + verdict(info.Size() <= 10_500_000)
		}
		d.printf("%-16s %8.2f MB%s", program.name, float64(info.Size())/1e6, note)
	}
}
