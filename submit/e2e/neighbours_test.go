//go:build e2e && linux

package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// These tests have a hostile user on the machine of a root who looks at all queues
// and runs them.

// TestNeighbourKeyring holds that nothing that a user's configuration runs finds a key
// of root's.
func TestNeighbourKeyring(t *testing.T) {
	stdout, _ := inTown(t, `
/opt/sendoff --make-spool
account mallory '/opt/town/read-key /home/mallory/found'
mail mallory
/opt/town/with-key /opt/town/read-key /tmp/root; cat /tmp/root
/opt/town/with-key /opt/sendoff -q
cat /home/mallory/found
rm /home/mallory/found
due
/opt/town/with-key /opt/sendoff --queue-run
until_ test -e /home/mallory/found
sleep 0.1
cat /home/mallory/found
`)
	has(t, stdout, "the key hunter2") // so the test can find one
	if n := strings.Count(stdout, "no key\n"); n != 2 {
		t.Errorf("mallory has found:\n%s", stdout)
	}
}

// TestNeighbourStops holds that a user who stops the process that root has started
// does not stop root, nor the mail of others.
func TestNeighbourStops(t *testing.T) {
	for _, first := range []string{"init", "sleep"} { // where processes outlive who has started them, and where not
		t.Run(first, func(t *testing.T) { stops(t, first) })
	}
}

func stops(t *testing.T, first string) {
	stdout, stderr := inTownOf(t, first, `
/opt/sendoff --make-spool
account mallory "sh -c 'echo \$PPID >>/home/mallory/stopped; kill -STOP \$PPID; exec sleep 5'"
account victim 'touch /home/victim/tried'
mail mallory; mail victim
timeout 30 /opt/sendoff -q; echo -q $?
until_ test -e /home/victim/tried
rm -f /home/victim/tried
until_ sh -c '! kill -0 $(tail -n 1 /home/mallory/stopped) 2>/dev/null'
due
begin=$(date +%s)
timeout 30 /opt/sendoff --queue-run=5m; echo --queue-run $?
echo after $(($(date +%s) - begin)) s
until_ test -e /home/victim/tried
echo as victim: $(as victim /opt/sendoff --doctor | grep runner)
as eve /opt/sendoff --queue-run; echo as eve: $(as eve /opt/sendoff --doctor | grep runner)
`)
	has(t, stdout, "-q 75", "--queue-run 0", "after [0-3] s", "as victim: ok runner a timer runs the queue", "as eve: ok runner a timer runs the queue")
	lacks(t, stdout, "never: .*")
	has(t, stderr, "sendoff: queue of user mallory: killed")
}

// TestNeighbourWaits holds that the timer waits neither for root's own mail, nor for
// users whose servers are slow, and that a mail can be all that it takes.
func TestNeighbourWaits(t *testing.T) {
	stdout, _ := inTown(t, `
/opt/sendoff --make-spool
printf 'log = "off"\nretry = ["1s", "1s"]\n[accounts.work]\nserver = "pipe:sh -c %stouch /opt/root; exec sleep 15%s"\nfrom = "r@example.org"\n' "'" "'" >/etc/sendoff/config.toml
printf 'Subject: x\n\ntext\n' | SENDOFF_RUNNER=off /opt/sendoff -odq bob@example.net
account mallory "sh -c 'touch /home/mallory/tried; exec sleep 15'"
account victim 'touch /home/victim/tried'
mail mallory; mail victim; due
begin=$(date +%s)
/opt/sendoff --queue-run=5m; echo --queue-run $?
echo after $(($(date +%s) - begin)) s
until_ test -e /home/victim/tried; until_ test -e /home/mallory/tried; until_ test -e /opt/root
echo all after $(($(date +%s) - begin)) s
`)
	has(t, stdout, "--queue-run 0", "after [0-3] s", "all after ([0-9]|1[0-4]) s")
	lacks(t, stdout, "never: .*")
}

