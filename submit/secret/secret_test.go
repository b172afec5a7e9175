package secret

import (
	"strings"
	"testing"
)

// TestKinds: each kind is read and written in the same form, and shown without words that
// may be secret.
func TestKinds(t *testing.T) {
	for _, tt := range []struct {
		text, shown, path        string
		prompts, writable, given bool
	}{
		{"keyring", "keyring", "", true, true, false},
		{"command:pass show x", "command pass", "", true, false, false},
		{"env:PASS", "env:PASS", "", false, false, true},
		{"file:/s/pw", "file:/s/pw", "/s/pw", false, true, false},
		{"file:~/pw", "file:~/pw", "/home/ann/pw", false, true, false},
		{"systemd:pw", "systemd:pw", "", false, false, true},
		{"oauth2:google", "oauth2:google", "", false, false, false},
		{"none", "none", "", false, false, false},
	} {
		r, err := Parse(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		again, err := Parse(r.Text())
		if r.Text() != tt.text || again != r || err != nil || r.String() != tt.shown || r.Path("/home/ann") != tt.path {
			t.Errorf("%s: %q, %q, path %q, again %v, %v", tt.text, r.Text(), r, r.Path("/home/ann"), again == r, err)
		}
		if r.Prompts() != tt.prompts || r.Writable() != tt.writable || r.Given() != tt.given {
			t.Errorf("%s: prompts %t, writable %t, given %t", tt.text, r.Prompts(), r.Writable(), r.Given())
		}
		if r.In("/etc") != r {
			t.Errorf("%s is %s in a file", tt.text, r.In("/etc"))
		}
		if isToken := strings.HasPrefix(tt.text, "oauth2:"); r.IsOAuth2() != isToken || (r.Provider() == "google") != isToken {
			t.Errorf("%s: %t, of %q", tt.text, r.IsOAuth2(), r.Provider())
		}
	}
	if zero := (Ref{}); zero.Text() != "" || zero.Writable() || zero.Prompts() || zero.String() != "no secret source" {
		t.Errorf("zero: %q, %s", zero.Text(), zero)
	}
	if _, err := Parse(OfKeyring.Text()); err != nil || len(kinds) != int(Kinds) {
		t.Error(err)
	}
}

// TestRelative: only a path of the kind File may be relative; it is relative to the folder
// of the configuration file.
func TestRelative(t *testing.T) {
	var r Ref
	if err := r.UnmarshalText([]byte("file:secrets/a")); err != nil {
		t.Fatal(err)
	}
	if in := r.In("/etc/sendoff"); in.Text() != "file:/etc/sendoff/secrets/a" {
		t.Errorf("%s", in)
	}
	for _, text := range []string{"file:secrets/a", "file:", "file:~ann/x", "hunter2", "keyring:", "none:x", "env:SENDOFF_USER", "env:1A", "env:A-B", "systemd:a/b", "oauth2:", "oauth2:a b", "command:"} {
		if r, err := Parse(text); err == nil || r != (Ref{}) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s is %s, %v", text, r, err)
		}
	}
}
