package status

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestHint holds lines as users see them against the remedy they get.
func TestHint(t *testing.T) {
	tests := []struct {
		err  error
		hint string // some words of it; "" for none
	}{
		{Connection.Errorf("connect to smtp.example.org:465: connection refused"), "right port"},
		{Connection.Errorf("connect to smtp.example.org:465: no route to host"), "blocked"},
		{Connection.Errorf("connect to smtp.example.org:587: connection refused"), "firewall"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no (mx.example:465); the secret is from systemd:smtp"), "sudo sendoff --login"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no (mx.example:465); the secret is from file:/etc/sendoff/secret"), "sudo sendoff --login"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no (mx.example:465); the secret is from systemd:mail"), "in the credential of systemd"},
		{Credential.Errorf("systemd:smtp: the password is empty"), "sudo sendoff --login"},
		{Credential.Errorf("systemd:mail: the password is empty"), "systemd-creds"},
		{Usage.Errorf("--rehearse is not allowed under the name sendoff-linux-arm64, only under the name sendoff"), "mv " + executable(t) + " sendoff"},
		{Usage.Errorf("--rehearse is not allowed under the name sendmail, only under the name sendoff"), "Untrusted arguments"},
		{Connection.Errorf("connect to /run/sendoff/submit.sock: connection refused"), "systemctl status sendoff.socket"},
		{Connection.Errorf("connect to /run/sendoff/submit.sock: no such file or directory"), "systemctl status sendoff.socket"},
		{Connection.Errorf("connect to /run/lmtp.sock: connection refused"), "does the service"},
		{Connection.Errorf("no answer within 10s while waiting for the greeting (/run/sendoff/submit.sock)"), "systemctl status sendoff.service"},
		{Connection.Errorf("no answer within 10s while waiting for the greeting (/run/lmtp.sock)"), "does the service"},
		{Connection.Errorf("connect to smtp.example.org:25: no answer within 30s"), "port 25"},
		{Connection.Errorf("not ready for mail within 1m0s while waiting for the greeting (mx.example:465)"), "port 465 is for TLS"},
		{Connection.Errorf("TLS: the server broke off the handshake (mx.example:587)"), "port 587 begins without TLS"},
		{Connection.Errorf("TLS: connection reset by peer in the handshake (mx.example:25)"), "port 25 begins without TLS"},
		{Connection.Errorf("TLS: the server broke off the handshake (mx.example)"), "firewall"},
		{Connection.Errorf("look up smtp.example.org: no such host"), "name"},
		{Connection.Errorf("look up smtp.example.org: no such host, says the name server 192.0.2.53"), "name of the server"},
		{Connection.Errorf("look up nas.local: no such host, says the name server 192.0.2.53"), "multicast"},
		{Connection.Errorf("look up nas.local: the name server 192.0.2.53 does not answer"), "multicast"},
		{Connection.Errorf("look up mail.local.example: no such host"), "name of the server"},
		{Connection.Errorf("look up smtp.example.org: the name server 192.0.2.53 does not answer"), "resolv.conf"},
		{Connection.Errorf("look up smtp.example.org: the name server 127.0.0.53 refuses to answer: connection refused"), "does it run"},
		{Connection.Errorf("look up smtp.example.org: the name server 192.0.2.53 cannot be reached: network is unreachable"), "is there a network"},
		{Connection.Errorf("look up smtp.example.org: the name server 192.0.2.53 fails, or gives an answer that cannot be understood"), "another name server"},
		{AuthFailed.Errorf("AUTH PLAIN: 534 5.7.9 Application-specific password required"), "app password"},
		{AuthFailed.Errorf("AUTH LOGIN: 535 5.7.139 Authentication unsuccessful"), "Microsoft"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 bad credentials"), "--login ACCOUNT"},
		{Config.Errorf("login: for PLAIN, LOGIN the secret must be a password, and it is a token"), "accepts no tokens"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.3 no (mx); the secret is from command pass"), "run the command"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no - gsmtp (smtp.gmail.com); the secret is from command pass"), "app password"},
		{AuthFailed.Errorf("nothing is written: AUTH PLAIN: 535 5.7.3 no (mx); the secret is from command pass"), "run the command"},
		{AuthFailed.Errorf("AUTH XOAUTH2: 535 5.7.8 no (smtp.gmail.com); the secret is from command gettoken"), "its token"},
		{AuthFailed.Errorf("AUTH OAUTHBEARER: 535 5.7.8 no (smtp.gmail.com); the secret is from oauth2:google"), "for another user"},
		{AuthFailed.Errorf("AUTH XOAUTH2: 535 5.7.3 no (smtp.office365.com)"), "for another user"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no (mx); the secret is from oauth2:google"), "auth"},
		{AuthFailed.Errorf("oauth2:google: the provider refused: invalid_grant (AADSTS53500)"), "7 days"},
		{AuthFailed.Errorf("oauth2:google: the provider refused: invalid_client"), "client-id"},
		{Credential.Errorf("file:/etc/sendoff/work.secret: open: permission denied"), "sendoff --setup"},
		{Credential.Errorf("command pass: permission denied"), ""},
		{Credential.Errorf("keyring: no D-Bus session bus: the bus of the environment belongs to uid 1000"), "sudo -i -u"},
		{Credential.Errorf("file:/run/secrets/smtp: it belongs to uid 1000, neither root nor the user (mode 0644)"), "env:NAME"},
		{Credential.Errorf("env:PASS: this process has no such variable"), "in a file: "},
		{Credential.Errorf("env:PASS: this process has no such variable, as cron runs it"), "--for cron"},
		{Credential.Errorf("no account \"work\"; no account is configured, as cron runs it"), "crontab"},
		{Credential.Errorf("oauth2:google: client-secret: file:~/google.client: open: no such file or directory"), "chmod 600 ~/google.client"},
		{Credential.Errorf("oauth2:google: client-secret: keyring: no password stored"), "client-secret = "},
		{Credential.Errorf("file:~/pw: the password is empty"), "sendoff --login ACCOUNT"},
		{Credential.Errorf("command pass: the password is empty"), "by hand"},
		{Credential.Errorf("systemd:pw: the password is empty"), "systemd"},
		{Credential.Errorf("oauth2:google: keyring: locked"), "sendoff --login ACCOUNT --for cron"},
		{Connection.Errorf("AUTH XOAUTH2: 454 4.7.0 Temporary authentication failure"), ""},
		{Connection.Errorf("oauth2:google: oauth2.googleapis.com: connection refused"), "provider"},
		{Insecure.Errorf("TLS: certificate of mx: expired on 2026-01-01, and this machine's clock says 2026-02-01"), "clock"},
		{Config.Errorf("no account configured"), "sendoff --setup"},
		{Config.Errorf("no account configured, and this process has no variable SENDOFF_SERVER"), "top of the crontab"},
		{Config.Errorf("no account \"work\"; no account is configured"), "sendoff --setup"},
		{Usage.Errorf("--queue-run does not send the message on stdin, so it takes no recipient: 5m"), "--queue-run=5m"},
		{Usage.Errorf("--doctor does not send the message on stdin, so it cannot be used with -t"), "Untrusted arguments"},
		{Credential.Errorf("proxy-secret: file:/etc/sendoff/proxy: open: no such file or directory"), "the proxy's password"},
		{Credential.Errorf("proxy-secret: file:/etc/sendoff/proxy: others can read it (mode 0644)"), "chmod 600 /etc/sendoff/proxy"},
		{Credential.Errorf("proxy-secret: keyring: no D-Bus session bus"), "proxy-secret = "},
		{Connection.Errorf("connect to mx:587 by the proxy 127.0.0.1:1080: no acceptable authentication methods"), "socks5://USER@"},
		{Connection.Errorf("connect to mx:587 by the proxy 127.0.0.1:1080: username/password authentication failed"), "refuses the login"},
		{Connection.Errorf("connect to mx:587 by the proxy 127.0.0.1:1080: connection refused"), "the proxy said"},
		{Config.Errorf("/etc/sendoff/config.toml: permission denied"), "enter the folders above it"},
		{Config.Errorf("/etc/sendoff/config.toml: others can write it (mode 0666)"), "chmod go-w /etc/sendoff/config.toml"},
		{Config.Errorf("/etc/a/config.toml: /etc/a: others cannot enter it (mode 0700)"), "chmod a+rx /etc/a"},
		{Credential.Errorf("file:/run/secrets/mail: others can write it (mode 0777)"), "chmod go-w /run/secrets/mail"},
		{Credential.Errorf("file:/etc/smtp.secret: all users can read it (mode 0644)"), `chgrp "$(id -gn)" /etc/smtp.secret && sudo chmod 640 /etc/smtp.secret`},
		{Credential.Errorf("nothing is written: file:~/my pw: others can read it (mode 0644)"), "chmod 600 ~/'my pw'"},
		{Credential.Errorf("file:/a b: others can read it (mode 0644)"), "chmod 600 '/a b'"},
		{Credential.Errorf("file:/it's: others can read it (mode 0644)"), "chmod 600 FILE"},
		{Credential.Errorf("tls-key: mx.key: others can read it (mode 0644)"), "chmod 600 FILE"},
		{Credential.Errorf("file:~/pw: not a regular file"), "command:cat PATH"},
		{Credential.Errorf("file:/run/pw: not a regular file"), `secret = "command:cat /run/pw"`},
		{Credential.Errorf("account not saved: file:/dev/fd/63: not a regular file"), "--password-file -"},
		{Credential.Errorf("systemd:smtp: open: no such file or directory"), "LoadCredential=smtp:PATH"},
		{Credential.Errorf("systemd:mail: the password is empty"), "/etc/credstore.encrypted/mail"},
		{AuthFailed.Errorf("oauth2:google: the provider refused: invalid_client"), "[oauth2.google]"},
		{Config.Errorf("no default account; known accounts: home, work"), `put account = "home" at the top of the configuration, or name one: --account home`},
		{NoInput.Errorf("--attach: my files/ is a folder"), "tar -czf 'my files.tar.gz' 'my files'"},
		{NoInput.Errorf("--attach: /srv/data is a folder"), "tar -czf data.tar.gz /srv/data"},
		{NoInput.Errorf("--attach: it's is a folder"), "tar -czf NAME.tar.gz NAME"},
		{Config.Errorf("refused: the program runs set-uid or set-gid"), "chmod ug-s " + executable(t) + " (or sudo setcap -r " + executable(t)},
		{Connection.Errorf("connect to [2001:db8::1]:25: no answer within 30s"), "try smtps://[2001:db8::1] or smtp://[2001:db8::1] as server"},
		{Connection.Errorf("connect to mx.example:25 at 192.0.2.1:25: no answer within 30s"), "try smtps://mx.example or smtp://mx.example as server"},
		{Connection.Errorf("TLS: connection reset by peer in the handshake (mx.example:25)"), "use smtp://mx.example:25 as server"},
		{Insecure.Errorf("TLS: the server does not answer with TLS but with plain SMTP (mx.example)"), "try smtp://mx.example as server"},
		{AuthFailed.Errorf("AUTH PLAIN: 530 5.7.0 Must issue a STARTTLS command (really) first (mx.example)"), "use smtp://mx.example as server"},
		{AuthFailed.Errorf("login: server offers no AUTH; it offers STARTTLS"), "use smtp://HOST as server"},
		{Deferred.Errorf("RCPT TO:<b@example.org>: 450 4.2.0 greylisted"), ""},
		{Refused.Errorf("connect to"), ""},
	}
	for _, tt := range tests {
		got := Hint(tt.err)
		if (got == "") != (tt.hint == "") || !strings.Contains(got, tt.hint) {
			t.Errorf("%v: %q, want %q in it", tt.err, got, tt.hint)
		}
	}
}

func executable(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return quoted(path)
}

// TestReplyHint holds what servers and providers say, at each step, against the
// remedy that a person has to read in it.
func TestReplyHint(t *testing.T) {
	const (
		sender  = "use an address that this login may send as"
		login   = "set user and secret"
		tls     = `use smtp://`
		name    = "set hostname = "
		machine = "this machine's address"
	)
	tests := []struct {
		kind Kind
		text string
		hint string // some words of it; "" for none
	}{
		{AuthFailed, "AUTH PLAIN: 534 5.7.14 <https://accounts.google.com/signin/continue?sarp=1 Please log in via your web browser and then try again. (smtp.gmail.com)", "web browser"},
		{AuthFailed, "AUTH PLAIN: 526 Authentication failure (smtpdm.aliyun.com)", "check user"},
		{AuthFailed, "AUTH PLAIN: 504 5.7.4 Unrecognized authentication type (mx)", "auth = "},
		{AuthFailed, "AUTH PLAIN: 535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. (mx)", "store the password"},
		{AuthFailed, "AUTH LOGIN: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. (mx)", "Microsoft"},
		{AuthFailed, "AUTH LOGIN: 535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. (mx)", "security defaults"},
		{AuthFailed, "AUTH LOGIN: 535 Login Fail. Please enter your authorization code to login. (smtp.qq.com)", "authorization code in place"},
		{AuthFailed, "AUTH PLAIN: 535 5.7.8 Error: authentication failed: This user does not have access rights to this service (smtp.yandex.ru)", "switch on"},
		{AuthFailed, "AUTH SCRAM-SHA-256: 535 5.7.8 Authentication failed. (mx)", `auth = "PLAIN"`},
		{AuthFailed, "AUTH PLAIN: 538 5.7.11 Encryption required for requested authentication mechanism (mx)", tls},
		{AuthFailed, "AUTH PLAIN: 530 5.7.0 Must issue a STARTTLS command first (mx)", tls},
		{AuthFailed, "AUTH XOAUTH2: 535 5.7.139 the user credentials were incorrect (mx)", "for another user"},
		{AuthFailed, "login: server offers no AUTH; it offers STARTTLS", tls},
		{AuthFailed, "login: server offers no AUTH", "right port"},

		{AuthFailed, "MAIL FROM:<ann@example.org>: 530 5.7.0 Must issue a STARTTLS command first (mx)", tls},
		{AuthFailed, "MAIL FROM:<ann@example.org>: 530 5.7.57 Client not authenticated to send mail. (mx)", login},
		{NoUser, "MAIL FROM:<ann@example.org>: 553 authentication is required (mx)", login},
		{NotAllowed, "RCPT TO:<bob@example.net>: 553 5.7.1 <ann@example.org>: Sender address rejected: not logged in (mx)", login},
		{NotAllowed, "RCPT TO:<bob@example.net>: 554 5.7.1 <bob@example.net>: Relay access denied (mx)", login},
		{NotAllowed, "RCPT TO:<bob@example.net>: 550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain (mx)", login},
		{NoUser, "RCPT TO:<bob@example.net>: 550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in relay recipient table (smtp-relay.example)", ""},
		{Refused, "end of message: 550 Unauthenticated senders not allowed (smtp.sendgrid.net)", login},

		{NotAllowed, "end of message: 552 5.7.0 This message was blocked because its content presents a potential security issue. To review our message content and attachment content guidelines, go to https://support.google.com/mail/?p=BlockedMessage (smtp.gmail.com)", "send a link"},
		{NotAllowed, "end of message: 554 5.7.1 The file attached to this message has a banned file type, report.exe (mx)", "send a link"},
		{NotAllowed, "end of message: 550 5.7.60 SMTP; Client does not have permissions to send as this sender (mx)", sender},
		{Refused, "end of message: 554 5.2.252 SendAsDenied; ann@example.org not allowed to send as bob@example.org; STOREDRV.Submission.Exception:SendAsDeniedException (mx)", sender},
		{Refused, "end of message: 554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: ann@example.org (mx)", sender},
		{NotAllowed, "end of message: 550 5.7.0 From address is not one of your addresses (mx)", sender},
		{Refused, "end of message: 550 The from address does not match a verified Sender Identity. (mx)", sender},
		{NotAllowed, "RCPT TO:<bob@example.net>: 553 5.7.1 <ann@example.org>: Sender address rejected: not owned by user ann (mx)", sender},
		{Refused, "MAIL FROM:<ann@example.org>: 501 Mail from address must be same as authorization user. (smtp.qq.com)", sender},
		{Refused, "RCPT TO:<bob@example.net>: 553 Relaying disallowed as ann@example.org (smtp.zoho.com)", sender},
		{Refused, "RCPT TO:<bob@example.net>: 550 not local sender over smtp (smtp.mail.ru)", sender},
		{NotAllowed, "MAIL FROM:<ann@example.org>: 550 5.7.1 policy (mx)", sender},
		{NotAllowed, "MAIL FROM:<ann@example.org>: 550 5.1.8 bad sender (mx)", sender},
		{Config, "MAIL FROM:<ann@example.org>: 553 5.7.1 <ann@example.org>: not yours (mx)", "check from and user"},
		{Config, "RCPT TO:<bob@example.net>: 553 5.7.1 <ann@example.org>: Sender address rejected: not logged in (mx)", login},
		{Refused, "MAIL FROM:<>: 501 Invalid MAIL FROM address provided (mx)", "null sender"},
		{NotAllowed, "RCPT TO:<b@example.org>: 553 5.7.1 <>: Sender address rejected: not owned by user ann (mx)", "null sender"},
		{NotAllowed, "end of message: 550 5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy. (mx)", "DMARC"},

		{Refused, "MAIL FROM:<ann@example.org>: 555 5.5.4 Unsupported option: SIZE=155 (mx)", ""},
		{NotAllowed, "MAIL FROM:<ann@example.org>: 550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. (mx)", machine},
		{NotAllowed, "RCPT TO:<bob@example.net>: 550 5.7.25 The IP address sending this message does not have a PTR record (mx)", machine},
		{Connection, "greeting: 554 5.7.1 no SMTP service here (mx)", "from this machine"},
		{Deferred, "MAIL FROM:<ann@example.org>: 451 4.3.0 later (mx)", ""},
		{Deferred, "RCPT TO:<bob@example.net>: 450 4.2.0 greylisted (mx)", ""},

		{Connection, "EHLO: 421 4.7.0 Try again later, closing connection. (EHLO) https://support.example x - gsmtp (mx)", name},
		{Refused, "RCPT TO:<bob@example.net>: 504 5.5.2 <debian>: Helo command rejected: need fully-qualified hostname (mx)", name},
		{Connection, "HELO: 550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1) (mx)", name},

		{Connection, "not ready for mail within 2s while waiting for the greeting (mx)", "timeout"},
		{Connection, "not ready for mail within 2s while logging in (mx)", "timeout"},
		{Credential, "systemd:smtp: open: no such file or directory", "LoadCredential"},
	}
	for _, tt := range tests {
		got := Hint(tt.kind.Errorf("%s", tt.text))
		if (got == "") != (tt.hint == "") || !strings.Contains(got, tt.hint) {
			t.Errorf("%v: %q, want %q in it", tt.text, got, tt.hint)
		}
	}
}

// long is a refusal whose error shows only the begin of it.
type long struct{ error }

func (long) Whole() string { return "Please log in with your web browser: Sender Address Rejected" }

// A hint knows the end of a reply that is too long to be shown.
func TestHintWhole(t *testing.T) {
	err := NotAllowed.With(Code{5, 7, 1}, long{fmt.Errorf("RCPT TO:<bob@example.net>: 553 5.7.1 Please log in… (mx)")})
	if got := Hint(err); got != otherSender {
		t.Errorf("%q", got)
	}
}

// texts returns the texts that hold the words of a row and nothing else.
func texts(words string) []string {
	all, parts, more := []string{""}, words, true
	for more {
		var either string
		either, parts, more = strings.Cut(parts, "|")
		var longer []string
		for _, text := range all {
			for word := range strings.SplitSeq(either, "/") {
				longer = append(longer, strings.TrimPrefix(text+" "+word, " "))
			}
		}
		all = longer
	}
	return all
}

// TestReplyTable looks for rows that can never be reached, because one before
// them takes all they could.
func TestReplyTable(t *testing.T) {
	for i, row := range replies {
		step := row.step
		switch step {
		case "":
			step = "mail"
		case "transaction":
			step = "rcpt"
		}
		a := answer{step: step, code: "550"}
		if code, _, _ := strings.Cut(row.code, " "); strings.Contains(code, ".") {
			a.enhanced = code
		} else if code != "" {
			a.code = (code + "99")[:3]
		}
		if strings.ToLower(row.words) != row.words || strings.Contains(row.hint, "\n") {
			t.Errorf("row %d: %q, %q", i, row.words, row.hint)
		}
		for _, a.words = range texts(row.words) {
			if got, ok := replyHint(a); !ok || got != row.hint {
				t.Errorf("row %d, %q, is hidden by another: %q", i, a.words, got)
			}
		}
	}
}

// TestHintTable looks for rows that can never be reached, because one before
// them takes all they could.
func TestHintTable(t *testing.T) {
	for i, row := range hints {
		if strings.ToLower(row.words) != row.words {
			t.Errorf("row %d: %q is not in lower case", i, row.words)
		}
		if strings.Contains(row.hint, "\n") || row.hint == "" {
			t.Errorf("row %d: not one line: %q", i, row.hint)
		}
		for _, text := range texts(row.words) {
			if got := find(row.kind.Errorf("%s", text), row.kind, text); got != row.hint {
				t.Errorf("row %d, %q, is hidden by another: %q", i, text, got)
			}
		}
	}
}

// An account that no file defines is not one to log in to by name.
func TestHintFor(t *testing.T) {
	tests := []struct {
		err           error
		account, want string
	}{
		{Credential.Errorf("keyring: no D-Bus session bus"), "work", "this session has no keyring, as under cron; keep the password in a file: sendoff --login work --for cron"},
		{Credential.Errorf("keyring: no D-Bus session bus"), "", "this session has no keyring, as under cron; keep the password in a file: SENDOFF_SECRET=file:/PATH, or --secret file:/PATH"},
		{Credential.Errorf("keyring: no password stored"), "work", "store the password: sendoff --login work"},
		{Credential.Errorf("keyring: no password stored"), "", ""},
		{AuthFailed.Errorf("AUTH PLAIN: 535 no (mx.example:465); the secret is from systemd:smtp"), "work", "check user, and renew the password: sudo sendoff --login work"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 no (mx.example:465); the secret is from systemd:smtp"), "", "check user, and renew the password"},
		{Connection.Errorf("not SMTP"), "", "no mail server answers there: check server and port"},
		{AuthFailed.Errorf("login: server offers no AUTH; it offers STARTTLS"), "work", "the server allows a login only with TLS: use smtp://mx.example as server"},
		{Connection.Errorf("connect to mx.example.net:465: no answer"), "", "port 465 is blocked on many networks; try smtp://mx.example.net as server, which is port 587"},
		{Credential.Errorf("x"), "work", ""},
	}
	for _, tt := range tests {
		if got := HintFor(tt.err, tt.account, "mx.example"); got != tt.want {
			t.Errorf("%v, %q: got %q, want %q", tt.err, tt.account, got, tt.want)
		}
	}
}

func TestHintToAsk(t *testing.T) {
	for said, want := range map[string]string{
		"AUTH PLAIN: 535 5.7.8 no (mx.example)":                                 "check the user name, and type the password again; many providers require an app password",
		"AUTH PLAIN: 535 5.7.8 see https://support.google.com (smtp.gmail.com)": "Google requires an app password; make one at https://myaccount.google.com/apppasswords, and type it",
		"AUTH PLAIN: 534 5.7.9 app password (mx.example)":                       "Google requires an app password; make one at https://myaccount.google.com/apppasswords, and type it",
		"AUTH PLAIN: 535 use an app-specific password (mx.example)":             "this provider requires an app password; make one in its settings, and type it",
	} {
		if got := HintToAsk(AuthFailed.Errorf("%s", said)); got != want {
			t.Errorf("%s: got %q, want %q", said, got, want)
		}
	}
}

// TestRecall holds that an error which is kept in words has the hint that it had.
func TestRecall(t *testing.T) {
	for _, err := range []error{
		Connection.Errorf("connect to mx.example:465: connection refused"),
		LookUp("mx.example", nil),
		AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no (mx.example)"),
		Insecure.Errorf("TLS: certificate of mx.example: self-signed"),
		Credential.Errorf("keyring: locked"),
		Config.Errorf("no account configured"),
		Refused.With(Code{5, 0, 0}, fmt.Errorf("RCPT TO:<bob@example.net>: 550 not local sender over smtp (mx.example)")),
	} {
		want := Hint(err)
		if got := Hint(Recall(Of(err), err.Error())); got != want || got == "" {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	if got := Hint(Recall(Code{}, "connect to mx.example:465: connection refused")); got != "" {
		t.Errorf("without a code: %q", got)
	}
}

// TestCommandsLast holds that a hint which gives a command ends with the command, which
// can be copied as a whole, and fits a line.
func TestCommandsLast(t *testing.T) {
	var all []string
	for _, row := range hints {
		all = append(all, row.hint)
	}
	for _, row := range replies {
		all = append(all, row.hint)
	}
	for _, hint := range all {
		for _, program := range []string{"sendoff --login", "sendoff --setup --", "sudo sendoff --make-spool", "sendoff -q", "sendoff --queue-run", "sudo ", "chmod 600", "openssl ", "sendoff -bp -v", "cat /", "export ", "echo "} {
			i := strings.LastIndex(hint, program)
			if before := strings.TrimSuffix(hint[:max(0, i)], "sudo "); i >= 0 && !strings.HasSuffix(before, ": ") && !strings.HasSuffix(before, "&& ") {
				t.Errorf("%q does not end with the command %q", hint, program)
			}
		}
	}
}
