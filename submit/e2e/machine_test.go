//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/submit/envelope"
	"sendoff/submit/smtpd"
)

// A machine is this one, booted: its root, copy-on-write, with systemd as the first
// process and no network but loopback. A script of the shell acts on it from outside.
//
//	boot, off              what they say; a second boot finds the disk as it was
//	in_ COMMAND…           runs a command of root's, which is in no unit
//	unit [-p SETTING] COMMAND…   runs it as a service of its own
//	as USER COMMAND…       likewise, of that user: ann, bob or carol
//	send USER SUBJECT      has sendmail send a mail of theirs, and prints what it says
//	came SUBJECT           waits until the provider has that mail, and says how often
//	until_ COMMAND…        some time until it succeeds
//	$root                  its file system, from outside
//
// Its provider is smtp.example.org, on port 465, with the account ann@example.org and
// the password of the file /srv/provider/password. Its certificate is ca.pem there.
const machineMade = `set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
root=/mnt/root leader= machine=
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work $root || exit 1
# Nothing runs that this machine has set up: only what the test is about.
rm -rf $root/etc/systemd/system/*.wants $root/var/log/journal $root/etc/sendoff $root/var/spool/sendoff $root/var/lib/sendoff $root/root/.config/sendoff $root/root/.local
rm -f $root/usr/sbin/policy-rc.d $root/etc/cron.d/* $root/var/lib/man-db/auto-update # which indexes all manuals
printf '127.0.0.1 localhost smtp.example.org %s\n' "$(uname -n)" >$root/etc/hosts
mkdir -p $root/srv/provider $root/srv/bin $root/srv/home
cp "$1/sendoff" $root/srv/bin/sendoff
cp "$2" $root/srv/bin/provider
chmod 755 $root/srv $root/srv/bin $root/srv/bin/* $root/srv/provider
printf secret >$root/srv/provider/password
for user in ann bob carol; do chroot $root useradd -m -d /srv/home/$user -s /bin/sh $user; done
printf '[Service]\nExecStart=/srv/bin/provider /srv/provider smtp.example.org:465\n[Install]\nWantedBy=multi-user.target\n' >$root/etc/systemd/system/provider.service
chroot $root systemctl -q enable provider
boot() {
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q -D $root --boot --register=no --keep-unit --machine=sendoff-test --private-network --system-call-filter=@keyring </dev/null >/mnt/console 2>&1 &
	machine=$! n=0
	while [ $n -lt 1200 ]; do
		leader=$(pgrep -P $machine -x systemd)
		if [ "$leader" ]; then
			case $(in_ systemctl is-system-running 2>/dev/null) in running | degraded)
				echo "machine: booted"
				until_ test -s $root/srv/provider/ca.pem
				return
			esac
		fi
		kill -0 $machine || break
		sleep 0.1; n=$((n + 1))
	done
	cat /mnt/console; echo "it does not boot"; exit 1
}
off() { in_ systemctl poweroff; wait $machine; }
in_() { nsenter -t $leader -m -u -i -n -p -r -w -- env -i PATH=$PATH HOME=/root LC_ALL=C.UTF-8 "$@"; }
unit() { in_ systemd-run -q --wait --pipe --collect "$@"; }
as() { local user=$1; shift; unit -p User=$user -p WorkingDirectory=/ "$@"; }
send() { as $1 sh -c "printf 'Subject: $2\n\ntext\n' | sendmail bob@example.net" 2>&1; }
mails() { grep -ls "^Subject: $1" $root/srv/provider/*.eml | wc -l; }
has_come() { [ $(mails "$1") != 0 ]; }
came() { until_ has_come "$1" && echo "came: $1, $(mails "$1")"; }
until_() { local n=0; while [ $n -lt 900 ]; do "$@" && return; sleep 0.1; n=$((n + 1)); done; echo "never: $*"; return 1; }
trap 'kill -TERM $machine 2>/dev/null; wait' EXIT
`

// onMachine runs a script as machineMade says, and returns what it prints. arguments are
// $3 and those behind it. Where nothing can be booted, as in a container without rights to
// mount, the test is skipped, unless $SENDOFF_BOOT says "must".
func onMachine(t *testing.T, script string, arguments ...string) string {
	t.Helper()
	needRoot(t)
	for _, tool := range []string{"systemd-nspawn", "nsenter", "pgrep"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") == "" {
			t.Skip(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := append([]string{"-m", "-p", "-f", "--mount-proc", "/bin/bash", "-c", machineMade + script, "bash", lab.dir, self}, arguments...)
	cmd := exec.Command("unshare", words...)
	cmd.Env, cmd.Dir = []string{"PATH=" + os.Getenv("PATH")}, "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	switch booted := strings.Contains(out.String(), "machine: booted\n"); {
	case err == nil:
	case booted || os.Getenv("SENDOFF_BOOT") == "must":
		t.Fatalf("%v\n%s", err, out.String())
	default:
		t.Skipf("no machine can be booted here: %v\n%s", err, out.String())
	}
	return out.String()
}

// provider is the provider of a machine: it stores each mail in a file of the folder.
func provider(args []string) error {
	folder, address := args[0], args[1]
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	certificate, err := certificateIn(folder, host)
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return err
	}
	server := &smtpd.Server{
		Hostname:    host,
		RequireAuth: true,
		Auth: func(user, password string) error {
			if user != "ann@example.org" || password != strings.TrimSpace(read(filepath.Join(folder, "password"))) {
				return errors.New("wrong password")
			}
			return nil
		},
		Handle: func(_ context.Context, _ smtpd.Client, e *envelope.Envelope, message io.Reader) error {
			f, err := os.CreateTemp(folder, "arriving")
			if err != nil {
				return err
			}
			defer f.Close()
			fmt.Fprintf(f, "X-From: %s\nX-To: %v\n", e.From, e.To[0].Address)
			if _, err := io.Copy(f, message); err != nil {
				return errors.Join(err, os.Remove(f.Name()))
			}
			return errors.Join(f.Chmod(0o644), os.Rename(f.Name(), f.Name()+".eml"))
		},
	}
	return server.ServeListener(context.Background(), l)
}

// certificateIn returns the certificate of a folder, where the first call makes it.
func certificateIn(folder, host string) (tls.Certificate, error) {
	public, private := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "key.pem")
	if c, err := tls.LoadX509KeyPair(public, private); err == nil {
		return c, nil
	}
	c, err := smtpd.Certificate(host)
	if err != nil {
		return c, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return c, err
	}
	return c, errors.Join(
		os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o644))
}
