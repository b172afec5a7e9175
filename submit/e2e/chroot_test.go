//go:build e2e && linux

package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// bareRoot is a machine that has nothing but sendoff: no /proc, no passwd, no resolv.conf.
const bareRoot = `set -eu
mkdir -p "$2/usr/sbin" "$2/dev" "$2/var/spool/sendoff"
cp "$1/sendoff" "$2/usr/sbin"
ln "$2/usr/sbin/sendoff" "$2/usr/sbin/sendmail"
chmod 1777 "$2/var/spool/sendoff"
mknod -m 666 "$2/dev/null" c 1 3
export SENDOFF_SERVER=smtp+plain://127.0.0.1:9 SENDOFF_FROM=ann@example.org
in="chroot --userspec=12345:12345 $2"
echo text | $in /usr/sbin/sendmail bob@example.net
$in /usr/sbin/sendoff --doctor || true
for _ in $(seq 100); do
	pid=$(pgrep -u 12345 -f "^sendoff --queue-runner") && break
	sleep 0.1
done
echo runner $(tr '\0' ' ' <"/proc/$pid/cmdline")
$in /usr/sbin/sendoff -bP # starts no other one
kill "$pid"
`

// TestBareRoot holds that a program without /proc starts what runs its queue.
func TestBareRoot(t *testing.T) {
	needRoot(t)
	cmd := exec.Command("timeout", "60", "sh", "-c", bareRoot, "sh", lab.dir, folder(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.String())
	}
	for _, line := range []string{"ok    sendmail  /usr/sbin/sendmail is sendoff\n", "runner sendoff --queue-runner /var/spool/sendoff/12345\n", "\n1\n"} {
		if !strings.Contains(string(out), line) {
			t.Errorf("no line %q in\n%s%s", line, out, stderr.String())
		}
	}
	if text := stderr.String(); text != "sendoff: 1 check failed\n" {
		t.Error(text)
	}
}
