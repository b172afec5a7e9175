//go:build bench && linux

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

type nullmailer struct {
	unpacked
	d *desk
}

func newNullmailer(d *desk) *nullmailer {
	return &nullmailer{unpack(d, "/etc/nullmailer", "nullmailer-queue"), d}
}

// mailUID is Debian's user mail, who owns nullmailer's queue.
const mailUID = 8

// prepare makes the queue.
func (p *nullmailer) prepare() {
	spool := filepath.Join(p.folder, "var/spool/nullmailer")
	for _, name := range []string{"", "queue", "tmp", "failed"} {
		os.MkdirAll(filepath.Join(spool, name), 0o755)
		os.Chown(filepath.Join(spool, name), mailUID, mailUID)
	}
	trigger := filepath.Join(spool, "trigger")
	exec.Command("mkfifo", trigger).Run()
	os.Chown(trigger, mailUID, mailUID)
}

// inject queues one message, whose envelope stands before it.
func (p *nullmailer) inject() *exec.Cmd {
	return exec.Command("sh", "-c", "{ printf 'ann@example.org\\nbob@example.net\\n\\n'; cat; } | "+p.program)
}

// empty fills the queue, and returns how long nullmailer-send takes to empty
// it.
func (p *nullmailer) empty(s *server, n int) time.Duration {
	p.prepare()
	p.write("remotes", fmt.Sprintf("localhost smtp --port=%d --ssl --user=%s --pass=%s\n", s.port, user, strings.ReplaceAll(password, " ", "-")))
	p.write("me", "client.example\n")
	discard(filepath.Join(p.folder, "var/spool/nullmailer/queue"), "*")
	p.d.fill(n, 4, p.inject)
	return p.until(s, n, exec.Command("setpriv", "--reuid", "8", "--regid", "8", "--clear-groups", filepath.Join(p.folder, "usr/sbin/nullmailer-send")))
}
