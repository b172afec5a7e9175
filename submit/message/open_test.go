package message

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sendoff/submit/envelope"
)

// repeated is an io.ReaderAt of a header and a line that is repeated.
type repeated struct{ header, line string }

func (r repeated) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		text, from := r.header, at+int64(n)
		if from >= int64(len(text)) {
			text, from = r.line, (from-int64(len(text)))%int64(len(r.line))
		}
		n += copy(p[n:], text[from:])
	}
	return n, nil
}

// TestOpenInPlace checks that the body of a message of 50 MB is neither copied to a file
// nor to memory.
func TestOpenInPlace(t *testing.T) {
	entry := repeated{"Subject: a\r\n\r\n", strings.Repeat("x", 70) + "\r\n"}
	size := int64(len(entry.header) + 700_000*len(entry.line))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Open(entry, size)
	if err != nil {
		t.Fatal(err)
	}
	r, wireSize, err := m.Open(everything)
	if err != nil || wireSize != size {
		t.Fatalf("Open: %d octets of %d, %v", wireSize, size, err)
	}
	if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 64<<10)); n != size || err != nil {
		t.Errorf("read %d octets of %d, %v", n, size, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d octets of memory for a message of %d", used, size)
	}
	if m.body.name != "" || m.body.file != file(m.body.from) {
		t.Errorf("the body is in a file of its own: %T %s", m.body.file, m.body.name)
	}
}

// TestOpenAsRead checks that Open and Read make the same message, and that Open neither
// closes nor changes the file.
func TestOpenAsRead(t *testing.T) {
	long := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20_000)
	for name, in := range map[string]string{
		"empty":                "",
		"no body":              "Subject: a\r\n\r\n",
		"no blank line":        "Subject: a\r\ntext\r\ntext\r\n",
		"no blank line, large": "Subject: a\r\ntext\r\n" + long,
		"small":                "Subject: a\r\n\r\ntext\r\n",
		"large":                "Subject: a\r\n\r\n" + long,
		"no line end":          "Subject: a\r\n\r\n" + long + "end",
		"cut within a CRLF":    "Subject: a\r\n\r\n" + long + "end\r",
		"LF":                   strings.ReplaceAll("Subject: a\r\n\r\n"+long, "\r", ""),
		"one LF":               "Subject: a\r\n\r\n" + long + "\n",
		"LF for CR LF CR LF":   "Subject: a\r\n\r\n" + long + "\n\r\r\n",
		"a lone CR":            "Subject: a\r\n\r\n" + long + "a\rb\r\n",
		"8-bit":                "Subject: a\r\n\r\nä" + long + "\xe4\r\n",
		"NUL":                  "Subject: a\r\n\r\n" + long + "\x00\r\n",
		"a long line":          "Subject: a\r\n\r\n" + long + strings.Repeat("y", 1000) + "\r\n",
		"signed":               "DKIM-Signature: x\r\n\r\n" + long,
		"byte order mark":      "\xef\xbb\xbfSubject: a\r\n\r\n" + long,
		"mbox":                 "From a\r\nSubject: a\r\n\r\n" + long,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m")
			if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m, err := Open(f, int64(len(in)))
			if err != nil {
				t.Fatal(err)
			}
			sameAsRead(t, m, in)
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if _, err := f.ReadAt(make([]byte, 0, 1), 0); err != nil {
				t.Errorf("the file of another was closed: %v", err)
			}
		})
	}
}

// sameAsRead checks that m is the message that Read makes from in.
func sameAsRead(t *testing.T, m *Message, in string) {
	t.Helper()
	want := mustRead(t, in, Options{})
	if m.Survey() != want.Survey() {
		t.Errorf("survey %+v, want %+v", m.Survey(), want.Survey())
	}
	for _, f := range []envelope.Form{{}, {EightBit: true}, everything} {
		if got := wire(t, m, f); got != wire(t, want, f) {
			t.Errorf("another form for %+v: %.200q", f, got)
		}
	}
}

// A broken file fails after a number of reads.
type broken struct {
	*bytes.Reader
	reads int
}

func (b *broken) ReadAt(p []byte, at int64) (int, error) {
	if b.reads--; b.reads < 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return b.Reader.ReadAt(p, at)
}

// TestOpenBroken checks that a failed read is an error, and never makes a shorter message.
func TestOpenBroken(t *testing.T) {
	in := "Subject: a\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20_000)
	for reads := range 30 {
		t.Run(fmt.Sprint(reads), func(t *testing.T) {
			if m, err := Open(&broken{bytes.NewReader([]byte(in)), reads}, int64(len(in))); err == nil {
				t.Errorf("opened after a failed read: %+v", m.Survey())
			}
		})
	}
	if _, err := Open(&broken{bytes.NewReader([]byte(in)), 1 << 20}, int64(len(in))); err != nil {
		t.Error(err)
	}
}
