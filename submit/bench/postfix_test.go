//go:build bench && linux

package bench

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A postfix is Debian's package with a configuration and a queue of its own in
// $SENDOFF_PEERS, whose folders its users may enter.
type postfix struct {
	d      *desk
	folder string
}

func newPostfix(d *desk) *postfix {
	return &postfix{d, filepath.Join(os.Getenv("SENDOFF_PEERS"), "postfix")}
}

func (p *postfix) there() bool {
	_, err := exec.LookPath("postdrop")
	return os.Getenv("SENDOFF_PEERS") != "" && err == nil && os.Geteuid() == 0
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = client.example
mydestination =
inet_interfaces = loopback-only
disable_dns_lookups = yes
relayhost = [127.0.0.1]:%[2]d
defer_transports = %[3]s
smtp_tls_security_level = encrypt
smtp_tls_wrappermode = yes
smtp_sasl_auth_enable = yes
smtp_sasl_security_options = noanonymous
smtp_sasl_password_maps = inline:{ {[127.0.0.1]:%[2]d = %[4]s:%[5]s} }
`

const postfixMaster = `postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
`

// configure has Postfix send to a port, or hold what it would send.
func (p *postfix) configure(port int, hold string) {
	for _, dir := range []string{"", "conf", "queue", "data"} {
		os.MkdirAll(filepath.Join(p.folder, dir), 0o755)
	}
	text := fmt.Sprintf(postfixMain, p.folder, port, hold, user, strings.ReplaceAll(password, " ", "-"))
	for name, text := range map[string]string{"main.cf": text, "master.cf": postfixMaster} {
		if err := os.WriteFile(filepath.Join(p.folder, "conf", name), []byte(text), 0o644); err != nil {
			p.d.t.Fatal(err)
		}
	}
}

// do runs one of Postfix's commands.
func (p *postfix) do(words ...string) {
	words = append([]string{words[0], "-c", p.folder + "/conf"}, words[1:]...)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		p.d.t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// prepare makes the queue.
func (p *postfix) prepare() {
	p.configure(9, "smtp")
	exec.Command("chown", "postfix", p.folder+"/data").Run()
	p.do("postfix", "check")
}

// inject queues one message, which is in maildrop then: no daemon runs.
func (p *postfix) inject() *exec.Cmd {
	return exec.Command("/usr/sbin/sendmail", "-C", p.folder+"/conf", "-f", user, "bob@example.net")
}

// count returns how many messages are in one of the queues.
func (p *postfix) count(queue string) int {
	n := 0
	filepath.WalkDir(filepath.Join(p.folder, "queue", queue), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return nil
	})
	return n
}

// empty fills the queue, with what Postfix knows to be deferred, and returns
// how long it takes to empty it when it is told to.
func (p *postfix) empty(s *server, n int) time.Duration {
	p.prepare()
	for _, queue := range []string{"maildrop", "incoming", "active", "deferred"} {
		filepath.WalkDir(filepath.Join(p.folder, "queue", queue), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				os.Remove(path)
			}
			return nil
		})
	}
	p.configure(s.port, "smtp")
	p.do("postfix", "start")
	defer p.do("postfix", "stop")
	p.d.fill(n, 4, p.inject)
	for deadline := time.Now().Add(time.Minute); p.count("deferred") < n && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	p.configure(s.port, "")
	p.do("postfix", "reload")
	begin := time.Now()
	p.do("postqueue", "-f")
	s.wait(n)
	return time.Since(begin)
}
