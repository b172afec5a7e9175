//go:build e2e && linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"sendoff/submit/credential/oauth2test"
)

// A mailServer is Postfix as a provider runs it: the two submission ports of
// RFC 8314, passwords checked by Dovecot, and mailboxes that the tests read.
//
// It changes nothing in what it receives: no header is added, dropped or
// rewritten, so that a mailbox shows what sendoff sent. It can reach no other
// host.
type mailServer struct {
	dir       string
	log       string // Postfix's
	ca        *authority
	smtps     int // TLS from the start, as on 465
	smtp      int // STARTTLS, as on 587
	otherName int // TLS, with a certificate for another host
	expired   int // TLS, with a certificate of last year
	old       int // TLS, and nothing of ESMTP but SIZE and AUTH; takes three recipients at once
	open      int // neither TLS nor login
	strict    int // TLS; takes no foreign sender, and no address without a domain, in envelope and header
	running   []*process
	boxes     atomic.Int32

	tokens   *oauth2test.Provider // what Dovecot asks about access tokens
	provider *httptest.Server     // serves it
}

// maxBoxes is the number of mailboxes, as virtual(8) wants a list of them.
const maxBoxes = 1000

// The account that every test sends with. The password has what breaks
// careless quoting: a space, a quote, a backslash, 8-bit characters.
const (
	username = "ann@example.org"
	password = `pass "wörd\ 1'`
)

// mail returns the mail server, started by the first test that asks.
func mail(t *testing.T) *mailServer {
	t.Helper()
	need(t)
	if lab.mail == nil {
		s := &mailServer{dir: filepath.Join(lab.dir, "mail")}
		lab.mail = s
		if err := s.start(); err != nil {
			t.Fatalf("mail server: %v\n%s\n%s", err, read(s.log), read(s.dir+"/dovecot.log"))
		}
	}
	showOnFailure(t, lab.mail.log)
	showOnFailure(t, lab.mail.dir+"/dovecot.log")
	return lab.mail
}