// TestNeighbourMark holds that a user cannot speak for root's timer, and root not
// for a time to come.
func TestNeighbourMark(t *testing.T) {
	stdout, _ := inTown(t, `
mkdir -m 1777 /var/spool/sendoff; chmod 1777 /var/spool/sendoff
account victim 'echo x'; mail victim
timer() { echo $1: $(as victim /opt/sendoff --doctor | grep runner); }
now=$(date +%s)
timer none
as mallory sh -c "echo $now 300 end >/var/spool/sendoff/.timer"
timer mallory
/opt/sendoff --queue-run=5m
timer root
stat -c '%u %a' /var/spool/sendoff/.timer
echo $((now + 500)) 300 end >/var/spool/sendoff/.timer
timer future
echo $((now - 5000)) 300 end >/var/spool/sendoff/.timer
timer past
rm /var/spool/sendoff/.timer
as mallory mkdir /var/spool/sendoff/.timer
/opt/sendoff --queue-run=5m
timer again
rm /var/spool/sendoff/.timer
as victim /opt/sendoff --queue-run
timer once
as victim /opt/sendoff --queue-run=1h
timer own
`)
	has(t, stdout, "root: ok .*", "0 644", "again: ok .*", "own: ok .*", "none: note .*", "mallory: note .*", "future: note .*", "past: note .*", "once: note .*")
}

// TestNeighbourList holds that a list reads nothing of a user's but the queue.
func TestNeighbourList(t *testing.T) {
	stdout, stderr := inTown(t, `
mount -t tmpfs -o mode=755,strictatime tmpfs /home
for user in mallory victim; do mkdir /home/$user; chown $user: /home/$user; done
/opt/sendoff --make-spool
account mallory 'touch /home/mallory/ran'
mail mallory
read_() { stat -c "$1 %X" /home/mallory/.config/sendoff/config.toml /home/mallory/.config/sendoff | sed "s/ $(($(date -d 2001-01-01 +%s)))$/ not read/"; }
forget() { as mallory touch -a -d 2001-01-01 /home/mallory/.config/sendoff /home/mallory/.config/sendoff/config.toml; }
forget; /opt/sendoff -bp; read_ list
/opt/sendoff -bp -v >/dev/null; read_ failed
/opt/sendoff --queue-json; read_ json
/opt/sendoff -bP; read_ count
id=$(/opt/sendoff --queue-json | sed -n '1s/.*queue_id":"\([^"]*\).*/\1/p')
/opt/sendoff --queue-show $id; read_ show
/opt/sendoff -q; read_ run
test -e /home/mallory/ran && echo ran
forget; /opt/sendoff --queue-delete $id; read_ delete
`)
	for _, task := range []string{"list", "failed", "json", "count", "show", "delete"} {
		has(t, stdout, task+" not read\n"+task+" not read")
	}
	has(t, stdout, `\(user mallory\)`, `run \d+`, "ran", "deleted: 1", `\{"queue_id":.*,"user":"mallory","uid":60001,.*`)
	lacks(t, stderr, ".+")
}

// TestNeighbourMemory holds that root's list has a bound, whatever users have in
// their queues.
func TestNeighbourMemory(t *testing.T) {
	stdout, _ := inTown(t, `
/opt/sendoff --make-spool
mkdir -m 700 /var/spool/sendoff/77777; chown 77777 /var/spool/sendoff/77777
for uid in 60001 60002 60003 1 2 3 4 5 77777; do
	setpriv --reuid $uid --regid 65534 --clear-groups /opt/town/big-queue /var/spool/sendoff/$uid
done
/opt/town/peak /opt/sendoff -bp; echo list $?
/opt/town/peak /opt/sendoff --queue-json; echo json $?
`)
	found := regexp.MustCompile(`peak (\d+) MB, (\d+) KB`).FindAllStringSubmatch(stdout, -1)
	if len(found) != 2 {
		t.Fatal(stdout)
	}
	for _, f := range found {
		peak, _ := strconv.Atoi(f[1])
		size, _ := strconv.Atoi(f[2])
		if peak > 400 || size > 70<<10 {
			t.Errorf("%s\n%s", f[0], stdout)
		}
	}
}

