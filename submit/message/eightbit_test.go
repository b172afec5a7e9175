package message

import (
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"testing"

	"sendoff/submit/envelope"
)

// encodeHeader returns the wire form of a message after EncodeHeader, and the changes that
// it returned.
func encodeHeader(t testing.TB, in string) (string, string) {
	t.Helper()
	m := mustRead(t, in, Options{})
	var told []string
	for _, c := range m.EncodeHeader() {
		told = append(told, c.String())
	}
	return wire(t, m, everything), strings.Join(told, "\n")
}

func TestEncodeHeader(t *testing.T) {
	const umlauts = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, spät"
	tests := []struct{ name, in, want string }{
		{"ASCII stays", "Subject:  a =?utf-8?q?b?=  c", "Subject:  a =?utf-8?q?b?=  c"},
		{"a word", "Subject: Prüfung", "Subject: =?utf-8?q?Pr=C3=BCfung?="},
		{"other words stay", "Subject: Die  Prüfung ist bestanden", "Subject: Die  =?utf-8?q?Pr=C3=BCfung?= ist bestanden"},
		{"words beside each other are one text", "Subject: a für\n  Müller, b", "Subject: a =?utf-8?q?f=C3=BCr__M=C3=BCller=2C?= b"},
		{"no space behind the colon", "Subject:é", "Subject: =?utf-8?q?=C3=A9?="},
		{"encoded words stay", "Subject: =?utf-8?q?=C3=A9?= é =?utf-8?q?=C3=A9?=", "Subject: =?utf-8?q?=C3=A9?= =?utf-8?q?_=C3=A9_?= =?utf-8?q?=C3=A9?="},
		{"many high octets", "Subject: Проверка", "Subject: =?utf-8?b?0J/RgNC+0LLQtdGA0LrQsA==?="},
		{"long", "Subject: " + strings.Repeat("ü", 40),
			"Subject: =?utf-8?b?" + strings.Repeat("w7zDvMO8", 6) + "w7w=?=\r\n =?utf-8?b?" + strings.Repeat("w7zDvMO8", 7) + "?="},
		{"a fold before the word", "Subject: " + strings.Repeat("x", 50) + " é y", "Subject: " + strings.Repeat("x", 50) + "\r\n =?utf-8?q?=C3=A9?= y"},
		{"a fold behind the word", "Subject: é " + strings.Repeat("x", 60), "Subject: =?utf-8?q?=C3=A9?=\r\n " + strings.Repeat("x", 60)},
		{"unknown field", "X-Check: é", "X-Check: =?utf-8?q?=C3=A9?="},
		{"Latin-1", "X: \xe9", "X: =?unknown-8bit?q?=E9?="},
		{"Latin-1 as the body", "X: \xe9\nContent-Type: text/plain; charset=ISO-8859-15", "X: =?iso-8859-15?q?=E9?=\r\nContent-Type: text/plain; charset=ISO-8859-15"},
		{"not UTF-8 as the body says", "X: \xe9\nContent-Type: text/plain; charset=utf-8", "X: =?unknown-8bit?q?=E9?=\r\nContent-Type: text/plain; charset=utf-8"},

		{"display name", "To: Jürgen Groß <a@b>", "To: =?utf-8?q?J=C3=BCrgen_Gro=C3=9F?= <a@b>"},
		{"words of a name", "To: Dr. Jürgen van Groß <a@b>", "To: Dr. =?utf-8?q?J=C3=BCrgen?= van =?utf-8?q?Gro=C3=9F?= <a@b>"},
		{"quoted name", `To: "Groß, Jürgen \"x\"" <a@b>, "Müller"<c@d>`, "To: =?utf-8?q?Gro=C3=9F=2C_J=C3=BCrgen_=22x=22?= <a@b>,\r\n =?utf-8?q?M=C3=BCller?= <c@d>"},
		{"quotes that may stay", `To: "x, y" é <a@b>`, `To: "x, y" =?utf-8?q?=C3=A9?= <a@b>`},
		{"words without white space", `To: x"é"y <a@b>`, `To: =?utf-8?q?x=C3=A9y?= <a@b>`},
		{"comment", "To: a@b (Jürgen (dä) \\) x)", "To: a@b (=?utf-8?q?J=C3=BCrgen?= (=?utf-8?q?d=C3=A4?=) \\) x)"},
		{"comments of an address", "To: a(ä)@b (ö), <c@d(ü)>", "To: a(=?utf-8?q?=C3=A4?=)@b (=?utf-8?q?=C3=B6?=), <c@d(=?utf-8?q?=C3=BC?=)>"},
		{"group", "To: Ä Gruppe: Ö <a@b>, c@d;, é <e@f>", "To: =?utf-8?q?=C3=84?= Gruppe: =?utf-8?q?=C3=96?= <a@b>, c@d;,\r\n =?utf-8?q?=C3=A9?= <e@f>"},
		{"addresses stay", "To: jürgen@bücher.example, ä <ö@ü>, \"é é\"@x", "To: jürgen@bücher.example, =?utf-8?q?=C3=A4?= <ö@ü>, \"é é\"@x"},
		{"no address", "To: Jürgen Groß, bob", "To: =?utf-8?q?J=C3=BCrgen_Gro=C3=9F?= , bob"},
		{"square brackets", "To: [Büro], [Büro] Ann <a@b>", "To: =?utf-8?q?=5BB=C3=BCro=5D?= , =?utf-8?q?=5BB=C3=BCro=5D?= Ann <a@b>"},
		{"no brackets", "To: Jürgen bob@x", "To: =?utf-8?q?J=C3=BCrgen?= bob@x"},
		{"text that is no address", "To: a\u200bb@c, <ä b@c>, Jürgen jürgen@bücher.example, d@e",
			"To: =?utf-8?q?a=E2=80=8Bb=40c?= , =?utf-8?q?=3C=C3=A4?= b@c>,\r\n =?utf-8?q?J=C3=BCrgen_j=C3=BCrgen=40b=C3=BCcher=2Eexample?= , d@e"},
		{"a fold before an address", "To: " + strings.Repeat("x", 40) + " é <abcdefghij@example.org>, abcdefghijklmnopqrstuvwxyz@" + strings.Repeat("y", 40) + ".example",
			"To: " + strings.Repeat("x", 40) + " =?utf-8?q?=C3=A9?=\r\n <abcdefghij@example.org>, abcdefghijklmnopqrstuvwxyz@" + strings.Repeat("y", 40) + ".example"},
		{"a fold before words that belong together", "References: é é xxxxxxxxxxxxxxxxxxxxxxxxxxx@yyyyyyyyyyyyyyyyyyyyyyyyyy@zz",
			"References: =?utf-8?q?=C3=A9_=C3=A9?=\r\n xxxxxxxxxxxxxxxxxxxxxxxxxxx@yyyyyyyyyyyyyyyyyyyyyyyyyy@zz"},
		{"unfinished", "To: é <a@b>, \"ü <c@d>", "To: =?utf-8?q?=C3=A9?= <a@b>, =?utf-8?q?=22=C3=BC?= <c@d>"},
		{"resent", "Resent-From: é <a@b>", "Resent-From: =?utf-8?q?=C3=A9?= <a@b>"},

		{"Message-ID", "Message-ID: <ü.1@bücher.example>", "Message-ID: <%C3%BC.1@b%C3%BCcher.example>"},
		{"References", "References: <1@x> Ihre Nachricht vom März <ü@x>", "References: <1@x> Ihre Nachricht vom =?utf-8?q?M=C3=A4rz?= <%C3%BC@x>"},
		{"List-", "List-Id: Bücher <b.example>\nList-Unsubscribe: <https://x/?ü>, <mailto:a@b?subject=ö>",
			"List-Id: =?utf-8?q?B=C3=BCcher?= <b.example>\r\nList-Unsubscribe: <https://x/?%C3%BC>, <mailto:a@b?subject=%C3%B6>"},
		{"Received", "Received: from ü (\"é\" [::1]) by x for <ö@y>; date", "Received: from ü (=?utf-8?q?=22=C3=A9=22?= [::1]) by x for <ö@y>; date"},
		{"Date in words", "Date: So 29. März 2026", "Date: So 29. =?utf-8?q?M=C3=A4rz?= 2026"},

		{"file name", `Content-Disposition: attachment; filename="Prüfung 1.pdf"; size=3`, "Content-Disposition: attachment;\r\n filename*=utf-8''Pr%C3%BCfung%201.pdf; size=3"},
		{"file name without quotes", "Content-Disposition: attachment; filename=Prüfung 1.pdf", "Content-Disposition: attachment;\r\n filename*=utf-8''Pr%C3%BCfung%201.pdf"},
		{"file name twice", `Content-Disposition: attachment; filename="ü"; filename*=utf-8''%C3%BC`, "Content-Disposition: attachment; filename*=utf-8''%C3%BC"},
		{"raw text in RFC 2231", "Content-Disposition: attachment; filename*=utf-8''ü", "Content-Disposition: attachment; filename*=utf-8''%C3%BC"},
		{"sections of a file name", "Content-Disposition: a; filename*0=\"P 1\"; filename*1=\"rü\"; filename*2=x; b*0*=utf-8''%20; b*1=ü; c*1=ü",
			"Content-Disposition: a;\r\n filename*0*=utf-8''P%201;\r\n filename*1*=r%C3%BC; filename*2=x; b*0*=utf-8''%20;\r\n b*1*=%C3%BC; c*1=ü"},
		{"long file name", "Content-Type: a/b; name=\"" + strings.Repeat("ü", 20) + "\"; x=y",
			"Content-Type: a/b;\r\n name*0*=utf-8''" + strings.Repeat("%C3%BC", 9) + ";\r\n name*1*=" + strings.Repeat("%C3%BC", 11) + "; x=y"},
		{"comment of a type", "Content-Type: a/b (ä); x=\"(;\"", "Content-Type: a/b (=?utf-8?q?=C3=A4?=); x=\"(;\""},
		{"boundary stays", "Content-Type: multipart/x; boundary=ü", "Content-Type: multipart/x; boundary=ü"},
		{"over-long type stays", "Content-Disposition: a; b=ü;" + strings.Repeat(" c", 400), "Content-Disposition: a;\r\n b*=utf-8''%C3%BC;" + strings.Repeat(" c", 400)},

		{"never sent", "Bcc: é", ""},
		{"signed", "DKIM-Signature: x\nSubject: é", "DKIM-Signature: x\r\nSubject: é"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, told := encodeHeader(t, test.in+"\n\n")
			want := test.want + "\r\n\r\n"
			if test.want == "" {
				want = "\r\n"
			}
			if got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if same := got == strings.ReplaceAll(test.in, "\n", "\r\n")+"\r\n\r\n"; same && told != "" || !same && told == "" && test.want != "" {
				t.Errorf("told %q", told)
			}
		})
	}
	got, _ := encodeHeader(t, "Subject: "+umlauts+"\n\n")
	if s, err := new(mime.WordDecoder).DecodeHeader(strings.ReplaceAll(got, "\r\n ", " ")); err != nil || strings.TrimSpace(s) != "Subject: "+umlauts {
		t.Errorf("decoded: %q, %v", s, err)
	}
	m, err := mail.ReadMessage(strings.NewReader(got))
	if err != nil || m.Header.Get("Subject") == "" {
		t.Errorf("%q: %v", got, err)
	}
}

