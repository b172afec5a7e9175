//go:build bench && linux

package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A source writes a message.
type source func(io.Writer) error

// bulk writes a message of size octets, in lines of 72 characters.
func bulk(size int) source {
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

// octets is the size of a large message for a client. swaks would hold many times
// 100 MB in memory.
func octets(c client) int {
	size := 100_000_000
	if c.name == "swaks" {
		size /= 10
	}
	if testing.Short() {
		size /= 100
	}
	return size
}

// pipe prints what 100 MB from a pipe cost. curl sends bare line feeds then.
func (d *desk) pipe(config *tls.Config) {
	d.printf("100 MB from a pipe (swaks: 10 MB); median of 5")
	d.large(config, rowPipe, slices.Concat(clients, before()), func(sendoff, curl float64, kB int, _ string) string {
		return fmt.Sprintf("ahead of curl, at most 20 MB: %s", verdict(sendoff > curl && kB <= 20_000))
	})
}

// fromFile prints what 100 MB from a file cost. curl, too, is to end lines as
// SMTP requires.
func (d *desk) fromFile(config *tls.Config) {
	path := filepath.Join(d.dir, "large.eml")
	file, err := os.Create(path)
	if err == nil {
		defer os.Remove(path)
		err = errors.Join(bulk(octets(client{}))(file), file.Close())
	}
	if err != nil {
		d.t.Fatal(err)
	}
	var rows []client
	for _, c := range slices.Concat(clients, before()) {
		if c.name == "swaks" {
			continue
		}
		command := c.command
		if c.name == "curl" {
			command = func(d *desk, s *server, to []string) *exec.Cmd {
				cmd := d.curl(s, to)
				cmd.Args[slices.Index(cmd.Args, "-T")+1] = path
				cmd.Args = append(cmd.Args, "--crlf")
				return cmd
			}
		}
		rows = append(rows, client{c.name, func(d *desk, s *server, to []string) *exec.Cmd {
			cmd := command(d, s, to)
			if cmd != nil {
				cmd.Stdin, _ = os.Open(path)
			}
			return cmd
		}})
	}
	d.printf("100 MB from a file, curl with --crlf; median of 5")
	d.large(config, rowFile, rows, func(sendoff, curl float64, _ int, security string) string {
		goal := map[string]float64{"plain": 1.26, "tls": 1.6}[security]
		return fmt.Sprintf("%.2f of curl, at least %.2f: %s", sendoff/curl, goal, verdict(sendoff >= goal*curl))
	})
}

// large prints what a large message costs each client, and the goal beside
// sendoff's figures: the speeds are in MB/s.
func (d *desk) large(config *tls.Config, row string, rows []client, goal func(sendoff, curl float64, kB int, security string) string) {
	d.printf("%-12s %18s %18s %16s", "", "speed", "CPU per MB", "peak memory")
	for _, security := range []string{"plain", "tls"} {
		s := listen(d.t, security, config, 0)
		costs := make([][]cost, len(rows))
		interleave(5, len(rows), func(i int) {
			cmd := rows[i].command(d, s, recipients(1))
			if cmd == nil {
				return
			}
			one, err := d.run(cmd, bulk(octets(rows[i])))
			if err != nil {
				d.t.Fatalf("%s, %s: %v", rows[i].name, security, err)
			}
			if one.wall < patience {
				costs[i] = append(costs[i], one)
			}
		})
		// The cost of a megabyte.
		wall, cpu := make([]float64, len(rows)), make([]float64, len(rows))
		curl := 0
		for i, c := range rows {
			m, size := median(costs[i]), float64(octets(c))/1e6
			wall[i], cpu[i] = m.wall.Seconds()/size, ms(m.cpu)/size
			if c.name == "curl" {
				curl = i
			}
		}
		d.printf("%s", security)
		for i, c := range rows {
			if costs[i] == nil {
				d.printf("  %-10s %11s %18s %16s", c.name, "-", "-", "-")
				continue
			}
			if security == "tls" {
				d.note(row, c.name, 1/wall[i])
			}
			kB, note := d.rss(c.command(d, s, recipients(1)), bulk(octets(c))), ""
			if i == 0 {
				note = "   " + goal(1/wall[0], 1/wall[curl], kB, security)
			}
			d.printf("  %-10s %6.0f MB/s (%5.2f) %6.2f ms/MB (%4.1f) %6.1f MB%s", c.name, 1/wall[i], wall[0]/wall[i], cpu[i], cpu[i]/cpu[0], float64(kB)/1000, note)
		}
	}
}