// TestNeighbourNames holds that what somebody puts into the folder of all costs root a
// line.
func TestNeighbourNames(t *testing.T) {
	stdout, stderr := inTown(t, `
/opt/sendoff --make-spool
as mallory sh -c 'cd /var/spool/sendoff; for i in $(seq 3000); do : >x$i; done; mkfifo 60007; ln -s /etc 60008'
timeout 20 /opt/sendoff --queue-run=5m; echo $?
timeout 20 /opt/sendoff -bP; echo $?
`)
	has(t, stdout, "0")
	if strings.Count(stderr, "\n") != 1 {
		t.Errorf("on stderr:\n%s", clip(stderr))
	}
	has(t, stderr, `sendoff: in /var/spool/sendoff, skipped because they are not folders of the users they name: "60007" "60008" "x1" and 2999 more`)
}

// TestNeighbourGroup holds that a uid without a passwd entry has nobody's group,
// whatever the folder's is.
func TestNeighbourGroup(t *testing.T) {
	stdout, _ := inTown(t, `
mkdir -m 1777 /var/spool/sendoff; chmod 1777 /var/spool/sendoff
mkdir -m 777 /tmp/out; chmod 777 /tmp/out
printf 'log = "off"\nrunner = "off"\n[accounts.work]\nserver = "pipe:sh -c %sid >/tmp/out/id%s"\nfrom = "a@example.org"\n' "'" "'" >/etc/sendoff/config.toml
printf 'Subject: x\n\ntext\n' | setpriv --reuid 65000 --regid 65000 --clear-groups /opt/sendoff -odq bob@example.net
chgrp 42 /var/spool/sendoff/65000
/opt/sendoff -q
cat /tmp/out/id
`)
	has(t, stdout, `uid=65000 gid=65534(\(nogroup\))? groups=65534(\(nogroup\))?`)
}

// TestNeighbourTakes holds that the name of a folder that somebody has taken is no
// loss for the one it belongs to.
func TestNeighbourTakes(t *testing.T) {
	stdout, stderr := inTown(t, `
/opt/sendoff --make-spool >/dev/null
as mallory mkdir /var/spool/sendoff/60010
echo 'daemon10:x:60010:60010::/nonexistent:/bin/false' >>/etc/passwd
echo 'daemon10:x:60010:' >>/etc/group
for i in 1 2; do
	printf 'Subject: x\n\ntext\n' | setpriv --reuid 60010 --regid 60010 --clear-groups /opt/sendmail -odq -f d@example.org bob@example.net; echo queued $?
done
/opt/sendoff -bP
/opt/sendoff -bp
as mallory touch /var/spool/sendoff/60011
echo 'daemon11:x:60011:60011::/nonexistent:/bin/false' >>/etc/passwd
/opt/sendoff --make-spool
/opt/sendoff -bP
stat -c '%n %U %a' /var/spool/sendoff/6001*
setpriv --reuid 60010 --regid 60010 --clear-groups /opt/sendmail -bp | tail -n 1
`)
	has(t, stdout, "queued 0", "2", `\(user daemon10\)`, `-- 1 Kbytes in 2 Requests\.`,
		`moved aside, because it does not belong to the user: /var/spool/sendoff/60010 to /var/spool/sendoff/moved-60010-.*`,
		`moved aside, because it does not belong to the user: /var/spool/sendoff/60011 to /var/spool/sendoff/moved-60011-.*`,
		`/var/spool/sendoff/60010\.\d+ daemon10 700`, `/var/spool/sendoff/60011 daemon11 700`)
	lacks(t, stderr, ".*belongs to.*")
}

