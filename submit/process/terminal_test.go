package process

import (
	"io"
	"os"
	"strings"
	"testing"
)

func TestReadTyped(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, row := range []struct{ typed, want, shown string }{
		{"abc\rdef", "abc", "abc\r\n"},
		{"abc\n", "abc", "abc\r\n"},
		{"abd\x7fc\r", "abc", "abd\b \bc\r\n"},
		{"ä\bab\r", "ab", "ä\b \bab\r\n"},
		{"\b\x7f\r", "", "\r\n"},
		{"xyz\x15ab\r", "ab", "xyz\b \b\b \b\b \bab\r\n"},
		{"a\x04b\x1b\r", "ab", "ab\r\n"},
		{"\x04", "", "\r\n"},
		{"ab", "ab", "ab\r\n"},
		{long + "\r", long, long + "\r\n"},
	} {
		var shown strings.Builder
		got, err := readTyped(strings.NewReader(row.typed), &shown)
		if got != row.want || shown.String() != row.shown || err != nil {
			t.Errorf("%.20q: got %.20q, %v, shown %.40q", row.typed, got, err, shown.String())
		}
	}
	if _, err := readTyped(strings.NewReader("ab\x03"), io.Discard); err != (Stopped{os.Interrupt}) {
		t.Errorf("got %v", err)
	}
}
