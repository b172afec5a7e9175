package smtpd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dialogue sends the C lines of script to a server over a pipe, and compares its replies
// with the S lines. Successive S lines must come in one write, after all C lines before
// them. After the last line the server must close. A C~ line is sent without CRLF and may
// have Go escapes; C! closes the connection.
func dialogue(t *testing.T, s *Server, script string) error {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	done := make(chan error, 1)
	go func() {
		done <- s.Serve(t.Context(), server)
		server.Close()
	}()
	client.SetDeadline(time.Now().Add(time.Hour))
	var say, hear string
	buf := make([]byte, 1<<16)
	turn := func() {
		if say != "" {
			if _, err := io.WriteString(client, say); err != nil {
				t.Errorf("server does not take %q: %v", say, err)
			}
		}
		if hear != "" {
			n, err := client.Read(buf)
			if got := string(buf[:n]); got != hear {
				t.Errorf("after %q\n got %q (%v)\nwant %q", say, got, err, hear)
			}
		}
		say, hear = "", ""
	}
	for _, l := range strings.Split(script, "\n") {
		if l = strings.TrimLeft(l, "\t"); l == "" {
			continue
		}
		kind, text := l[:2], strings.TrimPrefix(l[2:], " ")
		if kind != "S:" && hear != "" {
			turn()
		}
		switch kind {
		case "C:":
			say += text + "\r\n"
		case "C~":
			say += strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00").Replace(text)
		case "C!":
			turn()
			client.Close()
		case "S:":
			hear += text + "\r\n"
		default:
			t.Fatalf("bad line %q", l)
		}
	}
	turn()
	if n, err := client.Read(buf); err == nil {
		t.Errorf("server goes on with %q", buf[:n])
	}
	return <-done
}

const start = `
	S: 220 mx.example ESMTP
	C: HELO client.example
	S: 250 mx.example
`

const ready = `
	S: 220 mx.example ESMTP
	C: EHLO client.example
	S: 250-mx.example
	S: 250-PIPELINING
	S: 250-SIZE 1000
	S: 250-8BITMIME
	S: 250-SMTPUTF8
	S: 250-DSN
	S: 250 ENHANCEDSTATUSCODES
`

const goodbye = `
	C: QUIT
	S: 221 2.0.0 bye
`

