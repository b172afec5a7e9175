//go:build e2e && linux

package e2e

import (
	"fmt"
	"testing"
)

// startOpenSMTPD starts OpenSMTPD without TLS and login: the one of Debian 12,
// 6.8.0p2, ends every handshake with an alert, since its process with the key
// is out of reach for OpenSSL 3 ("rsa routines::missing private key" in its
// log, with RSA and ECDSA, TLS 1.2 and 1.3), and without TLS it offers no AUTH.
func startOpenSMTPD(t *testing.T, h *smarthost) (*process, error) {
	program := unpacked(t, "usr/sbin/smtpd")
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	h.account = settings{"server": quote(fmt.Sprintf("smtp+plain://localhost:%d", ports[0])), "from": quote(username)}
	h.port = ports[0]
	users := write(t, h.dir+"/users", "@ "+lab.caller.Username+"\n")
	conf := write(t, h.dir+"/smtpd.conf", fmt.Sprintf(openSMTPDConf, h.dir, users, ports[0]))
	return startInNamespace(h.dir, program, "-d", "-f", conf)
}

const openSMTPDConf = `
table users file:%[2]s
table nobody { "nobody@example.net" }
smtp max-message-size 20M
listen on 127.0.0.1 port %[3]d hostname mail.example.net
action box maildir "%[1]s/boxes/%%{rcpt.user}" virtual <users>
match from any for rcpt-to <nobody> reject
match from any for domain "example.net" action box
`
