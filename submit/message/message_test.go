package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// everything is the form for a server with all extensions.
var everything = envelope.Form{EightBit: true, UTF8: true}

func mustRead(t testing.TB, in string, o Options) *Message {
	t.Helper()
	m, err := Read(strings.NewReader(in), o)
	if err != nil {
		t.Fatalf("Read(%.60q): %v", in, err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// wire returns the wire form of m, after checks that hold for every message.
func wire(t testing.TB, m *Message, f envelope.Form) string {
	t.Helper()
	r, size, err := m.Open(f)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading the wire form: %v", err)
	}
	if int64(len(b)) != size {
		t.Errorf("size is %d, there are %d octets", size, len(b))
	}
	if rest := strings.ReplaceAll(string(b), "\r\n", ""); strings.ContainsAny(rest, "\r\n") {
		t.Errorf("bare CR or LF in %.200q", b)
	}
	return string(b)
}

func TestReadWire(t *testing.T) {
	x998 := strings.Repeat("x", 998)
	tests := []struct{ name, in, want string }{
		{"plain", "Subject: a\nTo: b\n\nbody\n", "Subject: a\r\nTo: b\r\n\r\nbody\r\n"},
		{"CRLF", "Subject: a\r\n\r\nbody\r\n", "Subject: a\r\n\r\nbody\r\n"},
		{"mixed, CR runs before LF", "Subject: a\r\r\n\nx\r\r\r\ny\n", "Subject: a\r\n\r\nx\r\ny\r\n"},
		{"CRs without end", "Subject: a\n\nx" + strings.Repeat("\r", 70000) + "\ny\n", "Subject: a\r\n\r\nx\r\ny\r\n"},
		{"old Macintosh", "Subject: a\rTo: b\r\rx\ry", "Subject: a\r\nTo: b\r\n\r\nx\r\ny\r\n"},
		{"empty", "", "\r\n"},
		{"one newline", "\n", "\r\n"},
		{"no blank line", "Subject: a", "Subject: a\r\n\r\n"},
		{"no header", "hello world\nSubject: x\n", "\r\nhello world\r\nSubject: x\r\n"},
		{"first line indented", " Subject: x\n", "\r\n Subject: x\r\n"},
		{"line that is no field", "Subject: a\nhello world\nb: c\n", "Subject: a\r\n\r\nhello world\r\nb: c\r\n"},
		{"space before the colon", "Subject : a\nbcc\t: x\n\n", "Subject : a\r\n\r\n"},
		{"mbox", "From a@b Mon Jan  1\n>From a@b\n>>From c\nSubject: a\n\nFrom here\n", "Subject: a\r\n\r\nFrom here\r\n"},
		{"mbox line longer than a block", "From " + strings.Repeat("x", 2*blockSize) + "\nSubject: a\n\n", "Subject: a\r\n\r\n"},
		{"obsolete From field", "From : a@b\n\n", "From : a@b\r\n\r\n"},
		{"never sent", "BCC: a\n b\nContent-Length: 5\nReturn-path: <x>\nrEsent-bcc: c\nTo: d\nbcc:\n\nx", "To: d\r\n\r\nx\r\n"},
		{"folded", "To: a,\n\tb\n\n", "To: a,\r\n\tb\r\n\r\n"},
		{"blank continuation", "To: a\n \t\n b\n  \n\nx\n", "To: a\r\n b\r\n\r\nx\r\n"},
		{"CR in a field", "Subject: a\rBcc: x\n\n", "Subject: a\r\n Bcc: x\r\n\r\n"},
		{"CRs in a field", "Subject: a\r\r \rb\n\n", "Subject: a\r\n b\r\n\r\n"},
		{"CR in the body", "A: b\n\nx\ry\r\rz\n", "A: b\r\n\r\nx\r\ny\r\n\r\nz\r\n"},
		{"CR before the first field", "A: b\n\rB: c\n", "A: b\r\n\r\n\r\nB: c\r\n"},
		{"smuggling", "A: b\n\nx\r.\ry\n.\r\rz\n", "A: b\r\n\r\nx\r\n.\r\ny\r\n.\r\n\r\nz\r\n"},
		{"longest line", "A: b\n\n" + x998, "A: b\r\n\r\n" + x998 + "\r\n"},
		{"field folded at white space", "A: " + x998[:500] + "  " + x998[:500] + "\n\n", "A: " + x998[:500] + "\r\n  " + x998[:500] + "\r\n\r\n"},
		{"field folded behind a comma", "A:" + x998[:900] + "," + x998[:500] + "\n\n", "A:" + x998[:900] + ",\r\n " + x998[:500] + "\r\n\r\n"},
		{"field without white space", "A:" + x998 + x998 + "\n\n", "A:" + x998[2:] + "\r\n " + x998[1:] + "\r\n xxx\r\n\r\n"},
		{"character not broken", "A:" + x998[:995] + "é" + x998[:9] + "\n\n", "A:" + x998[:995] + "\r\n é" + x998[:9] + "\r\n\r\n"},
		{"field of white space", "A: x" + strings.Repeat(" ", 3000) + "\n\n", "A: x\r\n\r\n"},
		{"white space within", "A: x" + strings.Repeat(" ", 3000) + "y\n\n", "A: x\r\n y\r\n\r\n"},
		{"white space before", "A:" + strings.Repeat(" ", 3000) + "y\n\n", "A:\r\n y\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := wire(t, mustRead(t, test.in, Options{}), everything)
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestReadDot(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"A: b\n\nx\n..\n.y\n.\nz\n", "A: b\r\n\r\nx\r\n..\r\n.y\r\n"},
		{"A: b\r\n\r\nx\r\n.\r\nz\r\n", "A: b\r\n\r\nx\r\n"},
		{"A: b\n.\nB: c\n", "A: b\r\n\r\n"},
		{".\nx", "\r\n"},
		{"x y\n.", "\r\nx y\r\n"},
		{"x y\r.\rz\n", "\r\nx y\r\n.\r\nz\r\n"},
	} {
		r := strings.NewReader(test.in)
		m, err := Read(r, Options{Dot: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := wire(t, m, everything); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
		if r.Len() != 0 {
			t.Errorf("%q: %d octets left unread", test.in, r.Len())
		}
	}
}

func TestReadRefuses(t *testing.T) {
	pad := strings.Repeat("x", 3*blockSize)
	tests := []struct {
		name, in string
		kind     status.Kind
		code     string
	}{
		{"NUL in a field", "A: b\x00\n\n" + pad, status.Data, "5.6.0"},
		{"header too long", strings.Repeat("A: "+pad+"\n", maxHeader/len(pad)+1), status.Data, "5.6.0"},
		{"NUL in signed mail", "DKIM-Signature: x\n\n\x00", status.Data, "5.6.0"},
		{"loop", strings.Repeat("received: x\n", maxReceived) + "\n" + pad, status.Refused, "5.4.6"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := strings.NewReader(test.in)
			_, err := Read(r, Options{})
			if status.KindOf(err) != test.kind || status.Of(err).String() != test.code {
				t.Errorf("got %v, kind %s", err, status.KindOf(err))
			}
			if r.Len() != 0 {
				t.Errorf("%d octets left unread", r.Len())
			}
		})
	}
	m := mustRead(t, "A: b\n\nx", Options{})
	if s := m.Survey().Size; s != 11 {
		t.Errorf("Survey().Size = %d, want 11", s)
	}
}

func TestReadBrokenInput(t *testing.T) {
	broken := iotest.ErrReader(errors.New("gone"))
	for _, in := range []string{"", "A: b", "A: b\n\nx", "A: b\n\n" + strings.Repeat("x", 2<<20)} {
		_, err := Read(io.MultiReader(strings.NewReader(in), broken), Options{Dot: true})
		if status.KindOf(err) != status.NoInput {
			t.Errorf("after %.9q: %v", in, err)
		}
	}
	// The input after the final dot is no part of the message.
	if _, err := Read(io.MultiReader(strings.NewReader("A: b\n\n.\n"), broken), Options{Dot: true}); err != nil {
		t.Errorf("behind the dot: %v", err)
	}
}

// TestReadPieces cuts the input in every place: the message must be the same, however many
// octets a Read of the input returns.
func TestReadPieces(t *testing.T) {
	in := "From x\nSubject: a\r\n b\rc\r\r\n\n\rx\r\n.\ry" + strings.Repeat("\r", 10) + "\n" + strings.Repeat("é\r", 3*blockSize)
	want := wire(t, mustRead(t, in, Options{}), everything)
	m, err := Read(iotest.OneByteReader(strings.NewReader(in)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := wire(t, m, everything); got != want {
		t.Errorf("read octet by octet, the message differs")
	}
	for n := range 70 { // where the block ends
		m := mustRead(t, "A: b\n\n"+strings.Repeat("x", blockSize-40+n)+"\r\r\n"+strings.Repeat("y", 40), Options{})
		want := "A: b\r\n\r\n" + strings.Repeat("x", blockSize-40+n) + "\r\n" + strings.Repeat("y", 40) + "\r\n"
		if n := m.body.size; n != int64(len(want)-8) {
			t.Errorf("body is %d octets, want %d", n, len(want)-8)
		}
	}
}

func TestReadLarge(t *testing.T) {
	t.Setenv("TMPDIR", "/nonexistent")
	line := strings.Repeat("0123456789", 7)
	in := "A: b\n\n" + strings.Repeat(line+"\n", 50000)
	m := mustRead(t, in, Options{})
	if m.body.file == nil {
		t.Fatal("a body of 3.5 MB is in memory")
	}
	want := strings.ReplaceAll(in, "\n", "\r\n")
	for range 2 {
		if wire(t, m, everything) != want {
			t.Error("the message changed in its file")
		}
	}
	if m.body.name == "" {
		return
	}
	m.Close()
	if _, err := os.Stat(m.body.name); err == nil {
		t.Errorf("%s is still there", m.body.name)
	}
}

// TestReadLargeAnywhere checks that a large body is kept in the first writable folder, and
// on Linux in memory if no folder is writable.
func TestReadLargeAnywhere(t *testing.T) {
	usual := spillFolders
	defer func() { spillFolders = usual }()
	in := "A: b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20_000)
	good, none := t.TempDir(), "/nonexistent"
	for _, folders := range [][]string{{good, none}, {none, good}, {none, none, good}} {
		spillFolders = folders
		if wire(t, mustRead(t, in, Options{}), everything) != in {
			t.Errorf("in %q the message changed", folders)
		}
	}
	spillFolders = []string{none, none + "/x"}
	if runtime.GOOS == "linux" {
		if wire(t, mustRead(t, in, Options{}), everything) != in {
			t.Error("in memory the message changed")
		}
		return
	}
	if _, err := Read(strings.NewReader(in), Options{}); status.KindOf(err) != status.Temporary || !strings.Contains(err.Error(), none+"/sendoff-") {
		t.Errorf("with no folder: %v", err)
	}
}

// TestLineEnds checks that CR ends a line only in an input that has no LF, as the files of
// an old Macintosh.
func TestLineEnds(t *testing.T) {
	for in, want := range map[string]byte{"": '\n', "a": '\n', "a\rb": '\r', "\ra": '\r', "\na\rb": '\n', "a\rb\n": '\n', "a\r\nb": '\n'} {
		if got := newScanner(strings.NewReader(in)).eol; got != want {
			t.Errorf("%q: lines end with %q, want %q", in, got, want)
		}
	}
}

func TestReadManyLines(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "X-Line: %d\n", i)
	}
	m := mustRead(t, b.String(), Options{})
	if got := wire(t, m, everything); got != strings.ReplaceAll(b.String(), "\n", "\r\n")+"\r\n" {
		t.Error("100,000 fields changed")
	}
	m = mustRead(t, "Subject: "+strings.Repeat("x", 10<<20)+"\n\n"+strings.Repeat("y", 10<<20), Options{})
	for line := range strings.Lines(wire(t, m, envelope.Form{})) {
		if len(line) > maxLine+2 {
			t.Fatalf("a line of %d octets", len(line))
		}
	}
}

func TestSurvey(t *testing.T) {
	for _, test := range []struct {
		in   string
		want Survey
	}{
		{"A: b\n\nx\n", Survey{}},
		{"A: é\n\nx\n", Survey{EightBit: true}},
		{"To: é <x@y>\n\nx\n", Survey{EightBit: true}},
		{"To: x@é.example\n\nx\n", Survey{EightBit: true, UTF8: true}},
		{"To: x, é@y (z)\nDKIM-Signature: z\n\nx\n", Survey{EightBit: true, UTF8: true, Signed: true}},
		{"Received: from x for <é@y>; z\n\nx\n", Survey{EightBit: true, UTF8: true}},
		{"Received: from x (é); z\n\nx\n", Survey{EightBit: true}},
		{"Subject: é@y\nDKIM-Signature: z\n\nx\n", Survey{EightBit: true, Signed: true}},
		{"A: \xe9\n\nx\n", Survey{EightBit: true}},
		{"Bcc: é\n\nx\n", Survey{}},
		{"A: b\n\né", Survey{EightBit: true}},
		{"DKIM-signature: b\n\n", Survey{Signed: true}},
		{"Content-Type: Multipart/Signed; boundary=x\n\n", Survey{Signed: true}},
		{"Content-Type: (c) application/x-pkcs7-mime\n\n", Survey{Signed: true}},
		{"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\n", Survey{Signed: true}},
		{"Content-Type: multipart/encrypted\n\n", Survey{Signed: true}},
		{"A: b\n\n\n-----BEGIN PGP SIGNED MESSAGE-----\n", Survey{Signed: true}},
		{"Content-Type: text/plain; x=" + strings.Repeat("x", maxStructured) + "\n\n", Survey{Signed: true}},
		{"A: b\n\nHe wrote -----BEGIN PGP SIGNED MESSAGE-----\n", Survey{}},
	} {
		m := mustRead(t, test.in, Options{})
		test.want.Size = int64(len(wire(t, m, everything)))
		if got := m.Survey(); got != test.want {
			t.Errorf("%.60q: got %+v, want %+v", test.in, got, test.want)
		}
	}
	for in, size := range map[string]int64{"A: b\n\n\x00": 11, "A: b\n\n" + strings.Repeat("x", 999): 1009} {
		m := mustRead(t, in, Options{})
		if got, want := m.Survey(), (Survey{Size: size}); got != want || !m.needsRecoding(everything) {
			t.Errorf("%.60q: got %+v, want %+v and a body that is re-encoded", in, got, want)
		}
	}
}

func TestAsIs(t *testing.T) {
	for _, test := range []struct {
		in   string
		form envelope.Form
		want string
	}{
		{"DKIM-Signature: x\n\né\n", envelope.Form{}, "8BITMIME"},
		{"DKIM-Signature: x\n\né\n", envelope.Form{EightBit: true}, ""},
		{"DKIM-Signature: x\n\n" + strings.Repeat("x", 999), envelope.Form{EightBit: true}, "998"},
		{"DKIM-Signature: x\n\ntext\n", envelope.Form{}, ""},
		{"A: b\n\né\n" + strings.Repeat("x", 999), envelope.Form{}, ""},
	} {
		got := mustRead(t, test.in, Options{}).AsIs(test.form)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%.40q: %q, want %q", test.in, got, test.want)
		}
	}
}

func TestTLSOptional(t *testing.T) {
	for in, want := range map[string]bool{
		"TLS-Required: No\n\n":               true,
		"tls-required:\n no \n\n":            true,
		"TLS-Required: yes\n\n":              false,
		"Subject: x\n\nTLS-Required: No\n\n": false,
	} {
		if got := mustRead(t, in, Options{}).TLSOptional(); got != want {
			t.Errorf("%q: %t", in, got)
		}
	}
}

func TestComplete(t *testing.T) {
	ann, _ := envelope.Parse("ann@example.org")
	d := Defaults{
		From: Mailbox{Name: "Ann", Address: ann},
		Date: time.Date(2026, 11, 3, 4, 5, 6, 0, time.FixedZone("", -9000)),
		ID:   NewID("example.org"),
	}
	const from, date, id = "From: Ann <ann@example.org>\r\n", "Date: Tue, 03 Nov 2026 04:05:06 -0230\r\n", "Message-ID: <ID@example.org>\r\n"
	const resent = "Resent-From: Ann <ann@example.org>\r\nResent-Date: Tue, 03 Nov 2026 04:05:06 -0230\r\nResent-Message-ID: <ID@example.org>\r\n"
	tests := []struct{ name, in, want string }{
		{"nothing there", "hello there", from + date + id + "\r\nhello there\r\n"},
		{"all there", "from: a@b\ndate: x\nmessage-id: <y>\n\n", "from: a@b\r\ndate: x\r\nmessage-id: <y>\r\n\r\n"},
		{"empty From", "From:  \nTo: x\nDate:\n\n", "To: x\r\n" + from + date + id + "\r\n"},
		{"added behind what is there", "To: x\nBcc: y\nDate: z\n", "To: x\r\nDate: z\r\n" + from + id + "\r\n"},
		{"resent", "Received: x\nResent-To: x\nFrom: y\nDate: z\nMessage-ID: <w>\n\n", resent + "Received: x\r\nResent-To: x\r\nFrom: y\r\nDate: z\r\nMessage-ID: <w>\r\n\r\n"},
		{"signed", "DKIM-Signature: x\nFrom:\nTo: y\nbcc: z\n\n", "DKIM-Signature: x\r\nFrom:\r\nTo: y\r\n" + date + id + "\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := mustRead(t, test.in, Options{})
			m.Complete(d)
			got := wire(t, m, everything)
			if i := strings.Index(got, "D: <"); i >= 0 {
				j := strings.Index(got[i:], "@")
				random := got[i+4 : i+j]
				if len(random) < 20 {
					t.Errorf("Message-ID %q is not random", random)
				}
				got = strings.ReplaceAll(got, random, "ID")
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if more := m.Complete(d); len(more) > strings.Count(strings.ToLower(test.in), "bcc") {
				t.Errorf("completed again: %v", more)
			}
		})
	}
	m := mustRead(t, "Bcc: x\nMessage-ID:\n <a@b>\n\n", Options{})
	var told []string
	for _, c := range m.Complete(d) {
		told = append(told, c.String())
	}
	want := "From: added Ann <ann@example.org>, there was none\nDate: added Tue, 03 Nov 2026 04:05:06 -0230, there was none\nBcc: left out, it is never sent"
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
	if m.MessageID() != "<a@b>" {
		t.Errorf("MessageID() = %q", m.MessageID())
	}
	m = mustRead(t, "", Options{})
	if m.Complete(Defaults{Date: d.Date}); wire(t, m, everything) != date+"\r\n" {
		t.Error("what has no default was added")
	}
}

func TestIDRight(t *testing.T) {
	for in, want := range map[string]string{
		"example.org": "example.org", "a\r\nb": "localhost", "a>b": "localhost", "bücher.example": "localhost",
		"": "localhost", "a..b": "localhost", "[::1]": "localhost", "my_host": "my_host",
	} {
		if got := idRight(in); got != want {
			t.Errorf("idRight(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestLoneCRStartsNoField checks that text after a CR is no new field, even if the next LF
// is farther away than the buffer is long: a stranger may have chosen the value.
func TestLoneCRStartsNoField(t *testing.T) {
	m := mustRead(t, "Subject: a\rBcc: b@example.org\rX: "+strings.Repeat("x", 2*blockSize)+"\nTo: c@example.org\n\n", Options{})
	to, err := m.Recipients()
	if err != nil || len(to) != 1 || to[0].Address.String() != "c@example.org" {
		t.Errorf("recipients %v, %v", to, err)
	}
}

// TestTerminal checks that nothing is read after the final dot: a terminal would wait for
// the person to type another line.
func TestTerminal(t *testing.T) {
	lines := []string{"Subject: a\n", "\n", "text\n", ".\n"}
	s := newScanner(reader(func(p []byte) (int, error) {
		if len(lines) == 0 {
			t.Fatal("read behind the dot")
		}
		n := copy(p, lines[0])
		lines = lines[1:]
		return n, nil
	}))
	for range 4 {
		if err := s.next(); !s.end || err != nil {
			t.Fatal(s.end, err)
		}
	}
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// FuzzRead checks that for every input the wire form has no bare CR or LF, no Bcc, and no
// header line over the limit, and that it does not change if it is read again.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"From x\nSubject: a\rBcc: b\r\n c\n\n.\r\n\r.\r\n", "a\rb: c\r\rd", "A: \n \n\x00", "B\xff: x\n\ty\n\rz",
		"Bcc : x\n\n", ">From x\nbcc: y\n z", "A: " + strings.Repeat(" x", 700) + "\n", "A:" + strings.Repeat("é,", 700),
		"A:" + strings.Repeat(" ", 2000) + "x", "A" + strings.Repeat(" ", 2000) + ": x", "A,b:" + strings.Repeat("x", 2000), "A ,:\nB :" + strings.Repeat(" x", 700),
		strings.Repeat("n", 997) + ":" + strings.Repeat("x", 900), strings.Repeat("n", 998) + ": x\n", strings.Repeat("n;", 498) + " :x", "\r\n0\r\n \r\n0\r\n", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\x80\n--b--",
	} {
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, dot bool) {
		m, err := Read(bytes.NewReader(in), Options{Dot: dot})
		if err != nil {
			return
		}
		defer m.Close()
		got := wire(t, m, everything)
		header, _, _ := strings.Cut("\r\n"+got, "\r\n\r\n")
		for line := range strings.Lines(header) {
			name, _, _ := strings.Cut(strings.ToLower(line), ":")
			if strings.TrimRight(name, " \t") == "bcc" {
				t.Errorf("Bcc in %q", header)
			}
			if len(line) > maxLine+2 && !m.signed {
				t.Errorf("a header line of %d octets", len(line))
			}
			if line != "\r\n" && isBlank([]byte(line)) {
				t.Errorf("a line of white space in the header %q", header)
			}
		}
		text, err := Read(bytes.NewReader(in), Options{Dot: dot, Text: true})
		if err != nil {
			t.Fatalf("reading it as what may be text: %v", err)
		}
		defer text.Close()
		if input, _ := text.Input(); input == withHeader && wire(t, text, everything) != got || input != withHeader && (len(text.fields) > 0 || text.body.size < m.body.size) {
			t.Errorf("%q was taken for %s", in, input)
		}
		again, err := Read(strings.NewReader(got), Options{})
		if err != nil {
			t.Fatalf("reading the wire form: %v", err)
		}
		defer again.Close()
		if w := wire(t, again, everything); w != got {
			t.Errorf("the wire form changed when read again:\n%q\n%q", got, w)
		}
	})
}

func BenchmarkReadOpen(b *testing.B) {
	for name, line := range map[string]string{"short": strings.Repeat("x", 71) + "\n", "crlf": strings.Repeat("x", 70) + "\r\n"} {
		for _, size := range []int{1 << 10, 100 << 20} {
			in := []byte("Subject: a\n\n" + strings.Repeat(line, size/72))
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(len(in)))
				b.ReportAllocs()
				for b.Loop() {
					m, err := Read(bytes.NewReader(in), Options{})
					if err != nil {
						b.Fatal(err)
					}
					r, _, err := m.Open(everything)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					m.Close()
				}
			})
		}
	}
}

// TestReadText checks which inputs are read as text if Options.Text allows it.
func TestReadText(t *testing.T) {
	long := strings.Repeat("x", 2*blockSize)
	tests := []struct{ name, in, want, input string }{
		{"a header", "From: a\nx: y\n\nbody\n", "From: a\r\nx: y\r\n\r\nbody\r\n", "with a header"},
		{"a header alone", "Subject: a", "Subject: a\r\n\r\n", "with a header"},
		{"folded, CRLF", "Subject: a\r\n b\r\n\r\nbody\r\n", "Subject: a\r\n b\r\n\r\nbody\r\n", "with a header"},
		{"by its beginning", "x-a: b\n\nc\n", "x-a: b\r\n\r\nc\r\n", "with a header"},
		{"Bcc", "Bcc: a\n\nb\n", "\r\nb\r\n", "with a header"},
		{"mbox", "From x\n>From y\nTo: a\n\nFrom z\n", "To: a\r\n\r\nFrom z\r\n", "with a header"},
		{"byte order mark", "\xef\xbb\xbfTo: a\n\n\xef\xbb\xbfb\n", "To: a\r\n\r\n\xef\xbb\xbfb\r\n", "with a header"},
		{"no field known", "ERROR: disk full\n", "\r\nERROR: disk full\r\n", "no line"},
		{"no field known, and more", "ERROR: disk full\n /var\n\nTo: x\n", "\r\nERROR: disk full\r\n /var\r\n\r\nTo: x\r\n", "no line"},
		{"a line that is no field", "Subject: x\nhello\n\nb\n", "\r\nSubject: x\r\nhello\r\n\r\nb\r\n", "not all"},
		{"words", "hello\n\n  Subject: x\n", "\r\nhello\r\n\r\n  Subject: x\r\n", "without a header"},
		{"an indented line", " Subject: x\n", "\r\n Subject: x\r\n", "without a header"},
		{"text that begins as mbox", "From here on\nTo: be\nor not\n", "\r\nFrom here on\r\nTo: be\r\nor not\r\n", "not all"},
		{"one line that begins as mbox", "From here on", "\r\nFrom here on\r\n", "without a header"},
		{"empty", "", "\r\n", "without a header"},
		{"a blank line first", "\nSubject: x\n", "\r\nSubject: x\r\n", "without a header"},
		{"byte order mark before text", "\xef\xbb\xbfhello\n", "\r\nhello\r\n", "without a header"},
		{"NUL", "a: \x00\n", "\r\na: \x00\r\n", "no line"},
		{"dot", "a: b\n.\nc: d\n", "\r\na: b\r\n", "no line"},
		{"old Macintosh", "a: b\rc", "\r\na: b\r\nc\r\n", "not all"},
		{"long first line", "a: " + long, "\r\na: " + long + "\r\n", "no line"},
		{"long word", long + "\nb\n", "\r\n" + long + "\r\nb\r\n", "without a header"},
		{"white space before the header's end", "a: b\n \n\nc\n", "\r\na: b\r\n \r\n\r\nc\r\n", "no line"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := mustRead(t, test.in, Options{Text: true, Dot: true})
			got := new(strings.Builder)
			header, _ := wireHeader(m.fields)
			io.Copy(got, &header)
			io.Copy(got, m.body.open())
			if got.String() != test.want {
				t.Errorf("got  %.200q\nwant %.200q", got, test.want)
			}
			if input, odd := m.Input(); !strings.HasSuffix(input, test.input) && (!odd || !strings.Contains(input, test.input)) {
				t.Errorf("Input() = %q, %t, want %q", input, odd, test.input)
			}
		})
	}
	if m := mustRead(t, "a: b\n", Options{}); m.input != "" || len(m.fields) != 1 {
		t.Errorf("where it is not open: %q", m.input)
	}
	if _, err := Read(strings.NewReader("To: \x00\n"), Options{Text: true}); status.KindOf(err) != status.Data {
		t.Errorf("NUL in a header: %v", err)
	}
	broken := iotest.ErrReader(errors.New("gone"))
	if _, err := Read(io.MultiReader(strings.NewReader("a: b\n"), broken), Options{Text: true}); status.KindOf(err) != status.NoInput {
		t.Errorf("broken input: %v", err)
	}
}

// TestReadLongText checks that text of any length is read in constant memory, but that a
// header that is too long is an error.
func TestReadLongText(t *testing.T) {
	const limit = 256 << 10
	log := strings.Repeat("ERROR: disk full on /var\n", 200_000)
	m := mustRead(t, log, Options{Text: true, MaxHeader: limit})
	if want := strings.ReplaceAll(log, "\n", "\r\n"); wire(t, m, everything) != "\r\n"+want {
		t.Error("the text changed")
	}
	if m.body.file == nil || len(m.fields) > 0 {
		t.Error("5 MB of text are in memory")
	}
	one := "ERROR: " + strings.Repeat("x", 1<<20)
	m = mustRead(t, one, Options{Text: true, MaxHeader: limit})
	if m.body.size != int64(len(one))+2 {
		t.Errorf("a long line: %d octets", m.body.size)
	}
	for _, in := range []string{"Subject: " + strings.Repeat("x", limit), "To: x\n" + log} {
		if _, err := Read(strings.NewReader(in), Options{Text: true, MaxHeader: limit}); status.KindOf(err) != status.TooBig {
			t.Errorf("%.20q: %v", in, err)
		}
	}
}
