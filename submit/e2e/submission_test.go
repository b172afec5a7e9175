//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// header is a header that needs nothing added.
const header = `From: Ann <ann@example.org>
To: Bob <bob@example.net>
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <1@example.org>
Subject: hello
`

// TestSubmission sends with each mechanism through each port.
func TestSubmission(t *testing.T) {
	s := mail(t)
	for _, server := range []string{
		fmt.Sprintf("smtps://localhost:%d", s.smtps),
		fmt.Sprintf("smtp://127.0.0.1:%d", s.smtp),
	} {
		for _, mechanism := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"} {
			t.Run(mechanism+" "+server[:strings.LastIndex(server, ":")], func(t *testing.T) {
				box := s.box()
				message := header + "\nIt works.\n"
				file := config(t, s.account(t, settings{"server": quote(server), "auth": `["` + mechanism + `"]`}))
				call{args: []string{"--config", file, box}, stdin: message}.succeeds(t)

				d := s.fetch(t, box, 1)[0]
				if d.message != message {
					t.Errorf("delivered:\n%q\nwant:\n%q", d.message, message)
				}
				if d.with != "ESMTPSA" {
					t.Errorf("protocol %s, want ESMTPSA: TLS and a login", d.with)
				}
				if got := s.mechanism(t, d); got != mechanism {
					t.Errorf("login by %s, want %s", got, mechanism)
				}
			})
		}
	}
}

// TestMessage sends messages of every shape and looks at what arrives.
func TestMessage(t *testing.T) {
	s := mail(t)
	file := config(t, s.account(t, nil))
	big := header + "\n" + strings.Repeat("All work and no play makes Jack a dull boy.\n", 100_000)
	latin := "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n"
	tests := []struct {
		name string
		args string
		in   string
		want string
	}{
		{"as it is", "", header + "\nIt works.\n", header + "\nIt works.\n"},
		{"no body", "", header, header + "\n"},
		{"no last newline", "", header + "\nend", header + "\nend\n"},
		{"blank lines and trailing spaces", "", header + "\n\n \nx \t\n\n\n", header + "\n\n \nx \t\n\n\n"},
		{"lines with dots", "-i", header + "\n.\n..\n.x\n...\n", header + "\n.\n..\n.x\n...\n"},
		{"a lone dot ends it", "", header + "\n..\nbefore\n.\nafter\n", header + "\n..\nbefore\n"},
		{"8-bit body", "", header + latin + "\nGr\xfc\xdfe\n", header + latin + "\nGr\xfc\xdfe\n"},
		{"8-bit header", "", header + "X-Place: Zürich\n\nx\n", header + "X-Place: =?utf-8?q?Z=C3=BCrich?=\n\nx\n"},
		{"CRLF", "", strings.ReplaceAll(header+"\none\ntwo\n", "\n", "\r\n"), header + "\none\ntwo\n"},
		{"CR alone", "", header + "\none\rtwo\r\n\rthree\n", header + "\none\ntwo\n\nthree\n"},
		{"end-of-data look-alikes", "-i", header + "\na\r.\rb\n.\r\nMAIL FROM:<x@y>\r\n", header + "\na\n.\nb\n.\nMAIL FROM:<x@y>\n"},
		{"mbox lines on top", "", "From ann Mon Nov 23 10:00:00 2026\n>From bob Mon Nov 23\n" + header + "\nx\n", header + "\nx\n"},
		{"From in the body", "", header + "\nFrom here on\n", header + "\nFrom here on\n"},
		{"fields that never leave", "", "Return-Path: <x@example.com>\nbCC: secret@example.net,\n\tsecret2@example.net\n" + header +
			"Content-Length: 99\n\nx\n", header + "\nx\n"},
		{"big", "", big, big},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			box := s.box()
			args := append([]string{"--config", file}, strings.Fields(tt.args)...)
			call{args: append(args, box), stdin: tt.in}.succeeds(t)
			if got := s.fetch(t, box, 1)[0].message; got != tt.want {
				t.Errorf("delivered:\n%s\nwant:\n%s", clip(got), clip(tt.want))
			}
		})
	}
}