func TestEncodeHeaderTells(t *testing.T) {
	in := "Subject: é\nTo: é <a@b>\nContent-Disposition: a; b=é\n" + strings.Repeat("X: é\n", 60) + "\n"
	_, told := encodeHeader(t, in)
	lines := strings.Split(told, "\n")
	want := []string{"Subject: encoded (RFC 2047), it was not ASCII", "To: encoded (RFC 2047), it was not ASCII", "Content-Disposition: its parameters encoded (RFC 2231), they were not ASCII"}
	if fmt.Sprint(lines[:3]) != fmt.Sprint(want) || len(lines) != maxChanges+1 || lines[maxChanges] != "header: 13 more fields encoded" {
		t.Errorf("told %q", told)
	}
}

func TestLabelBody(t *testing.T) {
	const version, kind, eight = "MIME-Version: 1.0\r\n", "Content-Type: text/plain; charset=utf-8\r\n", "Content-Transfer-Encoding: 8bit\r\n"
	for _, test := range []struct{ in, want string }{
		{"A: b\n\né\n", "A: b\r\n" + version + kind + eight + "\r\né\r\n"},
		{"\n\xe9\n", version + "Content-Type: text/plain; charset=unknown-8bit\r\n" + eight + "\r\n\xe9\r\n"},
		{"\né\xc3", version + "Content-Type: text/plain; charset=unknown-8bit\r\n" + eight + "\r\né\xc3\r\n"},
		{"A: b\n\ne\n", "A: b\r\n\r\ne\r\n"},
		{"MIME-Version: 1.0\n\né\n", version + kind + eight + "\r\né\r\n"},
		{"Content-Type: \nMIME-Version:\n\né\n", version + kind + eight + "\r\né\r\n"},
		{"Content-Transfer-Encoding: 8bit\n\né\n", eight + version + kind + "\r\né\r\n"},
		{"Content-Transfer-Encoding: base64\n\né\n", "Content-Transfer-Encoding: base64\r\n\r\né\r\n"},
		{"Content-Type: text/html\n\né\n", "Content-Type: text/html\r\n\r\né\r\n"},
		{"DKIM-Signature: x\n\né\n", "DKIM-Signature: x\r\n\r\né\r\n"},
	} {
		got, told := encodeHeader(t, test.in)
		if got != test.want {
			t.Errorf("%q: got  %q\nwant %q", test.in, got, test.want)
		}
		if (told == "") != (len(got) == len(strings.ReplaceAll(test.in, "\n", "\r\n"))) && !strings.HasSuffix(test.in, "\xc3") {
			t.Errorf("%q: told %q", test.in, told)
		}
	}
	m := mustRead(t, "A: b\n\né\n", Options{})
	m.EncodeHeader()
	want := "A: b\r\n" + version + kind + "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n"
	if got := wire(t, m, envelope.Form{}); got != want {
		t.Errorf("without 8BITMIME: %q", got)
	}
	// A character at the end of a block.
	m = mustRead(t, "\n"+strings.Repeat("x", chunkSize-1)+strings.Repeat("é", chunkSize), Options{})
	if m.body.notUTF8 {
		t.Error("UTF-8 is not seen across blocks")
	}
}

