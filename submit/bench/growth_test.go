//go:build bench && linux

package bench

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A doubling is what a command costs for a number of things that doubles from row to row.
type doubling struct {
	name  string
	sizes []int
	most  time.Duration // 0: the ratio to the row before is at most linear
	over  bool          // most counts over the first row, where nothing waits
	kB    int           // memory at most; 0: no matter
	cost  func(n int) cost
}

// linear is the largest ratio of two rows that is taken for 2: the machine has other work.
const linear = 2.5

func (g doubling) goal() string {
	goal := fmt.Sprintf("ratio at most %.1f", linear)
	if g.most > 0 {
		goal = fmt.Sprintf("at most %v", g.most)
	}
	if g.over {
		goal += " more than for none"
	}
	if g.kB > 0 {
		goal += fmt.Sprintf(", %d MB", g.kB/1000)
	}
	return goal
}

// print prints the rows of g.
func (d *desk) print(g doubling) {
	d.printf("%s: %s", g.name, g.goal())
	var first, before cost
	for i, n := range g.sizes {
		c := g.cost(n)
		if i == 0 {
			first, before = c, c
		}
		times := ratio(c.wall, before.wall)
		met := times <= linear
		switch {
		case g.over:
			met = c.wall <= first.wall+g.most
		case g.most > 0:
			met = c.wall <= g.most
		}
		memory := ""
		if c.rss > 0 {
			memory = fmt.Sprintf("%.1f MB", float64(c.rss)/1000)
		}
		d.printf("  %7d %9.1f ms (%4.2f) %10s   %s", n, ms(c.wall), times, memory, verdict(met && (g.kB == 0 || c.rss <= g.kB)))
		before = c
	}
}

// growth prints what many accounts, recipients and entries cost. A command that takes twice
// the time for twice as many has the ratio 2.
func (d *desk) growth(config *tls.Config) {
	accounts, many := []int{1000, 2000, 4000, 8000}, []int{12_500, 25_000, 50_000, 100_000}
	if testing.Short() {
		accounts, many = []int{10, 20}, []int{50, 100}
	}
	s := listen(d.t, "tls", config, 0)
	file, _ := d.queued("growth", s, false)
	d.printf("What many accounts, recipients and entries cost; the ratio is to the row before")
	d.print(doubling{name: "Loading accounts (-bC)", sizes: accounts, most: time.Second, cost: d.loading})
	d.print(doubling{name: "Importing accounts from msmtp (--import)", sizes: accounts, most: 3 * time.Second, cost: d.importing})
	d.print(doubling{name: "Queueing a message to many recipients (-odq -t)", sizes: many, kB: 64_000, cost: func(n int) cost {
		return d.often(3, func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "-t") }, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Subject: x\nBcc: %s\n\nIt works.\n", strings.Join(recipients(n), ",\n "))
			return err
		})
	}})
	d.waiting(s, many)
}

// waiting prints what entries that wait add to a message, and what the list of them costs.
func (d *desk) waiting(s *server, many []int) {
	file, folder := d.queued("waiting", s, false)
	text, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	file = d.file("later.toml", "retry = [\"24h\", \"24h\"]\n"+string(text)) // none is due
	enqueue := func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-odq", "bob@example.net") }
	send := func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "bob@example.net") }
	d.often(1, enqueue, tiny) // makes the folders
	sizes := append([]int{0}, many...)
	costs := make(map[string]map[int]cost)
	for _, name := range []string{"enqueue", "send", "line", "list"} {
		costs[name] = make(map[int]cost)
	}
	for _, n := range sizes {
		d.multiply(folder, n)
		costs["send"][n], costs["enqueue"][n] = d.often(15, send, tiny), d.often(15, enqueue, tiny)
		costs["line"][n], costs["list"][n] = d.list(file)
	}
	of := func(name string) func(int) cost { return func(n int) cost { return costs[name][n] } }
	d.print(doubling{name: "A new message into the queue while so many wait (-odq)", sizes: sizes, most: 10 * time.Millisecond, over: true, cost: of("enqueue")})
	d.print(doubling{name: "A message sent while so many wait", sizes: sizes, most: 10 * time.Millisecond, over: true, cost: of("send")})
	d.print(doubling{name: "The list of so many (mailq)", sizes: many, kB: 64_000, cost: of("list")})
	d.print(doubling{name: "Its first line", sizes: many, cost: of("line")})
}

// list returns what mailq costs up to its first line, and up to its end.
func (d *desk) list(file string) (line, all cost) {
	all = d.often(1, func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-bp") }, nothing)
	cmd := exec.Command(d.binary, "-C", file, "-bp")
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+d.dir)
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
	line.wall = time.Since(begin)
	io.Copy(io.Discard, r)
	if err := cmd.Wait(); err != nil {
		d.t.Fatal(err)
	}
	return line, all
}

// loading returns what a configuration with n accounts costs.
func (d *desk) loading(n int) cost {
	text := strings.Builder{}
	text.WriteString("queue = \"off\"\nlog = \"off\"\n")
	for i := range n {
		fmt.Fprintf(&text, "[accounts.a%[1]d]\nserver = \"smtps://mail%[1]d.example.org\"\nuser = \"u%[1]d\"\nsecret = \"keyring\"\nfrom = \"u%[1]d@example.org\"\n", i)
	}
	file := d.file("many.toml", text.String())
	return d.often(3, func() *exec.Cmd { return exec.Command(d.binary, "-C", file, "-bC") }, nothing)
}

// importing returns what the import of n accounts costs, without --write.
func (d *desk) importing(n int) cost {
	text := strings.Builder{}
	for i := range n {
		fmt.Fprintf(&text, "account a%[1]d\nhost mail%[1]d.example.org\nauth on\nuser u%[1]d\npassword p%[1]d\nfrom u%[1]d@example.org\n", i)
	}
	file := d.file("many.msmtprc", text.String())
	return d.often(3, func() *exec.Cmd { return exec.Command(d.binary, "--import="+file) }, nothing)
}

func nothing(io.Writer) error { return nil }

// often returns the median cost of some runs of a command, and the peak of its memory.
func (d *desk) often(times int, command func() *exec.Cmd, message func(io.Writer) error) cost {
	var costs []cost
	for range few(times) {
		c, err := d.run(command(), message)
		if err != nil {
			d.t.Fatal(err)
		}
		costs = append(costs, c)
	}
	c := median(costs)
	kB, err := d.peak(command(), message)
	if err != nil {
		d.t.Fatal(err)
	}
	c.rss = kB
	return c
}
