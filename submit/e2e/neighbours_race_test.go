//go:build e2e && linux

package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestNeighbourSwaps holds that a user who puts another thing in the place of a folder
// while it is opened keeps nobody's mail.
func TestNeighbourSwaps(t *testing.T) {
	stdout, _ := inTown(t, `
/opt/sendoff --make-spool >/dev/null
echo 'daemon10:x:60010:60010::/nonexistent:/bin/false' >>/etc/passwd
echo 'daemon10:x:60010:' >>/etc/group
as mallory /opt/town/swap /var/spool/sendoff/60010 & swapper=$!
sleep 0.1
for i in $(seq 150); do
	printf 'Subject: x\n\ntext\n' | timeout -s KILL 5 setpriv --reuid 60010 --regid 60010 --clear-groups /opt/sendmail -odq -f d@example.org bob@example.net
	echo queued $?
	for old in /var/spool/sendoff/60010.*; do test -d "$old" && mv $old /var/spool/old-$i; done # or the second name serves from now on
done
kill $swapper
`)
	if n := strings.Count(stdout, "queued 0\n"); n != 150 {
		t.Errorf("%d of 150 mails were queued:\n%s", n, clip(strings.ReplaceAll(stdout, "queued 0\n", "")))
	}
}

// TestNeighbourHangs holds that root waits for no process that cannot be killed, as
// a file system of mallory's has its question.
func TestNeighbourHangs(t *testing.T) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("no FUSE here")
	}
	stdout, stderr := inTown(t, `
mkdir -p /run/systemd/system /etc/systemd/system /opt/bin
printf '#!/bin/sh\necho systemctl "$@" >>/tmp/systemctl\n' >/opt/bin/systemctl; chmod 755 /opt/bin/systemctl
PATH=/opt/bin:$PATH
/opt/sendoff --make-spool >/dev/null
for user in mallory victim; do account $user 'echo x'; mail $user; done
/opt/town/hang /var/spool/sendoff/60001/*.env >/tmp/mounted & hanger=$!
until_ grep -q mounted /tmp/mounted
timeout -s KILL 60 /opt/sendoff -bp; echo list $?
timeout -s KILL 60 /opt/sendoff --queue-run=5m; echo run $?
cat /tmp/systemctl
kill $hanger
`)
	has(t, stdout, "list 75", `\(user victim\)`, "run 0", `systemctl start --no-block sendoff-queue@60002\.service`)
	has(t, stderr, "sendoff: queue of user mallory: killed, but it does not end.*")
}

// TestNeighbourNoKeyring holds what root can do where there is no new session keyring
// to be had, as in many containers: its own queue is served, nobody's process is
// started, and it is said once, by the timer, too, which then speaks for root alone.
func TestNeighbourNoKeyring(t *testing.T) {
	stdout, stderr := inTown(t, `
/opt/sendoff --make-spool >/dev/null; rm -f /var/spool/sendoff/.timer
printf 'log = "off"\nrunner = "off"\nretry = ["1s", "1s"]\n[accounts.work]\nserver = "pipe:touch /opt/root"\nfrom = "r@example.org"\n' >/etc/sendoff/config.toml
printf 'Subject: x\n\ntext\n' | /opt/sendoff -odq bob@example.net
account victim 'touch /home/victim/tried'; mail victim; due
for mode in -bp -bP --queue-json --queue-run=5m; do /opt/town/no-keys /opt/sendoff $mode; echo "done: $mode $?"; done
until_ test -e /opt/root; rm /opt/root
/opt/town/no-keys /opt/sendoff -q; echo "done: -q $?"
test -e /opt/root && echo root has tried
test -e /home/victim/tried && echo victim has tried
echo as victim: $(as victim /opt/sendoff --doctor 2>/dev/null | grep runner)
`)
	for _, mode := range []string{"-bp", "-bP", "--queue-json", "--queue-run=5m", "-q"} {
		has(t, stdout, "done: "+mode+" 75")
	}
	has(t, stdout, `-- 1 Kbytes in 1 Request\.`, "1", `\{"queue_id".*"user":"root".*`, "root has tried", "as victim: note .*")
	lacks(t, stdout, "victim has tried", "never: .*")
	has(t, stderr, `sendoff: the queues of other users are skipped: .*keyctl: operation not permitted`, `sendoff: hint: allow keyctl in the .*`)
	if n := strings.Count(stderr, "\n"); n != 10 {
		t.Errorf("%d lines on stderr:\n%s", n, clip(stderr))
	}
}

// TestNeighbourFloods holds that a list that takes too much memory ends in a line, and
// not in all that Go says then.
func TestNeighbourFloods(t *testing.T) {
	stdout, stderr := inTown(t, `
/opt/sendoff --make-spool >/dev/null
as mallory sh -c 'cd /var/spool/sendoff/60001; echo x >1000000000000000.eml; { echo size 1; yes "to <a@b>" | head -n 3000000; echo end; } >1000000000000000.env'
/opt/sendoff -bp; echo list $?
`)
	has(t, stdout, "list 75")
	lacks(t, stdout, "goroutine .*", ".*runtime/.*")
	has(t, stderr, "sendoff: queue of user mallory: .*memory.*")
}