// TestNeighbourExpired holds that an account that has expired sends nothing, and that
// root is told; a password that is locked is another matter.
func TestNeighbourExpired(t *testing.T) {
	stdout, stderr := inTown(t, `
printf 'log = "/tmp/log"\nrunner = "off"\n' >/etc/sendoff/config.toml
/opt/sendoff --make-spool >/dev/null
for user in eve victim; do account $user "touch /home/$user/tried"; mail $user; done
sed -i 's/^eve:.*/eve:!:20000:0:99999:7::20001:/' /etc/shadow
/opt/sendoff -q
test -e /home/victim/tried && echo victim has tried; rm -f /home/victim/tried
due
/opt/sendoff --queue-run=5m
until_ test -e /home/victim/tried
test -e /home/eve/tried && echo eve has tried
echo first: $(/opt/sendmail -bp | sed -n 1p)
/opt/sendoff --doctor
cat /tmp/log
sed -i 's/^eve:.*/eve:!:20000:0:99999:7::90000:/' /etc/shadow
/opt/sendoff -q
test -e /home/eve/tried && echo in time
`)
	const words = `the account of user eve has expired, so 1 message will stay in the queue; to renew it: sudo chage -E -1 eve`
	has(t, stdout, `victim has tried`, `first: \(`+words+`\)`, `note  waiting   `+words, `.*queue: error="`+words+`"`, `in time`)
	has(t, stderr, `sendoff: `+words)
	lacks(t, stdout, "eve has tried", "never: .*")
}

// TestNeighbourUnits holds that the timer starts a unit for each user with mail, where
// there is systemd.
func TestNeighbourUnits(t *testing.T) {
	stdout, _ := inTown(t, `
mkdir -p /run/systemd/system /etc/systemd/system; mkdir /opt/bin
printf '#!/bin/sh\necho systemctl "$@" >>/tmp/systemctl\n' >/opt/bin/systemctl; chmod 755 /opt/bin/systemctl
PATH=/opt/bin:$PATH
/opt/sendoff --make-spool
cat /etc/systemd/system/sendoff-queue*
for user in mallory victim eve; do account $user "touch /home/$user/tried"; done
mail victim; mail eve
sed -i 's/^eve:.*/eve:!:20000:0:99999:7::20001:/' /etc/shadow
echo for a unit: $(as mallory /opt/sendoff --doctor | grep runner)
mkdir -m 700 /var/spool/sendoff/77777; chown 77777 /var/spool/sendoff/77777
/opt/sendoff --queue-run=5m; echo run $?
test -e /home/victim/tried && echo victim was waited for
cat /tmp/systemctl
if command -v systemd-analyze >/dev/null; then
	systemd-analyze --man=no verify /etc/systemd/system/sendoff-queue@1.service /etc/systemd/system/sendoff-queue.timer 2>&1 | grep sendoff | sed 's/^/verify: /'
fi
rm /etc/systemd/system/sendoff-queue*; mkdir /home/eve/bin; cp /opt/sendoff /home/eve/bin; chown -R eve: /home/eve
/home/eve/bin/sendoff --make-spool; echo "from eve's home" $?
cp /opt/sendoff /tmp/sendoff; /tmp/sendoff --make-spool; echo "from /tmp" $?
ls /etc/systemd/system | grep sendoff
mkdir -p /opt/store/abc/bin; chgrp 30000 /opt/store; chmod 1775 /opt/store; cp /opt/sendoff /opt/store/abc/bin
/opt/store/abc/bin/sendoff --make-spool; echo "from a store" $?
`)
	has(t, stdout, `ExecStart=/opt/sendoff --queue-run=5m`, `User=%i`, `ExecStart=/opt/sendoff --queue-run`, `KeyringMode=private`, `RuntimeMaxSec=.*`, `MemoryMax=.*`, `TimeoutStopSec=90s`, `RandomizedDelaySec=.*`,
		`systemctl enable --now sendoff-queue\.timer`, `for a unit: ok runner a timer runs the queue`, `run 0`, `systemctl start --no-block sendoff-queue@60002\.service`,
		`from eve's home 64`, `from /tmp 64`, `from a store 0`)
	lacks(t, stdout, "victim was waited for", `systemctl start .*@(60001|60003|77777|1)\.service`, "verify: .*")
}

