//go:build e2e && linux

package e2e

import "testing"

// TestSystemdRunner holds that whoever queues mail learns that no process will send it: in a
// unit, also if that hides other processes, until there is a timer; and in the doctor for a
// program of the desktop, unless the user lingers.
func TestSystemdRunner(t *testing.T) {
	out := onMachine(t, `
cp $root/srv/bin/sendoff $root/usr/local/bin/sendoff
ln -sf /usr/local/bin/sendoff $root/usr/sbin/sendmail
mkdir -p $root/etc/sendoff
printf '[accounts.work]\nserver = "unix:/nowhere"\nfrom = "ann@example.org"\n' >$root/etc/sendoff/config.toml
boot
hidden() { unit --unit=hidden -p User=$1 -p ProtectProc=invisible sh -c "printf 'Subject: test\n\n' | sendmail bob@example.net" 2>&1; }
hidden ann
uid=$(in_ id -u ann)
desktop() { as ann env XDG_RUNTIME_DIR=/run/user/$uid systemd-run --user --scope -q sendoff --doctor 2>&1 | grep runner; }
in_ systemctl start user@$uid.service
desktop
mkdir -p $root/var/lib/systemd/linger && touch $root/var/lib/systemd/linger/ann
desktop
in_ sendoff --make-spool
in_ useradd dave
echo "with a timer: $(hidden ann; hidden dave)"
`)
	has(t, out, "sendoff: queued as .*, but a process that runs it ends with hidden.service",
		"note  runner    no timer seen yet: after you log out, or after a restart, .*", "note  runner    no timer seen yet: after a restart, .*", "with a timer: ")
}
