//go:build e2e && linux

package e2e

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A caller is a program, and what it is made to send.
type caller struct {
	name   string
	script string
	to     string   // the mailboxes; "" is OWN
	fields []string // regular expressions, each for one line of the header
	body   string
	// bodyLike is a regular expression in place of body.
	bodyLike string
}

// callers are programs that call sendmail, from Debian's packages, and what
// they are made to send. The script runs as root in a place of its own: $OWN
// is the account's address, $TO, $CC and $BCC are other mailboxes, and $HOME is
// an empty folder. A line DOCUMENTED NAME stands for the lines that the README and
// sendoff-server(7) have for NAME. It is over when the mail is there.
//
// Not here are programs that run one of these for it: apticron and Nagios run
// mailx, logcheck mime-construct; WordPress and Drupal call PHP's mail(), Rails
// Ruby's mail gem. Neither are those that cannot be run:
//
//	Alpine      sends only from its screen, and the keys that make it do so
//	            have no effect on a machine where it was just installed; nmh
//	            speaks SMTP to sendmail as it does
//	cronie      is no package of Debian 12
//	smartd      mails about disks only; its warning script is run as it would
//	Laravel,    bring hundreds of megabytes (Nodemailer), or are no packages
//	Gitea, ...  of Debian; submit/callers_test.go has what they write
var callers = []caller{
	{name: "cron", script: `
printf '@reboot printf "Gr\\303\\274\\303\\237e\\n.\\nend\\n"\n' | crontab -
cron -f &`,
		fields: []string{`From: OWN \(Cron Daemon\)`, "To: OWN", `Subject: Cron <root@box> printf .*`},
		body:   "Grüße\n.\nend\n"},
	{name: "cron, a user and MAILTO", script: `
printf 'MAILTO=%s\n@reboot id -un\n' "$TO" | crontab -u games -
cron -f &`,
		to: "TO", fields: []string{`From: OWN \(Cron Daemon\)`, "To: TO"}, body: "games\n"},
	{name: "cron, root has an alias", script: `
printf 'root: %s, ops\nops: %s\n' "$TO" "$CC" >/etc/aliases && newaliases
echo '@reboot echo hello' | crontab -
cron -f &`,
		to: "TO CC", fields: []string{`From: OWN \(Cron Daemon\)`, "To: OWN"}, body: "hello\n"},
	{name: "at", script: `
atd -f & until [ -s /run/atd.pid ]; do sleep 0.1; done
printf 'echo hello; echo .; echo end\n' | at now 2>"$HOME/at.log"`,
		fields: []string{"From: .*<OWN>", "To: OWN", `Subject: Output from your job .*`}, body: "hello\n.\nend\n"},
	{name: "anacron", script: `
printf 'SHELL=/bin/sh\n1 0 job echo hello; echo world\n' >"$HOME/tab" && mkdir "$HOME/spool"
anacron -f -n -d -t "$HOME/tab" -S "$HOME/spool" >&2`,
		fields: []string{"From: Anacron <OWN>", "To: OWN", "Subject: Anacron job 'job' on box"}, body: "hello\nworld\n"},
	{name: "git send-email", script: gitRepository + `
git send-email --quiet --confirm=never --suppress-cc=self --to "$TO" --cc "$CC" --bcc "$BCC" -1`,
		to: "TO CC BCC", fields: []string{"From: Ann <OWN>", "To: TO", "Cc: CC", `Subject: \[PATCH\] begin`}, bodyLike: gitPatch},
	{name: "git send-email, as documented", script: gitRepository + `
DOCUMENTED git
rm /usr/sbin/sendmail /usr/lib/sendmail
git send-email --quiet --confirm=never --suppress-cc=self --to "$TO" -1`,
		to: "TO", fields: []string{"From: Ann <OWN>", "To: TO", `Subject: \[PATCH\] begin`}, bodyLike: gitPatch},
	{name: "mutt", script: `
printf 'hello\n.\n' | EMAIL="$OWN" mutt -n -F /dev/null -s hello -c "$CC" -b "$BCC" -e 'set copy=no dsn_notify=never' -- "$TO"`,
		to: "TO CC BCC", fields: []string{"From: .*<?OWN>?", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n.\n"},
	{name: "mutt, as documented", script: `
cat >"$HOME/muttrc" <<'END'
DOCUMENTED mutt
END
rm /usr/sbin/sendmail /usr/lib/sendmail
printf 'hello\n.\n' | mutt -n -F "$HOME/muttrc" -s hello -e 'set copy=no' -- "$TO"`,
		to: "TO", fields: []string{"From: .*<?OWN>?", "To: TO", "Subject: hello"}, body: "hello\n.\n"},
	{name: "neomutt, as documented", script: `
cat >"$HOME/muttrc" <<'END'
DOCUMENTED mutt
END
rm /usr/sbin/sendmail /usr/lib/sendmail
printf 'hello\n.\n' | EMAIL="Ann <$OWN>" neomutt -n -F "$HOME/muttrc" -s hello -e 'set copy=no' -- "$TO"`,
		to: "TO", fields: []string{"From: .*<?OWN>?", "To: TO", "Subject: hello"}, body: "hello\n.\n"},
	{name: "Emacs, as documented", script: `
cat >"$HOME/init.el" <<'END'
DOCUMENTED emacs
END
rm /usr/sbin/sendmail /usr/lib/sendmail
` + emacs,
		to: "TO CC BCC", fields: []string{"From: Ann <OWN>", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n.\n"},
	{name: "Emacs with an account, as documented", script: `
cat >"$HOME/init.el" <<'END'
DOCUMENTED emacs
DOCUMENTED emacs-account
END
rm /usr/sbin/sendmail /usr/lib/sendmail
` + emacs,
		to: "TO CC BCC", fields: []string{"From: Ann <OWN>", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n.\n"},
	{name: "bsd-mailx", script: `
printf 'hello\n..\n' | bsd-mailx -s hello -c "$CC" -b "$BCC" "$TO"`,
		to: "TO CC BCC", fields: []string{"From: .*<OWN>", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n..\n"},
	{name: "bsd-mailx to root", script: `
printf 'hello\n' | bsd-mailx -s hello root`,
		fields: []string{"From: .*<OWN>", "To: OWN", "Subject: hello"}, body: "hello\n"},
	{name: "s-nail", script: `
printf 'hello\n..\n' | s-nail -n -s hello -c "$CC" -b "$BCC" "$TO"`,
		to: "TO CC BCC", fields: []string{"From: .*OWN>?", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n..\n"},
	{name: "s-nail, -r", script: `
printf 'hello\n' | s-nail -n -s hello -r "Ann <$OWN>" "$TO"`,
		to: "TO", fields: []string{"From: Ann <OWN>", "To: TO"}, body: "hello\n"},
	{name: "GNU mailutils", script: `
printf 'hello\n..\n' | mail.mailutils -s hello -a "X-Test: yes" "$TO"`,
		to: "TO", fields: []string{"From: .*OWN>?", "To: .*TO>?", "Subject: hello", "X-Test: yes"}, body: "hello\n..\n"},
	{name: "PHP", script: `
setpriv --reuid=www-data --regid=www-data --clear-groups php -r '
exit(mail(getenv("TO"), "Grüße", "hello\r\n.\r\nworld", "From: Shop <www-data@localhost>\r\nCc: ".getenv("CC")."\r\nBcc: ".getenv("BCC")."\r\nX-Test: yes", "-fwww-data@localhost") ? 0 : 1);'`,
		to: "TO CC BCC", fields: []string{"From: Shop <OWN>", "To: TO", "Cc: CC", "Subject: .*", "X-Test: yes"}, body: "hello\n.\nworld\n"},
	{name: "PHP, as documented", script: `
cat >"$(echo /etc/php/*/cli/conf.d)/99-mail.ini" <<'END'
DOCUMENTED php
END
php -r 'exit(mail(getenv("TO"), "hello", "hello\n.\nworld", ["From" => "root", "X-Test" => "yes"]) ? 0 : 1);'`,
		to: "TO", fields: []string{"From: OWN", "To: TO", "Subject: hello", "X-Test: yes"}, body: "hello\n.\nworld\n"},
	{name: "PHPMailer, by mail()", script: `
php -r '` + phpMailer + `$m->isMail(); $m->send();'`,
		to: "TO CC BCC", fields: []string{"From: Shop <OWN>", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n.\nworld\n\n"},
	{name: "PHPMailer, by sendmail", script: `
php -r '` + phpMailer + `$m->isSendmail(); $m->send();'`,
		to: "TO CC BCC", fields: []string{"From: Shop <OWN>", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n.\nworld\n"},
	{name: "Symfony's Mailer, by SMTP", script: `
setpriv --reuid=www-data --regid=www-data --clear-groups php -r '` + symfony + `send("sendmail://default");'`,
		to: "TO CC BCC", fields: []string{"From: Shop <OWN>", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n.\nworld\n"},
	{name: "Symfony's Mailer, -t", script: `
php -r '` + symfony + `send("sendmail://default?command=/usr/sbin/sendmail%20-oi%20-t");'`,
		to: "TO CC BCC", fields: []string{"From: Shop <OWN>", "To: TO", "Cc: CC", "Subject: hello"}, body: "hello\n.\nworld\n"},
	{name: "nmh, by SMTP", script: nmh + `
/usr/bin/mh/send -mts sendmail/smtp "$HOME/draft"`,
		to: "OWN TO", fields: []string{"From: OWN", "To: OWN, TO", "Subject: hello"}, body: "hello\n.\n"},
	{name: "nmh, by a pipe", script: nmh + `
/usr/bin/mh/send -mts sendmail/pipe "$HOME/draft"`,
		to: "OWN TO", fields: []string{"From: OWN", "To: OWN, TO", "Subject: hello"}, body: "hello\n.\n"},
	{name: "mime-construct", script: `
mime-construct --to root --subject hello --string 'hello
.
'`,
		fields: []string{"From: .*<OWN>", "To: OWN", "Subject: hello"}, body: "hello\n.\n"},
	{name: "Perl's MIME::Lite", script: `
perl -MMIME::Lite -e '
MIME::Lite->new(From => "root", To => $ENV{TO}, Bcc => $ENV{BCC}, Subject => "hello", Data => "hello\n.\nworld\n")->send or exit 1;'`,
		to: "TO BCC", fields: []string{"From: OWN", "To: TO", "Subject: hello"}, body: "hello\n.\nworld\n"},
	{name: "Perl's Email::Sender", script: `
perl -MEmail::Simple -MEmail::Sender::Simple=sendmail -e '
sendmail(Email::Simple->create(header => [From => "root\@localhost", To => $ENV{TO}, Subject => "hello"], body => "hello\n.\nworld\n"));'`,
		to: "TO", fields: []string{"From: OWN", "To: TO", "Subject: hello"}, body: "hello\n.\nworld\n"},
	{name: "Python's subprocess", script: `
python3 -c '
import os, subprocess
from email.message import EmailMessage
m = EmailMessage()
m["From"], m["To"], m["Subject"] = "root@localhost", os.environ["TO"], "Grüße"
m.set_content("hello\n.\nworld\n")
subprocess.run(["/usr/sbin/sendmail", "-t", "-oi"], input=m.as_bytes(), check=True)'`,
		to: "TO", fields: []string{"From: OWN", "To: TO", "Subject: =.*"}, body: "hello\n.\nworld\n"},
	{name: "Ruby's mail gem", script: `
ruby -e 'require "mail"
Mail.deliver { delivery_method :sendmail; from "root@localhost"; to ENV["TO"]; bcc ENV["BCC"]; subject "hello"; body "hello\n.\nworld\n" }'`,
		to: "TO BCC", fields: []string{"From: OWN", "To: TO", "Subject: hello"}, body: "hello\n.\nworld\n"},
	{name: "logwatch", script: `
mkdir -p /etc/logwatch/conf/services /etc/logwatch/scripts/services /var/cache/logwatch
printf 'Title = "test"\nLogFile = NONE\n' >/etc/logwatch/conf/services/test.conf
echo 'print "all is well\nend\n";' >/etc/logwatch/scripts/services/test
logwatch --output mail --mailto root --service test`,
		fields:   []string{"From: OWN", "To: OWN", "Subject: Logwatch for .*"},
		bodyLike: `.*#+ Logwatch .*all is well\n end\n.*Logwatch End #+ \n\n`},
	{name: "mdadm --monitor --test", script: `
"$UNPACKED/sbin/mdadm" --monitor --test --oneshot --mail root /dev/md99 >&2 2>"$HOME/mdadm.log" || true`,
		fields:   []string{"From: mdadm monitoring <OWN>", "To: OWN", "Subject: TestMessage event on /dev/md99:box"},
		bodyLike: `This is an automatically generated mail message.*A TestMessage event had been detected on md device /dev/md99\..*`},
	{name: "smartd's warning script", script: `
SMARTD_MAILER=/usr/share/smartmontools/smartd-runner SMARTD_ADDRESS=root SMARTD_FAILTYPE=EmailTest SMARTD_SUBJECT='SMART error (EmailTest)' \
SMARTD_MESSAGE='TEST EMAIL from smartd for device: /dev/sda' SMARTD_DEVICE=/dev/sda SMARTD_DEVICETYPE=sat SMARTD_DEVICESTRING=/dev/sda \
/usr/share/smartmontools/smartd_warning.sh`,
		fields:   []string{"From: .*OWN>?", "To: .*OWN>?", `Subject: SMART error \(EmailTest\).*`},
		bodyLike: `This message was generated by the smartd daemon running on:.*TEST EMAIL from smartd for device: /dev/sda\n.*`},
	{name: "reportbug", script: `
python3 -c '
import os
from reportbug import submit
submit.send_report("It does not work.\n.\nend\n", [], None, "Ann <" + os.environ["OWN"] + ">", os.environ["TO"], os.environ["CC"], "",
    [("X-Debbugs-Cc", "x")], mta="/usr/sbin/sendmail", smtphost="", draftpath=os.environ["HOME"])' >&2`,
		to: "TO CC", fields: []string{"From: Ann <OWN>", "To: TO", "Cc: CC"}, body: "It does not work.\n.\nend\n"},
	{name: "unattended-upgrades", script: `
python3 -c '
from importlib.machinery import SourceFileLoader
u = SourceFileLoader("u", "/usr/bin/unattended-upgrade").load_module()
assert u._send_mail_using_sendmail("root", "root", "[reboot required] result", "Packages upgraded:\n.\nGrüße\n") == 0'`,
		fields: []string{"From: OWN", "To: OWN", `Subject: \[reboot required\] result`}, body: "Packages upgraded:\n.\nGr=C3=BC=C3=9Fe\n"},
	{name: "fail2ban", script: `
mkdir -p "$HOME/f2b/action.d" "$HOME/f2b/filter.d"
cp /etc/fail2ban/fail2ban.conf "$HOME/f2b" && cp /etc/fail2ban/action.d/sendmail.conf /etc/fail2ban/action.d/sendmail-common.conf "$HOME/f2b/action.d"
printf '[Definition]\nactionstart =\nactionstop =\n' >"$HOME/f2b/action.d/sendmail-common.local"
printf '[Definition]\nfailregex = no <HOST>\n' >"$HOME/f2b/filter.d/test.conf"
printf '[test]\nenabled = true\nbackend = polling\nlogpath = %s/log\naction = sendmail[name=test]\n' "$HOME" >"$HOME/f2b/jail.conf"
: >"$HOME/log"
server() { fail2ban-client -c "$HOME/f2b" -s "$HOME/f2b.sock" -p "$HOME/f2b.pid" "$@" >&2; }
server -f --logtarget "$HOME/f2b.log" start & until server ping 2>/dev/null; do sleep 0.1; done
server set test banip 192.0.2.1`,
		fields:   []string{"From: Fail2Ban <OWN>", "To: OWN", `Subject: \[Fail2Ban\] test: banned 192\.0\.2\.1 from .*`},
		bodyLike: `Hi,\n+The IP 192\.0\.2\.1 has just been banned by Fail2Ban after.*Regards,\n+Fail2Ban\n`},
	{name: "sudo", script: `
echo 'Defaults !authenticate' >/etc/sudoers.d/test && chmod 440 /etc/sudoers.d/test
setpriv --reuid=games --regid=games --clear-groups sudo -n true 2>"$HOME/sudo.log" && exit 1
grep -q 'not in the sudoers file' "$HOME/sudo.log"`,
		fields:   []string{"From: OWN", "To: OWN", `Subject: \*\*\* SECURITY information for .*`},
		bodyLike: `.* : .* : games : user NOT in sudoers ; .*COMMAND=/usr/bin/true\n\n?`},
	{name: "a script", script: `
mailq >&2; echo 'disk full' | /usr/sbin/sendmail root`,
		fields: []string{"From: .*<OWN>"}, body: "disk full\n"},
}

const (
	gitRepository = `
git init -q "$HOME/tree" && cd "$HOME/tree"
git config user.name Ann && git config user.email "$OWN"
printf 'hello\n.\n' >file && git add file && git commit -q -m begin`
	gitPatch = `---\n file \| 2 \+\+\n.*\n\+hello\n\+\.\n-- \n.*\n`

	emacs = `
emacs --quick --batch --load "$HOME/init.el" --eval '
(progn
  (require (quote message))
  (setq user-full-name "Ann" user-mail-address (getenv "OWN"))
  (message-mail (getenv "TO") "hello" (list (cons "Cc" (getenv "CC")) (cons "Bcc" (getenv "BCC"))))
  (message-goto-body)
  (insert "hello\n.\n")
  (message-send))' 2>"$HOME/emacs.log" || { cat "$HOME/emacs.log" >&2; exit 1; }`

	phpMailer = `
require "libphp-phpmailer/autoload.php";
$m = new PHPMailer\PHPMailer\PHPMailer(true);
$m->setFrom(getenv("OWN"), "Shop");
$m->addAddress(getenv("TO")); $m->addCC(getenv("CC")); $m->addBCC(getenv("BCC"));
$m->Subject = "hello";
$m->Body = "hello\n.\nworld";
`
	symfony = `
require "Symfony/Component/Mailer/autoload.php";
function send($dsn) {
	(new Symfony\Component\Mailer\Mailer(Symfony\Component\Mailer\Transport::fromDsn($dsn)))->send((new Symfony\Component\Mime\Email())
		->from("Shop <www-data@localhost>")->to(getenv("TO"))->cc(getenv("CC"))->bcc(getenv("BCC"))->subject("hello")->text("hello\n.\nworld"));
}
`
	nmh = `
mkdir "$HOME/Mail" && echo 'Path: Mail' >"$HOME/.mh_profile"
printf 'From: root\nTo: root, %s\nSubject: hello\n\nhello\n.\n' "$TO" >"$HOME/draft"`
)

// TestCallers sends from real programs, with sendoff put in place of sendmail
// as sendoff-server(7) says, through a server that takes the account's own address
// only and no address without a domain.
func TestCallers(t *testing.T) {
	s := mail(t)
	installed(t, "cron", "atd", "anacron", "git", "mutt", "neomutt", "emacs", "bsd-mailx", "s-nail", "mail.mailutils", "php", "perl", "python3", "ruby", "mime-construct",
		"/usr/bin/mh/send", "logwatch", "/usr/share/smartmontools/smartd_warning.sh", "reportbug", "unattended-upgrade", "fail2ban-client", "sudo")
	unpacked(t, "sbin/mdadm")
	inPlace := inPlace(t)
	mails := map[string]int{} // that each box may get
	t.Run("programs", func(t *testing.T) {
		for _, c := range callers {
			boxes := map[string]string{"OWN": s.box(), "TO": s.box(), "CC": s.box(), "BCC": s.box()}
			env, wait := []string(nil), ""
			for name, box := range boxes {
				mails[box] = 0
				env = append(env, name+"="+box)
			}
			to := strings.Fields(cmp.Or(c.to, "OWN"))
			for _, name := range to {
				mails[boxes[name]] = 1
				local, _, _ := strings.Cut(boxes[name], "@")
				wait += fmt.Sprintf("\nuntil ls %s/boxes/%s/new/* >/dev/null 2>&1; do sleep 0.1; done", s.dir, local)
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				newPlace(t, boxes["OWN"]).run(t, inPlace+c.documented(t)+wait, env...)
				for _, name := range to {
					c.check(t, s.fetch(t, boxes[name], 1)[0], boxes)
				}
			})
		}
	})
	for box, n := range mails {
		if got := len(s.in(box)); got > n {
			t.Errorf("%d messages in %s, want %d at most", got, box, n)
		}
	}
}

// documented returns the script with the lines of the README and sendoff-server(7).
func (c caller) documented(t *testing.T) string {
	return regexp.MustCompile(`(?m)^DOCUMENTED (.*)\n`).ReplaceAllStringFunc(c.script, func(line string) string {
		_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		return documented(t, name)
	})
}

// check holds one of the messages that arrived against what was written.
func (c caller) check(t *testing.T, d delivery, boxes map[string]string) {
	t.Helper()
	if d.from != boxes["OWN"] {
		t.Errorf("from <%s>, want <%s>", d.from, boxes["OWN"])
	}
	header, body, _ := strings.Cut(d.message, "\n\n")
	names := strings.NewReplacer("OWN", boxes["OWN"], "BCC", boxes["BCC"], "CC", boxes["CC"], "TO", boxes["TO"])
	for _, field := range append(c.fields, "Date: .*", "Message-I[dD]: <.*>") {
		line := regexp.MustCompile("(?m)^" + names.Replace(field) + "$")
		if n := len(line.FindAllString(header, -1)); n != 1 {
			t.Errorf("%d fields like %s in\n%s", n, line, header)
		}
	}
	if c.body != "" && body != c.body || c.bodyLike != "" && !regexp.MustCompile("(?s)^"+c.bodyLike+"$").MatchString(body) {
		t.Errorf("body\n%q\nwant\n%q", body, c.body+c.bodyLike)
	}
}
