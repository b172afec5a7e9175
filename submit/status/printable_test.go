package status

import (
	"bytes"
	"encoding/json"
	"testing"
)

// hostile is text that acts on a terminal: escapes, C1, a change of direction.
const hostile = "a\x1b]0;x\x07\u009b31m\u202ecba\u2066\u200b\u007f<&> é 😀 \U000e0001"

// TestJSON holds that JSON has no character that acts on a terminal, and reads as
// what was put in.
func TestJSON(t *testing.T) {
	text, err := JSON(map[string]string{hostile: hostile})
	if err != nil || Printable(string(text)) != string(text) || !bytes.Contains(text, []byte("<&> é 😀")) {
		t.Errorf("%s %v", text, err)
	}
	var back map[string]string
	if err := json.Unmarshal(text, &back); err != nil || back[hostile] != hostile {
		t.Errorf("%q %v", back, err)
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, "x"); err != nil || b.String() != "\"x\"\n" {
		t.Errorf("%q %v", b.String(), err)
	}
	if err := WriteJSON(&b, func() {}); err == nil {
		t.Error("a function is JSON")
	}
}

// TestForTerminal writes in pieces of any length.
func TestForTerminal(t *testing.T) {
	const in = "To: é😀\r\n\tx\x1b[31m\u009b\u202e\xff\rb\n"
	const want = "To: é😀\n\tx\ufffd[31m\ufffd\ufffd\ufffd\ufffdb\n"
	for size := 1; size <= len(in); size++ {
		var b bytes.Buffer
		w := ForTerminal(&b)
		for rest := in; rest != ""; {
			n := min(size, len(rest))
			if written, err := w.Write([]byte(rest[:n])); written != n || err != nil {
				t.Fatal(written, err)
			}
			rest = rest[n:]
		}
		if b.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, b.String(), want)
		}
	}
}

func TestLine(t *testing.T) {
	tests := []struct {
		in    string
		limit int
		want  string
	}{
		{" gpg: failed\n  no key\r\n", 100, "gpg: failed no key"},
		{"\x1b[31mred\x07\x00", 100, "�[31mred��"},
		{"a\u202eb\u200bc\xffd", 100, "a�b�c�d"},
		{"0123456789abc", 10, "0123456789..."},
		{"éééééééééé", 10, "éééééééééé"},
	}
	for _, tt := range tests {
		if got := Line(tt.in, tt.limit); got != tt.want {
			t.Errorf("Line(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func TestASCII(t *testing.T) {
	if got := ASCII("a\x00b\r\nc\u00e9\x7f~ "); got != "a?b??c??~ " {
		t.Errorf("%q", got)
	}
}
