package envelope

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in, out string // out may be "error: " and a part of its text
	}{
		{"ann@example.org", "ann@example.org"},
		{"  ann@example.org\t", "ann@example.org"},
		{"<ann@example.org>", "ann@example.org"},
		{"", ""},
		{"<>", ""},
		{"root", "root"},
		{"a..b@example.jp", "a..b@example.jp"},
		{"a.@example.jp", "a.@example.jp"},
		{"!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"},
		{`"john doe"@example.org`, `"john doe"@example.org`},
		{`"ann"@example.org`, `ann@example.org`},
		{`"a\nn"@example.org`, `ann@example.org`},
		{`"a\"b\\c"@example.org`, `"a\"b\\c"@example.org`},
		{`"x> SIZE=1 <y"@example.org`, `"x> SIZE=1 <y"@example.org`},
		{`"a@b"@example.org`, `"a@b"@example.org`},
		{`"bare name"`, `"bare name"`},
		{`""@example.org`, `""@example.org`},
		{"@relay.example,@other.example:ann@example.org", "ann@example.org"},
		{"ann@[192.0.2.1]", "ann@[192.0.2.1]"},
		{"ann@[IPv6:2001:db8::1]", "ann@[IPv6:2001:db8::1]"},
		{"δοκιμή@παράδειγμα.ελ", "δοκιμή@παράδειγμα.ελ"},
		{"ann@sub_domain.example.org", "ann@sub_domain.example.org"},
		{"-oi@example.org", "-oi@example.org"},

		// characters that are no part of an address, but often stand beside one
		{"ann@example.org.", "ann@example.org"},
		{"<ann@example.org.>", "ann@example.org"},
		{`"a b"@example.org.`, `"a b"@example.org`},
		{"root.", "root."},
		{"\u201cann@example.org\u201d", "ann@example.org"},
		{"\u2018ann@example.org\u2019", "ann@example.org"},
		{"\u201eann@example.org.\u201c", "ann@example.org"},
		{"\u00ab\u00a0ann@example.org\u00a0\u00bb", "ann@example.org"},
		{"\ufeff<\u200bann@example.org\u200e>\u00a0", "ann@example.org"},
		{"o\u2019brien@example.org", "o\u2019brien@example.org"},
		{"\"\u201cann\u201d\"@example.org", "\u201cann\u201d@example.org"},

		{"ann b@example.org", "error: not allowed"},
		{"a@b@example.org", "error: not allowed"},
		{"ann@", "error: no domain after"},
		{"ann@.org", "error: an extra dot"},
		{"ann@example.org..", "error: an extra dot"},
		{"ann@.", "error: no domain after"},
		{"\u201c\u201d", "error: no local part"},
		{"<\u00a0>", "error: no local part"},
		{"ann\u200b@example.org", "error: not allowed"},
		{"ann@example.org\u00a0x", "error: not allowed"},
		{"ann@exa mple.org", "error: not allowed"},
		{"ann@example.org> SIZE=1", "error: not allowed"},
		{"ann@example.org\r\nRCPT TO:<x@y.example>", "error: not allowed"},
		{"ann\n@example.org", "error: not allowed"},
		{"ann\x00@example.org", "error: not allowed"},
		{"\"a\rb\"@example.org", "error: not allowed"},
		{"\"a\u2028b\"@example.org", "error: not allowed"},
		{"a\u202eb@example.org", "error: not allowed"},
		{"a\xffb@example.org", "error: invalid UTF-8"},
		{`"ann@example.org`, "error: unfinished"},
		{`"ann\"@example.org`, "error: unfinished"},
		{`"ann"b@example.org`, "error: unfinished"},
		{"@example.org", "error: no local part"},
		{"<ann@example.org", "error: not allowed"},
		{"ann@[192.0.2.1", "error: unfinished"},
		{"ann@[300.0.2.1]", "error: not an IP address"},
		{"ann@[::1]", "error: not an IP address"},
		{"ann@[IPv6:192.0.2.1]", "error: not an IP address"},
		{"ann@[IPv6:fe80::1%eth0]", "error: not an IP address"},
		{strings.Repeat("a", 600) + "@example.org", "error: longer than"},
		{"a,b@example.org", "error: not allowed"},
		{"a;b@example.org", "error: not allowed"},
		{"(c)ann@example.org", "error: not allowed"},
	}
	for _, tt := range tests {
		a, err := Parse(tt.in)
		if word, bad := strings.CutPrefix(tt.out, "error: "); bad {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("Parse(%q) = %q, %v; want an error with %q", tt.in, a, err, word)
			}
		} else if err != nil || a.String() != tt.out {
			t.Errorf("Parse(%q) = %q, %v; want %q", tt.in, a, err, tt.out)
		}
	}
}

