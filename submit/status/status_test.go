package status

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("work: %w", NoUser.Errorf("RCPT TO:<b@example.org>: %w", io.EOF))
	if KindOf(err) != NoUser || Of(err) != (Code{5, 1, 1}) || Exit(err) != 67 || !errors.Is(err, io.EOF) {
		t.Errorf("%v: %v %v %d", err, KindOf(err), Of(err), Exit(err))
	}
	if again := Bug.Wrap(err); KindOf(again) != NoUser {
		t.Errorf("Wrap changed the kind to %v", KindOf(again))
	}
	if Bug.Wrap(nil) != nil {
		t.Error("Wrap made an error of nil")
	}
	if with := Deferred.With(Code{4, 7, 1}, err); KindOf(with) != Deferred || Of(with) != (Code{4, 7, 1}) {
		t.Errorf("With: %v %v", KindOf(with), Of(with))
	}
}

func TestUnclassifiedIsTemporary(t *testing.T) {
	err := errors.New("what?")
	if Of(err) != (Code{4, 3, 0}) || Exit(err) != 75 || !Of(err).Temporary() {
		t.Errorf("%v %d", Of(err), Exit(err))
	}
	if Exit(nil) != 0 {
		t.Error("no error, but an exit code")
	}
}

// TestTable checks the promises that callers build on: faults of the account
// are temporary whatever their exit code, and a local or permanent kind never
// exits with 75.
func TestTable(t *testing.T) {
	if int(Lost) != len(table)-1 {
		t.Error("Lost is not the last kind, as the test of the manual in config/cmdline has it")
	}
	seen := make(map[string]bool)
	for k := range Kind(len(table)) {
		if k.String() == "" || seen[k.String()] || k.Means() == "" {
			t.Errorf("kind %d: name %q, meaning %q", k, k, k.Means())
		}
		seen[k.String()] = true
		if k.Scope() == Account && !k.Code().Temporary() {
			t.Errorf("%v is the account's fault, and yet permanent", k)
		}
		if (k.Exit() == 75) != (k.Code().Temporary() && (k.Scope() != Account || k == Connection || k == Limited)) {
			t.Errorf("%v: %v exits with %d", k, k.Code(), k.Exit())
		}
		if k.Exit() < 64 || k.Exit() > 78 {
			t.Errorf("%v: %d is not of sysexits(3)", k, k.Exit())
		}
	}
}

func TestParseCode(t *testing.T) {
	tests := []struct {
		text string
		code Code
		rest string
		ok   bool
	}{
		{"5.1.1 no such user", Code{5, 1, 1}, "no such user", true},
		{"2.0.0", Code{2, 0, 0}, "", true},
		{"4.123.999  two spaces", Code{4, 123, 999}, "two spaces", true},
		{"3.1.1 no class 3", Code{}, "3.1.1 no class 3", false},
		{"5.1 short", Code{}, "5.1 short", false},
		{"5.1.1.1 long", Code{}, "5.1.1.1 long", false},
		{"5.1234.1 digits", Code{}, "5.1234.1 digits", false},
		{"5.1.x letter", Code{}, "5.1.x letter", false},
		{"5.1.-1 sign", Code{}, "5.1.-1 sign", false},
		{"55.1.1 class", Code{}, "55.1.1 class", false},
		{"5..1 empty", Code{}, "5..1 empty", false},
		{"", Code{}, "", false},
	}
	for _, tt := range tests {
		code, rest, ok := ParseCode(tt.text)
		if code != tt.code || rest != tt.rest || ok != tt.ok {
			t.Errorf("ParseCode(%q) = %v, %q, %t", tt.text, code, rest, ok)
		}
	}
}

func TestClip(t *testing.T) {
	tests := []struct {
		in   string
		n    int
		want string
	}{
		{"", 10, ""},
		{"0123456789", 10, "0123456789"},
		{"0123456789abcdefghij", 15, "01234 … fghij"},
		{"0123 456789abcdef ghij", 15, "0123 … ghij"},
		{"ééééééééééé", 15, "éé … éé"},
		{"ééééééééééé", 16, "éé … ééé"},
		{"日本語日本語", 12, "日 … 語"},
	}
	for _, tt := range tests {
		if got := Clip(tt.in, tt.n); got != tt.want || len(got) > tt.n {
			t.Errorf("%q in %d octets: %q", tt.in, tt.n, got)
		}
	}
}
