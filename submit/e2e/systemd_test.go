//go:build e2e && linux

package e2e

import (
	"testing"
)

// TestSystemdService holds that the service which --for machine makes sends for every user
// and service, through reboots and changed passwords.
func TestSystemdService(t *testing.T) {
	out := onMachine(t, `
cp $root/srv/bin/sendoff $root/usr/local/bin/sendoff
ln -sf /usr/local/bin/sendoff $root/usr/sbin/sendmail
boot
cat $root/srv/provider/ca.pem >>$root/etc/ssl/certs/ca-certificates.crt
echo secret | in_ sendoff --setup ann@example.org --server smtps://smtp.example.org --for machine --password-file - 2>&1
sed -i '1i retry = ["2s", "5s"]' $root/etc/sendoff/service.toml
echo "state: $(in_ systemctl is-active sendoff.socket)"
for user in ann bob root; do send $user by-$user; came by-$user; done
unit -p DynamicUser=yes -p NoNewPrivileges=yes -p ProtectSystem=strict -p PrivateTmp=yes -p ProtectHome=yes -p MemoryDenyWriteExecute=yes \
	-p SystemCallFilter=@system-service -p RestrictAddressFamilies=AF_UNIX -p PrivateNetwork=yes -p CapabilityBoundingSet= \
	sh -c 'printf "Subject: hardened\n\n" | sendmail bob@example.net'
came hardened

printf '[Service]\nExecStart=/bin/sh -c '"'"'printf "Subject: %%i failed\\n\\n" | sendmail bob@example.net'"'"'\n' >$root/etc/systemd/system/mail@.service
in_ systemctl daemon-reload
unit --unit=job -p OnFailure=mail@job.service false
came 'job failed'

in_ systemctl stop provider
send carol after-boot; echo "sent before the boot: $(mails after-boot)"
off
boot
echo "booted again"
came after-boot

printf changed >$root/srv/provider/password
send ann new-password; echo "exit code $?"
echo changed | in_ sendoff --setup ann@example.org --for machine --password-file - 2>&1
came new-password
in_ journalctl -q -o cat -u sendoff.service | grep -c "from=<"

# Without its credential, or with a bad configuration, the service takes mail in.
mv $root/etc/sendoff/smtp.cred $root/root/
in_ systemctl restart sendoff.service
send bob no-credential; echo "exit code without the credential $?, sent $(mails no-credential)"
in_ sendmail -bp
mv $root/root/smtp.cred $root/etc/sendoff/
in_ systemctl restart sendoff.service
came no-credential
cp $root/etc/sendoff/service.toml $root/root/
sed -i '1i bogus = 1' $root/etc/sendoff/service.toml
in_ systemctl restart sendoff.service
send bob bad-configuration; echo "exit code with the bad configuration $?, sent $(mails bad-configuration)"
cp $root/root/service.toml $root/etc/sendoff/
came bad-configuration
`)
	has(t, out, "state: active", "came: by-ann, 1", "came: by-bob, 1", "came: by-root, 1", "came: hardened, 1", "came: job failed, 1",
		"sent before the boot: 0", "booted again", "came: after-boot, 1", "exit code 0", "came: new-password, 1",
		"exit code without the credential 0, sent 0", `\(account example: systemd:smtp: the password is empty; .*\)`, "came: no-credential, 1",
		"exit code with the bad configuration 0, sent 0", "came: bad-configuration, 1")
	lacks(t, out, "never: .*")
}

// TestSystemdTimer holds that --make-spool sets up a timer that sends what users have
// queued, after a boot too, and that it leaves the units of a package alone.
func TestSystemdTimer(t *testing.T) {
	out := onMachine(t, `
cp $root/srv/bin/sendoff $root/usr/local/bin/sendoff
ln -sf /usr/local/bin/sendoff $root/usr/sbin/sendmail
mkdir -p $root/etc/sendoff
printf 'retry = ["2s", "5s"]\n[accounts.work]\nserver = "smtps://smtp.example.org"\nuser = "ann@example.org"\nsecret = "file:/etc/sendoff/secret"\ntls-ca = "/srv/provider/ca.pem"\n' >$root/etc/sendoff/config.toml
printf secret >$root/etc/sendoff/secret
chroot $root groupadd -g 4242 senders; chgrp 4242 $root/etc/sendoff/secret; chmod 640 $root/etc/sendoff/secret
for user in ann bob; do chroot $root usermod -G senders $user; done
boot
in_ sendoff --make-spool
in_ systemctl list-timers --no-pager | grep -o sendoff-queue.timer
in_ systemctl stop provider
send ann from-ann; send bob from-bob
off
boot
run_queue() { in_ systemctl start sendoff-queue.service; has_come from-ann && has_come from-bob; } # as the timer does, but now
until_ run_queue || in_ journalctl --no-pager -u 'sendoff-queue*'
came from-ann; came from-bob
ls $root/etc/systemd/system | grep sendoff
in_ systemd-analyze --man=no verify sendoff-queue.timer sendoff-queue@1.service 2>&1 | grep -i sendoff

rm $root/etc/systemd/system/sendoff-queue*
cp $root/srv/bin/sendoff $root/usr/bin/sendoff
for unit in sendoff-queue.service sendoff-queue@.service sendoff-queue.timer; do printf '[Service]\nExecStart=/usr/bin/sendoff\n[Timer]\nOnBootSec=1h\n[Install]\nWantedBy=timers.target\n' >$root/usr/lib/systemd/system/$unit; done
in_ /usr/bin/sendoff --make-spool
echo "of its own: $(ls $root/etc/systemd/system | grep -c sendoff)"
`)
	has(t, out, "sendoff-queue.timer", "came: from-ann, 1", "came: from-bob, 1", "of its own: 0")
	lacks(t, out, "never: .*")
}
