//go:build bench && linux

package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A dma never verifies the server's certificate.
type dma struct {
	unpacked
	d *desk
}

func newDMA(d *desk) *dma { return &dma{unpack(d, "/etc/dma", "dma"), d} }

// configure has dma send to a server.
func (p *dma) configure(port int, security string) {
	text := fmt.Sprintf("SMARTHOST localhost\nPORT %d\nMAILNAME client.example\n", port)
	if security != "plain" {
		text += "SECURETRANSFER\nAUTHPATH /etc/dma/auth.conf\n"
	}
	if security == "starttls" {
		text += "STARTTLS\n"
	}
	p.write("auth.conf", fmt.Sprintf("%s|localhost:%s\n", user, strings.ReplaceAll(password, " ", "-")))
	p.write("dma.conf", text)
}

// dma is dma as a client: it queues the message, and sends it in the
// foreground, to each recipient on a connection of its own.
func (d *desk) dma(s *server, to []string) *exec.Cmd {
	p := newDMA(d)
	if !p.there() {
		return nil
	}
	p.configure(s.port, s.security)
	return exec.Command(p.program, append([]string{"-D", "-i", "-f", user}, to...)...)
}

func (p *dma) inject() *exec.Cmd {
	return exec.Command(p.program, "-bq", "-f", user, "bob@example.net")
}

// prepare is called before inject.
func (p *dma) prepare() { p.configure(9, "tls") }

// empty fills the queue, and returns how long dma takes to empty it: all
// messages at once, each on a connection of its own.
func (p *dma) empty(s *server, n int) time.Duration {
	discard(filepath.Join(p.folder, "var/spool/dma"), "*")
	p.configure(s.port, s.security)
	p.d.fill(n, 4, p.inject)
	return p.until(s, n, exec.Command(p.program, "-D", "-q"))
}
