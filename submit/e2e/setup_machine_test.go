//go:build e2e && linux

package e2e

import (
	"strconv"
	"testing"
)

// TestSystemdMachine holds that one command makes a service which sends for every user of a
// machine, that repeating the command changes nothing, and that the service works on with a
// password that is missing, wrong or new.
func TestSystemdMachine(t *testing.T) {
	out := onMachine(t, `
cp $root/srv/bin/sendoff $root/usr/local/bin/sendoff
ln -sf /usr/local/bin/sendoff $root/usr/sbin/sendmail
boot
cat $root/srv/provider/ca.pem >>$root/etc/ssl/certs/ca-certificates.crt
setup() { echo $1 | in_ sendoff --setup ann@example.org --server smtps://smtp.example.org --for machine --password-file - 2>&1; echo "exit code $?"; }
state() { (cd $root; ls -l --time-style=full-iso etc/sendoff etc/systemd/system/sendoff*) | md5sum; }
setup wrong
echo "made: $(ls -d $root/etc/sendoff $root/etc/systemd/system/sendoff* 2>/dev/null)"
setup secret
came "sendoff works"
in_ systemctl is-enabled sendoff.socket sendoff.service
in_ systemd-analyze security --no-pager sendoff.service | tail -1
in_ systemd-analyze --man=no verify sendoff.socket sendoff.service 2>&1 | sed 's/^/verify: /'
for file in $root/etc/sendoff/*; do echo "file: $(stat -c '%a %U' $file) ${file#$root}"; done
before=$(state)
setup secret
in_ sendoff --setup ann@example.org --for machine; echo "exit code $?"
[ "$before" = "$(state)" ] && echo "as before"
for user in ann bob root; do send $user by-$user; came by-$user; done
in_ sendoff --setup bob@example.org --for machine 2>&1

# the password goes, and comes back
rm $root/etc/sendoff/smtp.cred
in_ systemctl restart sendoff.service; echo "started without a password: $?"
send carol later; echo "sent without a password: $(mails later)"
in_ mailq
setup secret
came later

# the password changes, by --login
printf changed >$root/srv/provider/password
login() { echo $1 | in_ sendoff --login example 2>&1; echo "exit code of login $?"; }
login wrong
login changed
send ann after-login; came after-login
printf again >$root/srv/provider/password
in_ systemctl stop provider
login again
in_ systemctl start provider; until_ in_ bash -c '</dev/tcp/127.0.0.1/465' 2>/dev/null
send ann after-offline; came after-offline
as bob sh -c 'echo x | sendoff --login example' 2>&1

# a credential of another service
mkdir -p $root/etc/credstore.encrypted
printf old | in_ systemd-creds encrypt --name=mail - /etc/credstore.encrypted/mail 2>/dev/null
printf '[accounts.work]\nserver = "smtps://smtp.example.org"\nuser = "ann@example.org"\nsecret = "systemd:mail"\n' >$root/root/other.toml
echo again | in_ sendoff --config /root/other.toml --login work
echo "decrypted: $(in_ systemd-creds decrypt --name=mail /etc/credstore.encrypted/mail -), $(stat -c %a $root/etc/credstore.encrypted/mail)"

# all goes, but mail stays
in_ sendoff --logout example
send ann kept
in_ sendoff --remove --for machine
echo "left: $(cd $root; ls -d etc/sendoff/* etc/systemd/system/sendoff* var/lib/sendoff/queue/*.eml 2>/dev/null)"
in_ systemctl is-active sendoff.socket sendoff.service
setup again
came kept
in_ sendoff --remove example
echo "left now: $(cd $root; ls -d etc/sendoff/* etc/systemd/system/sendoff* var/lib/sendoff 2>/dev/null)"
in_ id sendoff 2>&1
in_ sendoff --remove --for machine; echo "exit code of remove $?"
`)

	has(t, out, "sendoff: account not saved: AUTH PLAIN: 535 .*", "exit code 77", "made: ",
		"All users of this machine now send as ann@example.org, through smtps://smtp.example.org:", "exit code 0",
		"came: sendoff works, 1", "enabled\nenabled", `.*exposure level for sendoff.service: (0|1)\.[0-5] .*`,
		"file: 644 root /etc/sendoff/config.toml", "file: 644 root /etc/sendoff/service.toml", "file: 600 root /etc/sendoff/smtp.cred",
		"Nothing to change: all users of this machine send as ann@example.org", "exit code 0", "Nothing to change: .*", "as before",
		"came: by-ann, 1", "came: by-bob, 1", "came: by-root, 1",
		`sendoff: a service sends for this machine already, with account "example" as ann@example.org; to replace it, .*`,
		"started without a password: 0", "sent without a password: 0", "came: later, 1",
		"sendoff: example: nothing was stored: AUTH PLAIN: 535 .*", "exit code of login 77",
		"Password for ann@example.org at smtp.example.org stored in /etc/sendoff/smtp.cred, which the service of this machine uses",
		"exit code of login 0", "came: after-login, 1", "So the password was not tried; it is stored as it is.", "came: after-offline, 1",
		"sendoff: example: the service of this machine has its password, which only root can change: sudo sendoff --login example",
		"Password for ann@example.org at smtp.example.org stored in /etc/credstore.encrypted/mail; restart the service that loads it: .*", "decrypted: again, 600",
		"removed: /etc/sendoff/smtp.cred", `removed: account "example" in /etc/sendoff/config.toml`, "removed: /etc/systemd/system/sendoff.service",
		`/var/lib/sendoff and the user sendoff stay, because mail is in the queue there \(1\); to send it, set up the service again`,
		"left: var/lib/sendoff/queue/.*.eml", "inactive\ninactive", "came: kept, 1", "removed: the user sendoff", "left now: ", "id: .*: no such user", "exit code of remove 0")
	lacks(t, out, "never: .*", "verify: .*", "sendoff: queue: .*", ".*systemctl edit.*")
}