// TestEncodeParts checks that the headers of attachments are encoded, but not their
// contents, nor the headers of messages within the message.
func TestEncodeParts(t *testing.T) {
	in := "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nGrüße\n" +
		"--b\nContent-Type: application/pdf; name=\"Prüfung.pdf\"\nContent-Disposition: attachment; filename=\"Prüfung.pdf\"\nContent-ID: <ü@x>\n\n%PDF\n" +
		"--b\nContent-Type: message/rfc822\n\nSubject: é\n\né\n--b--\n"
	want := strings.NewReplacer("\n", "\r\n", " name=\"Prüfung.pdf\"", "\r\n name*=utf-8''Pr%C3%BCfung.pdf", " filename=\"Prüfung.pdf\"", "\r\n filename*=utf-8''Pr%C3%BCfung.pdf").Replace(in)
	got, told := encodeHeader(t, in)
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !strings.HasPrefix(told, "MIME parts: ") {
		t.Errorf("told %q", told)
	}
	m := mustRead(t, in, Options{})
	m.EncodeHeader()
	if got := wire(t, m, envelope.Form{}); hasEightBit([]byte(strings.Replace(got, "<ü@x>", "", 1))) {
		t.Errorf("without 8BITMIME: %q", got)
	}
	plain := strings.NewReplacer("Prüfung", "check", "ü@x", "x@x").Replace(in)
	if got, told := encodeHeader(t, plain); told != "" || got != strings.ReplaceAll(plain, "\n", "\r\n") {
		t.Errorf("nothing to encode: %q\n%s", got, told)
	}
	signed := strings.Replace(in, "multipart/mixed", "multipart/signed", 1)
	if got, told := encodeHeader(t, signed); told != "" || got != strings.ReplaceAll(signed, "\n", "\r\n") {
		t.Errorf("signed mail changed: %q\n%s", got, told)
	}
	sealed := "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: a/b; name=é\n\n--b--\n--o--\n"
	if got, _ := encodeHeader(t, sealed); got != strings.ReplaceAll(sealed, "\n", "\r\n") {
		t.Errorf("a signed part changed: %q", got)
	}
}

