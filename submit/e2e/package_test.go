//go:build e2e && linux

package e2e

import (
	"os"
	"testing"
)

// TestPackageLife holds what users of Debian rely on: the packages install; with one command
// more the mail of cron, PHP and everybody leaves; they upgrade and downgrade with mail in
// the queue and a runner at work, make way for another MTA and come back, and leave queued
// mail alone when they are purged. $SENDOFF_PACKAGES has the folders 1 and 2, with the
// packages of these revisions (.ci/package), and exim, with Debian's exim4-daemon-light and
// what it needs.
func TestPackageLife(t *testing.T) {
	packages := os.Getenv("SENDOFF_PACKAGES")
	if packages == "" && os.Getenv("CI") == "" {
		t.Skip("no $SENDOFF_PACKAGES")
	}
	out := onMachine(t, `
cp -r $3/1 $3/2 $3/exim $root/srv
arch=$(dpkg --print-architecture)
boot
apt() {
	in_ env DEBIAN_FRONTEND=noninteractive apt-get -q -y --allow-downgrades -o APT::Install-Recommends=no -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root "$@" >/mnt/log 2>&1 ||
		{ echo "FAILED: apt $*"; cat /mnt/log; exit 1; }
	grep '^sendoff: ' /mnt/log
}
install() { local files=($root/srv/$1/sendoff_*_$arch.deb $root/srv/$1/sendoff-mta_*.deb); apt install ${files[@]#$root}; }
# state WHEN: which packages are installed then
state() { echo "$1:" $(in_ dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' 'sendoff*' exim4-daemon-light 2>/dev/null | awk '$3 == "installed" { print $1, $2 }') "sendmail is $(in_ readlink -f /usr/sbin/sendmail)"; }
# outlives USER SUBJECT: in no unit, so that the runner goes on
outlives() { in_ setpriv --reuid=$1 --regid=$1 --init-groups env HOME=/srv/home/$1 sh -c "printf 'Subject: $2\n\ntext\n' | sendmail bob@example.net"; }
configure() {
	printf 'retry = ["2s", "5s"]\n[accounts.work]\nserver = "smtps://smtp.example.org"\nuser = "ann@example.org"\nsecret = "file:/etc/sendoff/secret"\ntls-ca = "/srv/provider/ca.pem"\n' >$root/etc/sendoff/config.toml
	(umask 027; printf secret >$root/etc/sendoff/secret); chgrp 4242 $root/etc/sendoff/secret
}
chroot $root groupadd -g 4242 senders
for user in ann bob carol; do chroot $root usermod -G senders $user; done

install 1
state installed
echo "mailq is $(in_ readlink -f /usr/bin/mailq)"
echo "timer: $(in_ systemctl is-enabled sendoff-queue.timer) $(in_ systemctl is-active sendoff-queue.timer)"
echo "units in /etc: $(ls $root/etc/systemd/system | grep -c '^sendoff')"
echo "spool: $(stat -c '%a %U' $root/var/spool/sendoff), user: $(in_ id -un sendoff)"
in_ man -w sendmail mailq newaliases
# One command more, and everybody's mail leaves.
cat $root/srv/provider/ca.pem >>$root/etc/ssl/certs/ca-certificates.crt
machine_() { echo secret | in_ sendoff --setup ann@example.org --server smtps://smtp.example.org --for machine --password-file - 2>&1; }
machine_
for user in ann bob carol; do echo "@reboot echo cron of $user" | in_ crontab -u $user -; done
in_ sh -c 'rm -f /run/crond.reboot; systemctl restart cron'
for user in ann bob carol; do
	as $user php -r "mail('bob@example.net', 'php of $user', 'text');"
	came "php of $user"
	came "Cron <$user@.*> echo cron of $user"
done
in_ sendoff --remove --for machine
configure

# Without a timer sendmail starts a runner.
in_ systemctl -q disable --now sendoff-queue.timer; rm $root/var/spool/sendoff/.timer
in_ systemctl stop provider
outlives ann upgraded
echo "runners before the upgrade: $(in_ pgrep -c -u ann sendoff)"
install 2
state upgraded
echo "runners after the upgrade: $(in_ pgrep -c -u ann sendoff)"
in_ systemctl start provider
came upgraded
in_ systemctl stop provider
outlives bob downgraded
echo "runners before the downgrade: $(in_ pgrep -c -u bob sendoff)"
install 1
state downgraded
in_ systemctl start provider
came downgraded
echo "disabled by hand: $(in_ systemctl is-enabled sendoff-queue.timer)"

files=($root/srv/exim/*.deb); apt install ${files[@]#$root}
state 'exim in'
install 1
state 'exim out'

in_ systemctl stop provider
outlives carol purged
in_ pkill -u carol sendoff
apt purge sendoff sendoff-mta
state purged
echo "left with mail: $(cd $root && ls -d etc/sendoff usr/sbin/sendmail usr/bin/mailq usr/bin/sendoff etc/systemd/system/*.wants/sendoff* var/lib/systemd/deb-systemd-helper-enabled/sendoff* 2>/dev/null)"
echo "queued: $(ls $root/var/spool/sendoff/*/*.eml | wc -l)"
install 1
in_ systemctl start provider
configure
run_queue() { in_ systemctl start sendoff-queue.service; has_come purged; }
until_ run_queue
came purged
rm $root/etc/sendoff/*
machine_ >/dev/null
mkdir -p $root/etc/systemd/system/sendoff.service.d && touch $_/password.conf # as where systemd cannot encrypt
apt purge sendoff sendoff-mta
echo "left without: $(cd $root && ls -d var/spool/sendoff var/lib/sendoff etc/sendoff etc/systemd/system/sendoff* etc/systemd/system/*.wants/sendoff* run/sendoff 2>/dev/null)"
`, packages)
	has(t, out, "installed: "+revision("1"), "mailq is /usr/bin/sendoff", "timer: enabled active", "units in /etc: 0", "spool: 1777 root, user: sendoff",
		"All users of this machine now send as ann@example.org, .*",
		"runners before the upgrade: 1", "upgraded: "+revision("2"), "runners after the upgrade: 1", "came: upgraded, 1",
		"runners before the downgrade: 1", "downgraded: "+revision("1"), "came: downgraded, 1", "disabled by hand: disabled",
		`exim in: exim4-daemon-light \S+ sendoff \S+ sendmail is /usr/sbin/exim4`, "exim out: "+revision("1"),
		"sendoff: /var/spool/sendoff stays: it has queued mail", "purged: sendmail is.*", "left with mail: ", "queued: 1", "came: purged, 1", "left without: ")
	for _, user := range []string{"ann", "bob", "carol"} {
		has(t, out, "came: php of "+user+", 1", "came: Cron <"+user+"@.*> echo cron of "+user+", 1")
	}
	lacks(t, out, "never: .*", "units in /etc: [^0].*")
}

