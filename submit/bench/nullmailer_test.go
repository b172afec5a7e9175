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

// A nullmailer is Debian's package, unpacked in $SENDOFF_PEERS, because it
// cannot be installed beside another MTA. Its paths are fixed, so it runs in a
// mount namespace with folders of its own in their place.
type nullmailer struct {
	d      *desk
	folder string
}

// mailUID is Debian's user mail, who owns nullmailer's queue.
const mailUID = 8

func newNullmailer(d *desk) *nullmailer {
	return &nullmailer{d, os.Getenv("SENDOFF_PEERS")}
}

func (p *nullmailer) there() bool {
	_, err := os.Stat(filepath.Join(p.folder, "usr/sbin/nullmailer-queue"))
	return p.folder != "" && err == nil && os.Geteuid() == 0
}

// in runs words where nullmailer has its folders. The peer's own start is what
// is measured, so the namespace is entered by one exec.
func (p *nullmailer) in(script string) *exec.Cmd {
	state := filepath.Join(p.d.dir, "nullmailer")
	for _, folder := range []string{"spool/queue", "spool/tmp", "spool/failed", "etc"} {
		os.MkdirAll(filepath.Join(state, folder), 0o755)
		os.Chown(filepath.Join(state, folder), mailUID, mailUID)
	}
	exec.Command("mkfifo", filepath.Join(state, "spool/trigger")).Run()
	os.Chown(filepath.Join(state, "spool/trigger"), mailUID, mailUID)
	mounts := fmt.Sprintf("mkdir -p /etc/nullmailer /var/spool/nullmailer /usr/lib/nullmailer && mount --bind %[1]s/etc /etc/nullmailer && mount --bind %[1]s/spool /var/spool/nullmailer && mount --bind %[2]s/usr/lib/nullmailer /usr/lib/nullmailer && ", state, p.folder)
	return exec.Command("unshare", "-m", "sh", "-c", mounts+script)
}

// inject queues one message. Where it is timed, the namespace is a part of
// it, some milliseconds.
func (p *nullmailer) inject() *exec.Cmd {
	return p.in("{ printf 'ann@example.org\\nbob@example.net\\n\\n'; cat; } | " + p.folder + "/usr/sbin/nullmailer-queue")
}

// empty fills the queue, and returns how long nullmailer-send takes to empty
// it.
func (p *nullmailer) empty(s *server, n int) time.Duration {
	state := filepath.Join(p.d.dir, "nullmailer")
	p.in("true").Run()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(state, "etc", name), []byte(text), 0o644); err != nil {
			p.d.t.Fatal(err)
		}
	}
	write("remotes", fmt.Sprintf("localhost smtp --port=%d --ssl --insecure --user=%s --pass=%s\n", s.port, user, strings.ReplaceAll(password, " ", "-")))
	write("me", "client.example\n")
	old, _ := filepath.Glob(filepath.Join(state, "spool/queue/*"))
	for _, file := range old {
		os.Remove(file)
	}
	p.d.fill(n, 4, p.inject)
	cmd := p.in("exec setpriv --reuid 8 --regid 8 --clear-groups " + p.folder + "/usr/sbin/nullmailer-send")
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		p.d.t.Fatal(err)
	}
	for int(s.taken.Load()) < n && time.Since(begin) < 40*time.Second {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(begin)
	cmd.Process.Kill()
	cmd.Wait()
	return took
}
