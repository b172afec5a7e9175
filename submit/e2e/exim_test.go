//go:build e2e && linux

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// startExim starts Exim, which offers CHUNKING, SMTPUTF8 and DSN, and takes five
// recipients at once.
func startExim(t *testing.T, h *smarthost) (*process, error) {
	program := unpacked(t, "usr/sbin/exim4")
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	certificate := h.dir + "/exim.pem"
	if err := mail(t).ca.issue(certificate, time.Now().Add(time.Hour), "localhost", "127.0.0.1"); err != nil {
		return nil, err
	}
	names := ""
	for n := range maxBoxes {
		names += fmt.Sprintf("box-%d: box-%[1]d\nböx-%[1]d: böx-%[1]d\n", n)
	}
	write(t, h.dir+"/names", names)
	h.own(eximUID, "boxes", "log", "exim.pem")
	h.account["server"] = quote(fmt.Sprintf("smtps://localhost:%d", ports[0]))
	h.port = ports[0]
	conf := write(t, h.dir+"/exim.conf", fmt.Sprintf(eximConf, program, h.dir, ports[0], certificate, username, write(t, h.dir+"/password", password)))
	return startInNamespace(h.dir, program, "-C", conf, "-bdf")
}

const eximConf = `
exim_path = %[1]s
keep_environment =
primary_hostname = mail.example.net
spool_directory = /var/spool/exim4
log_file_path = %[2]s/log/%%s
pid_file_path = %[2]s/log/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = %[3]d
tls_on_connect_ports = %[3]d
tls_advertise_hosts = *
tls_certificate = %[4]s
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
chunking_advertise_hosts = *
host_lookup =
message_size_limit = 20M
recipients_max = 5
acl_smtp_rcpt = check
acl_smtp_mail = accept
acl_smtp_data = accept

begin acl
check:
  deny message = no such user
       local_parts = nobody
  accept authenticated = *
  deny message = not without a login

begin routers
mail:
  driver = accept
  domains = example.net
  local_parts = lsearch;%[2]s/names
  transport = box

begin transports
box:
  driver = appendfile
  maildir_format
  directory = %[2]s/boxes/$local_part_data
  create_directory
  user = Debian-exim

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{%[5]s}}{eq{$auth3}{${readfile{%[6]s}}}}}}
  server_set_id = $auth2
`
