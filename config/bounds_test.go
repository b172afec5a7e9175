package config

import (
	"strings"
	"testing"
)

// TestBounds: names of the maximum length are accepted, and longer texts are cut.
func TestBounds(t *testing.T) {
	label := strings.Repeat("a", 49) + "."
	host := strings.Repeat(label, 5) + "abc" // 253 octets
	for in, want := range map[string]bool{host: true, host + ".": true, host + "d": false} {
		if _, ok := canonicalHost(in); ok != want {
			t.Errorf("a host of %d octets: %t", len(in), ok)
		}
	}
	text := strings.Repeat("x", 200)
	if got := clip(text); got != text {
		t.Errorf("a text of 200 octets became %q", got)
	}
	if got := clip(text + "y"); got != text+"…" {
		t.Errorf("a text of 201 octets became %q", got)
	}
}

// TestQuotes: the advice about missing quotes comes only if quotes are missing.
func TestQuotes(t *testing.T) {
	const hint = "; put a string in quotes"
	for text, want := range map[string]string{
		"unexpected character U+0061 'a' at start of value": hint,
		`expected keyword "true"`:                           hint,
		"expected newline but got U+002E '.'":               hint,
		"expected newline but got U+003A ':'":               hint,
		"expected newline but got U+0022 '\"'":              "",
		"key user is already defined":                       "",
	} {
		if got := quotes(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