func TestQualify(t *testing.T) {
	tests := []struct{ in, domain, out string }{
		{"root", "example.org", "root@example.org"},
		{`"a b"`, "example.org", `"a b"@example.org`},
		{"root", "", "root"},
		{"ann@example.com", "example.org", "ann@example.com"},
		{"", "example.org", ""},
	}
	for _, tt := range tests {
		a, err := Parse(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := a.Qualify(tt.domain); err != nil || q.String() != tt.out {
			t.Errorf("%q qualified with %q is %q, %v", tt.in, tt.domain, q, err)
		}
	}
	root, _ := Parse("root")
	if q, err := root.Qualify("x> SIZE=1"); err == nil {
		t.Errorf("qualified to %q", q)
	}
}

func TestKey(t *testing.T) {
	parse := func(s string) Address {
		a, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if parse("Ann@EXAMPLE.org").Key() != parse("Ann@example.ORG").Key() {
		t.Error("the case of a domain counts")
	}
	if parse("Ann@example.org").Key() == parse("ann@example.org").Key() {
		t.Error("the case of a local part does not count")
	}
	if parse(`"ann"@example.org`).Key() != parse("ann@example.org").Key() {
		t.Error("quotes that need not be there count")
	}
}

func TestParameters(t *testing.T) {
	tests := []struct{ got, want string }{
		{Notify(0).String(), ""},
		{(NotifySuccess | NotifyDelay).String(), "SUCCESS,DELAY"},
		{NotifyFailure.String(), "FAILURE"},
		{NotifyNever.String(), "NEVER"},
		{ReturnUnset.String() + ReturnFull.String() + ReturnHeaders.String(), "FULLHDRS"},
		{BodyUnset.String() + Body8BitMIME.String(), "8BITMIME"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestSet(t *testing.T) {
	set := func(name, text string) (string, error) {
		e, to := Envelope{Body: Body7Bit, Return: ReturnFull}, Recipient{Notify: NotifyDelay}
		err := map[string]func(string) error{"BODY": e.Body.Set, "RET": e.Return.Set, "NOTIFY": to.Notify.Set}[name](text)
		return map[string]string{"BODY": e.Body.String(), "RET": e.Return.String(), "NOTIFY": to.Notify.String()}[name], err
	}
	tests := []struct {
		name, text, want string
		err              error
	}{
		{"BODY", "8bitMIME", "8BITMIME", nil},
		{"BODY", "", "7BIT", errValue},
		{"RET", "hdrs", "HDRS", nil},
		{"RET", "headers", "FULL", errValue},
		{"NOTIFY", "Never", "NEVER", nil},
		{"NOTIFY", "failure, Success", "SUCCESS,FAILURE", nil},
		{"NOTIFY", "delay,never", "DELAY", ErrNever},
		{"NOTIFY", "failure,", "DELAY", errValue},
		{"NOTIFY", "", "DELAY", errValue},
	}
	for _, tt := range tests {
		if got, err := set(tt.name, tt.text); got != tt.want || err != tt.err {
			t.Errorf("%s=%s gives %q, %v; want %q, %v", tt.name, tt.text, got, err, tt.want, tt.err)
		}
	}
}

// FuzzParse checks two promises: an Address in angle brackets is one argument of one SMTP
// command, and Parse of its String returns the same Address.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"ann@example.org", `"a\"b> <c"@[IPv6:::1]`, "root", "@a:b@c", "é@ü", "<>", "a\r\nb@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		text := a.String()
		if again, err := Parse(text); err != nil || again != a {
			t.Fatalf("%q reads back as %q, %v", text, again, err)
		}
		quoted, escaped := false, false
		for _, r := range text {
			switch {
			case r < ' ' || r == 0x7f:
				t.Fatalf("control character in %q", text)
			case escaped:
				escaped = false
			case quoted && r == '\\':
				escaped = true
			case r == '"':
				quoted = !quoted
			case !quoted && strings.ContainsRune(" <>,;()\\", r):
				t.Fatalf("%q outside quotes in %q", r, text)
			}
		}
		if quoted || escaped {
			t.Fatalf("unfinished quotes in %q", text)
		}
	})
}

func TestASCII(t *testing.T) {
	tests := []struct {
		in, out string
		ok      bool
	}{
		{"ann@example.org", "ann@example.org", true},
		{"", "", true},
		{"ann@bücher.example", "ann@xn--bcher-kva.example", true},
		{"ann@BÜCHER.example", "ann@xn--bcher-kva.example", true},
		{`"an n"@bücher.example`, `"an n"@xn--bcher-kva.example`, true},
		{"änn@bücher.example", "", false},
		{"änn@example.org", "", false},
		{"ann@\u0301.example", "", false}, // no label begins with a combining mark
	}
	for _, tt := range tests {
		a, err := Parse(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := a.ASCII(); got.String() != tt.out || ok != tt.ok {
			t.Errorf("%q: %q, %t; want %q, %t", tt.in, got, ok, tt.out, tt.ok)
		}
	}
}