// TestPackageMachine holds that with the packages one command lets all users send, that an
// upgrade keeps the service, and that only what the command has made is removed.
func TestPackageMachine(t *testing.T) {
	packages := os.Getenv("SENDOFF_PACKAGES")
	if packages == "" && os.Getenv("CI") == "" {
		t.Skip("no $SENDOFF_PACKAGES")
	}
	out := onMachine(t, `
cp -r $3/1 $3/2 $root/srv
arch=$(dpkg --print-architecture)
boot
cat $root/srv/provider/ca.pem >>$root/etc/ssl/certs/ca-certificates.crt
install() { local files=($root/srv/$1/sendoff_*_$arch.deb $root/srv/$1/sendoff-mta_*.deb); in_ env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Install-Recommends=no -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root install ${files[@]#$root} >/mnt/log 2>&1 || cat /mnt/log; }
enabled() { echo $1 $(in_ systemctl is-enabled sendoff.socket sendoff.service sendoff-queue.timer); }
install 1
enabled installed:
echo secret | in_ sendoff --setup ann@example.org --server smtps://smtp.example.org --for machine --password-file - 2>&1
enabled "set up:"
echo "units in /etc: $(ls -p $root/etc/systemd/system | grep '^sendoff')"
for user in ann bob carol; do send $user by-$user; came by-$user; done
in_ systemctl stop provider
send bob upgraded
install 2
enabled upgraded:
in_ systemctl start provider
in_ sendoff -q; came upgraded
in_ sendoff --remove --for machine
enabled removed:
echo "left: $(in_ id -un sendoff) $(cd $root; ls etc/sendoff usr/lib/systemd/system | grep '^sendoff\.' | tr '\n' ' ')"
`, packages)
	has(t, out, "installed: disabled disabled enabled", "set up: enabled enabled enabled", "units in /etc: ",
		"came: by-ann, 1", "came: by-bob, 1", "came: by-carol, 1", "upgraded: enabled enabled enabled", "came: upgraded, 1",
		"the user sendoff stays, because it belongs to the package", "removed: disabled disabled enabled", "left: sendoff sendoff.service sendoff.socket ")
	lacks(t, out, "never: .*")
}

// revision is what the state of the machine is with these packages.
func revision(n string) string {
	return `sendoff \S+-` + n + ` sendoff-mta \S+-` + n + " sendmail is /usr/bin/sendoff"
}
