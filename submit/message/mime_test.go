package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

func TestReencode(t *testing.T) {
	long := strings.Repeat("0123456789", 100)
	const (
		mimeVersion = "MIME-Version: 1.0\r\n"
		qp          = "Content-Transfer-Encoding: quoted-printable\r\n"
		b64         = "Content-Transfer-Encoding: base64\r\n"
		utf8Text    = "Content-Type: text/plain; charset=utf-8\r\n"
	)
	tests := []struct {
		name, in string
		form     envelope.Form
		want     string
	}{
		{"8-bit may stay", "A: b\n\né\n", everything, "A: b\r\n\r\né\r\n"},
		{"unlabelled UTF-8", "A: b\n\né \n=\t\n", envelope.Form{}, "A: b\r\n" + mimeVersion + utf8Text + qp + "\r\n=C3=A9=20\r\n=3D=09\r\n"},
		{"unlabelled Latin-1", "A: b\n\n\xe9\n", envelope.Form{}, "A: b\r\n" + mimeVersion + "Content-Type: text/plain; charset=unknown-8bit\r\n" + qp + "\r\n=E9\r\n"},
		{"charset missing", "content-type: text/html;\nMime-Version: 1.0\n\né", envelope.Form{}, "content-type: text/html; charset=utf-8\r\nMime-Version: 1.0\r\n" + qp + "\r\n=C3=A9\r\n"},
		{"charset there", "Content-Type: Text/Plain; Charset=\"latin1\"\nContent-transfer-encoding: 8BIT (x)\nMIME-Version: 1.0\n\n\xe9", envelope.Form{}, "Content-Type: Text/Plain; Charset=\"latin1\"\r\nMIME-Version: 1.0\r\n" + qp + "\r\n=E9\r\n"},
		{"type of no use", "Content-Type: text\n\né", envelope.Form{}, mimeVersion + utf8Text + qp + "\r\n=C3=A9\r\n"},
		{"wrong word for 8bit", "Content-Transfer-Encoding: utf-8\n\né", envelope.Form{}, mimeVersion + utf8Text + qp + "\r\n=C3=A9\r\n"},
		{"NUL", "A: b\n\nx\x00y", everything, "A: b\r\n" + mimeVersion + qp + "\r\nx=00y\r\n"},
		{"long line", "A: b\n\n" + long, everything, "A: b\r\n" + mimeVersion + qp + "\r\n" + soft(long) + "\r\n"},
		{"data", "Content-Type: image/png\nMIME-Version: 1.0\n\n\x89PNG\n", envelope.Form{}, "Content-Type: image/png\r\nMIME-Version: 1.0\r\n" + b64 + "\r\niVBORw0K\r\n"},
		{"base64 on one line", "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + long, everything,
			"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped(long) + "\r\n"},
		{"quoted-printable with long lines", "Content-Transfer-Encoding: quoted-printable\n\nx\xe9=41" + long + " \ny=\nz", everything,
			"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + soft("x=E9=41"+long+" ") + "\r\ny=\r\nz\r\n"},
		{"uuencode is left", "Content-Transfer-Encoding: x-uuencode\n\n\xe9\n", envelope.Form{}, "Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe9\r\n"},
		{"signed", "DKIM-Signature: x\n\n\xe9" + long, envelope.Form{}, "DKIM-Signature: x\r\n\r\n\xe9" + long + "\r\n"},
		{"multipart without its delimiter", "Content-Type: multipart/mixed; boundary=x\n\né", envelope.Form{}, mimeVersion + utf8Text + qp + "\r\n=C3=A9\r\n"},
		{"multipart",
			"Content-Type: multipart/mixed; boundary=\"b b\"\nContent-Transfer-Encoding: 8bit\nMIME-Version: 1.0\n\npré\n--b b\n\nplain\n--b b \nContent-Type: text/x; charset=x\n\né\n\n--b b\nContent-Type: a/b\n\n\xff\n--b b\n\n--b b--\nfin\xff\n", envelope.Form{},
			"Content-Type: multipart/mixed; boundary=\"b b\"\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\n\r\npr??\r\n--b b\r\n\r\nplain\r\n--b b \r\nContent-Type: text/x; charset=x\r\n" + qp + "\r\n=C3=A9\r\n\r\n--b b\r\nContent-Type: a/b\r\n" + b64 + "\r\n/w==\r\n--b b\r\n\r\n--b b--\r\nfin?\r\n"},
		{"nested, outer delimiter ends inner",
			"MIME-Version: 1\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=i\n\n--i\n\né\n--o\nContent-Type: multipart/signed; boundary=s\n\n--s\n\né\n--s--\n--o--\n", envelope.Form{},
			"MIME-Version: 1\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n" + utf8Text + qp + "\r\n=C3=A9\r\n--o\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\né\r\n--s--\r\n--o--\r\n"},
		{"message within a message",
			"MIME-Version: 1\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: é\nBcc: kept\n\né\n", envelope.Form{},
			"MIME-Version: 1\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: =?utf-8?q?=C3=A9?=\r\nBcc: kept\r\n" + mimeVersion + utf8Text + qp + "\r\n=C3=A9\r\n"},
		{"digest", "MIME-Version: 1\nContent-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: x\n\n\xe9\n--d--\n", envelope.Form{},
			"MIME-Version: 1\r\nContent-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: x\r\n" + mimeVersion + "Content-Type: text/plain; charset=unknown-8bit\r\n" + qp + "\r\n=E9\r\n--d--\r\n"},
		{"part without a blank line", "MIME-Version: 1\nContent-Type: multipart/mixed; boundary=d\n\n--d\nA: b\n--d\n\né\n--d--\n", envelope.Form{},
			"MIME-Version: 1\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nA: b\r\n--d\r\n" + utf8Text + qp + "\r\n=C3=A9\r\n--d--\r\n"},
		{"a broken line does not become a delimiter",
			"MIME-Version: 1\nContent-Type: multipart/mixed; boundary=d\n\n--d\n\n\x00" + long[:69] + "--d\n--d--\n", everything,
			"MIME-Version: 1\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\n" + qp + "\r\n=00" + long[:69] + "=\r\n=2D-d\r\n--d--\r\n"},
		{"part with an over-long type", "MIME-Version: 1\nContent-Type: multipart/mixed; boundary=d\n\n--d\nContent-Type: a/b;" + strings.Repeat(" "+long[:900]+"\n", 10) + "\né\n--d--\n", envelope.Form{},
			"MIME-Version: 1\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: a/b;" + strings.Repeat(" "+long[:900]+"\r\n", 10) + "\r\né\r\n--d--\r\n"},
		{"over-long encoding", "Content-Transfer-Encoding: 8bit;" + strings.Repeat(" "+long[:900]+"\n", 10) + "\né\n", envelope.Form{},
			"Content-Transfer-Encoding: 8bit;" + strings.Repeat(" "+long[:900]+"\r\n", 10) + "\r\né\r\n"},
		{"comment that does not end", "Content-Type: text/plain (x; charset=y\n\né\n", envelope.Form{},
			"Content-Type: text/plain (x; charset=y\r\n" + mimeVersion + qp + "\r\n=C3=A9\r\n"},
		{"long preamble", "MIME-Version: 1\nContent-Type: multipart/mixed; boundary=d\n\n" + long[:998] + "--d\n--d--\n", everything,
			"MIME-Version: 1\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n" + long[:998] + "\r\n --d\r\n--d--\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := mustRead(t, test.in, Options{})
			got := wire(t, m, test.form)
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if wire(t, m, test.form) != got {
				t.Error("opened again, it differs")
			}
		})
	}
}

// soft returns s with soft line breaks, as the quoted-printable encoder makes them.
func soft(s string) string {
	var b strings.Builder
	for ; len(s) > softLimit; s = s[softLimit:] {
		b.WriteString(s[:softLimit] + "=\r\n")
	}
	return b.String() + s
}

func wrapped(s string) string {
	var lines []string
	for line := range slices.Chunk([]byte(s), 76) {
		lines = append(lines, string(line))
	}
	return strings.Join(lines, "\r\n")
}

func TestReencodeNULInSignedPart(t *testing.T) {
	m := mustRead(t, "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/signed; boundary=s\n\n\x00\n--o--\n", Options{})
	if _, _, err := m.Open(everything); status.KindOf(err) != status.Data {
		t.Errorf("got %v", err)
	}
}

// TestReencodeDeep checks that a message with very deep nesting is re-encoded without an
// error, and that no octet remains that the server does not take.
func TestReencodeDeep(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	b.WriteString("\né\x00\n")
	m := mustRead(t, b.String(), Options{})
	if got := wire(t, m, envelope.Form{}); hasEightBit([]byte(got)) || strings.Contains(got, "\x00") {
		t.Error("8-bit text or NUL in the result")
	}
}

func TestReencodeLarge(t *testing.T) {
	in := "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat("é", 3<<20) + "\n--b\nContent-Type: a/b\n\n" +
		strings.Repeat("\xff\x00\n", 1<<20) + "\n--b--\n"
	m := mustRead(t, in, Options{})
	got := wire(t, m, envelope.Form{})
	if !strings.Contains(got, "charset=utf-8") {
		t.Error("UTF-8 not seen across blocks")
	}
	compare(t, m, got)
}

// TestEscapesStayWhole checks that no escape is broken if a long quoted-printable line is.
func TestEscapesStayWhole(t *testing.T) {
	for before := range 4 {
		in := strings.Repeat("x", before) + strings.Repeat("=C3y", 300)
		out := wire(t, mustRead(t, "Content-Transfer-Encoding: quoted-printable\n\n"+in, Options{}), everything)
		_, body, _ := strings.Cut(out, "\r\n\r\n")
		for line := range strings.Lines(body) {
			if text := strings.TrimSuffix(line, "\r\n"); len(text) > 76 || strings.Contains(text, "==") || strings.HasSuffix(text, "=C=") {
				t.Errorf("%d octets before: a line %q", before, line)
			}
		}
		if joined := strings.ReplaceAll(body, "=\r\n", ""); joined != in+"\r\n" {
			t.Errorf("%d octets before: the text has changed", before)
		}
	}
}

// A leaf is a part without parts, decoded.
type leaf struct {
	kind string
	data string
}

// leaves decodes a message with the standard library.
func leaves(header textproto.MIMEHeader, body io.Reader, message bool) ([]leaf, error) {
	t := contentType(fieldsOf(header), "text/plain")
	e := transferEncoding(fieldsOf(header))
	if e.isIdentity() && strings.HasPrefix(t.name, "multipart/") && t.boundary != "" {
		var all []leaf
		r := multipart.NewReader(body, t.boundary)
		for {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return all, nil
			}
			if err != nil {
				return nil, err
			}
			some, err := leaves(p.Header, p, false)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	switch e {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, err := io.ReadAll(body)
	return []leaf{{t.name, string(b)}}, err
}

func fieldsOf(h textproto.MIMEHeader) (fields []field) {
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding"} {
		for _, v := range h[name] {
			fields = append(fields, newField(name, v))
		}
	}
	return fields
}

func decodeWire(s string) ([]leaf, error) {
	head, body, _ := strings.Cut(s, "\r\n\r\n")
	if strings.HasPrefix(s, "\r\n") {
		head, body = "", s[2:]
	}
	m, err := Read(strings.NewReader(head), Options{})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	h := textproto.MIMEHeader{}
	for _, f := range m.fields {
		if f.is("Content-Type") || f.is("Content-Transfer-Encoding") {
			h.Add(string(f.raw[:f.name]), strings.Trim(string(f.value()), " \t\r\n"))
		}
	}
	return leaves(h, strings.NewReader(body), true)
}

// compare checks that the parts of got have the same decoded contents as those of m. It
// returns false if m cannot be decoded.
func compare(t testing.TB, m *Message, got string) bool {
	var plain bytes.Buffer
	header, _ := wireHeader(m.fields)
	io.Copy(&plain, &header)
	io.Copy(&plain, m.body.open())
	want, err := decodeWire(plain.String())
	if err != nil {
		return false
	}
	have, err := decodeWire(got)
	if err != nil {
		t.Errorf("the result cannot be decoded: %v\n%.2000q", err, got)
		return true
	}
	if len(want) != len(have) {
		t.Errorf("%d parts became %d:\n%.2000q\n%.2000q", len(want), len(have), plain.String(), got)
		return true
	}
	for i := range want {
		if want[i].data != have[i].data {
			t.Errorf("part %d changed:\n%.500q\n%.500q", i, want[i].data, have[i].data)
		}
	}
	return true
}

// TestReencodeRandom is FuzzReencode for messages of random parts, all of which can be
// decoded.
func TestReencodeRandom(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(1, seed))
		m := mustRead(t, "MIME-Version: 1.0\n"+randomPart(rnd, 0), Options{})
		form := envelope.Form{EightBit: seed%2 == 0}
		got := wire(t, m, form)
		if !compare(t, m, got) {
			t.Fatalf("seed %d: the message makes no sense", seed)
		}
		for line := range strings.Lines(got) {
			if len(line) > maxLine+2 || strings.Contains(line, "\x00") || !form.EightBit && hasEightBit([]byte(line)) {
				t.Errorf("seed %d: %.100q cannot be sent", seed, line)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// randomPart returns a part with random content, or a multipart.
func randomPart(rnd *rand.Rand, depth int) string {
	var b strings.Builder
	if depth < 4 && rnd.IntN(3) > 0 {
		bound := fmt.Sprintf("b%d", depth)
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%s\n\nignored \xff\n", bound)
		for range 1 + rnd.IntN(3) {
			fmt.Fprintf(&b, "--%s\n%s\n", bound, randomPart(rnd, depth+1))
		}
		fmt.Fprintf(&b, "--%s--\nignored\n", bound)
		return b.String()
	}
	var content strings.Builder
	words := []string{"a", " ", "\t", "\n", "é", "\xff", "--b0", "--b1--", "=", "=41", ".", "\r\n", "\x00", "-", strings.Repeat("long", 300)}
	for range rnd.IntN(80) {
		content.WriteString(words[rnd.IntN(len(words))])
	}
	// A line that begins like a delimiter could be one.
	text := strings.ReplaceAll("\n"+strings.ReplaceAll(content.String(), "\r\n", "\n"), "\n-", "\n+-")[1:]
	switch rnd.IntN(3) {
	case 0:
		return "Content-Type: text/plain\n\n+" + text
	case 1:
		return "Content-Type: application/x\nContent-Transfer-Encoding: binary\n\n+" + text
	}
	return "Content-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(text))
}

// FuzzReencode checks that re-encoding does not change the contents, as decoded by the
// standard library, and that no octet remains that the server does not take.
func FuzzReencode(f *testing.F) {
	for _, s := range []string{
		"A: b\n\né \n\x00", "Content-Type: a/b\n\n\xff\n\n", "Content-Type: multipart/mixed; boundary=b\n\nx\xff\n--b\n\né\n--b\nContent-Type: a/b\n\n\x80\n--b--\n",
		"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n\xff=41=\n" + strings.Repeat("=41", 400),
		"Content-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD", 300),
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\né" + strings.Repeat("--b", 400) + "\n--b--",
		"Content-Type: message/rfc822\n\nSubject: x\n\né",
		"Content-Transfer-Encoding: quoted-printable\v\n\n\xff=", // no encoding that there is
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, eight bool) {
		m, err := Read(bytes.NewReader(in), Options{})
		if err != nil {
			return
		}
		defer m.Close()
		form := envelope.Form{EightBit: eight}
		if !m.needsRecoding(form) {
			return
		}
		if _, _, err := m.Open(form); err != nil {
			return
		}
		got := wire(t, m, form)
		lower := strings.ToLower(string(in))
		if !strings.Contains(lower, "transfer-encoding") && !strings.Contains(lower, "multipart/") {
			_, body, _ := strings.Cut("\r\n"+got, "\r\n\r\n")
			if strings.Contains(body, "\x00") {
				t.Errorf("NUL in %.500q", got)
			}
			if !eight && !strings.Contains(lower, "rfc822") && hasEightBit([]byte(body)) {
				t.Errorf("8-bit text in %.500q", got)
			}
		}
		if !strings.Contains(lower, "rfc822") {
			compare(t, m, got)
		}
		again, err := Read(strings.NewReader(got), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if w := wire(t, again, everything); w != got {
			t.Errorf("not stable:\n%.1000q\n%.1000q", got, w)
		}
	})
}

func BenchmarkReencode(b *testing.B) {
	for name, in := range map[string]string{
		"text": "A: b\n\n" + strings.Repeat("Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich.\n", 1<<18),
		"data": "Content-Type: a/b\n\n" + strings.Repeat("\xff\x00\x80\xff\xff12345678901234567890123456789\n", 1<<19),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				m, err := Read(strings.NewReader(in), Options{})
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := m.Open(envelope.Form{}); err != nil {
					b.Fatal(err)
				}
				m.Close()
			}
		})
	}
}
