//go:build bench && linux

package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// An exim is Debian's exim4-daemon-light, as root runs it. It tries to verify
// the server's certificate, and sends all the same.
type exim struct {
	unpacked
	d *desk
}

func newExim(d *desk) *exim { return &exim{unpack(d, "/etc/exim4", "exim4"), d} }

const eximConf = `exim_path = %[1]s
log_file_path = /var/log/exim4/%%slog
primary_hostname = client.example
keep_environment =
disable_ipv6
message_size_limit = 0
begin routers
smarthost:
  driver = manualroute
  transport = smarthost
  route_list = * localhost::%[2]d byname
  self = send
begin transports
smarthost:
  driver = smtp
%[3]sbegin retry
* * F,1d,15m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^%[4]s^%[5]s
`

// configure has Exim send to a server.
func (p *exim) configure(port int, security string) {
	secure := map[string]string{
		"plain":    "",
		"tls":      "  protocol = smtps\n  hosts_require_tls = *\n  hosts_require_auth = *\n",
		"starttls": "  hosts_require_tls = *\n  hosts_require_auth = *\n",
	}[security]
	p.write("exim4.conf", fmt.Sprintf(eximConf, p.program, port, secure, user, strings.ReplaceAll(password, " ", "-")))
}

// exim is Exim as a client: it queues the message, and sends it in the
// foreground.
func (d *desk) exim(s *server, to []string) *exec.Cmd {
	p := newExim(d)
	if !p.there() {
		return nil
	}
	p.configure(s.port, s.security)
	return exec.Command(p.program, append([]string{"-odf", "-oi", "-f", user}, to...)...)
}

func (p *exim) inject() *exec.Cmd {
	return exec.Command(p.program, "-odq", "-oi", "-f", user, "bob@example.net")
}

// prepare is called before inject.
func (p *exim) prepare() { p.configure(9, "tls") }

// empty fills the queue, and returns how long one run takes to empty it: one
// that routes all messages first (-qq), so that they share a connection.
func (p *exim) empty(s *server, n int) time.Duration {
	for _, folder := range []string{"input", "msglog", "db"} {
		discard(filepath.Join(p.folder, "var/spool/exim4", folder), "*")
	}
	p.configure(s.port, s.security)
	p.d.fill(n, 4, p.inject)
	return p.until(s, n, exec.Command(p.program, "-qq"))
}
