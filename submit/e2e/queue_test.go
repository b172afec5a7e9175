//go:build e2e && linux

package e2e

import (
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoticeInMailbox has a message refused by Postfix after it was queued. The notice
// comes back to a real mailbox, and is one that programs can read (RFC 3464).
func TestNoticeInMailbox(t *testing.T) {
	s := mail(t)
	sender := s.box()
	file := configQueue(t, s.account(t, nil), `queue = "`+filepath.Join(home(t), "queue")+`"`, `runner = "off"`)
	env := []string{"SENDOFF_CONFIG=" + file}
	call{as: "sendmail", args: []string{"-odq", "-f", sender, "ghost@example.net"}, env: env, stdin: header + "\nIt does not work.\n"}.succeeds(t)
	call{as: "sendmail", args: []string{"-q"}, env: env}.succeeds(t)

	d := s.fetch(t, sender, 1)[0]
	if d.from != "" {
		t.Errorf("from <%s>, want <>", d.from)
	}
	m, err := netmail.ReadMessage(strings.NewReader(d.message))
	if err != nil {
		t.Fatalf("%v\n%s", err, d.message)
	}
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || parameters["report-type"] != "delivery-status" {
		t.Fatalf("%q %q %v", kind, parameters, err)
	}
	var kinds []string
	var status string
	for parts := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, d.message)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		kinds = append(kinds, kind)
		text, _ := io.ReadAll(part)
		if kind == "message/delivery-status" {
			status = string(text)
		}
	}
	if got := strings.Join(kinds, " "); got != "text/plain message/delivery-status text/rfc822-headers" {
		t.Errorf("parts %s", got)
	}
	for _, line := range []string{"^Reporting-MTA: dns; ", "^Final-Recipient: rfc822; ghost@example.net", "^Action: failed", "^Status: 5.1.1", "^Diagnostic-Code: smtp; RCPT TO"} {
		if !regexp.MustCompile("(?m)" + line).MatchString(status) {
			t.Errorf("no line like %s in\n%s", line, status)
		}
	}
	if r := (call{as: "sendmail", args: []string{"-bp"}, env: env}).run(t); r.stdout != "Mail queue is empty\n" {
		t.Errorf("left:\n%s%s", r.stdout, r.stderr)
	}
}

// rootsQueue makes the folder for all users, in a namespace of its own, and has
// two of them leave mail there; then root looks at it and runs it.
const rootsQueue = `set -eu
mount -t tmpfs -o mode=755 tmpfs /var/spool
mount -t tmpfs -o mode=755 tmpfs /opt
mount -t tmpfs -o mode=700 tmpfs "$(getent passwd root | cut -d: -f6)"
mount -t tmpfs -o mode=755 tmpfs /run
cp "$1/sendoff" /opt
mkdir /var/spool/sendoff
/opt/sendoff --make-spool || echo refused $?
rmdir /var/spool/sendoff
/opt/sendoff --make-spool
stat -c '%a %u' /var/spool/sendoff /var/spool/sendoff/65534
mkdir /var/spool/sendoff/foo /var/spool/sendoff/77777
ln -s /root /var/spool/sendoff/77778
export SENDOFF_CONFIG="$2"
for user in 1 65534; do
	printf 'Subject: x\n\ntext\n' | setpriv --reuid $user --regid 65534 --clear-groups "$1/sendmail" bob@example.net
done
unset SENDOFF_CONFIG
"$1/sendmail" -bP
"$1/sendmail" -bp
"$1/sendoff" --queue-json
id=$("$1/sendoff" --queue-json | sed -n '1s/.*queue_id":"\([^"]*\).*/\1/p')
other=$("$1/sendoff" --queue-json | sed -n '2s/.*queue_id":"\([^"]*\).*/\1/p')
"$1/sendoff" --queue-show $id
"$1/sendoff" --queue-retry $id
flock -n /var/spool/sendoff/*/$other.eml "$1/sendoff" --queue-delete $other || echo busy $?
"$1/sendoff" --queue-delete $other
"$1/sendoff" --queue-delete $other || echo gone $?
tried() { sed -n 's/.*"At":"\([^"]*\).*/\1/p' /var/spool/sendoff/1/account/fault-*; }
before=$(tried)
"$1/sendmail" -q1h 2>/dev/null & every=$!
while [ "$(tried)" = "$before" ]; do sleep 0.1; done
kill $every
wait $every && echo every hour, for all users
"$1/sendoff" --queue-delete ALL
"$1/sendmail" -q
"$1/sendoff" --queue-run
ls /var/spool/sendoff/1/account
`

