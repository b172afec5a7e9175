//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// startLMTP starts Dovecot as the last hop: LMTP on a port and on a socket. It
// knows the mailboxes box-0 and so on, and full, whose quota is used up.
func startLMTP(t *testing.T, h *smarthost) (*process, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	h.port = ports[0]
	h.account = settings{"server": quote("lmtp:" + address(h.port)), "from": quote(username)}
	users := "full@example.net:{PLAIN}x::::::userdb_quota_rule=*:bytes=1\n"
	for n := range maxBoxes {
		users += fmt.Sprintf("box-%d@example.net:{PLAIN}x::::::\n", n)
	}
	write(t, h.dir+"/users", users)
	conf := write(t, h.dir+"/dovecot.conf", fmt.Sprintf(lmtpConf, h.dir, h.port, lab.caller.Uid, lab.caller.Gid))
	return start(nil, os.Environ(), "dovecot", "-F", "-c", conf)
}

const lmtpConf = `
base_dir = %[1]s/run
log_path = %[1]s/log/dovecot.log
protocols = lmtp
ssl = no
first_valid_uid = 1
first_valid_gid = 1
hostname = mail.example.net
mail_location = maildir:%[1]s/boxes/%%n
mail_plugins = quota
lmtp_rcpt_check_quota = no
quota_full_tempfail = yes
plugin {
  quota = maildir:box
}
protocol lmtp {
  postmaster_address = postmaster@example.net
}
passdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
  default_fields = uid=%[3]s gid=%[4]s home=/nonexistent
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[2]d
  }
  unix_listener %[1]s/lmtp.sock {
    mode = 0666
  }
}
`

// startSubmission starts Dovecot's submission service, which checks the login,
// speaks TLS, and passes everything on to Postfix.
func startSubmission(t *testing.T, h *smarthost) (*process, error) {
	s := mail(t)
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	h.port, h.boxes = ports[0], s.dir+"/boxes"
	h.account["server"] = quote(fmt.Sprintf("smtp://localhost:%d", h.port))
	certificate := h.dir + "/dovecot.pem"
	if err := s.ca.issue(certificate, time.Now().Add(time.Hour), "localhost", "127.0.0.1"); err != nil {
		return nil, err
	}
	write(t, h.dir+"/users", fmt.Sprintf("%s:{PLAIN}%s\n", username, password))
	conf := write(t, h.dir+"/dovecot.conf", fmt.Sprintf(submissionConf, h.dir, h.port, lab.caller.Uid, lab.caller.Gid, certificate, s.open))
	return start(nil, os.Environ(), "dovecot", "-F", "-c", conf)
}

const submissionConf = `
base_dir = %[1]s/run
log_path = %[1]s/log/dovecot.log
protocols = submission
ssl = required
ssl_cert = <%[5]s
ssl_key = <%[5]s
first_valid_uid = 1
first_valid_gid = 1
hostname = mail.example.net
mail_location = maildir:%[1]s/boxes/%%n
submission_relay_host = 127.0.0.1
submission_relay_port = %[6]d
submission_relay_trusted = no
auth_mechanisms = plain login scram-sha-256
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=%[3]s gid=%[4]s home=/nonexistent
}
service submission-login {
  inet_listener submission {
    address = 127.0.0.1
    port = %[2]d
  }
}
`
