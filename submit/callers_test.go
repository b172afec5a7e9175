package submit_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"sendoff/submit/envelope"
	rfc5322 "sendoff/submit/message"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// letter is what a program writes that makes a whole message itself, and plain
// the envelope in which it arrives.
const (
	letter = "From: Ann <ann@example.org>\nTo: Bob <bob@example.net>\nSubject: hello\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.org>\n\ntext\n.\n.x\n"
	plain  = "MAIL FROM:<ann@example.org>\nRCPT TO:<bob@example.net>\n"
	toAnn  = "MAIL FROM:<ann@example.org>\nRCPT TO:<ann@example.org>\n"
	eight  = "MAIL FROM:<ann@example.org> BODY=8BITMIME\n"
)

// callers are the programs that call sendmail: the command line, byte for byte;
// what they write to it; and what arrives, where Date: … and Message-ID: …
// stand for fields that had to be added.
var callers = []struct {
	program, argv, stdin string
	envelope             string // as describe has it; "" is plain
	want                 string // "" is what was written
}{
	{"Vixie cron", "sendmail -FCronDaemon -odi -oem -or0s root",
		"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@box> date\nX-Cron-Env: <SHELL=/bin/sh>\nX-Cron-Env: <LOGNAME=root>\n\nMon Nov 23\n", toAnn,
		"From: ann@example.org (Cron Daemon)\nTo: ann@example.org\nSubject: Cron <root@box> date\nX-Cron-Env: <SHELL=/bin/sh>\nX-Cron-Env: <LOGNAME=root>\nDate: …\nMessage-ID: …\n\nMon Nov 23\n"},
	{"Debian cron", "/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem  root",
		"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@box> f\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <HOME=/root>\n\nGrüße\n.\nend\n", eight + "RCPT TO:<ann@example.org>\n",
		"From: ann@example.org (Cron Daemon)\nTo: ann@example.org\nSubject: Cron <root@box> f\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <HOME=/root>\nDate: …\nMessage-ID: …\n\nGrüße\n.\nend\n"},
	{"Debian cron, MAILTO", "/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem  bob@example.net",
		"From: root (Cron Daemon)\nTo: bob@example.net\nSubject: Cron <root@box> f\n\nx\n", eight + "RCPT TO:<bob@example.net>\n",
		"From: ann@example.org (Cron Daemon)\nTo: bob@example.net\nSubject: Cron <root@box> f\nDate: …\nMessage-ID: …\n\nx\n"},
	{"cronie", "/usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t -f root",
		"From: \"(Cron Daemon)\" <root>\nTo: root\nSubject: Cron <root@box> f\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nAuto-Submitted: auto-generated\nPrecedence: bulk\nX-Cron-Env: <LANG=C>\n\nx\n", toAnn,
		"From: \"(Cron Daemon)\" <ann@example.org>\nTo: ann@example.org\nSubject: Cron <root@box> f\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nAuto-Submitted: auto-generated\nPrecedence: bulk\nX-Cron-Env: <LANG=C>\nDate: …\nMessage-ID: …\n\nx\n"},
	{"anacron", "/usr/sbin/sendmail -FAnacron -odi root",
		"From: Anacron <root>\nTo: root\nSubject: Anacron job 'cron.daily' on box\nContent-Type: text/plain; charset=ANSI_X3.4-1968\nContent-Transfer-Encoding: 8bit\n\n/etc/cron.daily/x:\nfailed\n", toAnn,
		"From: Anacron <ann@example.org>\nTo: ann@example.org\nSubject: Anacron job 'cron.daily' on box\nContent-Type: text/plain; charset=ANSI_X3.4-1968\nContent-Transfer-Encoding: 8bit\nDate: …\nMessage-ID: …\n\n/etc/cron.daily/x:\nfailed\n"},
	{"atd", "sendmail -i www-data",
		"Subject: Output from your job        7\nTo: www-data\n\ndone\n", toAnn,
		"Subject: Output from your job        7\nTo: ann@example.org\nFrom: Ann Account <ann@example.org>\nDate: …\nMessage-ID: …\n\ndone\n"},
	{"PHP", "/usr/sbin/sendmail -t -i",
		"To: bob@example.net\nSubject: hello\r\nX-Mailer: PHP/8.2\r\nBcc: carol@example.net\r\n\r\ntext\nsecond\r\n.\n", plain + "RCPT TO:<carol@example.net>\n",
		"To: bob@example.net\nSubject: hello\nX-Mailer: PHP/8.2\nFrom: Ann Account <ann@example.org>\nDate: …\nMessage-ID: …\n\ntext\nsecond\n.\n"},
	{"PHP 8, fifth parameter", "/usr/sbin/sendmail -t -i -fwww-data@localhost",
		"To: bob@example.net\r\nSubject: hello\r\nFrom: Shop <www-data@localhost>\r\nReply-To: bob@example.net\r\n\r\ntext\r\n.\r\nsecond\r\n", "",
		"To: bob@example.net\nSubject: hello\nFrom: Shop <ann@example.org>\nReply-To: bob@example.net\nDate: …\nMessage-ID: …\n\ntext\n.\nsecond\n"},
	{"PHPMailer, mail", "/usr/sbin/sendmail -t -i -fann@example.org",
		"To: bob@example.net\r\nSubject: hello\r\n" + "Date: Mon, 23 Nov 2026 10:00:00 +0000\nFrom: Ann <ann@example.org>\nMessage-ID: <1@box>\nX-Mailer: PHPMailer\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n\ntext\n", "",
		"To: bob@example.net\nSubject: hello\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nFrom: Ann <ann@example.org>\nMessage-ID: <1@box>\nX-Mailer: PHPMailer\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n\ntext\n"},
	{"PHPMailer, sendmail", "/usr/sbin/sendmail -oi -fann@example.org -t", letter, "", ""},
	{"Drupal", "/usr/sbin/sendmail -t -i -fann@example.org",
		"To: bob@example.net\r\nSubject: hello\r\nMIME-Version: 1.0\r\nReturn-Path: ann@example.org\r\nSender: ann@example.org\r\nFrom: ann@example.org\r\n\r\ntext\n", "",
		"To: bob@example.net\nSubject: hello\nMIME-Version: 1.0\nSender: ann@example.org\nFrom: ann@example.org\nDate: …\nMessage-ID: …\n\ntext\n"},
	{"SwiftMailer, -t", "/usr/sbin/sendmail -t -fann@example.org", strings.ReplaceAll(letter, "\n.", "\n.."), "", strings.ReplaceAll(letter, "\n.", "\n..")},
	{"Symfony, -t", "/usr/sbin/sendmail -fann@example.org -- bob@example.net carol@example.net", strings.ReplaceAll(letter, "\n.", "\n.."), plain + "RCPT TO:<carol@example.net>\n", strings.ReplaceAll(letter, "\n.", "\n..")},
	{"Symfony, -t -i, older", "/usr/sbin/sendmail -i -fann@example.org bob@example.net carol@example.net", letter, plain + "RCPT TO:<carol@example.net>\n", ""},
	{"Ruby mail", "sendmail -i -f ann@example.org -- bob@example.net", letter, "", ""},
	{"Ruby mail, Exim", "exim -i -t -f ann@example.org", letter, "", ""},
	{"Rails 6, -i -t", "/usr/sbin/sendmail -i -t -f ann@example.org -- bob@example.net", letter, "", ""},
	{"Rails 6, -i", "/usr/sbin/sendmail -i -f ann@example.org -- bob@example.net", letter, "", ""},
	{"MIME::Lite", "/usr/lib/sendmail -t -oi -oem", letter, "", ""},
	{"MIME::Lite, sender", "/usr/lib/sendmail -t -oi -oem -fann@example.org", letter, "", ""},
	{"Email::Sender", "sendmail -i -f ann@example.org -- bob@example.net", letter, "", ""},
	{"Email::Sender, older", "sendmail -f ann@example.org bob@example.net", letter, "", strings.TrimSuffix(letter, ".\n.x\n")},
	{"git send-email", "/usr/sbin/sendmail -f ann@example.org -i bob@example.net carol@example.net", letter, plain + "RCPT TO:<carol@example.net>\n", ""},
	{"git send-email, no sender", "/usr/sbin/sendmail -i bob@example.net", letter, "", ""},
	{"mutt", "/usr/sbin/sendmail -oem -oi -- bob@example.net", letter, "", ""},
	{"mutt, all of it", "/usr/sbin/sendmail -oem -oi -B8BITMIME -f ann@example.org -N failure,delay -R hdrs -- bob@example.net",
		letter + "Grüße\n", strings.Replace(eight, "\n", " RET=HDRS\n", 1) + "RCPT TO:<bob@example.net> NOTIFY=FAILURE,DELAY\n",
		strings.Replace(letter, "\n\n", "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n", 1) + "Grüße\n"},
	{"neomutt", "/usr/sbin/sendmail -oem -oi -f ann@example.org -R full -- bob@example.net", letter, strings.Replace(plain, ">\n", "> RET=FULL\n", 1), ""},
	{"s-nail", "sendmail -i -f ann@example.org -- bob@example.net", letter, "", ""},
	{"s-nail, all of it", "sendmail -i -m -v -F 'Ann A' -f ann@example.org -- bob@example.net", letter, "", ""},
	{"bsd-mailx", "sendmail -i -t",
		"To: bob@example.net\nSubject: hello\nBcc: carol@example.net\nMIME-Version: 1.0\nContent-Type: text/plain; charset=\"us-ascii\"\nMessage-Id: <E1@box>\nFrom: root <root@box>\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\ntext\n", plain + "RCPT TO:<carol@example.net>\n",
		"To: bob@example.net\nSubject: hello\nMIME-Version: 1.0\nContent-Type: text/plain; charset=\"us-ascii\"\nMessage-Id: <E1@box>\nFrom: root <ann@example.org>\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\ntext\n"},
	{"bsd-mailx, all of it", "sendmail -i -t -f root@localhost -m -v", letter, "", ""},
	{"GNU mailutils, -t", "sendmail -oi -f root@box -t",
		"From: root@box\nTo: <bob@example.net>\nSubject: hello\nUser-Agent: mail (GNU Mailutils 3.15)\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nMessage-Id: <2@box>\n\ntext\n", "",
		"From: ann@example.org\nTo: <bob@example.net>\nSubject: hello\nUser-Agent: mail (GNU Mailutils 3.15)\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nMessage-Id: <2@box>\n\ntext\n"},
	{"GNU mailutils, recipients", "sendmail -oi -f ann@example.org bob@example.net", letter, "", ""},
	{"logwatch", "/usr/sbin/sendmail -t",
		"To: root\nFrom: Logwatch\nSubject: Logwatch for box (Linux)\nAuto-Submitted: auto-generated\nPrecedence: bulk\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=\"utf-8\"\n\n ##### Logwatch 7.7 #####\n\n", toAnn,
		"To: ann@example.org\nFrom: ann@example.org\nSubject: Logwatch for box (Linux)\nAuto-Submitted: auto-generated\nPrecedence: bulk\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=\"utf-8\"\nDate: …\nMessage-ID: …\n\n ##### Logwatch 7.7 #####\n\n"},
	{"logcheck, by mime-construct", "sendmail -oi logcheck",
		"To: logcheck\nSubject: box 2026-11-23 10:02 System Events\nMIME-Version: 1.0 (mime-construct 1.11)\n\nNov 23\n.\n", toAnn,
		"To: ann@example.org\nSubject: box 2026-11-23 10:02 System Events\nMIME-Version: 1.0 (mime-construct 1.11)\nFrom: Ann Account <ann@example.org>\nDate: …\nMessage-ID: …\n\nNov 23\n.\n"},
	{"smartd, Nagios, apticron, by bsd-mailx", "sendmail -i -t",
		"To: root\nSubject: SMART error (FailedOpenDevice) detected on host: box\nMessage-Id: <E2@box>\nFrom: root <root@box>\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\nUnable to open\n", toAnn,
		"To: ann@example.org\nSubject: SMART error (FailedOpenDevice) detected on host: box\nMessage-Id: <E2@box>\nFrom: root <ann@example.org>\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\nUnable to open\n"},
	{"mdadm", "/usr/lib/sendmail -t",
		"From: mdadm monitoring <root>\nTo: root\nSubject: Fail event on /dev/md0:box\n\nThis is an automatically generated mail message from mdadm\nrunning on box\n\nPersonalities : [raid1]\nmd0 : active raid1 sdb1[1](F) sda1[0]\n", toAnn,
		"From: mdadm monitoring <ann@example.org>\nTo: ann@example.org\nSubject: Fail event on /dev/md0:box\nDate: …\nMessage-ID: …\n\nThis is an automatically generated mail message from mdadm\nrunning on box\n\nPersonalities : [raid1]\nmd0 : active raid1 sdb1[1](F) sda1[0]\n"},
	{"mdadm, MAILFROM", "/usr/sbin/sendmail -t -froot@box",
		"From: root@box\nTo: bob@example.net\nSubject: TestMessage event on /dev/md0:box\n\nx\n", "",
		"From: ann@example.org\nTo: bob@example.net\nSubject: TestMessage event on /dev/md0:box\nDate: …\nMessage-ID: …\n\nx\n"},
	{"fail2ban", "/usr/sbin/sendmail -f fail2ban root",
		"Subject: [Fail2Ban] sshd: started on box\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nFrom: Fail2Ban <fail2ban>\nTo: root\n\nHi,\n\nThe jail sshd has been started successfully.\n\nRegards,\n\nFail2Ban", toAnn,
		"Subject: [Fail2Ban] sshd: started on box\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nFrom: Fail2Ban <ann@example.org>\nTo: ann@example.org\nMessage-ID: …\n\nHi,\n\nThe jail sshd has been started successfully.\n\nRegards,\n\nFail2Ban\n"},
	{"sudo", "/usr/sbin/sendmail -t",
		"To: root\nFrom: ann\nAuto-Submitted: auto-generated\nSubject: *** SECURITY information for box ***\n\nbox : Nov 23 10:00:00 : ann : user NOT in sudoers ; PWD=/ ; USER=root ; COMMAND=/bin/sh\n\n", toAnn,
		"To: ann@example.org\nFrom: ann@example.org\nAuto-Submitted: auto-generated\nSubject: *** SECURITY information for box ***\nDate: …\nMessage-ID: …\n\nbox : Nov 23 10:00:00 : ann : user NOT in sudoers ; PWD=/ ; USER=root ; COMMAND=/bin/sh\n\n"},
	{"unattended-upgrades", "/usr/sbin/sendmail -oi -t",
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\nSubject: [reboot required] unattended-upgrades result for box: SUCCESS\nFrom: root\nTo: root\nAuto-Submitted: auto-generated\n\nPackages upgraded:=0A", toAnn,
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\nSubject: [reboot required] unattended-upgrades result for box: SUCCESS\nFrom: ann@example.org\nTo: ann@example.org\nAuto-Submitted: auto-generated\nDate: …\nMessage-ID: …\n\nPackages upgraded:=0A\n"},
	{"reportbug", "/usr/sbin/sendmail -oi -oem bob@example.net", letter, "", ""},
	{"reportbug, sender", "/usr/sbin/sendmail -f ann@example.org -oi -oem bob@example.net", letter, "", ""},
	{"Gitea, Forgejo", "sendmail -f ann@example.org -i bob@example.net", strings.ReplaceAll(letter, "\n", "\r\n"), "", letter},
	{"Nodemailer", "sendmail -i bob@example.net", strings.ReplaceAll(letter, "\n", "\r\n"), "", letter},
	{"Nodemailer, sender", "sendmail -i -f ann@example.org bob@example.net", letter, "", ""},
	{"Emacs", "/usr/sbin/sendmail -oi -f root -oAnowhere -oem -odb -t",
		"To: bob@example.net\nFrom: root <root@box>\nSubject: hello\n\ntext\n", "",
		"To: bob@example.net\nFrom: root <ann@example.org>\nSubject: hello\nDate: …\nMessage-ID: …\n\ntext\n"},
	{"Emacs, interactive", "/usr/sbin/sendmail -oi -f ann@example.org -oep -odi -t", letter, "", ""},
	{"Emacs, resent", "/usr/sbin/sendmail -oi -f ann@example.org -oep -odi bob@example.net", "Resent-From: ann@example.org\nResent-Date: Mon, 23 Nov 2026 11:00:00 +0000\nResent-To: bob@example.net\nResent-Message-ID: <2@box>\n" + letter, "", ""},
	{"Alpine, sendmail-path", "/usr/sbin/sendmail -oem -t -oi", letter, "", ""},
	{"nmh, pipe", "/usr/sbin/sendmail -t -i", "From: root\nTo: bob@example.net\nSubject: hello\nMIME-Version: 1.0\nContent-Type: text/plain; charset=\"us-ascii\"\nContent-ID: <7.1@box>\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\ntext\n", "",
		"From: ann@example.org\nTo: bob@example.net\nSubject: hello\nMIME-Version: 1.0\nContent-Type: text/plain; charset=\"us-ascii\"\nContent-ID: <7.1@box>\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nMessage-ID: …\n\ntext\n"},
	{"nmh, older", "sendmail -t -odb -oem -i -m", letter, "", ""},
	{"systemd recipe", "sendmail -t", "From: systemd <root@localhost>\nTo: bob@example.net\nSubject: x failed\n\n* x.service\n", "",
		"From: systemd <ann@example.org>\nTo: bob@example.net\nSubject: x failed\nDate: …\nMessage-ID: …\n\n* x.service\n"},
	{"systemd recipe, Subject only", "sendmail -i root", "Subject: x failed\n\n* x.service\n.\n", toAnn,
		"Subject: x failed\nFrom: Ann Account <ann@example.org>\nDate: …\nMessage-ID: …\n\n* x.service\n.\n"},
	{"netdata", "/usr/sbin/sendmail -F netdata -f netdata@box -B 8BITMIME -e m -t", letter, eight + "RCPT TO:<bob@example.net>\n", strings.TrimSuffix(letter, ".\n.x\n")},
	{"Django's third parties", "/usr/sbin/sendmail -ti", letter, "", ""},
	{"a script without a header", "/usr/sbin/sendmail root", "disk full\n", toAnn, "From: Ann Account <ann@example.org>\nDate: …\nMessage-ID: …\n\ndisk full\n"},
	{"a script without a blank line", "/usr/sbin/sendmail bob@example.net", "Subject: disk full", "",
		"Subject: disk full\nFrom: Ann Account <ann@example.org>\nDate: …\nMessage-ID: …\n\n"},
	{"rmail", "rmail bob@example.net", "From ann Mon Nov 23 10:00:00 2026 remote from box\n" + letter, "", letter},
	{"rmail, by sendmail", "/usr/sbin/sendmail -G -i -oee -f ann@example.org bob@example.net", letter, "", ""},
	{"what else is passed", "/usr/sbin/sendmail -bm -n -odq -om -oo -o7 -oi -N never -t", letter, strings.Replace(plain, "net>\n", "net> NOTIFY=NEVER\n", 1), ""},
}

// TestCallers has what each program sends arrive at a server that takes the
// account's own address only, and no address without a domain.
func TestCallers(t *testing.T) {
	h := newHome(t)
	for _, tt := range callers {
		t.Run(tt.program, func(t *testing.T) {
			code, stdout, stderr := h.run(t, tt.argv, tt.stdin)
			verbose := strings.Contains(tt.argv, " -v")
			if code != 0 || stdout != "" || stderr != "" && !verbose {
				t.Errorf("exit %d, stdout %q, stderr:\n%s", code, stdout, stderr)
			}
			h.arrived(t, cmp.Or(tt.envelope, plain), cmp.Or(tt.want, tt.stdin))
		})
	}
}

// talkers are the programs that speak SMTP to sendmail: the command line, and
// their commands, each of which waits for its reply; DATA is followed by the
// message, stdin.
var talkers = []struct {
	program, argv, stdin string
	commands             []string
	envelope, want       string // as in callers
}{
	{"Symfony", "/usr/sbin/sendmail -bs", letter,
		[]string{"HELO [127.0.0.1]", "MAIL FROM:<ann@example.org>", "RCPT TO:<bob@example.net>", "RCPT TO:<carol@example.net>", "DATA", "QUIT"},
		plain + "RCPT TO:<carol@example.net>\n", ""},
	{"SwiftMailer", "/usr/sbin/sendmail -bs", letter,
		[]string{"EHLO [127.0.0.1]", "MAIL FROM:<www-data@localhost>", "RCPT TO:<bob@example.net>", "DATA", "RSET", "NOOP", "QUIT"}, "", ""},
	{"Laravel", "/usr/sbin/sendmail -bs -i", letter,
		[]string{"EHLO [127.0.0.1]", "MAIL FROM:<ann@example.org>", "RCPT TO:<bob@example.net>", "DATA", "QUIT"}, "", ""},
	{"Alpine", "/usr/sbin/sendmail -bs -odb -oem", "Date: Mon, 23 Nov 2026 10:00:00 +0000 (UTC)\nFrom: Root <root@box>\nTo: bob@example.net\nMessage-ID: <1@box>\nMIME-Version: 1.0\nContent-Type: text/plain; format=flowed; charset=US-ASCII\n\n.\n",
		[]string{"EHLO localhost", "MAIL FROM:<root@box>", "RCPT TO:<bob@example.net>", "DATA", "QUIT"}, "",
		"Date: Mon, 23 Nov 2026 10:00:00 +0000 (UTC)\nFrom: Root <ann@example.org>\nTo: bob@example.net\nMessage-ID: <1@box>\nMIME-Version: 1.0\nContent-Type: text/plain; format=flowed; charset=US-ASCII\n\n.\n"},
	{"nmh", "/usr/sbin/sendmail -bs -odb -oem -om", letter,
		[]string{"EHLO box", "MAIL FROM:<root>", "RCPT TO:<bob@example.net>", "RCPT TO:<root>", "RSET", "MAIL FROM:<root>", "RCPT TO:<bob@example.net>", "RCPT TO:<root>", "DATA", "QUIT"},
		plain + "RCPT TO:<ann@example.org>\n", ""},
}

// TestTalkers does for programs that speak SMTP what TestCallers does.
func TestTalkers(t *testing.T) {
	h := newHome(t)
	for _, tt := range talkers {
		t.Run(tt.program, func(t *testing.T) {
			h.talk(t, tt.argv, tt.stdin, tt.commands)
			h.arrived(t, cmp.Or(tt.envelope, plain), cmp.Or(tt.want, tt.stdin))
		})
	}
}

// TestCallersWithoutRecipient holds that what names nobody fails: programs that
// add an empty sender as -f” have getopt take the next word for it.
func TestCallersWithoutRecipient(t *testing.T) {
	h := newHome(t)
	for _, argv := range []string{
		"/usr/sbin/sendmail -i -f bob@example.net", // Symfony
		"/usr/sbin/sendmail -t -i -f",              // SwiftMailer
		"/usr/sbin/sendmail -fann@example.org",     // PHPMailer, which means qmail-inject
	} {
		if code, _, stderr := h.run(t, argv, letter); code != 64 || stderr == "" {
			t.Errorf("%s: exit %d, stderr:\n%s", argv, code, stderr)
		}
		if got := h.provider.taken(); len(got) > 0 {
			t.Errorf("%s: %d mails arrived", argv, len(got))
		}
	}
}

// A home is a user's folder with a configuration, for a provider.
type home struct {
	dir, binary string
	provider    *provider
}

func newHome(t *testing.T) *home {
	h := &home{dir: t.TempDir(), binary: filepath.Join(build(t), "sendmail"), provider: new(provider)}
	ctx, cancel := context.WithCancel(context.Background())
	d := &smtpd.Server{Hostname: "mx.example", Handle: h.provider.handle}
	address, wait, err := d.Loopback(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); wait() })
	text := "hostname = \"client.example\"\naliases = \"off\"\nqueue = \"off\"\nlog = \"off\"\n[accounts.work]\nserver = \"smtp+plain://" + address +
		"\"\nfrom = \"ann@example.org\"\nfull-name = \"Ann Account\"\n"
	if err := os.WriteFile(filepath.Join(h.dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// command is the program as a caller runs it, by the caller's name for it.
func (h *home) command(argv string, stderr io.Writer) *exec.Cmd {
	var words []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(argv, -1) {
		words = append(words, strings.Trim(word, "'"))
	}
	env := append(os.Environ(), "SENDOFF_CONFIG="+filepath.Join(h.dir, "config.toml"), "SENDOFF_TEST_HOME="+h.dir, "NAME=")
	return &exec.Cmd{Path: h.binary, Args: words, Env: env, Dir: h.dir, Stderr: stderr}
}

// talk runs a session, in which every reply must be a good one, and nothing
// may be on stderr.
func (h *home) talk(t *testing.T, argv, message string, commands []string) {
	t.Helper()
	var problem bytes.Buffer
	cmd := h.command(argv, &problem)
	stdin, err := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	replies := textproto.NewReader(bufio.NewReader(stdout))
	expect := func(command string, code int) {
		t.Helper()
		if _, _, err := replies.ReadResponse(code); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	expect("greeting", 220)
	for _, command := range commands {
		io.WriteString(stdin, command+"\r\n")
		switch command {
		case "DATA":
			expect(command, 354)
			stuffed := strings.ReplaceAll("\n"+message, "\n.", "\n..")[1:]
			io.WriteString(stdin, strings.ReplaceAll(stuffed, "\n", "\r\n")+".\r\n")
			expect("end of message", 250)
		case "QUIT":
			expect(command, 221)
		default:
			expect(command, 250)
		}
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil || problem.Len() > 0 {
		t.Errorf("%v, stderr:\n%s", err, problem.String())
	}
}

// run runs the program with a message on stdin.
func (h *home) run(t *testing.T, argv, stdin string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problem bytes.Buffer
	cmd := h.command(argv, &problem)
	cmd.Stdin, cmd.Stdout = strings.NewReader(stdin), &out
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), problem.String()
}

// arrived holds the one mail that came against the envelope and message wanted.
func (h *home) arrived(t *testing.T, envelope, want string) {
	t.Helper()
	got := h.provider.taken()
	if len(got) != 1 {
		t.Fatalf("%d mails arrived", len(got))
	}
	if got[0].envelope != envelope {
		t.Errorf("envelope:\n%swant:\n%s", got[0].envelope, envelope)
	}
	if text := anonymous(got[0].text, want); text != want {
		t.Errorf("message:\n%s\nwant:\n%s", text, want)
	}
}

// anonymous puts … in place of each Date and Message-ID that want has so.
func anonymous(text, want string) string {
	for _, field := range []string{"Date: ", "Message-ID: "} {
		if strings.Contains(want, "\n"+field+"…\n") {
			text = regexp.MustCompile("\n"+field+".+").ReplaceAllLiteralString(text, "\n"+field+"…")
		}
	}
	return text
}

// A provider is a smarthost that takes the account's own address only, in
// envelope and header, and no address without a domain.
type provider struct {
	mu    sync.Mutex
	mails []arrival
}

type arrival struct{ envelope, text string }

// taken returns the mails since it was last asked.
func (p *provider) taken() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	mails := p.mails
	p.mails = nil
	return mails
}

// addressed returns why no mail has e, if any.
func addressed(e *envelope.Envelope) error {
	if e.From.String() != "ann@example.org" {
		return status.NotAllowed.Errorf("the sender <%s> is not yours", e.From)
	}
	for _, to := range e.To {
		if err := whole(to.Address); err != nil {
			return err
		}
	}
	return nil
}

func whole(a envelope.Address) error {
	if !strings.Contains(a.Domain(), ".") {
		return status.NotAllowed.Errorf("<%s> has no domain", a)
	}
	return nil
}

func (p *provider) handle(_ context.Context, c smtpd.Client, e *envelope.Envelope, content io.Reader) error {
	if err := addressed(e); err != nil {
		return err
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(b), "\r\n", "\n")
	head, _, _ := strings.Cut(text, "\n\n")
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "From", "Sender", "Reply-To", "To", "Cc", "Resent-From", "Resent-To":
		case "Bcc":
			return status.NotAllowed.Errorf("a Bcc field")
		default:
			continue
		}
		list, err := rfc5322.ParseAddressList(value)
		if err != nil {
			return status.Data.Errorf("%s: %w", line, err)
		}
		for _, m := range list {
			if err := whole(m.Address); err != nil {
				return err
			}
			if (name == "From" || name == "Sender") && m.Address.String() != "ann@example.org" {
				return status.NotAllowed.Errorf("%s<%s> is not yours", name, m.Address)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mails = append(p.mails, arrival{describe(c, e), text})
	return nil
}