func (s *mailServer) start() error {
	for _, dir := range []string{"", "conf", "queue", "data", "boxes", "run"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	s.log = filepath.Join(s.dir, "postfix.log")
	var err error
	if s.ca, err = newAuthority(s.dir); err != nil {
		return err
	}
	soon := time.Now().Add(time.Hour)
	if err := errors.Join(
		s.ca.issue(s.dir+"/good.pem", soon, "localhost", "127.0.0.1"),
		s.ca.issue(s.dir+"/other.pem", soon, "mail.example.com"),
		s.ca.issue(s.dir+"/expired.pem", time.Now().AddDate(-1, 0, 0), "localhost", "127.0.0.1"),
		chown(s.dir+"/data", "postfix"),
		chown(s.dir+"/boxes", lab.caller.Username),
	); err != nil {
		return err
	}
	if err := s.startDovecot(); err != nil {
		return err
	}
	// A port that was free a moment ago may be taken now.
	for range 3 {
		if err = s.startPostfix(); err == nil {
			return nil
		}
	}
	return err
}

func (s *mailServer) startDovecot() error {
	users := fmt.Sprintf("%s:{PLAIN}%s\n", username, password)
	conf := s.dir + "/dovecot.conf"
	if err := errors.Join(
		os.WriteFile(s.dir+"/users", []byte(users), 0o644),
		s.configure(conf, dovecotConf),
		s.startProvider(),
	); err != nil {
		return err
	}
	p, err := start(nil, os.Environ(), "dovecot", "-F", "-c", conf)
	if err != nil {
		return err
	}
	s.running = append(s.running, p)
	return await("dovecot", listening("unix", s.dir+"/auth"))
}

func (s *mailServer) startPostfix() error {
	ports, err := freePorts(7)
	if err != nil {
		return err
	}
	s.smtps, s.smtp, s.otherName, s.expired, s.old, s.open, s.strict = ports[0], ports[1], ports[2], ports[3], ports[4], ports[5], ports[6]
	var boxes strings.Builder
	for n := range maxBoxes {
		fmt.Fprintf(&boxes, "box-%d@example.net box-%[1]d/\nböx-%[1]d@example.net box-%[1]d/\nbox-%[1]d@xn--bcher-kva.example box-%[1]d/\n", n)
	}
	if err := errors.Join(
		s.configure(s.dir+"/conf/main.cf", mainCF),
		s.configure(s.dir+"/conf/master.cf", masterCF),
		os.WriteFile(s.dir+"/boxes.map", []byte(boxes.String()), 0o644),
		os.WriteFile(s.dir+"/owners.map", []byte(ownersMap), 0o644),
		os.WriteFile(s.dir+"/header.map", []byte(headerMap), 0o644),
	); err != nil {
		return err
	}
	// This makes the queue's folders.
	if out, err := exec.Command("postfix", "-c", s.dir+"/conf", "check").CombinedOutput(); err != nil {
		return fmt.Errorf("postfix check: %w\n%s", err, out)
	}
	daemons, err := exec.Command("postconf", "-dh", "daemon_directory").Output()
	if err != nil {
		return fmt.Errorf("postconf: %w", err)
	}
	p, err := start(nil, os.Environ(), strings.TrimSpace(string(daemons))+"/master", "-c", s.dir+"/conf", "-s")
	if err != nil {
		return err
	}
	// Postfix takes all its ports, or none, before it answers on any.
	if err := await("postfix", listening("tcp", address(s.smtps))); err != nil {
		p.stop()
		return err
	}
	s.running = append(s.running, p)
	return nil
}

func (s *mailServer) stop() {
	if s.provider != nil {
		s.provider.Close()
	}
	for _, p := range s.running {
		p.stop()
	}
}

// configure writes a configuration file from its template.
func (s *mailServer) configure(file, text string) error {
	var out bytes.Buffer
	err := template.Must(template.New(file).Parse(text)).Execute(&out, map[string]any{
		"Dir": s.dir, "Log": s.log, "UID": lab.caller.Uid, "GID": lab.caller.Gid,
		"SMTPS": s.smtps, "SMTP": s.smtp, "OtherName": s.otherName, "Expired": s.expired,
		"Old": s.old, "Open": s.open, "Strict": s.strict,
	})
	return errors.Join(err, os.WriteFile(file, out.Bytes(), 0o644))
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func chown(file, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return os.Chown(file, uid, gid)
}

// box returns the address of a mailbox that no other test knows.
func (s *mailServer) box() string {
	return fmt.Sprintf("box-%d@example.net", s.boxes.Add(1))
}

// A delivery is a message found in a mailbox.
type delivery struct {
	id      string // Postfix's name for it
	from    string // the reverse-path
	with    string // the protocol, as registered by RFC 3848; "" if Postfix wrote the message
	message string // as it came to the server, with LF line ends
}

// trace is what Postfix and virtual(8) put on top of a message.
var trace = regexp.MustCompile(`^Return-Path: <(.*)>\nX-Original-To: .*\nDelivered-To: .*\n` +
	`Received: (?:.*\n[ \t])*?by mail\.example\.net \(Postfix\)(?: with (\S+))?\s+id ([0-9A-F]+).*\n(?:[ \t].*\n)*`)

// in returns the files of the messages in a mailbox.
func (s *mailServer) in(box string) []string {
	name, _, _ := strings.Cut(box, "@")
	files, _ := filepath.Glob(filepath.Join(s.dir, "boxes", name, "new", "*"))
	return files
}

// fetch waits for n messages in the mailbox.
func (s *mailServer) fetch(t *testing.T, box string, n int) []delivery {
	t.Helper()
	var files []string
	if err := await("mail in "+box, func() bool {
		files = s.in(box)
		return len(files) >= n
	}); err != nil {
		t.Fatal(err)
	}
	if len(files) != n {
		t.Fatalf("%d messages in %s, want %d", len(files), box, n)
	}
	var found []delivery
	for _, file := range files {
		text := read(file)
		m := trace.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no trace fields on top of:\n%s", text)
		}
		found = append(found, delivery{from: m[1], with: m[2], id: m[3], message: text[len(m[0]):]})
	}
	return found
}

// mechanism waits for the log to say how the sender of a message logged in.
func (s *mailServer) mechanism(t *testing.T, d delivery) string {
	t.Helper()
	line := regexp.MustCompile(d.id + `: client=.*, sasl_method=([A-Z0-9-]+), sasl_username=` + regexp.QuoteMeta(username))
	var m []string
	if err := await("a login in the log for "+d.id, func() bool {
		m = line.FindStringSubmatch(read(s.log))
		return m != nil
	}); err != nil {
		t.Fatal(err)
	}
	return m[1]
}

const dovecotConf = `
base_dir = {{.Dir}}/run
log_path = {{.Dir}}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login scram-sha-256 scram-sha-1 cram-md5 xoauth2 oauthbearer
auth_failure_delay = 0 secs
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {{.Dir}}/users
}
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {{.Dir}}/oauth2.conf
}
userdb {
  driver = static
  args = uid={{.UID}} gid={{.GID}} home=/nonexistent
}
# Every login comes from one address, and would wait for the failures before.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener {{.Dir}}/auth {
    mode = 0666
  }
}
`

const mainCF = `
compatibility_level = 3.6
queue_directory = {{.Dir}}/queue
data_directory = {{.Dir}}/data
maillog_file = {{.Log}}
maillog_file_prefixes = {{.Dir}}

myhostname = mail.example.net
mydestination =
mynetworks =
inet_protocols = ipv4
alias_maps =
alias_database =

virtual_mailbox_domains = example.net, example.org, xn--bcher-kva.example
virtual_mailbox_base = {{.Dir}}/boxes
virtual_mailbox_maps = texthash:{{.Dir}}/boxes.map
virtual_uid_maps = static:{{.UID}}
virtual_gid_maps = static:{{.GID}}
virtual_minimum_uid = 1

default_transport = error:no mail leaves this host
relay_transport = error:no mail leaves this host
local_transport = error:no mail leaves this host
disable_dns_lookups = yes
notify_classes =

local_header_rewrite_clients =
message_drop_headers =
message_size_limit = 8000000

smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {{.Dir}}/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_error_sleep_time = 0
smtpd_peername_lookup = no
smtpd_tls_chain_files = {{.Dir}}/good.pem
smtpd_tls_received_header = yes
`

// ownersMap says which login may send as whom: the mailboxes are aliases of the
// one user.
const ownersMap = `/^box-[0-9]+@example\.net$/ ` + username + `
/^ann@example\.org$/ ` + username + `
`

// headerMap refuses what a strict provider does: authors that are not the
// login's, and addresses without a domain.
const headerMap = `if /^(From|Sender):/
!/[ <](box-[0-9]+@example\.net|ann@example\.org)([> ]|$)/ REJECT 5.7.1 the author is not the one who logged in
endif
if /^(From|Sender|Reply-To|To|Cc):/
/[:,]([^@,;:]*)(,|$)/ REJECT 5.6.0 an address without a domain
/@[^.,> ]+([,> ]|$)/ REJECT 5.6.0 an address without a domain
endif
/^(Resent-)?Bcc:/ REJECT 5.6.0 a field that tells who is not to be told
`

const masterCF = `
127.0.0.1:{{.SMTPS}} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:{{.SMTP}} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_tls_auth_only=yes
127.0.0.1:{{.OtherName}} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_tls_chain_files={{.Dir}}/other.pem
127.0.0.1:{{.Expired}} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_tls_chain_files={{.Dir}}/expired.pem
127.0.0.1:{{.Old}} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_recipient_limit=3
  -o smtpd_discard_ehlo_keywords=8bitmime,smtputf8,dsn,pipelining,chunking,enhancedstatuscodes
127.0.0.1:{{.Open}} inet n - n - - smtpd
  -o mynetworks=127.0.0.0/8 -o smtpd_relay_restrictions=permit_mynetworks,reject
127.0.0.1:{{.Strict}} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o cleanup_service_name=strict
  -o smtpd_sender_login_maps=regexp:{{.Dir}}/owners.map
  -o smtpd_sender_restrictions=reject_non_fqdn_sender,reject_sender_login_mismatch
  -o smtpd_recipient_restrictions=reject_non_fqdn_recipient
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
strict unix n - n - 0 cleanup
  -o header_checks=regexp:{{.Dir}}/header.map
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
`
