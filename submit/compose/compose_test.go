package compose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/status"
)

// A part is what a mail program shows of a part.
type part struct{ typ, name, content string }

// read makes the message, in a form for any server, and parses it with net/mail.
func read(t *testing.T, d *Draft, stdin string) (mail.Header, []part) {
	t.Helper()
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	m, err := d.Read(strings.NewReader(stdin), false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var header mail.Header
	var parts []part
	for _, form := range []envelope.Form{{EightBit: true}, {}} {
		r, size, err := m.Open(form)
		if err != nil {
			t.Fatal(err)
		}
		wire, _ := io.ReadAll(r)
		if int64(len(wire)) != size {
			t.Fatalf("%d octets, not %d", len(wire), size)
		}
		checkLines(t, wire, form.EightBit)
		h, p := parse(t, wire)
		if parts != nil && len(p) != len(parts) {
			t.Fatalf("%d parts, and %d", len(p), len(parts))
		}
		for i := range parts {
			if p[i] != parts[i] {
				t.Errorf("for 7bit part %d is %.200q, else %.200q", i, p[i], parts[i])
			}
		}
		header, parts = h, p
	}
	return header, parts
}

// checkLines checks that every server takes the wire form.
func checkLines(t *testing.T, wire []byte, eight bool) {
	t.Helper()
	for l := range bytes.Lines(wire) {
		text, ok := bytes.CutSuffix(l, []byte("\r\n"))
		if !ok || len(text) > 998 || bytes.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("line %.100q", l)
		}
		if !eight && bytes.ContainsFunc(text, func(r rune) bool { return r > 127 }) {
			t.Fatalf("8-bit line %.100q", l)
		}
	}
}

func parse(t *testing.T, wire []byte) (mail.Header, []part) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	media, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if media != "multipart/mixed" {
		return m.Header, []part{{m.Header.Get("Content-Type"), "", decoded(t, m.Header, m.Body)}}
	}
	var parts []part
	for r := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return m.Header, parts
		} else if err != nil {
			t.Fatal(err)
		}
		if len(parts) > 0 && p.Header.Get("Content-Transfer-Encoding") != "base64" {
			t.Errorf("an attachment in %s", p.Header.Get("Content-Transfer-Encoding"))
		}
		content := decoded(t, mail.Header(p.Header), p)
		_, disposition, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		parts = append(parts, part{p.Header.Get("Content-Type"), disposition["filename"], content})
	}
}