// clip quotes the two ends of a text.
func clip(s string) string {
	if len(s) > 2000 {
		return fmt.Sprintf("%q … %q (%d octets)", s[:1000], s[len(s)-1000:], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// TestCompletion sends what cron and mail(1) write: a message with next to no
// header.
func TestCompletion(t *testing.T) {
	s := mail(t)
	file := config(t, s.account(t, nil))
	box := s.box()
	call{args: []string{"--config", file, "-F", "Cron Dæmon", box}, stdin: "Subject: hello\n\nIt works.\n"}.succeeds(t)
	d := s.fetch(t, box, 1)[0]
	for _, field := range []string{
		`From: =\?utf-8\?[bqBQ]\?\S+\?= <ann@example\.org>`,
		`Date: [A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d [+-]\d{4}`,
		`Message-ID: <\S+@example\.org>`,
		`Subject: hello`,
	} {
		head, _, _ := strings.Cut(d.message, "\n\n")
		if n := len(regexp.MustCompile(`(?m)^(?i:`+field+`)$`).FindAllString(head, -1)); n != 1 {
			t.Errorf("%d fields like %q in:\n%s", n, field, head)
		}
	}
	if !strings.HasSuffix(d.message, "\n\nIt works.\n") {
		t.Errorf("body changed:\n%s", d.message)
	}
	if d.from != username {
		t.Errorf("reverse-path <%s>, want <%s>", d.from, username)
	}
}

// TestEnvelope says who a message is from and for in every way there is.
func TestEnvelope(t *testing.T) {
	s := mail(t)
	file := config(t, s.account(t, nil))
	tests := []struct {
		name string
		args []string
		head string // $1 to $3, here and in args: the boxes
		from string
		to   int // how many of the boxes get it
	}{
		{"not what the header says", []string{"-f", "bounces@example.org", "$1", "$2"}, "", "bounces@example.org", 2},
		{"nobody", []string{"-f", "", "$1"}, "", "", 1},
		{"nobody in brackets", []string{"-f<>", "$1"}, "", "", 1},
		{"a list in one argument", []string{"$1, Carol (at home) <$2>", "$1"}, "", username, 2},
		{"from the header", []string{"-t"}, "To: group: <$1>;\nCc: Carol\n\t<$2> (x)\nBcc: $3\n", username, 3},
		{"from the header and the arguments", []string{"-ti", "--", "$1"}, "Bcc: $2, $1\n", username, 2},
		{"resent", []string{"-t"}, "Resent-From: ann@example.org\nResent-To: $1\nResent-Bcc: $2\nResent-Date: Mon, 23 Nov 2026 11:00:00 +0000\nResent-Message-ID: <2@example.org>\n", username, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			boxes := []string{s.box(), s.box(), s.box()}
			fill := strings.NewReplacer("$1", boxes[0], "$2", boxes[1], "$3", boxes[2]).Replace
			args := []string{"--config", file}
			for _, a := range tt.args {
				args = append(args, fill(a))
			}
			// The other fields must be nobody's recipients here.
			rest := strings.Replace(header, "To: Bob <bob@example.net>\n", "", 1)
			call{args: args, stdin: fill(tt.head) + rest + "\nx\n"}.succeeds(t)
			for _, box := range boxes[:tt.to] {
				d := s.fetch(t, box, 1)[0]
				if d.from != tt.from {
					t.Errorf("reverse-path <%s>, want <%s>", d.from, tt.from)
				}
				if strings.Contains(strings.ToLower(d.message), "bcc:") {
					t.Errorf("a Bcc field left:\n%s", d.message)
				}
			}
		})
	}
}

// TestSendmail calls the program by the name that cron and PHP know.
func TestSendmail(t *testing.T) {
	s := mail(t)
	file := config(t, s.account(t, nil))
	t.Run("SENDOFF_CONFIG", func(t *testing.T) {
		box := s.box()
		call{as: "sendmail", args: []string{"-i", "-FCronDaemon", "-odi", box}, env: []string{"SENDOFF_CONFIG=" + file},
			stdin: "From: root (Cron Daemon)\nTo: " + box + "\nSubject: Cron <root@vm> true\n\nIt works.\n"}.succeeds(t)
		d := s.fetch(t, box, 1)[0]
		if d.from != username || !strings.Contains(d.message, "<"+username+">") && !strings.Contains(d.message, "From: "+username) {
			t.Errorf("sender <%s> not replaced by the account's in:\n%s", d.from, d.message)
		}
	})
	t.Run("the user's own file", func(t *testing.T) {
		box, home := s.box(), home(t)
		dir := filepath.Join(home, ".config", "sendoff")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(config(t, s.account(t, nil)), filepath.Join(dir, "config.toml")); err != nil {
			t.Fatal(err)
		}
		call{as: "sendmail", args: []string{"-t"}, env: []string{"XDG_CONFIG_HOME=" + home + "/.config"},
			stdin: "To: " + box + "\n" + strings.Replace(header, "To: Bob <bob@example.net>\n", "", 1) + "\nx\n"}.succeeds(t)
		s.fetch(t, box, 1)
	})
	t.Run("a command for the secret", func(t *testing.T) {
		box := s.box()
		file := config(t, s.account(t, settings{"secret": quote("command:cat " + secretFile(t, password))}))
		call{as: "sendmail", args: []string{box}, env: []string{"SENDOFF_CONFIG=" + file}, stdin: header + "\nx\n"}.succeeds(t)
		s.fetch(t, box, 1)
	})
	t.Run("no file at all", func(t *testing.T) {
		box := s.box()
		call{as: "sendmail", args: []string{box}, stdin: header + "\nx\n", env: []string{
			fmt.Sprintf("SENDOFF_SERVER=smtp://localhost:%d", s.smtp), "SENDOFF_USER=" + username, "SENDOFF_FROM=" + username,
			"SENDOFF_SECRET=file:" + secretFile(t, password), "SSL_CERT_FILE=" + s.ca.file}}.succeeds(t)
		s.fetch(t, box, 1)
	})
}

// TestOneOff names the server on the command line.
func TestOneOff(t *testing.T) {
	s := mail(t)
	box := s.box()
	r := call{args: []string{"--server", fmt.Sprintf("smtps://localhost:%d", s.smtps), "--user", username,
		"--secret", "file:" + secretFile(t, password), "-v", "-f", username, box},
		env: []string{"SSL_CERT_FILE=" + s.ca.file}, stdin: header + "\nx\n"}.run(t)
	if r.exit != 0 || r.stdout != "" || !strings.Contains(r.stderr, "RCPT TO:<"+box+">") {
		t.Fatalf("exit %d, stdout %q, stderr:\n%s", r.exit, r.stdout, r.stderr)
	}
	s.fetch(t, box, 1)
}

// TestNotice asks for a notice of delivery (RFC 3461), which Postfix sends back
// with what it was told.
func TestNotice(t *testing.T) {
	s := mail(t)
	file := config(t, s.account(t, nil))
	sender, box := s.box(), s.box()
	call{args: []string{"--config", file, "-f", sender, "-N", "success", "-R", "hdrs", "-V", "run+1=x", box}, stdin: header + "\nnot in the notice\n"}.succeeds(t)
	notice := s.fetch(t, sender, 1)[0].message
	for _, want := range []string{"Original-Envelope-Id: run+1=x\n", "Final-Recipient: rfc822; " + box + "\n", "Action: delivered\n", "\nSubject: hello\n"} {
		if !strings.Contains(notice, want) {
			t.Errorf("notice lacks %q:\n%s", want, notice)
		}
	}
	if strings.Contains(notice, "not in the notice") {
		t.Errorf("the notice has the body:\n%s", notice)
	}
}

// TestManyRecipients has more recipients than go into one transaction.
func TestManyRecipients(t *testing.T) {
	s := mail(t)
	file := config(t, s.account(t, nil))
	args := []string{"--config", file}
	for range 120 {
		args = append(args, s.box())
	}
	call{args: args, stdin: header + "\nx\n"}.succeeds(t)
	for _, box := range args[2:] {
		s.fetch(t, box, 1)
	}
}
