//go:build e2e && linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// engine begins a script that does the work of a container engine, with mounts and chroot.
// $DIR has the program, the password and the authority of the provider at $SERVER.
const engine = `set -eu
PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
# image NAME [LOWER]: the empty root of an image, or one with the files of LOWER
image() {
	root=/mnt/$1
	mkdir -p $root /mnt/upper.$1 /mnt/work.$1
	[ "${2-}" ] || mount -t tmpfs -o mode=755 tmpfs $root
	[ ! "${2-}" ] || mount -t overlay overlay -o "lowerdir=$2,upperdir=/mnt/upper.$1,workdir=/mnt/work.$1" $root
}
# what every engine adds to an image
runtime() {
	mkdir -p $root/etc $root/proc $root/dev $root/run/secrets
	printf '127.0.0.1 localhost\n' >$root/etc/hosts
	mount -t proc proc $root/proc
	[ -e $root/dev/null ] || mknod -m 666 $root/dev/null c 1 3
}
readonly_() { mount --rbind $root $root; mount -o remount,bind,ro $root; }
in_() { env -i PATH=$PATH "$@"; }
# gave COMMAND...: the command's exit code, after what it says
gave() { "$@" 2>&1 && echo "exit code 0" || echo "exit code $?"; }
mail() { printf 'Subject: %s\n\ntext\n' $1; }
`

// An image is what a Dockerfile of the manual makes.
type image struct {
	build      string // the script that makes it
	user       string
	entrypoint []string
}

// dockerfile reads a Dockerfile of the manual. What it takes from other images, or from
// the network, is the authority of the provider.
func dockerfile(t *testing.T, name string) image {
	t.Helper()
	var i image
	for line := range strings.Lines(documented(t, name)) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		words := strings.Fields(rest)
		to := "$root" + words[len(words)-1]
		switch instruction {
		case "FROM":
			i.build += "image " + name + "\n"
			if rest != "scratch" { // of this machine
				i.build = "image " + name + " /\nrm -f $root/usr/sbin/sendmail\nrm -rf $root/etc/sendoff $root/queue $root/var/spool/sendoff\n" +
					"printf '#!/bin/sh\\n' >$root/usr/local/bin/apt-get; chmod 755 $root/usr/local/bin/apt-get\n" +
					"cat $DIR/ca.pem >>$root/etc/ssl/certs/ca-certificates.crt\n"
			}
		case "COPY":
			from := "$DIR/" + words[0]
			if strings.HasPrefix(words[0], "--from=") {
				from = "$DIR/ca.pem"
				to += filepath.Base(words[1])
			}
			i.build += fmt.Sprintf("mkdir -p %s; cp %s %s\n", filepath.Dir(to), from, to)
		case "RUN":
			i.build += fmt.Sprintf("chroot $root /bin/sh -c %s\n", "'"+rest+"'")
		case "USER":
			i.user = rest
		case "ENTRYPOINT":
			if err := json.Unmarshal([]byte(rest), &i.entrypoint); err != nil {
				t.Fatal(err)
			}
		}
	}
	i.build += "runtime\n"
	return i
}

// variables returns the variables of an example in the manual as words of a shell, with the
// server of the test.
func variables(t *testing.T, name string) string {
	t.Helper()
	of := regexp.MustCompile(`(SENDOFF_\w+)(?:: |\n +value: )"?([^"\n]*)`)
	var words []string
	for _, m := range of.FindAllStringSubmatch(documented(t, name), -1) {
		if m[1] == "SENDOFF_SERVER" {
			m[2] = "'\"${SERVER}\"'"
		}
		words = append(words, fmt.Sprintf("%s='%s'", m[1], m[2]))
	}
	if len(words) != 6 {
		t.Fatalf("%s: %q", name, words)
	}
	return strings.Join(words, " ")
}

