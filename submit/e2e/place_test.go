//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A place is a machine where sendoff is the system's sendmail: the real one in
// namespaces of its own, with the name box, and with a layer over /etc, /usr
// and /var that takes what is written. Its account's address is a mailbox, for
// which local names stand, at the port of the mail server that takes no other
// sender.
type place struct {
	mail *mailServer
	dir  string // also $HOME
	own  string // the account's address
	env  []string
}

func newPlace(t *testing.T, own string) *place {
	t.Helper()
	s := mail(t)
	p := &place{mail: s, dir: folder(t), own: own}
	if err := os.Mkdir(p.dir+"/layers", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, p.dir+"/secret", password+"\n")
	write(t, p.dir+"/config.toml", fmt.Sprintf("log = \"off\"\nrunner = \"off\"\n[accounts.work]\nserver = %q\nuser = %q\nfrom = %q\nsecret = \"file:/etc/sendoff/secret\"\ntls-ca = %q\n",
		fmt.Sprintf("smtps://localhost:%d", s.strict), username, p.own, s.ca.file))
	p.env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "DIR=" + p.dir, "HOME=" + p.dir,
		"OWN=" + p.own, "BINARY=" + lab.binary, "UNPACKED=" + os.Getenv("SENDOFF_UNPACKED")}
	return p
}

// layers begins the script of every place. Its links are made with the commands of
// the manual; see inPlace.
const layers = `set -eu
mount -t tmpfs tmpfs "$DIR/layers"
for f in etc usr var; do
	mkdir -m 755 "$DIR/layers/$f" "$DIR/layers/$f.work"
	mount -t overlay overlay -o "lowerdir=/$f,upperdir=$DIR/layers/$f,workdir=$DIR/layers/$f.work" "/$f"
done
mount -t tmpfs -o mode=755 tmpfs /run
hostname box
echo 127.0.1.1 box >>/etc/hosts
rm -f /etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* /etc/mailname /etc/aliases
mkdir -p /etc/sendoff
cp "$DIR/config.toml" "$DIR/secret" /etc/sendoff
install -m 755 "$BINARY" /usr/local/bin/sendoff
`

// run runs a script as root in the place, and returns what it prints. What the
// script starts ends with it.
func (p *place) run(t *testing.T, script string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-m", "-u", "-p", "-f", "--kill-child", "--mount-proc", "/bin/sh", "-c", layers+script)
	cmd.Dir, cmd.Env = p.dir, append(p.env, env...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s%s", errors.Join(err, ctx.Err()), script, out.String(), problem.String())
	}
	if text := problem.String(); strings.Contains(text, "sendoff: ") {
		t.Errorf("sendoff says:\n%s", text)
	}
	return out.String()
}

// installed skips the test where one of the programs is missing, as need does.
func installed(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") != "" {
			t.Fatal(err)
		} else if err != nil {
			t.Skip(err)
		}
	}
}

// documented returns the lines after a mark in the README and the manual pages, which are
// the same wherever the mark is. The mark "ci: NAME" is a comment before a code block.
func documented(t *testing.T, name string) string {
	t.Helper()
	lines, where := "", ""
	mark := regexp.MustCompile(`(?s)\n(?:<!-- |\.\\" )ci: ` + name + `(?: -->)?\n(?:` + "```" + `|\.Bd)[^\n]*\n(.*?\n)(?:` + "```" + `|\.Ed)\n`)
	for _, file := range [...]string{"README.md", "man/sendoff-server.7"} {
		block := mark.FindStringSubmatch(strings.ReplaceAll(read(filepath.Join("..", "..", file)), `\e`, `\`))
		switch {
		case block == nil:
		case lines != "" && lines != block[1]:
			t.Errorf("%s has for %s\n%sand %s\n%s", where, name, lines, file, block[1])
		default:
			lines, where = block[1], file
		}
	}
	if lines == "" {
		t.Fatalf("no document has lines for %s", name)
	}
	return lines
}

// inPlace is what sendoff-server(7) says for every machine, whoever has the names.
func inPlace(t *testing.T) string { return documented(t, "links") }

// places are what programs call.
var places = [...]string{"/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/mailq", "/usr/bin/newaliases"}

// TestInPlace tries each way that sendoff-server(7) has to become the system's
// sendmail, and the way back.
func TestInPlace(t *testing.T) {
	s := mail(t)
	installed(t, "sudo", "dpkg-divert", "update-alternatives")
	nobody := "rm -f " + strings.Join(places[:], " ") + "\n"
	tests := []struct{ name, script string }{
		{"nobody has the names", nobody + inPlace(t)},
		{"a package has the names", inPlace(t)},
		{"one of several", nobody + documented(t, "alternatives") + "sudo sendoff --make-spool\n"},
		{"back again", inPlace(t) + "printf '#!/bin/sh\n' >/usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl\n" + // systemd does not run here
			documented(t, "uninstall") + "cmp /usr/sbin/sendmail \"$DIR/before\" && ! test -e /usr/local/bin/sendoff\n" +
			"install -m 755 \"$BINARY\" /usr/local/bin/sendoff\n" + inPlace(t)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, s.box())
			out := p.run(t, "cp /usr/sbin/sendmail \"$DIR/before\"\nexec 3>&1 >&2\n"+tt.script+`
for name in /usr/sbin/sendmail /usr/lib/sendmail; do
	echo 'Subject: hello' | $name root
done
setpriv --reuid=games --regid=games --clear-groups mailq >&3`)
			if out != "Mail queue is empty\n" {
				t.Errorf("mailq prints %q", out)
			}
			s.fetch(t, p.own, 2)
		})
	}
}
