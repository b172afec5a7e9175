//go:build e2e && linux

package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// rootsService has a service of user mail take mail of nobody, while the server is away, and
// root look at it. Its configuration has no secret: nobody but the service's user has it.
const rootsService = `set -eu
mkdir "$2/etc" && cp -a /etc/. "$2/etc" && mount --bind "$2/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=700 tmpfs /root
mkdir -p /etc/sendoff /var/lib/sendoff/queue
chmod 700 /var/lib/sendoff/queue
chown -R 8 /var/lib/sendoff
cat >/etc/sendoff/service.toml <<END
listen = "/var/lib/sendoff/submit.sock"
queue = "/var/lib/sendoff/queue"
log = "off"
[accounts.work]
server = "smtp+plain://127.0.0.1:9"
user = "user"
secret = "systemd:smtp"
from = "ann@example.org"
END
cat >/etc/sendoff/config.toml <<END
log = "off"
[accounts.work]
server = "unix:/var/lib/sendoff/submit.sock"
from = "ann@example.org"
END
mkdir "$2/credentials" && echo s3kr1t >"$2/credentials/smtp" && chown -R 8 "$2/credentials"
STATE_DIRECTORY=/var/lib/sendoff CREDENTIALS_DIRECTORY="$2/credentials" setpriv --reuid 8 --regid 8 --clear-groups "$1/sendoff" --listen -C /etc/sendoff/service.toml &
service=$!
for _ in $(seq 100); do [ -S /var/lib/sendoff/submit.sock ] && break; sleep 0.1; done
echo text | setpriv --reuid 65534 --regid 65534 --clear-groups "$1/sendmail" bob@example.net
export HOME=/root
id=$("$1/sendoff" --queue-json | sed -n 's/.*"queue_id":"\([^"]*\).*/\1/p')
echo mailq
"$1/sendoff" -bp -v
echo show
"$1/sendoff" --queue-show "$id"
echo status
"$1/sendoff" --status
echo count $("$1/sendoff" -bP)
echo doctor
"$1/sendoff" --doctor || true
echo run
script -qec "$1/sendoff -q" /dev/null </dev/null
"$1/sendoff" --queue-retry "$id"
echo all
"$1/sendoff" --queue-retry ALL
"$1/sendoff" --queue-delete ALL
! ls /var/lib/sendoff/queue/account | grep order$
echo broken >>/etc/sendoff/service.toml
echo broken $("$1/sendoff" -bP)
"$1/sendoff" --queue-delete "$id"
kill $service
wait $service
`

// TestRootSeesService holds that root's lists, runs and checks cover the queue of the machine's
// service.
func TestRootSeesService(t *testing.T) {
	needRoot(t)
	out, stderr := outputs(t, "timeout", "60", "unshare", "-m", "sh", "-c", rootsService, "sh", lab.dir, folder(t))
	rest := out
	for _, line := range []string{
		"mailq", `\(user mail\)`, `\(account work: connect to 127\.0\.0\.1:9: connection refused; 1 failure.*`, ` +bob@example\.net`,
		"show", `client 65534`, `text`,
		"status", `user mail, account work: ok; 1 queued, the oldest for .*`,
		"count 1",
		"doctor", `note  waiting   user mail, account work: ok; 1 queued, .*; connect to .*`, "ok    waiting   no other message is queued",
		"run", `sendoff: root's queue: nothing to send\r?`, `sendoff: user mail, account work: ok; 1 queued, .*`, `sendoff: +fault since .*`, `sendoff: +hint: .*`, `sendoff: to try an account with a fault now: sendoff --queue-retry ALL\r?`, `retried: 1`, "all\nretried: 0\n\\(user mail\\)\nretried: 1\ndeleted: 0", `broken 1`, `deleted: 1`,
	} {
		at := regexp.MustCompile("(?m)^" + line + "$").FindStringIndex(rest)
		if at == nil {
			t.Fatalf("no line like %s in\n%s\nof\n%s%s", line, rest, out, stderr)
		}
		rest = rest[at[1]:]
	}
	if text := stderr; strings.Contains(text, "CREDENTIALS_DIRECTORY") {
		t.Errorf("root's process wanted the credential:\n%s", text)
	}
}