// TestContainer builds the images of sendoff-server(7) and runs them with the secrets, the
// volumes and the read-only root of its examples, as far as that can be done without an
// engine.
func TestContainer(t *testing.T) {
	needRoot(t)
	installed(t, "unshare", "cron")
	dir := folder(t)
	port, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("localhost:%d", port[0])
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{self: "provider", lab.binary: "sendoff"} {
		if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "password"), "secret")
	server, err := start(nil, os.Environ(), filepath.Join(dir, "provider"), dir, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.stop)
	if err := await("the provider", listening("tcp", address)); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, script string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "/bin/sh", "-c", engine+script)
		cmd.Env = []string{"LC_ALL=C.UTF-8", "DIR=" + dir, "SERVER=smtps://" + address}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, script, out)
		}
		return string(out)
	}
	t.Run("Kubernetes, FROM scratch", func(t *testing.T) {
		t.Parallel()
		i := dockerfile(t, "dockerfile-scratch")
		has(t, run(t, i.build+fmt.Sprintf(`
mkdir -p $root/run/secrets/sendoff $root/queue
readonly_
# a secret and a volume as the kubelet mounts them, for fsGroup 1000
mount -t tmpfs -o mode=3777,gid=1000 tmpfs $root/run/secrets/sendoff
cd $root/run/secrets/sendoff
mkdir ..2026_01
install -o 0 -g 1000 -m 440 $DIR/password ..2026_01/password
ln -s ..2026_01 ..data
ln -s ..data/password password
cd /
mount -o remount,ro $root/run/secrets/sendoff
mount -t tmpfs -o mode=2777,gid=1000 tmpfs $root/queue
sendoff() { in_ %s chroot --groups= --userspec=%s $root %s "$@"; }
mail scratch | gave sendoff bob@example.net
gave sendoff --doctor
SERVER=smtp://localhost:1
mail later | gave sendoff bob@example.net
gave sendoff -bp
stat -c 'the queue: %%u %%a' $root/queue/sendoff
in_ chroot --userspec=1000:1000 $root /usr/bin/sendoff bob@example.net </dev/null 2>&1 || true
`, variables(t, "kubernetes"), i.user, strings.Join(i.entrypoint, " "))),
			`ok    files     file:/run/secrets/sendoff/password \(mode 0440\)`,
			`ok    sendmail  /usr/sbin/sendmail is sendoff`,
			`ok    queue     .*/queue/sendoff.*`,
			`ok    login     as ann@example\.org`,
			`.*bob@example\.net`, `the queue: 1000 2700`,
			`sendoff: no account configured, and this process has no variable SENDOFF_SERVER`)
		if sent(dir, "scratch") == "" {
			t.Error("the mail has not come")
		}
	})
	t.Run("Compose, Debian", func(t *testing.T) {
		t.Parallel()
		i := dockerfile(t, "dockerfile-debian")
		out := run(t, i.build+fmt.Sprintf(`
touch $root/run/secrets/sendoff
readonly_
install -o 1000 -g 1000 -m 400 $DIR/password /mnt/secret
mount --bind /mnt/secret $root/run/secrets/sendoff
# an empty volume gets the rights of the folder in the image
mkdir /mnt/volume
chown --reference=$root/queue /mnt/volume
chmod --reference=$root/queue /mnt/volume
mount --bind /mnt/volume $root/queue
as_user() { in_ %s chroot --groups= --userspec=%s $root "$@"; }
mail debian | gave as_user sendmail bob@example.net
gave as_user sendoff --doctor
# as other engines mount it
chown 0:0 /mnt/secret
chmod 444 /mnt/secret
mail podman | gave as_user sendmail bob@example.net
echo "root's:"
gave as_user sendoff --doctor
# of an owner that the container does not know
chown 7:7 /mnt/secret
echo "another's:"
gave as_user sendoff --doctor
mail cat | gave as_user env 'SENDOFF_SECRET=command:cat /run/secrets/sendoff' sendmail bob@example.net
mail printenv | gave as_user env PASSWORD=secret 'SENDOFF_SECRET=command:printenv PASSWORD' sendmail bob@example.net
mail env | gave as_user env PASSWORD=secret SENDOFF_SECRET=env:PASSWORD sendmail bob@example.net
SERVER=smtp://localhost:1
mail later | gave as_user sendmail bob@example.net
gave as_user mailq
`, variables(t, "compose"), i.user))
		has(t, out, `ok    files     file:/run/secrets/sendoff \(mode 0400\)`, `ok    files     file:/run/secrets/sendoff \(mode 0444\)`,
			`ok    queue     .*/queue.*`, `fail  files     file:/run/secrets/sendoff: it belongs to uid 7, .*`, ` +hint: in a container .*`, `.*bob@example\.net`)
		lacks(t, out, ".*chmod.*")
		for _, subject := range []string{"debian", "podman", "cat", "printenv", "env"} {
			if sent(dir, subject) == "" {
				t.Errorf("the mail %s has not come; the commands say\n%s", subject, out)
			}
		}
	})
	t.Run("cron", func(t *testing.T) {
		t.Parallel()
		i := dockerfile(t, "dockerfile-debian")
		out := run(t, i.build+fmt.Sprintf(`
mount -t tmpfs -o mode=755 tmpfs $root/run
rm -rf $root/etc/cron.d/* $root/var/spool/cron/crontabs/*
install -D -m 400 $DIR/password $root/run/secrets/sendoff
cat >$root/etc/crontab <<'END'
* * * * * root printf 'Subject: cron\n\ntext\n' | /usr/bin/sendoff bob@example.net >/said 2>&1; env >>/said; echo done >>/said
END
cat >$root/start <<'END'
%sEND
in_ LC_ALL=C.UTF-8 %s SENDOFF_RUNNER=off chroot $root /bin/sh /start &
until grep -qs done $root/said; do sleep 0.1; done
cat $root/said
kill $!
`, documented(t, "container-cron"), variables(t, "compose")))
		if sent(dir, "cron") == "" {
			t.Errorf("the mail has not come; the job says\n%s", out)
		}
	})
}