// TestRootsQueue holds that root serves every user's queue as that user, and
// skips what is no user's folder.
func TestRootsQueue(t *testing.T) {
	needRoot(t)
	config := write(t, filepath.Join(folder(t), "config.toml"), `log = "off"
runner = "off"
[accounts.work]
server = "smtp+plain://127.0.0.1:9"
from = "ann@example.org"
`)
	out, stderr := outputs(t, "unshare", "-m", "sh", "-c", rootsQueue, "sh", lab.dir, config)
	for _, line := range []string{
		`/var/spool/sendoff holds a queue for each of \d+ users`,
		`refused \d+`, `1777 0`, `700 65534`, `2`,
		`\(user daemon\)`, `\(user nobody\)`,
		`-- 1 Kbytes in 1 Request\.`,
		`\{"queue_id":"[0-9a-z]{16}",.*`,
		`attempts 1`, `Subject: x`, `text`, `retried: 1`,
		`sendoff: [0-9a-z]{16}: another process is working on it`, `busy 75`, `deleted: 1`, `gone 64`, `every hour, for all users`, `deleted: 0`,
	} {
		if !regexp.MustCompile("(?m)^" + line + "$").MatchString(out) {
			t.Errorf("no line like %s in\n%s", line, out)
		}
	}
	for _, words := range []string{"/var/spool/sendoff is not root's, sticky and open to all (mode 1777); remove it first", `skipped because they are not folders of the users they name: "77777" "77778" "foo"`, ": no such entry, in root's queue or below /var/spool/sendoff"} {
		if !strings.Contains(stderr, words) {
			t.Errorf("stderr lacks %q:\n%s", words, stderr)
		}
	}
}

// fullDisk queues on a disk of two megabytes until it is full.
const fullDisk = `set -eu
mount -t tmpfs -o size=2m,mode=1777 tmpfs "$3"
n=0
while printf 'Subject: x\n\n%0100000d\n' 0 | setpriv --reuid 65534 --regid 65534 --clear-groups "$1/sendoff" -C "$2" -odq bob@example.net; do
	n=$((n + 1))
	[ $n -lt 100 ]
done
echo queued $n
setpriv --reuid 65534 --regid 65534 --clear-groups "$1/sendoff" -C "$2" -bP
ls "$3"/queue | grep -c tmp || true
`

// TestFullDisk holds that a full disk is said, and harms nothing that is there.
func TestFullDisk(t *testing.T) {
	need(t)
	dir := folder(t)
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	config := write(t, filepath.Join(dir, "config.toml"), `log = "off"
runner = "off"
queue = "`+filepath.Join(disk, "queue")+`"
[accounts.work]
server = "smtp+plain://127.0.0.1:9"
from = "ann@example.org"
`)
	out, stderr := outputs(t, "unshare", "-m", "sh", "-c", fullDisk, "sh", lab.dir, config, disk)
	m := regexp.MustCompile(`^queued (\d+)\n(\d+)\n0\n$`).FindStringSubmatch(out)
	if m == nil || m[1] != m[2] || m[1] == "0" {
		t.Errorf("queued, listed and left:\n%s", out)
	}
	for _, words := range []string{"sendoff: not queued: ", "; send the message again later", "connection refused"} {
		if !strings.Contains(stderr, words) {
			t.Errorf("stderr lacks %q:\n%s", words, stderr)
		}
	}
}