// TestSystemdWithout holds that the same command makes a service where systemd does not run.
func TestSystemdWithout(t *testing.T) {
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	out := onMachine(t, `
cp $root/srv/bin/sendoff $root/usr/local/bin/sendoff
ln -sf /usr/local/bin/sendoff $root/usr/sbin/sendmail
mount -t proc proc $root/proc
mount --rbind /dev $root/dev
inside() { chroot $root env -i PATH=$PATH HOME=/root LC_ALL=C.UTF-8 "$@"; }
inside /srv/bin/provider /srv/provider smtp.example.org:$3 &
machine=$!
until_ test -s $root/srv/provider/ca.pem
cat $root/srv/provider/ca.pem >>$root/etc/ssl/certs/ca-certificates.crt
setup() { echo $1 | inside sendoff --setup ann@example.org --server smtps://smtp.example.org:$server --for machine --password-file - 2>&1; echo "exit code $?"; }
server=$3
inside useradd -m sendoff; setup secret; inside userdel -r sendoff 2>/dev/null
inside useradd --user-group --no-create-home --home-dir /var/lib/sendoff sendoff # as pw(8) adds it: with the uid of a person
setup secret
came "sendoff works"
for file in $root/etc/sendoff/* $root/var/lib/sendoff/*; do echo "file: $(inside stat -c '%a %U %G' ${file#$root}) ${file#$root}"; done
setup secret
printf 'Subject: by-bob\n\ntext\n' | inside setpriv --reuid=bob --regid=bob --clear-groups sendmail carol@example.net; came by-bob
inside setpriv --reuid=bob --regid=bob --clear-groups cat /etc/sendoff/smtp.secret
printf changed >$root/srv/provider/password
echo changed | inside sendoff --login example 2>&1
printf 'Subject: renewed\n\ntext\n' | inside setpriv --reuid=bob --regid=bob --clear-groups sendmail carol@example.net; came renewed
echo "key: $(inside stat -c '%a %U %G' /etc/sendoff/smtp.secret)"
inside sendoff --logout example
# the test mail of a user whom the service refuses is not left in that user's queue
sed -i '1i listen-users = ["bob"]' $root/etc/sendoff/service.toml
inside sendoff --make-spool >/dev/null; echo "$(date +%s) 300 end" >$root/var/spool/sendoff/.timer
setup changed
rm -r $root/var/spool/sendoff
# mail stays in a queue that cannot be opened, and so does a user whom somebody else has made
touch $root/var/lib/sendoff/queue/1k1fd7105k6xaa2a.eml $root/var/lib/sendoff/queue/1k1fd7105k6xaa2a.env
chmod 755 $root/var/lib/sendoff/queue
inside sendoff --remove --for machine 2>&1
echo "kept: $(ls $root/var/lib/sendoff/queue/*.eml | wc -l)"
rm -r $root/var/lib/sendoff/queue
inside usermod -d /home/sendoff sendoff
inside sendoff --remove --for machine 2>&1
inside usermod -d /var/lib/sendoff sendoff
inside sendoff --remove --for machine 2>&1; echo "exit code of remove $?"
echo "left: $(cd $root; ls -d etc/sendoff/* var/lib/sendoff 2>/dev/null) $(pgrep -x sendoff)"
inside sendoff --remove --for machine

# At a terminal it is the default for the configuration that everybody reads.
printf '\n\nchanged\n' | inside script -qefc "sendoff --setup ann@example.org --server smtps://smtp.example.org:$3 --config /etc/sendoff/config.toml" /dev/null | tr -d '\r'
came "sendoff works"
echo bogus >>$root/etc/sendoff/service.toml
inside sendoff --login example 2>&1
inside sendoff --remove example; echo "exit code of remove $?"
echo "left with a fault: $(cd $root; ls -d etc/sendoff/* var/lib/sendoff 2>/dev/null) $(pgrep -x sendoff)"
`, strconv.Itoa(ports[0]))
	has(t, out, "  password  in /etc/sendoff/smtp.secret, which only root and the service can read",
		"  service   runs now; to start it with the machine, put this line into /etc/cron.d/sendoff-machine:",
		"@reboot sendoff /usr/local/bin/sendoff --listen --config /etc/sendoff/service.toml",
		"sendoff: the user sendoff is a person .*", "exit code 64", "exit code 0", "came: sendoff works, 1", "file: 640 root sendoff /etc/sendoff/smtp.secret", "file: 644 root root /etc/sendoff/service.toml",
		"file: 700 sendoff sendoff /var/lib/sendoff/queue", "Nothing to change: .*", "came: by-bob, 1", "cat: .*: Permission denied",
		"came: renewed, 1", "key: 640 root sendoff", "removed: /etc/sendoff/smtp.secret",
		"sendoff: the service is set up, but the user nobody cannot send: .* uid 65534 is not in listen-users.*", "exit code 75",
		`/var/lib/sendoff and the user sendoff stay, because mail is in the queue there \(1\); .*`, "kept: 1",
		"the user sendoff stays, because its home is not /var/lib/sendoff, so somebody else has made it", "removed: the user sendoff", "exit code of remove 0", "left:  ",
		"@reboot .*\nremoved: the user sendoff\nexit code of remove 0", "Nothing to remove: no service sends for all users of this machine",
		"  4\\) all users of this machine: password that only a service can read", "came: sendoff works, 2", "sendoff: example: /etc/sendoff/service.toml:.*", "left with a fault:  ")
	lacks(t, out, "never: .*")

}

