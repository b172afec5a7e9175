package message

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFileNames: files are found at every level, in every form of a name, and in signed
// mail. Text that looks like a part is none.
func TestFileNames(t *testing.T) {
	for _, tt := range []struct{ message, want string }{
		{"Subject: x\n\nfilename=a.exe\n", ""},
		{"Content-Type: application/octet-stream; name=a.exe\n\nx\n", "a.exe"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--c\nContent-Disposition: attachment; filename=no.exe\n\n--b\nContent-Disposition: attachment;\n filename=\"a b.exe\"\n\nx\n--b--\n", "a b.exe"},
		{"Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Disposition: attachment; filename*=utf-8''%C3%A4.exe\n\nx\n--c\n" +
			"Content-Type: x/y; name=\"=?utf-8?q?=C3=B6=2Ebat?=\"\n\nx\n--c--\n--b\nContent-Disposition: inline; filename*0=a; filename*1=.js\n\nx\n--b--\nContent-Type: x/y; name=after\n\n", "ä.exe|ö.bat|a.js"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: x/y; name=cut.exe", "cut.exe"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--b\n\n" +
			"--c\nContent-Disposition: attachment; filename=no.exe\n\n--b--\n", ""}, // the part with c has ended
		{nested(maxDepth - 2), "deep.exe"},
		{nested(maxDepth), ""},
		{"Content-Disposition: attachment; filename=" + strings.Repeat("a", maxStructured) + "\n\n", ""},
	} {
		m, err := Read(strings.NewReader(tt.message), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(m.FileNames(), "|"); got != tt.want {
			t.Errorf("%.200q\n got %s\nwant %s", tt.message, got, tt.want)
		}
		m.Close()
	}
}

// nested returns a message with a file in n multiparts more than one.
func nested(n int) string {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=b0\n\n")
	for i := range n {
		fmt.Fprintf(&b, "--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n", i, i+1)
	}
	fmt.Fprintf(&b, "--b%d\nContent-Type: x/y; name=deep.exe\n\n", n)
	return b.String()
}

// TestValues: Bcc is never sent.
func TestValues(t *testing.T) {
	m, err := Read(strings.NewReader("To: a@example.org,\n b@example.org\nBcc: c@example.org\nto: d@example.org\n\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := m.Values("To"); !slices.Equal(got, []string{"a@example.org, b@example.org", "d@example.org"}) {
		t.Errorf("To: %q", got)
	}
	if got := m.Values("Bcc"); got != nil {
		t.Errorf("Bcc: %q", got)
	}
}
