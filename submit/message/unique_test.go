package message

import (
	"strings"
	"testing"

	"sendoff/submit/envelope"
)

func TestTidy(t *testing.T) {
	tests := []struct{ name, in, want, told string }{
		{"nothing to do", "From: a@b\nTo: c@d\nX: y\nX: y\n", "From: a@b\nTo: c@d\nX: y\nX: y\n", ""},
		{"address lists are joined", "To: a@b\nSubject: x\nto: c@d,\n\te@f\nCc: g@h\nTo: ,i@j,\n", "To: a@b,\n c@d,\n\te@f,\n i@j\nSubject: x\nCc: g@h\n", "To: 3 fields joined, since RFC 5322 allows one"},
		{"Reply-To, groups, names", "Reply-To: x: a@b;\nReply-To: \"c, d\" <c@d> (e)\n", "Reply-To: x: a@b;,\n \"c, d\" <c@d> (e)\n", "Reply-To: 2 fields joined, since RFC 5322 allows one"},
		{"what does not end comes last", "To: (a\nTo: <b@c\nTo: d@e\n", "To: d@e,\n (a,\n <b@c\n", "To: 3 fields joined, since RFC 5322 allows one"},
		{"the first stays", "Subject: a\nDate: b\nSubject: c\nDATE: d\n e\nX: y\nReferences: f\nReferences: g\n", "Subject: a\nDate: b\nX: y\nReferences: f\n",
			"Date: the first of 2 fields kept, since RFC 5322 allows one\nSubject: the first of 2 fields kept, since RFC 5322 allows one\nReferences: the first of 2 fields kept, since RFC 5322 allows one"},
		{"MIME", "Content-Type: a/b\nMIME-Version: 1.0\nContent-Type: c/d\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 8bit\n", "Content-Type: a/b\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n",
			"MIME-Version: the first of 2 fields kept, since RFC 5322 allows one\nContent-Type: the first of 2 fields kept, since RFC 5322 allows one\nContent-Transfer-Encoding: the first of 2 fields kept, since RFC 5322 allows one"},
		{"the first that says something", "Subject: \nFrom: Backup\\ Script\nSubject: a\nFrom: a@b\n", "Subject: a\nFrom: a@b\n", "From: the first of 2 fields kept, since RFC 5322 allows one\nSubject: the first of 2 fields kept, since RFC 5322 allows one"},
		{"empty address fields", "To: \nCc:\n \nReply-To: <>\nBcc:\nSubject:\nErrors-To: ,\nX:\nSender: ;\nMessage-ID: < >\nMessage-ID: <x@y>\n", "Subject:\nX:\nMessage-ID: <x@y>\n",
			"To: left out, it was empty\nCc: left out, it was empty\nReply-To: left out, it was empty\nErrors-To: left out, it was empty\nSender: left out, it was empty\nMessage-ID: left out, it was empty"},
		{"empty group", "To:\nTo: undisclosed-recipients:;\n", "To: undisclosed-recipients:;\n", "To: left out, it was empty"},
		{"resent", "Resent-To: a@b\nResent-To: c@d\nResent-Cc:\nResent-From: x y\n", "Resent-To: a@b\nResent-To: c@d\nResent-Cc:\nResent-From: x y\n", ""},
		{"signed", "DKIM-Signature: x\nTo: a@b\nTo: c@d\nCc:\nFrom: x y\n", "DKIM-Signature: x\nTo: a@b\nTo: c@d\nCc:\nFrom: x y\n", ""},

		{"From of a name", "From: Backup Script\n", "From: Backup Script <ann@example.org>\n", "From: had no address, changed to Backup Script <ann@example.org>"},
		{"From that does not end", "From: <x@y\n", "From: \"x@y\" <ann@example.org>\n", "*"},
		{"From of our own that does not end", "From: Ann <ann@example.org\n", "From: Ann <ann@example.org>\n", "*"},
		{"From without its name's end", "From: \"Ann, x <x@y>\n", "From: \"Ann, x <x@y>\" <ann@example.org>\n", "*"},
		{"From of a quoted name", "From: \"Backup Script\"\n", "From: Backup Script <ann@example.org>\n", "*"},
		{"From of a comment", "From: (Backup\n Script)\n", "From: Backup Script <ann@example.org>\n", "*"},
		{"From that is not ASCII", "From: Prüfung\n", "From: =?utf-8?q?Pr=C3=BCfung?= <ann@example.org>\n", "*"},
		{"From encoded", "From: =?utf-8?q?J=C3=BCrgen?= Groß\n", "From: =?utf-8?q?J=C3=BCrgen_Gro=C3=9F?= <ann@example.org>\n", "*"},
		{"From of an encoded name", "From: =?utf-8?q?J=C3=BCrgen?=\n", "From: =?utf-8?q?J=C3=BCrgen?= <ann@example.org>\n", "*"},
		{"From of one quoted word", "From: \"Backup\"\n", "From: Backup <ann@example.org>\n", "*"},
		{"From of a quoted address", "From: \"x@y\"\n", "From: \"x@y\" <ann@example.org>\n", "*"},
		{"From of a quoted local part", "From: \"x\"@y\n", "From: \"x\"@y\n", ""},
		{"From with a null address", "From: Ann <>\n", "From: Ann <ann@example.org>\n", "*"},
		{"From of two words and an address", "From: Backup Script x@y\n", "From: \"Backup Script x@y\" <ann@example.org>\n", "*"},
		{"From of nothing", "From: <>\n", "", "From: left out, it was empty"},
		{"From with an address among others", "From: Backup Script, x@y\n", "From: Backup Script, x@y\n", ""},
		{"From of a login", "From: root (Cron Daemon)\n", "From: root (Cron Daemon)\n", ""},
	}
	author, _ := envelope.Parse("ann@example.org")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := mustRead(t, test.in+"\n", Options{})
			var told []string
			for _, c := range m.Tidy(author) {
				told = append(told, c.String())
			}
			if got := wire(t, m, everything); got != strings.ReplaceAll(test.want, "\n", "\r\n")+"\r\n" {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if s := strings.Join(told, "\n"); s != test.told && (test.told != "*" || len(told) != 1) {
				t.Errorf("told %s", s)
			}
		})
	}
	m := mustRead(t, "From: "+strings.Repeat("é x ", 10000)+"\n\n", Options{})
	m.Tidy(author)
	if box, ok := m.From(); !ok || box.Address != author || len(box.Name) > maxName {
		t.Errorf("a long name: %v, %d octets", ok, len(box.Name))
	}
}