// TestSystemdPlain holds that the service gets its password where systemd cannot encrypt it,
// that it takes the place of an account of root's, and that no unit of a package is replaced.
func TestSystemdPlain(t *testing.T) {
	out := onMachine(t, `
cp $root/srv/bin/sendoff $root/usr/bin/sendoff
ln -sf /usr/bin/sendoff $root/usr/sbin/sendmail
rm $root/usr/bin/systemd-creds
boot
cat $root/srv/provider/ca.pem >>$root/etc/ssl/certs/ca-certificates.crt
setup() { echo secret | in_ /usr/bin/sendoff --setup ann@example.org --server smtps://smtp.example.org --password-file - "$@" 2>&1; echo "exit code $?"; }
setup --for cron --config /etc/sendoff/config.toml --account work
setup --for machine
came "sendoff works"
cat $root/etc/sendoff/config.toml
for file in $root/etc/sendoff/smtp*; do echo "file: $(stat -c '%a %U' $file) ${file#$root}"; done
send bob by-bob; came by-bob

mv $root/etc/systemd/system/sendoff.service $root/etc/systemd/system/sendoff.socket $root/usr/lib/systemd/system
in_ systemctl daemon-reload
setup --for machine
echo "of its own: $(cd $root/etc/systemd/system; ls -d sendoff*)"
send bob packaged; came packaged
in_ /usr/bin/sendoff --remove --for machine
echo "left: $(cd $root; ls -d etc/sendoff/* {etc,usr/lib}/systemd/system/sendoff.s* 2>/dev/null | tr '\n' ' ')"
`)
	has(t, out, `Saved account "work" in /etc/sendoff/config.toml;`, "Only root can read the password, so only root's mail leaves. For all users:",
		"  password  in /etc/sendoff/smtp.secret, which only root and the service can read", "/etc/sendoff/work.secret is no longer used; delete it if nothing else needs it",
		"came: sendoff works, 2", `\[accounts.work\]\nserver = "unix:/run/sendoff/submit.sock"\nfrom = "ann@example.org"\nfile: 600 root /etc/sendoff/smtp.secret`, "came: by-bob, 1",
		"of its own: sendoff.service.d", "came: packaged, 1", "removed: /etc/systemd/system/sendoff.service.d/password.conf",
		"left: etc/sendoff/work.secret usr/lib/systemd/system/sendoff.service usr/lib/systemd/system/sendoff.socket ")
	lacks(t, out, "never: .*")
}