// TestNeighbourRights holds that a copy with rights of its own does nothing.
func TestNeighbourRights(t *testing.T) {
	stdout, stderr := inTown(t, `
account mallory 'touch /home/mallory/ran'
for how in "4755 root:root" "2755 root:victim" "4755 victim:root"; do
	set -- $how "$@"
	cp /opt/sendoff /opt/town/sendoff; chown $2 /opt/town/sendoff; chmod $1 /opt/town/sendoff; ln -sf sendoff /opt/town/sendmail
	echo text | as mallory /opt/town/sendoff bob@example.net; echo $1 $2 sendoff $?
	echo text | as mallory /opt/town/sendmail bob@example.net; echo $1 $2 sendmail $?
	as mallory /opt/town/sendoff --version; echo $1 $2 version $?
	shift 2
done
cp /opt/sendoff /opt/capable; /opt/town/setcap /opt/capable
echo text | as mallory SENDOFF_SECRET=file:/etc/shadow SENDOFF_SERVER=smtp+plain://127.0.0.1:9 /opt/capable bob@example.net; echo capable $?
test -e /home/mallory/ran && echo ran
setpriv --reuid mallory --regid mallory --init-groups --inh-caps +net_bind_service --ambient-caps +net_bind_service env -i SENDOFF_ACCOUNT=none /opt/sendoff -v -bP; echo ambient $?
ls /home/mallory /home/mallory/.local 2>/dev/null
`)
	for _, how := range []string{"4755 root:root", "2755 root:victim", "4755 victim:root"} {
		has(t, stdout, how+" sendoff 78", how+" sendmail 75", how+" version 78")
	}
	has(t, stdout, "capable 75", "ambient 0")
	lacks(t, stdout, "ran", "sendoff \\d.*")
	has(t, stderr, "(sendoff|sendmail|capable): refused: the program runs set-uid or set-gid.*")
	lacks(t, stderr, ".*no effect.*")
}

// TestNeighbourAccessList holds that a file that mallory can write by a list is not believed.
func TestNeighbourAccessList(t *testing.T) {
	stdout, stderr := inTown(t, `
account victim 'echo x'
/opt/town/acl /home/victim/.config/sendoff/config.toml
stat -c %a /home/victim/.config/sendoff/config.toml
as mallory sh -c 'echo >>/home/victim/.config/sendoff/config.toml' && echo written
as victim /opt/sendoff -bC; echo check $?
`)
	has(t, stdout, "660", "written", "check 78")
	has(t, stderr, ".*others can write it, by an access control list.*")
}

// TestNeighbourSecret holds that root's --login and --logout leave alone what mallory
// has chosen by a link.
func TestNeighbourSecret(t *testing.T) {
	stdout, stderr := inTown(t, `
echo one-line >/etc/one-line
as mallory mkdir /home/mallory/s
as mallory ln -s /etc/one-line /home/mallory/s/smtp.secret
printf 'log = "off"\n[accounts.work]\nserver = "smtp+plain://127.0.0.1:9"\nuser = "u"\nfrom = "a@example.org"\nsecret = "file:/home/mallory/s/smtp.secret"\n' >/etc/sendoff/config.toml
echo password | /opt/sendoff --login work; echo login $?
/opt/sendoff --logout work; echo logout $?
/opt/sendoff --doctor | grep secret
cat /etc/one-line
`)
	has(t, stdout, "login 7[78]", "logout 7[78]", "fail  secret .*it belongs to uid 60001.*", "one-line")
	has(t, stderr, ".*/home/mallory/s.*it belongs to uid 60001.*")
}