var dialogues = []struct {
	name   string
	server Server
	script string
	mails  []string // envelope, then message, in turn
}{
	{"the textbook session of RFC 821", Server{}, start + `
		C: MAIL FROM:<hans.muster@example.org>
		S: 250 2.1.0 ok
		C: RCPT TO:<foo@example.com>
		S: 250 2.1.5 ok
		C: DATA
		S: 354 end with a dot on a line by itself
		C: From: Other <other@example.net>
		C: Subject: test
		C:
		C: ..
		C: ..a
		C: .
		S: 250 2.0.0 ok` + goodbye,
		[]string{"<hans.muster@example.org> <foo@example.com>", "From: Other <other@example.net>\r\nSubject: test\r\n\r\n.\r\n.a\r\n"}},
	{"two mails in flights, one recipient refused", Server{MaxSize: 1000}, ready + `
		C: MAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb
		C: RCPT TO:<a@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+40y
		C: RCPT TO:<nobody>
		C: DATA
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 553 5.1.3 the address has no domain
		S: 354 end with a dot on a line by itself
		C: one
		C: .
		C: MAIL FROM:<b@example.org>
		C: RCPT TO:<"a> b"@example.org>
		C: DATA
		S: 250 2.0.0 ok
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 354 end with a dot on a line by itself
		C: .
		C: QUIT
		S: 250 2.0.0 ok
		S: 221 2.0.0 bye`,
		[]string{"<> <a@example.org>", "one\r\n", `<b@example.org> <"a> b"@example.org>`, ""}},
	{"commands out of order and unknown", Server{}, start + `
		C: DATA
		S: 503 5.5.1 say MAIL first
		C: RCPT TO:<a@example.org>
		S: 503 5.5.1 say MAIL first
		C: mail from:<a@example.org>
		S: 250 2.1.0 ok
		C: MAIL FROM:<a@example.org>
		S: 503 5.5.1 a mail transaction is open; RSET ends it
		C: DATA
		S: 554 5.5.1 no valid recipients
		C: RSET
		S: 250 2.0.0 ok
		C: DATA now
		S: 501 5.5.4 DATA takes no argument
		C: MAIL
		S: 501 5.5.4 MAIL needs an argument
		C: NOOP x
		S: 250 2.0.0 ok
		C: VRFY a
		S: 252 2.1.5 send it and see
		C: STARTTLS
		S: 500 5.5.1 unknown command
		C: AUTH PLAIN
		S: 502 5.5.1 AUTH is not offered
		C: EXPN list
		S: 500 5.5.1 unknown command` + goodbye, nil},
	{"MAIL before EHLO", Server{}, `
		S: 220 mx.example ESMTP
		C: MAIL FROM:<a@example.org>
		S: 503 5.5.1 say EHLO first
		C: EHLO
		S: 501 5.5.4 EHLO needs an argument` + goodbye, nil},
	{"parameters", Server{MaxSize: 1000, MaxErrors: 99}, ready + `
		C: MAIL FROM:<a@example.org> SIZE=1001
		C: MAIL FROM:<a@example.org> SIZE=x
		C: MAIL FROM:<a@example.org> SIZE=+1
		C: MAIL FROM:<a@example.org> SIZE=1 SIZE=1
		C: MAIL FROM:<a@example.org> BODY=BINARYMIME
		C: MAIL FROM:<a@example.org> AUTH=<>
		C: MAIL FROM:<a@example.org> ENVID=a+0Db
		C: MAIL FROM:<a@example.org> ENVID=a+4
		C: MAIL FROM:<a@example.org> NOTIFY=NEVER
		C: MAIL FROM:<a@example.org>SIZE=1
		C: MAIL FROM:<a@example.org
		C: MAIL FROM:a@example.org
		C: MAIL FROM:<a b@example.org>
		C: MAIL FROM:<<a@example.org>>
		C: MAIL FROM:<a>
		C: MAIL FROM:<ä@example.org>
		C: MAIL TO:<a@example.org>
		C: MAIL FROM: <@relay,@other:a@example.org> smtputf8 ret=full
		C: RCPT TO:<>
		C: RCPT TO:<a>
		C: RCPT TO:<a@example.org> NOTIFY=NEVER,DELAY
		C: RCPT TO:<a@example.org> NOTIFY=
		C: RCPT TO:<a@example.org> ORCPT=x
		C: RCPT TO:<a@example.org> SIZE=1
		C: RCPT TO:<ä@example.org>
		C: RCPT TO:<Postmaster>
		S: 552 5.3.4 the limit is 1000 octets
		S: 501 5.5.4 SIZE: the value is malformed
		S: 501 5.5.4 SIZE: the value is malformed
		S: 555 5.5.4 unknown parameter, or one given twice
		S: 501 5.5.4 BODY: the value is malformed
		S: 555 5.5.4 unknown parameter, or one given twice
		S: 501 5.5.4 ENVID: the value is malformed
		S: 501 5.5.4 ENVID: the value is malformed
		S: 555 5.5.4 unknown parameter, or one given twice
		S: 501 5.1.7 there must be a space behind the address
		S: 501 5.1.7 > is missing
		S: 501 5.1.7 the address must stand in angle brackets
		S: 501 5.1.7 address "a b@example.org": ' ' is not allowed
		S: 501 5.1.7 there must be a space behind the address
		S: 553 5.1.7 the address has no domain
		S: 553 5.6.7 the address needs SMTPUTF8
		S: 501 5.1.7 FROM: is missing
		S: 250 2.1.0 ok
		S: 501 5.1.3 a recipient must have an address
		S: 553 5.1.3 the address has no domain
		S: 501 5.5.4 NOTIFY: NEVER cannot be combined with others
		S: 501 5.5.4 NOTIFY: the value is malformed
		S: 501 5.5.4 ORCPT: the value is malformed
		S: 555 5.5.4 unknown parameter, or one given twice
		S: 250 2.1.5 ok
		S: 250 2.1.5 ok` + goodbye, nil},
	{"no parameters after HELO", Server{}, start + `
		C: MAIL FROM:<a@example.org> SIZE=1
		S: 555 5.5.4 unknown parameter, or one given twice` + goodbye, nil},
	{"unqualified addresses", Server{AllowUnqualified: true}, start + `
		C: MAIL FROM:root
		C: RCPT TO:<ann>
		C: RCPT TO: bob
		C: DATA
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 250 2.1.5 ok
		S: 354 end with a dot on a line by itself
		C: .
		S: 250 2.0.0 ok` + goodbye, []string{"<root> <ann> <bob>", ""}},
	{"too many recipients", Server{MaxRecipients: 1}, start + `
		C: MAIL FROM:<a@example.org>
		C: RCPT TO:<a@example.org>
		C: RCPT TO:<b@example.org>
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 452 4.5.3 too many recipients; send the rest in another mail` + goodbye, nil},
	{"too much said of recipients", Server{MaxRecipients: 3}, start + `
		C: MAIL FROM:<a@example.org>
		C: RCPT TO:` + strings.Repeat(" ", 730) + `<a@example.org>
		C: RCPT TO:<b@example.org>
		C: RCPT TO:<c@example.org>
		C: RSET
		C: MAIL FROM:<a@example.org>
		C: RCPT TO:` + strings.Repeat(" ", 2000) + `<a@example.org>
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 250 2.1.5 ok
		S: 452 4.5.3 too many recipients; send the rest in another mail
		S: 250 2.0.0 ok
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok` + goodbye, nil},
	{"too many errors", Server{MaxErrors: 2}, start + `
		C: X
		S: 500 5.5.1 unknown command
		C: Y
		S: 500 5.5.1 unknown command
		S: 421 4.7.0 too many errors`, nil},
	{"a browser", Server{}, `
		S: 220 mx.example ESMTP
		C: POST / HTTP/1.1
		C: Host: localhost
		S: 421 4.7.0 this is not a web server`, nil},
	{"bad lines", Server{}, start + `
		C~ NOOP\n
		S: 500 5.5.2 lines must end with CRLF
		C~ NOOP\r\r\n
		S: 500 5.5.2 control character in a command
		C~ NO\0OP\r\n
		S: 500 5.5.2 control character in a command
		C: NOOP ` + strings.Repeat("x", 5000) + `
		S: 500 5.5.2 line too long
		C: NOOP ` + strings.Repeat("x", 50000) + `
		S: 500 5.5.2 line too long
		C: NOOP ` + strings.Repeat("x", 4000) + `
		S: 250 2.0.0 ok` + goodbye, nil},
	{"a message that nobody asked for", Server{}, start + `
		C: MAIL FROM:<a@example.org>
		C: DATA
		C: MAIL FROM:<evil@example.org>
		S: 250 2.1.0 ok
		S: 554 5.5.1 no valid recipients
		S: 421 4.5.0 a message came where none was asked for`, nil},
	{"a pipe without waiting, LF lines", Server{Pipe: true, AllowUnqualified: true}, `
		S: 220 mx.example ESMTP
		C~ HELO me\nMAIL FROM:<root>\nRCPT TO:<ann>\nDATA\none\r\n..\n.\r\n\r.\n\0x\n.\nQUIT\n
		S: 250 mx.example
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 354 end with a dot on a line by itself
		S: 250 2.0.0 ok
		S: 221 2.0.0 bye`,
		[]string{"<root> <ann>", "one\r\n.\r\n.\r\n\r\n.\r\n\x00x\r\n"}},
	{"a pipe, CRLF lines", Server{Pipe: true, AllowUnqualified: true}, `
		S: 220 mx.example ESMTP
		C~ HELO me\r\nNOOP\nMAIL FROM:<root>\r\nRCPT TO:<ann>\r\nDATA\r\n
		S: 250 mx.example
		S: 500 5.5.2 lines must end with CRLF
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 354 end with a dot on a line by itself
		C~ one\n.\n..\ntwo\r\n.\n.\r\n\r\n.\r\n
		S: 250 2.0.0 ok` + goodbye,
		[]string{"<root> <ann>", "one\r\n.\r\n..\r\ntwo\r\n\r\n.\r\n\r\n"}},
	{"message too large", Server{MaxSize: 1000}, ready + `
		C: MAIL FROM:<a@example.org>
		C: RCPT TO:<a@example.org>
		C: DATA
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 354 end with a dot on a line by itself
		C: ` + strings.Repeat("x", 100_000) + `
		C: .
		S: 552 5.3.4 message is larger than 1000 octets
		C: MAIL FROM:<a@example.org>
		C: RCPT TO:<a@example.org>
		C: DATA
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 354 end with a dot on a line by itself
		C: ` + strings.Repeat("x", 998) + `
		C: .
		S: 250 2.0.0 ok` + goodbye,
		[]string{"<a@example.org> <a@example.org>", strings.Repeat("x", 998) + "\r\n"}},
	{"login", Server{MaxSize: 1000, Auth: ann, RequireAuth: true, MaxErrors: 99}, login + `
		C: MAIL FROM:<a@example.org>
		S: 530 5.7.0 log in first
		C: AUTH PLAIN AGFubgBzZWNyZXQ=
		S: 235 2.7.0 welcome
		C: AUTH PLAIN AGFubgBzZWNyZXQ=
		S: 503 5.5.1 AUTH comes once, after EHLO and before MAIL
		C: MAIL FROM:<a@example.org> AUTH=a+40example.org
		S: 250 2.1.0 ok` + goodbye, nil},
	{"PLAIN in two steps", Server{MaxSize: 1000, Auth: ann}, login + `
		C: AUTH plain` + "\nS: 334 \n" + `
		C: YW5uAGFubgBzZWNyZXQ=
		S: 235 2.7.0 welcome` + goodbye, nil},
	{"LOGIN", Server{MaxSize: 1000, Auth: ann}, login + `
		C: AUTH LOGIN
		S: 334 VXNlcm5hbWU6
		C: YW5u
		S: 334 UGFzc3dvcmQ6
		C: c2VjcmV0
		S: 235 2.7.0 welcome` + goodbye, nil},
	{"LOGIN with initial response", Server{MaxSize: 1000, Auth: ann}, login + `
		C: AUTH LOGIN YW5u
		S: 334 UGFzc3dvcmQ6
		C: c2VjcmV0
		S: 235 2.7.0 welcome` + goodbye, nil},
	{"logins that fail", Server{MaxSize: 1000, Auth: ann, MaxErrors: 99}, login + `
		C: AUTH PLAIN AGFubgB3cm9uZw==
		S: 535 5.7.8 user name or password wrong
		C: AUTH PLAIN =
		S: 501 5.5.2 not what PLAIN asks for
		C: AUTH PLAIN Ym9iAGFubgBzZWNyZXQ=
		S: 501 5.5.2 not what PLAIN asks for
		C: AUTH PLAIN AGFubgBzZWNyZXQ
		S: 501 5.5.2 not base64
		C: AUTH LOGIN =
		S: 334 UGFzc3dvcmQ6
		C:
		S: 535 5.7.8 user name or password wrong
		C: AUTH LOGIN
		S: 334 VXNlcm5hbWU6
		C: *
		S: 501 5.5.2 cancelled
		C: AUTH CRAM-MD5
		S: 504 5.5.4 unknown mechanism` + goodbye, nil},
}

const login = `
	S: 220 mx.example ESMTP
	C: EHLO client.example
	S: 250-mx.example
	S: 250-PIPELINING
	S: 250-SIZE 1000
	S: 250-8BITMIME
	S: 250-SMTPUTF8
	S: 250-DSN
	S: 250-ENHANCEDSTATUSCODES
	S: 250 AUTH PLAIN LOGIN
`

func ann(user, password string) error {
	if user != "ann" || password != "secret" {
		return errors.New("no")
	}
	return nil
}

func TestDialogues(t *testing.T) {
	for _, d := range dialogues {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b box
				s := d.server
				s.Hostname, s.Handle = "mx.example", b.handle
				dialogue(t, &s, d.script)
				var mails []string
				for i := range b.got {
					mails = append(mails, b.from[i], b.got[i])
				}
				if fmt.Sprintf("%q", mails) != fmt.Sprintf("%q", d.mails) {
					t.Errorf("took %q, want %q", mails, d.mails)
				}
			})
		})
	}
}
