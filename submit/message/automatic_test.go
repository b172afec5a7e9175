package message

import (
	"strings"
	"testing"
)

func TestMarkAutomatic(t *testing.T) {
	const mark = "Auto-Submitted: auto-generated\n"
	for _, test := range []struct{ name, in, want string }{
		{"nothing says so", "A: b\n", "A: b\n" + mark},
		{"an empty field", "auto-submitted: \nA: b\n", "A: b\n" + mark},
		{"says so", "Auto-submitted: auto-notified; x=y\nA: b\n", "Auto-submitted: auto-notified; x=y\nA: b\n"},
		{"says that a person has made it", "Auto-Submitted: No (really)\nA: b\n", "A: b\n" + mark},
		{"signed", "DKIM-Signature: x\nAuto-Submitted: no\n", "DKIM-Signature: x\nAuto-Submitted: no\n"},
	} {
		original := mustRead(t, test.in+"\n", Options{})
		m := original.Copy()
		changes := m.MarkAutomatic()
		if got := strings.ReplaceAll(wire(t, m, everything), "\r\n", "\n"); got != test.want+"\n" || (len(changes) == 1) != (test.in != test.want) {
			t.Errorf("%s: got %q, %v", test.name, got, changes)
		}
		if got := strings.ReplaceAll(wire(t, original, everything), "\r\n", "\n"); got != test.in+"\n" {
			t.Errorf("%s: the original is %q", test.name, got)
		}
	}
}