// FuzzEncodeHeader checks that the decoded text is the text before, that no line with an
// encoded word is too long, and that addresses stay the same. 8-bit text may stay in an
// address field only if an address has it.
func FuzzEncodeHeader(f *testing.F) {
	for _, s := range []string{
		"Prüfung", "a é é b", "=?utf-8?q?x?= é", "é =?utf-8?q?x?=", strings.Repeat("ü", 200), strings.Repeat("ü ", 200), "\"Groß, J\" <a@b>, é", "(é (ü) \\)) a@b",
		"é: a@b, ü <c@d>;", "jörg@bücher.example", "<é", "\"é", "a\x00é", "é\r\n ü", strings.Repeat("x", 80) + "é" + strings.Repeat("y", 80), "attachment; filename=\"é\"; x", "<é@x> (ü)",
		"a@b (é, <é@", "[é]", "<é@b> é@x", "x@é@b, c@d", "<é@b (x>, [é]@b", "“é”@b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n\x00") || strings.TrimSpace(s) == "" || len(s) > 4000 || strings.Contains(s, "=?") {
			return
		}
		for _, name := range []string{"Subject", "To", "References", "Received", "Content-Disposition"} {
			m, err := Read(strings.NewReader(name+": "+s+"\n\n"), Options{})
			if err != nil || len(m.fields) != 1 {
				return
			}
			before := string(m.fields[0].raw)
			m.EncodeHeader()
			after := string(m.fields[0].raw)
			for line := range strings.Lines(after) {
				if strings.Contains(line, "=?utf-8?") && strings.Contains(line, "?=") && len(strings.TrimRight(line, " \t\r\n")) > maxWithWord && longestWord(line) < 60 {
					t.Errorf("a line of %d octets: %q", len(line), line)
				}
				if isBlank([]byte(line)) {
					t.Errorf("a line of white space in %q", after)
				}
			}
			if len(m.fields) != 1 || nameLength([]byte(after)) != len(name) {
				t.Errorf("%q became %q", before, after)
			}
			for i, line := range strings.Split(strings.TrimSuffix(after, "\r\n"), "\r\n") {
				if i > 0 && (line == "" || !isSpace(line[0])) {
					t.Errorf("a line that is not folded in %q", after)
				}
			}
			switch name {
			case "Subject":
				if hasEightBit([]byte(after)) {
					t.Errorf("8-bit text in %q", after)
				}
				got, err := new(mime.WordDecoder).DecodeHeader(strings.ReplaceAll(after, "\r\n", ""))
				want := strings.ReplaceAll(before, "\r\n", "")
				if validCharset(want) && (err != nil || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ")) {
					t.Errorf("%q became %q, read as %q, %v", want, after, got, err)
				}
			case "To":
				old, err := ParseAddressList(s) // after an error there is text that may decode to anything
				now, _ := ParseAddressList(strings.TrimPrefix(after, "To:"))
				if validCharset(s) && err == nil && whole(old) != whole(now) {
					t.Errorf("%q became %q", before, after)
				}
				if routed := strings.Contains(s, ":"); !routed && hasEightBit([]byte(after)) && !m.fields[0].needsUTF8() {
					t.Errorf("8-bit text, and no address that needs it, in %q", after)
				}
			}
			m.Close()
		}
	})
}

// whole returns the addresses that have a domain.
func whole(boxes []Mailbox) string {
	var all []string
	for _, b := range boxes {
		if b.Address.Domain() != "" {
			all = append(all, b.Address.String())
		}
	}
	return strings.Join(all, " ")
}

// longestWord returns the length of the longest word that is no encoded word.
func longestWord(line string) int {
	longest := 0
	for _, word := range strings.Fields(line) {
		if !strings.HasPrefix(word, "=?") {
			longest = max(longest, len(word))
		}
	}
	return longest
}

func validCharset(s string) bool { return strings.ToValidUTF8(s, "") == s }