func decoded(t *testing.T, h mail.Header, r io.Reader) string {
	t.Helper()
	switch h.Get("Content-Transfer-Encoding") {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestText(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct{ stdin, typ, text string }{
		{"", "us-ascii", ""},
		{"Filesystem  Use%\n/dev/sda1   93%", "us-ascii", "Filesystem  Use%\r\n/dev/sda1   93%\r\n"},
		{"Subject: no header\n\n.\n..\nFrom me\n", "us-ascii", "Subject: no header\r\n\r\n.\r\n..\r\nFrom me\r\n"},
		{"\ufeffGrüße\r\nß", "utf-8", "Grüße\r\nß\r\n"},
		{"Gr\xfc\xdfe\n", "unknown-8bit", "Gr\xfc\xdfe\r\n"},
		{"a\x00b\n", "us-ascii", "a\x00b\r\n"},
		{long, "us-ascii", long + "\r\n"},
		{"ü" + long + "\x00\n", "utf-8", "ü" + long + "\x00\r\n"},
		{"-----BEGIN PGP SIGNED MESSAGE-----\n", "us-ascii", "-----BEGIN PGP SIGNED MESSAGE-----\r\n"},
	} {
		h, parts := read(t, &Draft{Subject: "Größe"}, tt.stdin)
		want := part{"text/plain; charset=" + tt.typ, "", tt.text}
		if len(parts) != 1 || parts[0] != want {
			t.Errorf("%.30q: got %.200q, want %.200q", tt.stdin, parts, want)
		}
		if h.Get("MIME-Version") != "1.0" || h.Get("Subject") != "=?utf-8?q?Gr=C3=B6=C3=9Fe?=" {
			t.Errorf("%.30q: %v", tt.stdin, h)
		}
		h, parts = read(t, &Draft{Files: []string{os.DevNull}}, tt.stdin)
		if len(parts) != 2 || parts[0] != want || h.Get("MIME-Version") != "1.0" {
			t.Errorf("%.30q beside a file: got %.200q, want %.200q", tt.stdin, parts, want)
		}
	}
}

func TestHeader(t *testing.T) {
	list := func(s string) []message.Mailbox {
		all, err := message.ParseAddressList(s)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	d := &Draft{
		To: list(`"Doe, Jürgen" <j@example.org>, bob@example.org`), Cc: list("carol (Carol)"), ReplyTo: list("r@example.org"),
		Subject: strings.Repeat("word ", 400),
	}
	h, _ := read(t, d, "text")
	for _, row := range [][2]string{
		{"To", "=?utf-8?b?RG9lLCBKw7xyZ2Vu?= <j@example.org>, bob@example.org"},
		{"Cc", "Carol <carol>"},
		{"Reply-To", "r@example.org"},
		{"Subject", strings.TrimSpace(d.Subject)},
	} {
		if got := h.Get(row[0]); got != row[1] {
			t.Errorf("%s: got %q, want %q", row[0], got, row[1])
		}
	}
	if h, _ = read(t, &Draft{}, ""); len(h) != 3 {
		t.Errorf("the least header is %v", h)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("0123456789abcdef", 1<<17)
	name300 := strings.Repeat("ü", 120) + ".pdf"
	for _, tt := range []struct{ name, content, typ string }{
		{"report.pdf", "%PDF-1.4", "application/pdf"},
		{"Grüße.pdf", large, "application/pdf"},
		{`a "quoted\one".png`, "\x89PNG\r\n\x1a\n", "image/png"},
		{"-rf", "text\n", "text/plain; charset=utf-8"},
		{".profile", "text: ü", "text/plain; charset=utf-8"},
		{"latin1.html", "Gr\xfc\xdfe und so weiter", "text/html"},
		{"mail.eml", "Subject: x\r\n\r\n", unknownType},
		{"wide.html", "\xff\xfea\x00", "text/html; charset=utf-16le"},
		{"octets.html", "a\x00", unknownType},
		{"nothing", "", "text/plain; charset=utf-8"},
		{"archive", "\x1f\x8b\x08\x00", "application/x-gzip"},
		{"57", strings.Repeat("x", 57), "text/plain; charset=utf-8"},
		{"cut", strings.Repeat("x", sampleSize-1) + "ü", "text/plain; charset=utf-8"},
		{name300, "x", "application/pdf"},
		{"not\xffutf8.pdf", "x", "application/pdf"},
	} {
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Logf("not on this system: %v", err)
			continue
		}
		_, parts := read(t, &Draft{Files: []string{path, path}}, "text ü")
		want := part{tt.typ, tt.name, tt.content}
		if tt.name == "not\xffutf8.pdf" {
			want.name = parts[1].name // Go knows no charset but UTF-8
		}
		if len(parts) != 3 || parts[1] != want || parts[2] != want {
			t.Errorf("got %.300q, want %.300q twice", parts, want)
		}
	}
}

// TestName checks that no file name can end a line of the header.
func TestName(t *testing.T) {
	for _, name := range []string{"a\r\nBcc: x", "a\x00", "a\u0085b", `a"; x="`, "a\\", strings.Repeat("x", 3000)} {
		r, err := partHeader(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		h, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil || len(h.Header) != 3 {
			t.Errorf("%.20q: %q", name, b)
		}
		if _, p, err := mime.ParseMediaType(h.Header.Get("Content-Disposition")); err != nil || len(p) != 1 {
			t.Errorf("%.20q: %q %v", name, p, err)
		}
	}
}

func TestInput(t *testing.T) {
	_, parts := read(t, &Draft{Files: []string{"-"}}, "a\nb\x00")
	if want := []part{{"text/plain; charset=us-ascii", "", ""}, {unknownType, "attachment", "a\nb\x00"}}; len(parts) != 2 || parts[0] != want[0] || parts[1] != want[1] {
		t.Errorf("got %q, want %q", parts, want)
	}
	if err := (&Draft{Files: []string{"-", "x", "-"}}).Check(); status.KindOf(err) != status.NoInput { // x
		t.Error(err)
	}
	if err := (&Draft{Files: []string{"-", "-"}}).Check(); status.KindOf(err) != status.Usage {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "no such file",
		dir:                           "is a folder",
		"":                            "no such file",
	} {
		err := (&Draft{Files: []string{path}}).Check()
		if status.KindOf(err) != status.NoInput || path != "" && !strings.Contains(err.Error(), path) || os.PathSeparator == '/' && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// TestShrinks checks that a file that becomes shorter while it is read is an error, and that
// a file that grows is read up to its first size.
func TestShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, tt := range []struct {
		size int64
		err  string
	}{
		{100, "became shorter while it was read; nothing was sent"},
		{1 << 20, ""},
		{3 << 20, ""},
	} {
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := openFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(f, make([]byte, 50)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, tt.size); err != nil {
			t.Skip(err)
		}
		n, err := io.Copy(io.Discard, f)
		switch {
		case tt.err == "" && (err != nil || n != 1<<20-50):
			t.Errorf("size %d: %d octets, %v", tt.size, n, err)
		case tt.err != "" && (status.KindOf(err) != status.NoInput || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), path)):
			t.Errorf("size %d: %v", tt.size, err)
		}
	}
}

// TestGone checks the error for a file that was removed.
func TestGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone")
	m, err := (&Draft{Files: []string{path}}).Read(strings.NewReader("text"), false)
	if m != nil || status.KindOf(err) != status.NoInput || !strings.HasPrefix(err.Error(), "--attach: "+path) {
		t.Errorf("%v, %v", m, err)
	}
	broken := io.MultiReader(strings.NewReader("begun"), iotest.ErrReader(errors.New("broken")))
	if m, err = (&Draft{Files: []string{"-"}}).Read(broken, false); m != nil || status.KindOf(err) != status.NoInput {
		t.Errorf("%v, %v", m, err)
	}
}

// TestStops: if the message cannot be kept, a large attachment is not read to its end.
func TestStops(t *testing.T) {
	large := strings.NewReader(strings.Repeat("x", 8<<20))
	d := &Draft{Subject: strings.Repeat("word ", 17<<20/5), Files: []string{"-"}}
	if _, err := d.Read(large, false); err == nil || large.Len() < 6<<20 {
		t.Errorf("%v; %d octets are left", err, large.Len())
	}
}
